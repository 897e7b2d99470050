//! Why commands could not be run.

use std::time::Duration;

use provider::names::{PREFIX, annotation};

use super::{HostKey, Route};

/// Why a command could not be run, or how it ended is not known. One line each. Texts, so that all who wait for one
/// connection can be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No TCP connection.
    #[error(
        "cannot reach the SSH server of {route}: {cause}; see that it runs, and that the virtual kubelet can reach its \
         network"
    )]
    Unreachable {
        /// Where.
        route: Route,
        /// What the system says.
        cause: String,
    },
    /// The server did not answer in time.
    #[error("the SSH server of {route} did not answer within {limit:?}; see that it works")]
    Deadline {
        /// Where.
        route: Route,
        /// How long was waited.
        limit: Duration,
    },
    /// The server is not the one that it was.
    #[error(
        "the SSH server of {route} shows the host key {shown}, but {known} is the one it had: somebody else may answer \
         there; if it was changed on purpose, set the pod's annotation {PREFIX}{} to the new public key",
        annotation::SSH_HOST_KEY
    )]
    HostKeyChanged {
        /// Where.
        route: Box<Route>,
        /// The key that it must have.
        known: Box<HostKey>,
        /// The key that it shows.
        shown: Box<HostKey>,
    },
    /// The server shows a certificate, which was not asked for.
    #[error("the SSH server of {route} shows a certificate; have it show a plain host key")]
    HostCertificate {
        /// Where.
        route: Route,
    },
    /// The user does not admit our key.
    #[error(
        "{route} does not admit the virtual kubelet's SSH key {fingerprint}; add it to the keys of the account or of \
         the user, or name another user in the annotation {PREFIX}{}",
        annotation::SSH_USER
    )]
    NotAdmitted {
        /// Where.
        route: Route,
        /// The fingerprint of our key.
        fingerprint: String,
    },
    /// The protocol failed while connecting.
    #[error("no SSH connection to {route}: {cause}; see that it has a usual SSH server")]
    Handshake {
        /// Where.
        route: Route,
        /// What went wrong.
        cause: String,
    },
    /// The server gives no session for a command, or refuses to run any.
    #[error(
        "the SSH server of {route} runs no command: {cause}; check its configuration, such as MaxSessions"
    )]
    NoSession {
        /// Where.
        route: Route,
        /// What it said.
        cause: String,
    },
    /// The connection ended before the command, or the server did not say how it ended.
    #[error("the connection to {route} ended before the command's exit code was known")]
    Interrupted {
        /// Where.
        route: Route,
    },
}
