//! The certificate of a load balancer. The image asks Let's Encrypt for one of the names that it is given; this one signs
//! itself, as that of the image does without names.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

/// Takes TLS connections for these names, or for this address when there are none.
pub(super) fn acceptor(names: &[String], address: IpAddr) -> Option<TlsAcceptor> {
    let names = if names.is_empty() { vec![address.to_string()] } else { names.to_vec() };
    let made = rcgen::generate_simple_self_signed(names).inspect_err(
        |error| tracing::warn!(%error, "a load balancer has no certificate: its names must be DNS names"),
    );
    let made = made.ok()?;
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key));
    let config = config.inspect_err(|error| tracing::warn!(%error, "a load balancer has no TLS"));
    Some(TlsAcceptor::from(Arc::new(config.ok()?)))
}
