//! Leader election: what one candidate does to the record, and what five of them never do to each other.

mod histories;
mod record;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use runtime::leader::{Claim, ElectionClient, Elector, Farewell, LeaderError, LeaderParams};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::api_server::ApiServer;

/// A running candidate.
pub(crate) struct Candidate {
    identity: String,
    pub(crate) claim: Claim,
    stop: Option<oneshot::Sender<Farewell>>,
    run: JoinHandle<Result<(), LeaderError>>,
}

impl Candidate {
    /// Starts a candidate whose wall clock is wrong by `skew`.
    pub(crate) fn start(server: &ApiServer, identity: &str, skew: SignedDuration, seed: u64) -> Self {
        let params = LeaderParams::new("kube-system", "lease", identity, "manager");
        let client = ElectionClient::from_client_without_retries(server.client());
        let started = Instant::now();
        let epoch = Timestamp::from_second(1_800_000_000).unwrap();
        let clock = move || epoch + SignedDuration::try_from(started.elapsed()).unwrap() + skew;
        let (elector, claim) = Elector::new(client, params, clock, fastrand::Rng::with_seed(seed)).unwrap();
        let (stop, stopped) = oneshot::channel();
        let run = tokio::spawn(elector.run(async move {
            match stopped.await {
                Ok(farewell) => farewell,
                Err(_) => std::future::pending().await,
            }
        }));
        Self { identity: identity.to_owned(), claim, stop: Some(stop), run }
    }

    fn plain(server: &ApiServer, identity: &str) -> Self {
        Self::start(server, identity, SignedDuration::ZERO, 7)
    }

    /// Waits until it leads, at most this long.
    pub(crate) async fn leads_within(&self, seconds: u64) {
        tokio::time::timeout(Duration::from_secs(seconds), self.claim.held())
            .await
            .unwrap_or_else(|_| panic!("{} does not lead after {seconds} s", self.identity))
            .unwrap();
    }

    pub(crate) async fn leave(mut self, farewell: Farewell) {
        self.stop.take().unwrap().send(farewell).unwrap();
        (&mut self.run).await.unwrap().unwrap();
    }
}

impl Drop for Candidate {
    fn drop(&mut self) {
        self.run.abort();
    }
}
