//! What both binaries tell operators.
//!
//! - [`finding`]: what a check finds is a [`Finding`]: how good it is, and a line that says what to do.
//! - [`output`]: everything that a sub-command shows is text for people, or JSON for programs.
//! - [`settled`] are settings with their key; [`questions`] asks CloudAPI with them, and [`account`] and [`clock`] say,
//!   purely, what its answers come to.
//! - [`rights`] reads from the manifests what a program may do, and asks the API server whether it may.
//! - [`doctor`] is all of these checks, one after the other.
//! - [`object`] reads the name of what is to be explained, and an [`Explanation`] is what a controller thinks of it.
//!
//! Nothing here changes anything, at Triton or in the cluster.

pub mod account;
pub mod clock;
pub mod doctor;
pub mod explanation;
pub mod finding;
pub mod object;
pub mod output;
pub mod questions;
pub mod rights;
pub mod settled;

pub use self::explanation::{Explanation, Fact, Remark};
pub use self::finding::{Finding, Level, Report};
pub use self::output::Format;
pub use self::settled::Settled;
