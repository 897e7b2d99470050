//! Commands in instances, over SSH.
//!
//! - `target`: where to connect and as whom ([`Target`]), from a pod. Pure.
//! - `host_key`: what is known of the key of an instance's SSH server, and whether the one it shows will do. Pure.
//! - `quoting`: a command as a text for a shell. Pure.
//! - `identity`: our own key.
//! - `connection`: one connection, and commands on it.
//! - `connector`: [`Connector`] has a connection per instance, and keeps it for a while.
//!
//! Host keys are trusted on first use. From then on another key is refused: for as long as the process lives, and for as
//! long as the pod lives once somebody has written what [`Connector::take_learned`] gives to the pod's annotation.

mod connection;
mod connector;
mod error;
mod host_key;
mod identity;
mod quoting;
mod target;
#[cfg(test)]
mod tests;

pub use self::connection::Exit;
pub use self::connector::{Connector, Limits};
pub use self::error::Error;
pub use self::host_key::{HostKey, ParseHostKeyError};
pub use self::identity::{Identity, IdentityError};
pub use self::quoting::{CommandError, command_line};
pub use self::target::{Route, Target, TargetError};
