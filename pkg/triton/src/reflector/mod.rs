//! The Triton reflector: what the account's instances are, in memory, kept true.
//!
//! One list at the start, the [changefeed](crate::changefeed) for speed, and a relist every few minutes for
//! truth; in a quiet account the relist is the only request. Controllers read the [`Store`] and never the
//! API, are told what changed by a [`Subscription`], and note their own writes with [`Store::expect`], so
//! that the next decision does not repeat a write that reads do not show yet.
//!
//! The API lies in known ways (reference 2.6, 2.26, 6): pages skip rows, events are lost, repeated and
//! reordered, reads lag behind writes, a list may be short or empty. So nothing here believes a single voice:
//!
//! - An event is a hint. It is applied when it is newer than what is known, by the instance's `updated` time;
//!   what it leaves unclear is read again.
//! - A row missing from a list is a doubt, which a read of that instance settles.
//! - An instance is gone on a 410 for that very instance, on its row in state `deleted` in a list of the destroyed that was
//!   made to prove the deletions of this process ([`Reflector::deleting`]), or on a 404 that was repeated after at least
//!   [`NOT_FOUND_APART`] with a clean list in between that showed others but not it, unless its last known
//!   state is one that lists do not show. Nothing else removes one.
//! - An error removes nothing and changes nothing.
//!
//! Instances in state `failed` are not in default lists (reference 2.12), so the reflector knows those that
//! it saw fail or that it was told of, does not expect them in lists, and reads each every half hour.

mod checks;
mod driver;
mod entry;
mod index;
mod keys;
mod pending;
mod proofs;
mod relist;
mod store;
mod subscription;
#[cfg(test)]
mod tests;
mod tombstones;
mod writes;

pub use self::driver::{Reflector, Settings};
pub use self::entry::{Doubt, Entry, Source};
pub use self::index::NOT_FOUND_APART;
pub use self::pending::{Expectation, PENDING_FOR, Pending};
pub use self::store::{Feed, Health, Lookup, Store};
pub use self::subscription::Subscription;
pub use self::tombstones::{Proof, Tombstone};
pub use self::writes::Writes;
