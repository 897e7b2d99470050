use std::sync::Arc;

use jiff::SignedDuration;
use proptest::prelude::*;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use triton::auth::{PrivateKey, Signer};
use triton::cmon::certificate;

use super::*;

fn account() -> AccountId {
    uuid::Uuid::from_u128(0xa).into()
}

fn now() -> Timestamp {
    "2026-02-02T10:00:00Z".parse().unwrap()
}

fn at(days: i64) -> Timestamp {
    now() + SignedDuration::from_hours(24 * days)
}

/// A key for `rcgen` and the same for the library.
fn key() -> (KeyPair, Arc<PrivateKey>) {
    let pair = KeyPair::generate().unwrap();
    let key = PrivateKey::from_pem(&pair.serialize_pem(), None).unwrap();
    (pair, Arc::new(key))
}

fn identify_at(certificate: &[u8], now: Timestamp, keys: &[&PrivateKey]) -> Result<Identity, Refused> {
    let keys = keys.iter().map(|key| key.public_key().clone()).collect();
    identify(certificate, now, |login| (login == "acme").then_some((account(), keys)))
}

fn acme() -> Result<Identity, Refused> {
    Ok(Identity { login: "acme".to_owned(), account: account() })
}

/// A certificate of the newer kind, by the library.
async fn issued(key: &Arc<PrivateKey>, login: &str) -> Vec<u8> {
    let signer = Signer::Key(Arc::clone(key));
    let mut random = |bytes: &mut [u8]| {
        bytes.fill(7);
        Ok(())
    };
    let made = certificate::issue_at(&signer, login, 10, now(), &mut random).await.unwrap();
    CertificateDer::from_pem_slice(made.certificate_pem.as_bytes()).unwrap().to_vec()
}

/// A self-signed certificate of `acme`, valid for ten days.
fn self_signed(pair: &KeyPair, for_cmon: bool) -> Vec<u8> {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, "acme");
    parameters.not_before = rcgen::date_time_ymd(2026, 2, 1);
    parameters.not_after = rcgen::date_time_ymd(2026, 2, 11);
    if for_cmon {
        let usage = ExtendedKeyUsagePurpose::Other(vec![1, 3, 6, 1, 4, 1, 38678, 1, 4, 2]);
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, usage];
    }
    parameters.self_signed(pair).unwrap().der().to_vec()
}

#[tokio::test]
async fn a_certificate_that_a_key_of_the_account_has_issued_is_the_accounts() {
    let ((_, mine), (_, other)) = (key(), key());
    let certificate = issued(&mine, "acme").await;
    assert_eq!(identify_at(&certificate, now(), &[&other, &mine]), acme());
    assert_eq!(identify_at(&certificate, at(9), &[&mine]), acme());
    assert_eq!(identify_at(&certificate, at(11), &[&mine]), Err(Refused::Expired));
    assert_eq!(identify_at(&certificate, at(-1), &[&mine]), Err(Refused::Expired));
    assert_eq!(identify_at(&certificate, now(), &[&other]), Err(Refused::Key));
    assert_eq!(identify_at(&certificate, now(), &[]), Err(Refused::Key));
    let of_nobody = issued(&mine, "nobody").await;
    assert_eq!(identify_at(&of_nobody, now(), &[&mine]), Err(Refused::Account));
}

#[test]
fn a_certificate_that_a_key_of_the_account_made_for_itself_is_the_accounts() {
    let ((pair, mine), (_, other)) = (key(), key());
    for for_cmon in [true, false] {
        let certificate = self_signed(&pair, for_cmon);
        assert_eq!(identify_at(&certificate, now(), &[&mine]), acme());
        assert_eq!(identify_at(&certificate, now(), &[&other]), Err(Refused::Key));
    }
    assert_eq!(identify_at(&self_signed(&pair, true), at(11), &[&mine]), Err(Refused::Expired));
    assert_eq!(identify_at(&self_signed(&pair, false), at(11), &[&mine]), acme(), "the older kind");
}

#[tokio::test]
async fn who_names_a_key_must_have_it() {
    let ((_, mine), (_, other)) = (key(), key());
    // The signature of another key, under a certificate that names mine.
    let (honest, forged) = (issued(&mine, "acme").await, issued(&other, "acme").await);
    let names = |key: &PrivateKey| key.public_key().fingerprint().to_base64();
    let at = |der: &[u8], text: &str| der.windows(text.len()).position(|it| it == text.as_bytes()).unwrap();
    let (from, length) = (at(&forged, &names(&other)), names(&other).len());
    let mut renamed = forged;
    renamed[from..from + length].copy_from_slice(names(&mine).as_bytes());
    assert_eq!(identify_at(&renamed, now(), &[&mine]), Err(Refused::Signature));

    let mut changed = honest.clone();
    let login = at(&changed, "acme");
    changed[login..login + 4].copy_from_slice(b"acmf");
    let keys = |_: &str| Some((account(), vec![mine.public_key().clone()]));
    assert_eq!(identify(&changed, now(), keys), Err(Refused::Signature));
    let mut unnamed = honest;
    let issuer = at(&unnamed, "MD5:");
    unnamed[issuer..issuer + 4].copy_from_slice(b"SHA:");
    assert_eq!(identify_at(&unnamed, now(), &[&mine]), Err(Refused::Issuer));
}

#[tokio::test]
async fn a_serial_number_need_not_be_the_shortest() {
    // Those of sshpk are eight bytes, most of them zero. The signature is then another one, which is how far it comes.
    let (_, mine) = key();
    let mut certificate = issued(&mine, "acme").await;
    let serial = certificate.windows(10).position(|it| it[..2] == [INTEGER, 8]).unwrap() + 2;
    certificate[serial..serial + 7].fill(0);
    assert_eq!(identify_at(&certificate, now(), &[&mine]), Err(Refused::Signature));
}

#[tokio::test]
async fn what_is_cut_off_or_nonsense_is_unreadable() {
    let (_, mine) = key();
    let certificate = issued(&mine, "acme").await;
    for length in 0..certificate.len() {
        assert_eq!(
            identify_at(&certificate[..length], now(), &[&mine]),
            Err(Refused::Unreadable),
            "{length}"
        );
    }
}

proptest! {
    #[test]
    fn no_certificate_panics(bytes: Vec<u8>, at in 0_usize..800, byte: u8) {
        let _ = identify_at(&bytes, now(), &[]);
        let mut certificate = self_signed(&SHARED, true);
        let at = at % certificate.len();
        certificate[at] = byte;
        let _ = identify_at(&certificate, now(), &[]);
    }
}

static SHARED: std::sync::LazyLock<KeyPair> = std::sync::LazyLock::new(|| KeyPair::generate().unwrap());
