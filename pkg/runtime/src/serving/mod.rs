//! Serving HTTP, in the clear or over TLS, within bounds.
//!
//! - [`Listener`] accepts connections and hands each request, with who sent it, to a function.
//! - [`ServingCertificate`] is what a server shows: from files, which are read again as they are renewed, or made in
//!   memory. [`ServingCertificate::config`] makes the TLS of it.
//!
//! Clients may show a certificate of any authority; the handshake proves only that they hold its key. Whether it says
//! anything is decided for each request, by [`access`](crate::access): authorities change while connections last, and a
//! client with a certificate that means nothing here may still have a token.

mod certificate;
mod client_certificate;
mod listener;

pub use self::certificate::{CertificateError, CertificateSource, MinimumVersion, ServingCertificate};
pub use self::listener::{Bounds, Listener, Peer};
