//! Leader election on a Kubernetes Lease: one process of several acts, the others stand by.
//!
//! Crate kube-leader-election writes the lease. By itself it patches without a precondition, so that several
//! candidates can all win; it judges expiry by comparing two machines' wall clocks; it renews whatever it finds; and
//! it waits for ever for a server that does not answer. Here it stands between two parts that take these decisions
//! from it:
//!
//! - An [`Elector`] reads the lease and asks a pure function what to do about what it has seen of it. A lease of
//!   another is taken only after this process has itself watched the record stand still for a whole lease duration,
//!   by its monotonic clock; times in the record are for people to read.
//! - A gate, below the crate's own client, answers the crate's read with the lease that was decided on, and lets one
//!   write pass: with the resource version that was read, so that a stale write fails, and with a deadline.
//!
//! # Why two never act at once
//!
//! Leadership is a [`Claim`]. It is valid until an instant that is counted from *before* the write that granted it was
//! sent: `sent + renew_deadline`. Nobody can have seen that write's record before it was sent, so nobody takes the
//! lease before `sent + lease_duration`, which is later; and who acts on an older sight of the record fails on its
//! resource version. A write of the lease that is performed late, by a server that was frozen, grants nothing: its
//! claim has lapsed when its answer arrives. A claim lapses by itself, however stuck the elector may be. The
//! difference of the two times, 5 s by default, is for a writer's last request to end in.
//!
//! Three things are outside of this argument. A machine whose monotonic clock stands still while others run, such as a
//! suspended one, holds its claim for as long as it slept. A request that the API server had received when the claim
//! lapsed may still be performed; writes need preconditions of their own. And a candidate that starts just when
//! somebody deletes the lease cannot know that it was held; those that had seen it wait.
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
