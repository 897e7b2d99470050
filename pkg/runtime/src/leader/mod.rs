//! Leader election on a Kubernetes Lease: one process of several acts, the others stand by.
//!
//! Crate kube-leader-election writes the lease. By itself it patches without a precondition, judges expiry by
//! comparing wall clocks and waits for ever for a server that does not answer. Here it stands between two parts
//! that take these decisions from it; `docs/leader-election.md` has the whole argument:
//!
//! - an [`Elector`] reads the lease, and asks a pure function what to do with what it has seen of it, by this
//!   process's monotonic clock only;
//! - a gate, below the crate's own client, answers its reads with what the elector decided on, and sends its
//!   writes with the resource version that was read, a deadline, and this process's times. A stale write fails.
//!
//! Leadership is a [`Claim`]: valid until an instant of the monotonic clock, counted from *before* the write that
//! granted it. It lapses by itself, however stuck the elector or the API server may be. Writers check it at the
//! moment of each write.
//!
//! The record's fields are client-go's, so that either can take over from the other.

mod claim;
mod decide;
mod elector;
mod error;
mod gate;
mod observed;
mod params;

pub use self::claim::{Claim, NotLeading, Standing};
pub use self::elector::{Elector, Farewell};
pub use self::error::LeaderError;
pub use self::params::{LeaderParams, identity};

/// A client that is fit for leader election: it must not repeat requests by itself, because a repeat hides how old
/// a write is, nor wait for a rate limit that others use up.
/// [`Clients::election`](crate::clients::Clients::election) makes one.
#[derive(Clone)]
pub struct ElectionClient(kube::Client);

impl ElectionClient {
    /// Takes the caller's word that this client sends each request once and at once. For tests and for clients
    /// that are built from a service of one's own.
    pub fn from_client_without_retries(client: kube::Client) -> Self {
        Self(client)
    }

    fn into_inner(self) -> kube::Client {
        self.0
    }
}

impl std::fmt::Debug for ElectionClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ElectionClient").finish_non_exhaustive()
    }
}
