//! The loop: look, decide, write, and lose in time.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube_leader_election::{LeaseLock, LeaseLockParams};
use tokio::sync::watch;
use tokio::time::Instant;

use super::ElectionClient;
use super::claim::{Claim, Tenure, Validity};
use super::decide::{Decision, decide, shown};
use super::error::LeaderError;
use super::gate::Gate;
use super::observed::{Observed, holder};
use super::params::{JITTER, LeaderParams};
use crate::exit::one_line;

/// What becomes of the lease when this process stops by its own will.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Farewell {
    /// All writers have ended: give the lease away, so that another takes over within 3 s.
    Release,
    /// Some writer may still be at it: let the lease run out.
    Expire,
}

/// A candidate in an election, and its leader while it wins.
pub struct Elector {
    params: LeaderParams,
    leases: Api<Lease>,
    lock: LeaseLock,
    gate: Gate,
    tenure: watch::Sender<Tenure>,
    random: fastrand::Rng,
    observed: Option<Observed>,
    /// Whether `observed` is what we wrote last, so that a leader need not read before it writes.
    current: bool,
}

/// How an attempt ended, when it did not fail.
enum Attempt {
    /// We hold the lease by a write that was sent at this instant.
    Held(Instant),
    /// Somebody else does.
    Standby,
}

impl Elector {
    /// A candidate, which does nothing before [`Elector::run`], and the claim that it will keep. Needs a tokio
    /// runtime.
    ///
    /// `wall_clock` tells the times that go into the record for people to read, usually [`Timestamp::now`]; `random`
    /// spreads the candidates' attempts.
    ///
    /// # Errors
    ///
    /// [`LeaderError::Params`]
    pub fn new(
        client: ElectionClient,
        params: LeaderParams,
        wall_clock: impl Fn() -> Timestamp + Send + Sync + 'static,
        random: fastrand::Rng,
    ) -> Result<(Self, Claim), LeaderError> {
        params.check()?;
        let client = client.into_inner();
        let leases = Api::namespaced(client.clone(), &params.namespace);
        let gate = Gate::new(client, params.request_deadline(), &params.field_manager, Arc::new(wall_clock));
        let lock_params = LeaseLockParams {
            lease_name: params.name.clone(),
            holder_id: params.identity.clone(),
            lease_ttl: params.lease_duration,
        };
        let lock = LeaseLock::new(gate.client(), &params.namespace, lock_params);
        let (tenure, claim) = Claim::new();
        let elector = Self { params, leases, lock, gate, tenure, random, observed: None, current: false };
        Ok((elector, claim))
    }

    /// Stands for election until `stop` says how to leave; leads meanwhile whenever it wins.
    ///
    /// # Errors
    ///
    /// [`LeaderError::Lost`] when this process led and no longer does. It must then end: what it was doing is
    /// another's now. Everything else that goes wrong is logged, told by [`Claim::standing`], and tried again.
    pub async fn run(mut self, stop: impl Future<Output = Farewell>) -> Result<(), LeaderError> {
        let mut stop = pin!(stop);
        let mut trouble = None;
        loop {
            let lapse = self.leading_until();
            let attempt = tokio::select! {
                biased;
                farewell = &mut stop => return self.leave(farewell).await,
                () = at(lapse) => return Err(self.lost(trouble)),
                attempt = self.attempt() => attempt,
            };
            match attempt {
                Ok(Attempt::Held(sent)) => {
                    trouble = None;
                    self.hold(sent);
                }
                Ok(Attempt::Standby) => {
                    trouble = None;
                    if lapse.is_some() {
                        return Err(self.lost(Some("somebody else holds it".to_owned())));
                    }
                    self.stand_by();
                }
                // Losing a race is how an election goes; the next look tells who won.
                Err(error @ LeaderError::Raced { .. }) => tracing::debug!("{error}"),
                Err(error) => {
                    let error = one_line(&error);
                    tracing::warn!(lease = %self.lease_name(), %error, "leader election attempt failed");
                    self.tenure.send_modify(|tenure| tenure.trouble = Some(error.clone()));
                    trouble = Some(error);
                }
            }
            let pause = self.params.retry_period.mul_f64(1.0 + JITTER * self.random.f64());
            let lapse = self.leading_until();
            tokio::select! {
                biased;
                farewell = &mut stop => return self.leave(farewell).await,
                () = at(lapse) => return Err(self.lost(trouble)),
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Until when we lead; `None` when we never did.
    fn leading_until(&self) -> Option<Instant> {
        match self.tenure.borrow().validity {
            Validity::Until(end) => Some(end),
            Validity::Never | Validity::Always => None,
        }
    }

    async fn attempt(&mut self) -> Result<Attempt, LeaderError> {
        if !self.current {
            self.look().await?;
        }
        let Some(observed) = &self.observed else { return Ok(Attempt::Standby) };
        let decision = decide(observed, &self.params.identity, Instant::now());
        if let Decision::Wait { .. } = decision {
            return Ok(Attempt::Standby);
        }
        let version = observed.lease().and_then(|lease| lease.metadata.resource_version.clone());
        // Until the API server has answered, nobody knows what the lease is.
        self.current = false;
        self.gate.prepare(shown(observed, decision), version);
        let done = self.lock.try_acquire_or_renew().await;
        done.map_err(|source| self.write_failed(source))?;
        let Some(written) = self.gate.written() else { return Ok(Attempt::Standby) };
        let winner = holder(&written.lease).unwrap_or_default().to_owned();
        self.see(Some(written.lease));
        if winner != self.params.identity {
            return Err(LeaderError::Overtaken { lease: self.lease_name(), holder: winner });
        }
        self.current = true;
        Ok(Attempt::Held(written.sent))
    }

    /// Reads the lease from the API server.
    async fn look(&mut self) -> Result<(), LeaderError> {
        let deadline = self.params.request_deadline();
        let read = tokio::time::timeout(deadline, self.leases.get_opt(&self.params.name)).await;
        let lease = read
            .map_err(|_| LeaderError::Deadline { lease: self.lease_name(), seconds: deadline.as_secs() })?
            .map_err(|source| LeaderError::from_read(self.lease_name(), source))?;
        self.see(lease);
        Ok(())
    }

    fn see(&mut self, lease: Option<Lease>) {
        let (own, now) = (self.params.lease_duration, Instant::now());
        match &mut self.observed {
            Some(observed) => observed.again(lease, own, now),
            None => self.observed = Some(Observed::first(lease, own, now)),
        }
    }

    fn hold(&mut self, sent: Instant) {
        let until = sent + self.params.renew_deadline;
        if until <= Instant::now() {
            // The answer took longer than the claim lasts. The next attempt renews, or the loop finds it lapsed.
            return;
        }
        if self.leading_until().is_none() {
            tracing::info!(lease = %self.lease_name(), identity = %self.params.identity, "leading");
        }
        let leader = Some(self.params.identity.clone());
        self.tenure.send_replace(Tenure { validity: Validity::Until(until), leader, trouble: None });
    }

    fn stand_by(&mut self) {
        let leader = self.observed.as_ref().and_then(|observed| observed.holder()).map(str::to_owned);
        let known = self.tenure.borrow().leader.clone();
        if known != leader {
            tracing::info!(lease = %self.lease_name(), leader = leader.as_deref().unwrap_or("nobody"), "standing by");
        }
        self.tenure.send_replace(Tenure { validity: Validity::Never, leader, trouble: None });
    }

    /// Ends the claim first, then the lease.
    async fn leave(&mut self, farewell: Farewell) -> Result<(), LeaderError> {
        self.tenure.send_replace(Tenure::default());
        if farewell == Farewell::Expire {
            tracing::warn!(lease = %self.lease_name(), "leaving the lease to run out, because not all writers ended");
            return Ok(());
        }
        // A write may have been cut off; only the API server knows whose the lease is.
        if let Err(error) = self.release().await {
            let error = one_line(&error);
            tracing::warn!(lease = %self.lease_name(), %error, "could not release the lease; it runs out by itself");
        }
        Ok(())
    }

    async fn release(&mut self) -> Result<(), LeaderError> {
        self.look().await?;
        let held = self.observed.as_ref().filter(|seen| seen.holder() == Some(&self.params.identity));
        let Some(lease) = held.and_then(|observed| observed.lease().cloned()) else { return Ok(()) };
        let version = lease.metadata.resource_version.clone();
        self.gate.prepare(Some(lease), version);
        self.lock.step_down().await.map_err(|source| self.write_failed(source))?;
        tracing::info!(lease = %self.lease_name(), "released the lease");
        Ok(())
    }

    fn lost(&self, reason: Option<String>) -> LeaderError {
        self.tenure.send_replace(Tenure::default());
        let reason = reason.unwrap_or_else(|| "it could not be renewed in time".to_owned());
        LeaderError::Lost { lease: self.lease_name(), reason }
    }

    fn write_failed(&self, source: kube_leader_election::Error) -> LeaderError {
        LeaderError::from_write(self.lease_name(), source)
    }

    fn lease_name(&self) -> String {
        format!("{}/{}", self.params.namespace, self.params.name)
    }
}

impl std::fmt::Debug for Elector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Elector").field("params", &self.params).finish_non_exhaustive()
    }
}

/// Waits for an instant; for ever without one.
async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
