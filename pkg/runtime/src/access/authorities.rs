//! Users by client certificates.

use std::sync::{Arc, PoisonError, RwLock};

use der::asn1::{Ia5StringRef, ObjectIdentifier, PrintableStringRef, TeletexStringRef, Utf8StringRef};
use der::{Decode as _, Tag, Tagged as _};
use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, UnixTime, pem};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};

use super::{AUTHENTICATED, User};

/// `id-at-commonName` and `id-at-organizationName` of RFC 5280: Kubernetes' user and groups.
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const ORGANIZATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.10");

/// A text that holds no usable authorities.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthoritiesError {
    /// It is no PEM, or has no certificate in it.
    #[error("there is no certificate in PEM in it")]
    Pem(#[source] Option<pem::Error>),
    /// A certificate cannot be that of an authority.
    #[error("a certificate in it cannot be that of an authority")]
    Authority(#[source] rustls::Error),
    /// They cannot be used.
    #[error("its certificates cannot be used")]
    Build(#[source] VerifierBuilderError),
}

/// Why a certificate says nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum CertificateRefused {
    #[error("the client certificate is not one of the cluster's authority, or has expired")]
    Untrusted(#[source] rustls::Error),
    #[error("the client certificate names no user: it has no common name")]
    Nobody,
}

/// The authorities whose certificates say who somebody is; none at first. Cloning gives another handle on the same.
#[derive(Debug, Clone, Default)]
pub struct ClientAuthorities(Arc<RwLock<Option<Arc<dyn ClientCertVerifier>>>>);

impl ClientAuthorities {
    /// Trusts the certificates in this PEM text from now on, and no others.
    ///
    /// # Errors
    ///
    /// [`AuthoritiesError`]; nothing has changed then.
    pub fn replace(&self, text: &str) -> Result<(), AuthoritiesError> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(text.as_bytes()) {
            let certificate = certificate.map_err(|error| AuthoritiesError::Pem(Some(error)))?;
            roots.add(certificate).map_err(AuthoritiesError::Authority)?;
        }
        if roots.is_empty() {
            return Err(AuthoritiesError::Pem(None));
        }
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(AuthoritiesError::Build)?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(verifier);
        Ok(())
    }

    /// Whom these certificates name, the client's own first; `None` when there are none, or nobody is trusted.
    pub(super) fn user(&self, chain: &[CertificateDer<'_>]) -> Result<Option<User>, CertificateRefused> {
        let verifier = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        let (Some(verifier), Some((own, others))) = (verifier, chain.split_first()) else { return Ok(None) };
        // For each request: a connection may outlive its certificate.
        verifier.verify_client_cert(own, others, UnixTime::now()).map_err(CertificateRefused::Untrusted)?;
        named_by(own).map(Some).ok_or(CertificateRefused::Nobody)
    }
}

/// The user that a certificate names, as Kubernetes reads it.
fn named_by(certificate: &CertificateDer<'_>) -> Option<User> {
    let certificate = x509_cert::Certificate::from_der(certificate).ok()?;
    let mut name = None;
    let mut groups = Vec::new();
    for attribute in certificate.tbs_certificate().subject().iter() {
        let value = &attribute.value;
        let text = match value.tag() {
            Tag::Utf8String => value.decode_as::<Utf8StringRef<'_>>().ok()?.as_str().to_owned(),
            Tag::PrintableString => value.decode_as::<PrintableStringRef<'_>>().ok()?.as_str().to_owned(),
            Tag::Ia5String => value.decode_as::<Ia5StringRef<'_>>().ok()?.as_str().to_owned(),
            Tag::TeletexString => value.decode_as::<TeletexStringRef<'_>>().ok()?.as_str().to_owned(),
            _ => continue,
        };
        match attribute.oid {
            // Of several, the last one counts, as in Go.
            COMMON_NAME => name = Some(text),
            ORGANIZATION => groups.push(text),
            _ => {}
        }
    }
    groups.push(AUTHENTICATED.to_owned());
    let name = name.filter(|name| !name.is_empty())?;
    Some(User { name, uid: None, groups, extra: Default::default() })
}

#[cfg(test)]
mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
        ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd,
    };

    use super::*;

    type Issuer = CertifiedIssuer<'static, KeyPair>;

    fn authority() -> Issuer {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    fn client(
        issuer: &Issuer,
        subject: &[(DnType, &str)],
        adjust: impl FnOnce(&mut CertificateParams),
    ) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        for (kind, text) in subject {
            params.distinguished_name.push(kind.clone(), *text);
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        adjust(&mut params);
        params.signed_by(&KeyPair::generate().unwrap(), issuer).unwrap().der().clone()
    }

    const ALICE: [(DnType, &str); 2] = [(DnType::OrganizationName, "readers"), (DnType::CommonName, "alice")];

    #[test]
    fn a_certificate_of_the_authority_names_user_and_groups() {
        let (issuer, authorities) = (authority(), ClientAuthorities::default());
        let alice = client(&issuer, &ALICE, |_| {});
        assert_eq!(authorities.user(std::slice::from_ref(&alice)).unwrap(), None, "nobody is trusted yet");
        authorities.replace(&issuer.pem()).unwrap();
        let user = authorities.user(&[alice]).unwrap().unwrap();
        assert_eq!(
            (user.name.as_str(), user.groups),
            ("alice", vec!["readers".into(), AUTHENTICATED.into()])
        );
        assert_eq!(authorities.user(&[]).unwrap(), None);
    }

    #[test]
    fn others_say_nothing() {
        let (issuer, authorities) = (authority(), ClientAuthorities::default());
        authorities.replace(&issuer.pem()).unwrap();
        let stranger = client(&authority(), &ALICE, |_| {});
        let expired = client(&issuer, &ALICE, |params| params.not_after = date_time_ymd(2020, 1, 1));
        let server = client(&issuer, &ALICE, |params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        });
        for certificate in [stranger, expired, server] {
            let refused = authorities.user(&[certificate]).unwrap_err();
            assert!(matches!(refused, CertificateRefused::Untrusted(_)), "{refused}");
        }
        let nobody = client(&issuer, &ALICE[..1], |_| {});
        assert!(matches!(authorities.user(&[nobody]), Err(CertificateRefused::Nobody)));
    }

    #[test]
    fn what_is_no_authority_changes_nothing() {
        let (issuer, authorities) = (authority(), ClientAuthorities::default());
        authorities.replace(&issuer.pem()).unwrap();
        for text in ["", "text", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            authorities.replace(text).unwrap_err();
        }
        assert!(authorities.user(&[client(&issuer, &ALICE, |_| {})]).unwrap().is_some());
        // The authority is replaced.
        let next = authority();
        authorities.replace(&next.pem()).unwrap();
        authorities.user(&[client(&issuer, &ALICE, |_| {})]).unwrap_err();
        assert!(authorities.user(&[client(&next, &ALICE, |_| {})]).unwrap().is_some());
    }
}
