//! Watching: what both sides of a controller keep in memory, and whether it is complete.
//!
//! Every watch of the Kubernetes API is built by [`watch`](watch()), which backs off. [`Caches`] holds the reflectors of a
//! process, and whatever keeps the other side's state ([`Cache`]), and tells `/readyz` which are missing.

mod backoff;
mod caches;
mod freshness;
mod stream;

pub use self::caches::{Cache, CacheState, Caches};
pub use self::stream::{WatchError, watch};
