//! Client certificates for CMON, checked by OpenSSL.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use triton::auth::{AgentKey, PrivateKey, Signer};
use triton::cmon::certificate::{self, CertificateError, ClientCertificate, DEFAULT_LIFETIME_DAYS};

use super::tools::{self, Agent, Key, Workshop};

/// A certificate authority with the account key and the name that CMON certificates call their issuer by, for
/// OpenSSL to check the signature against.
fn authority(workshop: &Workshop, key: &Key) -> PathBuf {
    let pem = workshop.convert(key, "authority.key", "", &["-m", "PEM"]);
    let (config, file) = (workshop.path("authority.cnf"), workshop.path("authority.pem"));
    let name = key.public.fingerprint().to_base64();
    fs::write(
        &config,
        format!(
            "[req]\ndistinguished_name = dn\nx509_extensions = ca\nprompt = no\n[dn]\nCN = {name}\n\
             [ca]\nbasicConstraints = critical,CA:TRUE\nkeyUsage = keyCertSign\n"
        ),
    )
    .expect("a file");
    let arguments: [&dyn AsRef<std::ffi::OsStr>; 11] =
        [&"req", &"-x509", &"-new", &"-key", &pem, &"-config", &config, &"-days", &"4000", &"-out", &file];
    tools::run("openssl", &arguments);
    file
}

fn write(workshop: &Workshop, made: &ClientCertificate) -> (PathBuf, PathBuf) {
    let (certificate, key) = (workshop.path("certificate.pem"), workshop.path("certificate.key"));
    fs::write(&certificate, &made.certificate_pem).expect("a file");
    fs::write(&key, made.key_pem.expose_secret()).expect("a file");
    (certificate, key)
}

fn x509(certificate: &Path, options: &[&str]) -> String {
    let mut arguments: Vec<&dyn AsRef<std::ffi::OsStr>> = vec![&"x509", &"-noout", &"-in", &certificate];
    arguments.extend(options.iter().map(|it| it as &dyn AsRef<std::ffi::OsStr>));
    tools::run("openssl", &arguments)
}

/// Issues a certificate for `acme`, and has OpenSSL check everything about it.
async fn check(workshop: &Workshop, key: &Key, signer: &Signer, algorithm: &str) {
    let made = certificate::issue(signer, "acme", DEFAULT_LIFETIME_DAYS).await.expect("a certificate");
    let (file, private) = write(workshop, &made);

    let authority = authority(workshop, key);
    let verified =
        tools::run("openssl", &[&"verify", &"-purpose", &"sslclient", &"-CAfile", &authority, &file]);
    assert!(verified.ends_with("OK\n"), "{verified}");

    let names = x509(&file, &["-subject", "-issuer", "-nameopt", "RFC2253"]);
    assert_eq!(
        names,
        format!("subject=CN=acme\nissuer=CN={}\n", key.public.fingerprint().to_base64().replace('+', "\\+"))
    );
    let text = x509(&file, &["-text"]);
    for expected in [
        "Version: 3 (0x2)",
        &format!("Signature Algorithm: {algorithm}"),
        "ASN1 OID: prime256v1",
        "X509v3 Basic Constraints: critical\n                CA:FALSE",
        "X509v3 Key Usage: critical\n                Digital Signature, Non Repudiation",
        "X509v3 Extended Key Usage: critical\n                \
         TLS Web Client Authentication, 1.3.6.1.4.1.38678.1.4.2",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    let of_key = tools::run("openssl", &[&"pkey", &"-in", &private, &"-pubout"]);
    assert_eq!(x509(&file, &["-pubkey"]), of_key);
}

fn load(key: &Key) -> Signer {
    Signer::Key(Arc::new(PrivateKey::load(&key.file, None).expect("a key")))
}

#[tokio::test]
async fn rsa_and_ecdsa_keys_issue_certificates_from_a_file_and_from_the_agent() {
    if !tools::are_here() {
        return;
    }
    for (kind, algorithm) in [
        (&["rsa", "-b", "2048"][..], "sha256WithRSAEncryption"),
        (&["ecdsa", "-b", "256"], "ecdsa-with-SHA256"),
        (&["ecdsa", "-b", "521"], "ecdsa-with-SHA512"),
    ] {
        let workshop = Workshop::new();
        let agent = Agent::start(&workshop);
        let key = workshop.new_key("key", kind);
        agent.add(&key);
        check(&workshop, &key, &load(&key), algorithm).await;
        let held = AgentKey::find(&agent.socket, &key.public.fingerprint()).await.expect("the key");
        check(&workshop, &key, &Signer::Agent(held), algorithm).await;
    }
}

#[tokio::test]
async fn time_and_randomness_are_the_callers() {
    if !tools::are_here() {
        return;
    }
    let workshop = Workshop::new();
    let signer = load(&workshop.new_key("key", &["rsa", "-b", "2048"]));
    let now: Timestamp = "2026-02-02T10:00:00.9Z".parse().expect("a time");
    let issue = async |days: u32| {
        let mut next = 0_u8;
        let mut random = |bytes: &mut [u8]| {
            for byte in bytes {
                next = next.wrapping_add(1);
                *byte = next;
            }
            Ok(())
        };
        certificate::issue_at(&signer, "acme", days, now, &mut random).await
    };
    let (one, other) = (issue(3650).await.expect("a certificate"), issue(3650).await.expect("a certificate"));
    assert_eq!(one.certificate_pem, other.certificate_pem);
    assert_eq!(one.key_pem.expose_secret(), other.key_pem.expose_secret());
    let check = |made: &ClientCertificate, from: &str, until: &str, serial: &str| {
        let (file, _) = write(&workshop, made);
        let printed = x509(&file, &["-startdate", "-enddate", "-serial"]);
        assert_eq!(printed, format!("notBefore={from} GMT\nnotAfter={until} GMT\nserial={serial}\n"));
    };
    check(&one, "Feb  2 09:55:00 2026", "Jan 31 10:00:00 2036", "6122232425262728");
    let beyond_utc_time = issue(36500).await.expect("a certificate");
    check(&beyond_utc_time, "Feb  2 09:55:00 2026", "Jan  9 10:00:00 2126", "6122232425262728");
    for days in [0, u32::MAX] {
        assert!(matches!(issue(days).await, Err(CertificateError::Lifetime { .. })), "{days}");
    }
}

#[tokio::test]
async fn certificates_that_cmon_would_refuse_are_not_made() {
    if !tools::are_here() {
        return;
    }
    let workshop = Workshop::new();
    let ed25519 = load(&workshop.new_key("ed25519", &["ed25519"]));
    let error = certificate::issue(&ed25519, "acme", 1).await.expect_err("Ed25519").to_string();
    assert!(error.contains("ed25519-sha512") && error.contains("add an RSA or ECDSA key"), "{error}");

    let rsa = load(&workshop.new_key("rsa", &["rsa", "-b", "2048"]));
    for account in ["", "a\nb", &"a".repeat(65)] {
        let error = certificate::issue(&rsa, account, 1).await.expect_err("no login");
        assert!(matches!(error, CertificateError::Account { .. }), "{error}");
    }
    let made = certificate::issue(&rsa, "joe_b@example.com", 1).await.expect("a certificate");
    let (file, _) = write(&workshop, &made);
    assert_eq!(x509(&file, &["-subject", "-nameopt", "RFC2253"]), "subject=CN=joe_b@example.com\n");
    assert!(!format!("{made:?}").contains("PRIVATE KEY"), "{made:?}");
}
