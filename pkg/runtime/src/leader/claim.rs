//! The right to act, with its expiry: what writers check at the moment of each write.

use std::future::Future;

use tokio::sync::watch;
use tokio::time::Instant;

/// Why a write did not happen, or was cut off: this process does not lead, or no longer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this process does not lead; the write is left to the leader")]
pub struct NotLeading;

/// Where an election stands, for readiness and logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// The claim is valid.
    Leading,
    /// Somebody else leads, or nobody that we know of.
    Standby {
        /// Who the lease names.
        leader: Option<String>,
    },
    /// The lease cannot be read or written, and we do not lead.
    Trouble {
        /// One line.
        error: String,
    },
}

/// What the elector last said.
#[derive(Debug, Clone, Default)]
pub(super) struct Tenure {
    pub(super) validity: Validity,
    pub(super) leader: Option<String>,
    pub(super) trouble: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Validity {
    #[default]
    Never,
    Until(Instant),
    Always,
}

impl Validity {
    fn holds(self, now: Instant) -> bool {
        match self {
            Self::Never => false,
            Self::Until(end) => now < end,
            Self::Always => true,
        }
    }
}

/// Leadership, checked by whoever writes. Cloning gives another handle on the same claim.
///
/// A claim needs nobody to end it: it lapses at an instant that was fixed when it was granted, and only a renewal
/// that arrived in time puts it off.
#[derive(Debug, Clone)]
pub struct Claim {
    tenure: watch::Receiver<Tenure>,
    /// Keeps the channel of a claim without an election open.
    _alone: Option<std::sync::Arc<watch::Sender<Tenure>>>,
}

impl Claim {
    pub(super) fn new() -> (watch::Sender<Tenure>, Self) {
        let (sender, tenure) = watch::channel(Tenure::default());
        (sender, Self { tenure, _alone: None })
    }

    /// The claim of a process that runs alone, without an election. It never lapses.
    pub fn without_election() -> Self {
        let (sender, tenure) = watch::channel(Tenure { validity: Validity::Always, ..Tenure::default() });
        Self { tenure, _alone: Some(std::sync::Arc::new(sender)) }
    }

    /// The claim of a process that only looks: it is never valid, so that nothing is written.
    pub fn never() -> Self {
        let (sender, tenure) = watch::channel(Tenure::default());
        Self { tenure, _alone: Some(std::sync::Arc::new(sender)) }
    }

    /// Whether this is the claim of a process that only looks: it never becomes valid.
    pub fn only_looks(&self) -> bool {
        self._alone.is_some() && self.tenure.borrow().validity == Validity::Never
    }

    /// Whether this process may act now.
    pub fn is_valid(&self) -> bool {
        self.tenure.borrow().validity.holds(Instant::now())
    }

    /// Refuses when this process may not act now.
    ///
    /// # Errors
    ///
    /// [`NotLeading`]
    pub fn check(&self) -> Result<(), NotLeading> {
        if self.is_valid() { Ok(()) } else { Err(NotLeading) }
    }

    /// Until when the claim is valid should no renewal arrive; `None` without an election and without a claim.
    pub fn valid_until(&self) -> Option<Instant> {
        match self.tenure.borrow().validity {
            Validity::Until(end) => Some(end),
            Validity::Never | Validity::Always => None,
        }
    }

    /// Where the election stands.
    pub fn standing(&self) -> Standing {
        let tenure = self.tenure.borrow();
        match &tenure.trouble {
            _ if tenure.validity.holds(Instant::now()) => Standing::Leading,
            Some(error) => Standing::Trouble { error: error.clone() },
            None => Standing::Standby { leader: tenure.leader.clone() },
        }
    }

    /// Waits until this process leads.
    ///
    /// # Errors
    ///
    /// [`NotLeading`] when the election is over and that can no longer happen.
    pub async fn held(&self) -> Result<(), NotLeading> {
        let mut tenure = self.tenure.clone();
        while !tenure.borrow_and_update().validity.holds(Instant::now()) {
            tenure.changed().await.map_err(|_| NotLeading)?;
        }
        Ok(())
    }

    /// Waits until this process no longer leads; returns at once when it does not.
    pub async fn lapsed(&self) {
        let mut tenure = self.tenure.clone();
        loop {
            let validity = tenure.borrow_and_update().validity;
            if !validity.holds(Instant::now()) {
                return;
            }
            let end = async {
                match validity {
                    Validity::Until(end) => tokio::time::sleep_until(end).await,
                    Validity::Never | Validity::Always => std::future::pending().await,
                }
            };
            tokio::select! {
                Ok(()) = tenure.changed() => {}
                () = end => {}
            }
        }
    }

    /// Performs a write only while the claim is valid: it is not begun without one, and is cut off when the claim
    /// lapses while it is under way. What the server had already received then may still take effect.
    ///
    /// # Errors
    ///
    /// [`NotLeading`]
    pub async fn run<T>(&self, write: impl Future<Output = T>) -> Result<T, NotLeading> {
        tokio::select! {
            biased;
            () = self.lapsed() => Err(NotLeading),
            done = write => Ok(done),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn until(seconds: u64) -> Tenure {
        Tenure {
            validity: Validity::Until(Instant::now() + Duration::from_secs(seconds)),
            ..Tenure::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn lapses_at_its_end_with_nobody_to_end_it() {
        let (sender, claim) = Claim::new();
        assert_eq!(claim.check(), Err(NotLeading));
        sender.send_replace(until(10));
        drop(sender);
        assert_eq!(claim.standing(), Standing::Leading);
        let start = Instant::now();
        claim.lapsed().await;
        assert_eq!(start.elapsed().as_secs(), 10);
        assert_eq!(claim.check(), Err(NotLeading));
        assert_eq!(claim.held().await, Err(NotLeading), "nobody is left to renew it");
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewal_in_time_puts_the_end_off() {
        let (sender, claim) = Claim::new();
        sender.send_replace(until(10));
        let start = Instant::now();
        let renew = async {
            tokio::time::sleep(Duration::from_secs(6)).await;
            sender.send_replace(until(10));
        };
        tokio::join!(claim.lapsed(), renew);
        assert_eq!(start.elapsed().as_secs(), 16);
    }

    #[tokio::test(start_paused = true)]
    async fn a_write_is_cut_off_when_the_claim_ends_early() {
        let (sender, claim) = Claim::new();
        sender.send_replace(until(10));
        let revoke = async {
            tokio::time::sleep(Duration::from_secs(3)).await;
            sender.send_replace(Tenure::default());
        };
        let start = Instant::now();
        let (written, ()) = tokio::join!(claim.run(std::future::pending::<()>()), revoke);
        assert_eq!(written, Err(NotLeading));
        assert_eq!(start.elapsed().as_secs(), 3);
        let mut begun = false;
        let late = claim.run(async { begun = true }).await;
        assert_eq!((late, begun), (Err(NotLeading), false), "not begun without a claim");
        sender.send_replace(until(10));
        assert_eq!(claim.run(async { 7 }).await, Ok(7));
    }

    #[tokio::test(start_paused = true)]
    async fn tells_whom_a_standby_waits_for_and_what_is_wrong() {
        let (sender, claim) = Claim::new();
        assert_eq!(claim.standing(), Standing::Standby { leader: None });
        sender.send_replace(Tenure { leader: Some("a".into()), ..Tenure::default() });
        assert_eq!(claim.standing(), Standing::Standby { leader: Some("a".into()) });
        sender.send_replace(Tenure { trouble: Some("refused".into()), ..Tenure::default() });
        assert_eq!(claim.standing(), Standing::Trouble { error: "refused".into() });
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_without_an_election_always_leads() {
        let claim = Claim::without_election();
        assert_eq!(claim.standing(), Standing::Leading);
        assert_eq!(claim.held().await, Ok(()));
        assert!(tokio::time::timeout(Duration::from_secs(3600), claim.lapsed()).await.is_err());
    }
}
