//! What this process has itself seen of the lease, and when, by its monotonic clock.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use tokio::time::Instant;

/// The lease as last seen, and how long it has stood still.
#[derive(Debug, Clone)]
pub(super) struct Observed {
    lease: Option<Lease>,
    /// When this process first saw the record as it is now.
    since: Instant,
    /// The last holder that was seen may still act on its claim.
    promise: Option<Promise>,
}

/// Somebody may act on a claim until then.
#[derive(Debug, Clone)]
struct Promise {
    holder: String,
    until: Instant,
}

impl Observed {
    /// The first sight of the lease, `None` when there is none.
    ///
    /// `own` is this process's lease duration; a record that says less, or nothing, is held to it.
    pub(super) fn first(lease: Option<Lease>, own: Duration, now: Instant) -> Self {
        let promise = lease.as_ref().and_then(|lease| promise(lease, own, now));
        Self { lease, since: now, promise }
    }

    /// A later sight. Only a change of the record itself starts the clock again: other parts of the object do not
    /// say that the holder lives.
    pub(super) fn again(&mut self, lease: Option<Lease>, own: Duration, now: Instant) {
        if record(self.lease.as_ref()) != record(lease.as_ref()) {
            self.since = now;
        }
        // When somebody deleted the lease, its holder may not know yet: then the promise stays.
        if let Some(lease) = &lease {
            self.promise = promise(lease, own, self.since);
        }
        self.lease = lease;
    }

    /// The lease as last seen.
    pub(super) fn lease(&self) -> Option<&Lease> {
        self.lease.as_ref()
    }

    /// Who holds the lease; `None` when there is no lease, or nobody holds it.
    pub(super) fn holder(&self) -> Option<&str> {
        self.lease.as_ref().and_then(holder)
    }

    /// Until when somebody other than `me` may still act on what was last seen.
    pub(super) fn bound(&self, me: &str, now: Instant) -> Option<Instant> {
        let promise = self.promise.as_ref().filter(|promise| promise.holder != me)?;
        Some(promise.until).filter(|until| now < *until)
    }
}

/// The parts of a lease that make it another record: a new object, or anything of its spec.
fn record(lease: Option<&Lease>) -> Option<(Option<&str>, Option<&LeaseSpec>)> {
    lease.map(|lease| (lease.metadata.uid.as_deref(), lease.spec.as_ref()))
}

/// Who holds a lease; an empty name is nobody's.
pub(super) fn holder(lease: &Lease) -> Option<&str> {
    lease.spec.as_ref()?.holder_identity.as_deref().filter(|holder| !holder.is_empty())
}

fn promise(lease: &Lease, own: Duration, since: Instant) -> Option<Promise> {
    let holder = holder(lease)?.to_owned();
    let seconds = lease.spec.as_ref().and_then(|spec| spec.lease_duration_seconds).unwrap_or(0);
    let said = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    Some(Promise { holder, until: since + said.max(own) })
}
