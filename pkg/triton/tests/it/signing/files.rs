//! Key files: every type, format and encryption.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::SecretString;
use triton::auth::signature::{Authorization, KeyId, Signature, VerifyError, verify};
use triton::auth::{
    Authenticate as _, Fingerprint, PrivateKey, PublicKey, RequestHead, Signer, SshSignature,
};

use super::tools::{self, HEAD, PASSPHRASE, Workshop};

/// Loads a key file, signs a request with it, and has everything checked by the other implementations.
#[track_caller]
fn check(workshop: &Workshop, public: &PublicKey, file: &Path, passphrase: Option<&str>) {
    let passphrase = passphrase.map(SecretString::from);
    let key = PrivateKey::load(file, passphrase.as_ref())
        .unwrap_or_else(|error| panic!("{}: {}", file.display(), tools::chain(&error)));
    assert_eq!(key.public_key(), public, "{}", file.display());
    let signature = SshSignature::new("acme", None, Signer::Key(Arc::new(key))).expect("a signer");
    let header = signature.authorization_now(&HEAD).expect("a key in memory").expect("a header");
    workshop.check_header(public, &header);
    assert!(header.is_sensitive());

    let parsed = Authorization::parse(header.to_str().expect("text")).expect("a header");
    let key_id = format!("/acme/keys/{}", public.fingerprint());
    assert_eq!(parsed.key_id(), key_id);
    let expected = "Signature keyId=\"K\",algorithm=\"A\",headers=\"(request-target) date\",signature=\"";
    let expected = expected.replace('K', &key_id).replace('A', parsed.algorithm().name());
    assert!(header.to_str().expect("text").starts_with(&expected), "{header:?}");
}

/// The fingerprints are those that ssh-keygen prints, in any spelling, and find the key.
#[track_caller]
fn check_fingerprints(workshop: &Workshop, key: &PublicKey) {
    let (md5, sha256) = (workshop.fingerprint(key, "md5"), workshop.fingerprint(key, "sha256"));
    assert_eq!(format!("MD5:{}", key.fingerprint()), md5);
    assert_eq!(Fingerprint::sha256_of(key.wire()).to_string(), sha256);
    for text in [md5.as_str(), &md5.to_uppercase(), md5.trim_start_matches("MD5:"), &sha256] {
        assert!(text.parse::<Fingerprint>().expect("a fingerprint").matches(key), "{text}");
    }
}

/// PKCS#8 in all its encryptions, from a file that OpenSSL reads.
fn pkcs8_forms(workshop: &Workshop, name: &str, from: &Path) -> Vec<(PathBuf, Option<&'static str>)> {
    let make =
        |form: &str, options: &[&str]| workshop.openssl("pkcs8", from, &format!("{name}.{form}"), options);
    vec![
        (make("pkcs8", &["-topk8", "-nocrypt"]), None),
        (make("pkcs8-aes256", &["-topk8", "-v2", "aes-256-cbc"]), Some(PASSPHRASE)),
        (
            make("pkcs8-aes128-sha512", &["-topk8", "-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA512"]),
            Some(PASSPHRASE),
        ),
        (make("pkcs8-scrypt", &["-topk8", "-scrypt", "-scrypt_N", "1024"]), Some(PASSPHRASE)),
    ]
}

#[test]
fn rsa_keys_of_every_size_format_and_encryption_sign() {
    if !tools::are_here() {
        return;
    }
    let workshop = Workshop::new();
    for bits in ["2048", "3072", "4096"] {
        let key = workshop.new_key(bits, &["rsa", "-b", bits]);
        check_fingerprints(&workshop, &key.public);
        check(&workshop, &key.public, &key.file, None);
        let pkcs1 = workshop.convert(&key, &format!("{bits}.pkcs1"), "", &["-m", "PEM"]);
        check(&workshop, &key.public, &pkcs1, None);
        let openssh = workshop.convert(&key, &format!("{bits}.openssh-encrypted"), PASSPHRASE, &[]);
        check(&workshop, &key.public, &openssh, Some(PASSPHRASE));
        // What the other formats are is the same for every size.
        if bits != "2048" {
            continue;
        }
        let legacy = workshop.convert(&key, "legacy-by-ssh-keygen", PASSPHRASE, &["-m", "PEM"]);
        check(&workshop, &key.public, &legacy, Some(PASSPHRASE));
        for cipher in ["-aes128", "-aes192", "-aes256", "-des3"] {
            let legacy =
                workshop.openssl("rsa", &pkcs1, &format!("legacy{cipher}"), &["-traditional", cipher]);
            check(&workshop, &key.public, &legacy, Some(PASSPHRASE));
        }
        for (file, passphrase) in pkcs8_forms(&workshop, bits, &pkcs1) {
            check(&workshop, &key.public, &file, passphrase);
        }
        // A passphrase that is not needed does not matter.
        check(&workshop, &key.public, &pkcs1, Some("not needed"));
    }
}

#[test]
fn ecdsa_keys_of_every_format_and_encryption_sign() {
    if !tools::are_here() {
        return;
    }
    let workshop = Workshop::new();
    for bits in ["256", "521"] {
        let key = workshop.new_key(bits, &["ecdsa", "-b", bits]);
        check_fingerprints(&workshop, &key.public);
        check(&workshop, &key.public, &key.file, None);
        let openssh = workshop.convert(&key, &format!("{bits}.openssh-encrypted"), PASSPHRASE, &[]);
        check(&workshop, &key.public, &openssh, Some(PASSPHRASE));
        let sec1 = workshop.convert(&key, &format!("{bits}.sec1"), "", &["-m", "PEM"]);
        check(&workshop, &key.public, &sec1, None);
        let legacy =
            workshop.convert(&key, &format!("{bits}.legacy-by-ssh-keygen"), PASSPHRASE, &["-m", "PEM"]);
        check(&workshop, &key.public, &legacy, Some(PASSPHRASE));
        for cipher in ["-aes128", "-aes256", "-des3"] {
            let legacy = workshop.openssl("ec", &sec1, &format!("{bits}.legacy{cipher}"), &[cipher]);
            check(&workshop, &key.public, &legacy, Some(PASSPHRASE));
        }
        for (file, passphrase) in pkcs8_forms(&workshop, bits, &sec1) {
            check(&workshop, &key.public, &file, passphrase);
        }
    }
}

#[test]
fn ed25519_keys_of_every_format_and_encryption_sign() {
    if !tools::are_here() {
        return;
    }
    let workshop = Workshop::new();
    let key = workshop.new_key("ed25519", &["ed25519"]);
    check_fingerprints(&workshop, &key.public);
    check(&workshop, &key.public, &key.file, None);
    for cipher in ["aes256-ctr", "aes256-cbc", "aes128-ctr"] {
        let encrypted = workshop.convert(&key, cipher, PASSPHRASE, &["-Z", cipher]);
        check(&workshop, &key.public, &encrypted, Some(PASSPHRASE));
    }
    // ssh-keygen writes these keys in its own format only, so this one is OpenSSL's.
    let pkcs8 = workshop.path("openssl");
    tools::run("openssl", &[&"genpkey", &"-algorithm", &"ed25519", &"-out", &pkcs8]);
    let public = PrivateKey::load(&pkcs8, None).expect("a key").public_key().clone();
    let der = tools::run("openssl", &[&"pkey", &"-in", &pkcs8, &"-noout", &"-text_pub"]);
    let point: String =
        public.wire()[public.wire().len() - 32..].iter().map(|byte| format!("{byte:02x}:")).collect();
    assert!(der.split_whitespace().collect::<String>().contains(point.trim_end_matches(':')), "{der}");
    for (file, passphrase) in pkcs8_forms(&workshop, "openssl", &pkcs8) {
        check(&workshop, &public, &file, passphrase);
    }
}

#[test]
fn whatever_was_signed_cannot_be_changed() {
    if !tools::are_here() {
        return;
    }
    let workshop = Workshop::new();
    let kinds: [&[&str]; 4] =
        [&["rsa", "-b", "2048"], &["ecdsa", "-b", "256"], &["ecdsa", "-b", "521"], &["ed25519"]];
    for (position, kind) in kinds.into_iter().enumerate() {
        let key = workshop.new_key(&position.to_string(), kind);
        let stranger = workshop.new_key(&format!("stranger{position}"), kind);
        let private = PrivateKey::load(&key.file, None).expect("a key");
        let signature = private.sign(HEAD.signing_string().as_bytes()).expect("a signature");
        let both = |public: &PublicKey, head: RequestHead<'_>, signature: &Signature| {
            let message = head.signing_string();
            let ours = verify(public, message.as_bytes(), signature);
            assert_eq!(
                workshop.openssl_verifies(public, &message, signature),
                ours.is_ok(),
                "{kind:?} {message}"
            );
            ours
        };
        assert_eq!(both(&key.public, HEAD, &signature), Ok(()));
        let mut tampered = signature.clone();
        if let Some(byte) = tampered.bytes.last_mut() {
            *byte ^= 1;
        }
        let shorter = Signature { bytes: signature.bytes[1..].to_vec(), ..signature.clone() };
        for (public, head, signature) in [
            (&key.public, RequestHead { method: "PUT", ..HEAD }, &signature),
            (&key.public, RequestHead { target: "/acme/machines?as-role=ops&name=a+b", ..HEAD }, &signature),
            (&key.public, RequestHead { date: "Mon, 02 Feb 2026 10:00:01 GMT", ..HEAD }, &signature),
            (&key.public, HEAD, &tampered),
            (&key.public, HEAD, &shorter),
            (&key.public, HEAD, &Signature { bytes: Vec::new(), ..signature.clone() }),
            (&stranger.public, HEAD, &signature),
        ] {
            assert_eq!(both(public, head, signature), Err(VerifyError::Mismatch), "{kind:?}");
        }
    }
}

#[test]
fn the_hash_is_the_one_that_the_algorithm_names() {
    use triton::auth::signature::Algorithm as A;
    if !tools::are_here() {
        return;
    }
    let workshop = Workshop::new();
    let message = workshop.path("message");
    std::fs::write(&message, "text").expect("a file");
    let check = |kind: &[&str], algorithms: &[A]| {
        let name = kind.concat();
        let key = workshop.new_key(&name, kind);
        let pem = workshop.convert(&key, &format!("{name}.pem"), "", &["-m", "PEM"]);
        for algorithm in algorithms {
            let (_, hash) = algorithm.name().split_once('-').expect("a hash");
            let file = workshop.path("made-by-openssl");
            tools::run("openssl", &[&"dgst", &format!("-{hash}"), &"-sign", &pem, &"-out", &file, &message]);
            let signature =
                |algorithm| Signature { algorithm, bytes: std::fs::read(&file).expect("a signature") };
            assert_eq!(verify(&key.public, b"text", &signature(*algorithm)), Ok(()), "{kind:?} {algorithm}");
            for other in algorithms.iter().filter(|other| *other != algorithm) {
                let found = verify(&key.public, b"text", &signature(*other));
                assert_eq!(found, Err(VerifyError::Mismatch), "{kind:?} {other}");
            }
            for other in [A::Ed25519Sha512, A::DsaSha1] {
                let found = verify(&key.public, b"text", &signature(other));
                assert!(matches!(found, Err(VerifyError::KeyType { .. })), "{kind:?} {other}: {found:?}");
            }
        }
    };
    check(&["rsa", "-b", "2048"], &[A::RsaSha1, A::RsaSha256, A::RsaSha384, A::RsaSha512]);
    check(&["rsa", "-b", "1024"], &[A::RsaSha1, A::RsaSha256, A::RsaSha512]);
    for bits in ["256", "384", "521"] {
        check(&["ecdsa", "-b", bits], &[A::EcdsaSha256, A::EcdsaSha384, A::EcdsaSha512]);
    }
}

#[tokio::test]
async fn a_sub_user_signs_as_such_and_waiting_or_not_gives_the_same() {
    if !tools::are_here() {
        return;
    }
    let workshop = Workshop::new();
    let key = workshop.new_key("key", &["ed25519"]);
    let private = Arc::new(PrivateKey::load(&key.file, None).expect("a key"));
    let signature = SshSignature::new("acme", Some("ci-bot"), Signer::Key(private)).expect("a signer");
    let expected: KeyId =
        format!("/acme/users/ci-bot/keys/{}", key.public.fingerprint()).parse().expect("a key id");
    assert_eq!(signature.key_id(), &expected);
    let header = signature.authorization(HEAD).await.expect("a header");
    workshop.check_header(&key.public, &header);
    // Ed25519 signatures of the same text are the same.
    assert_eq!(signature.authorization_now(&HEAD).expect("a key in memory").expect("a header"), header);
}
