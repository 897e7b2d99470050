//! The Secret by which both binaries may be told how to reach CloudAPI, and what a change of it does.
//!
//! - [`SecretName`] is what `--credentials-secret` says; [`read`] makes settings of a Secret, [`write()`] a Secret of settings.
//! - [`Keeper`] follows the Secret: [`Keeper::connect`] waits for one that can be used, and has the client sign with the new key
//!   after a change. [`plan`](mod@plan) decides what a change comes to.
//!
//! The Secret's keys are the variables of the official client, so that `envFrom` works with it as well.

mod keeper;
pub mod plan;
mod secret;

pub use self::keeper::{Keeper, KeeperError, Load, Parts};
pub use self::secret::{
    CA, CMON_CERTIFICATE, CMON_KEY, Contents, DEFAULT_SECRET, SecretError, SecretName, SecretNameError, TYPE,
    read, write,
};
