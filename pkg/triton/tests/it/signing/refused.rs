//! Keys that cannot be used say why and what to do.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;
use triton::auth::{Fingerprint, KeyError, PrivateKey};
use triton::config::{Config, Environment};

use super::tools::{self, PASSPHRASE, Workshop};

#[track_caller]
fn check(file: &Path, passphrase: Option<&str>, expected: &str) {
    let passphrase = passphrase.map(SecretString::from);
    let error = PrivateKey::load(file, passphrase.as_ref()).map(|key| format!("{key:?}"));
    let error = tools::chain(&error.expect_err(expected));
    assert!(error.contains(expected) && !error.contains('\n'), "{}: {error}", file.display());
}

#[test]
fn keys_that_cloudapi_would_refuse_are_refused_with_a_remedy() {
    if !tools::are_here() {
        return;
    }
    let workshop = Workshop::new();
    let remedy = "add an Ed25519, ECDSA P-256 or RSA key to the account";
    let p384 = workshop.new_key("p384", &["ecdsa", "-b", "384"]);
    let p384_pem = workshop.convert(&p384, "p384.pem", "", &["-m", "PEM"]);
    let p384_pkcs8 = workshop.openssl("pkcs8", &p384_pem, "p384.pkcs8", &["-topk8", "-nocrypt"]);
    let p384_encrypted = workshop.convert(&p384, "p384.encrypted", PASSPHRASE, &[]);
    for file in [&p384.file, &p384_pem, &p384_pkcs8, &p384_encrypted] {
        check(file, None, "P-384");
        check(file, None, remedy);
    }
    // Newer releases of ssh-keygen make no DSA keys.
    let dsa = workshop.path("dsa");
    tools::run("openssl", &[&"dsaparam", &"-genkey", &"-noout", &"-out", &dsa, &"1024"]);
    let dsa_pkcs8 = workshop.openssl("pkcs8", &dsa, "dsa.pkcs8", &["-topk8", "-nocrypt"]);
    let dsa_pem = workshop.openssl("pkcs8", &dsa_pkcs8, "dsa.pem", &["-nocrypt", "-traditional"]);
    for file in [&dsa, &dsa_pkcs8, &dsa_pem] {
        check(file, None, "DSA");
        check(file, None, remedy);
    }
    for bits in ["1024", "8192"] {
        let file = workshop.path(bits);
        let option = format!("rsa_keygen_bits:{bits}");
        let arguments: [&dyn AsRef<std::ffi::OsStr>; 7] =
            [&"genpkey", &"-algorithm", &"RSA", &"-pkeyopt", &option, &"-out", &file];
        tools::run("openssl", &arguments);
        let pkcs1 = workshop.openssl("rsa", &file, &format!("{bits}.pkcs1"), &["-traditional"]);
        for file in [&file, &pkcs1] {
            check(file, None, "take one of 2048 to 4096 bits, or add this one to ssh-agent");
        }
    }
}

#[test]
fn a_missing_or_wrong_passphrase_is_told_apart_in_every_format() {
    if !tools::are_here() {
        return;
    }
    let workshop = Workshop::new();
    let key = workshop.new_key("key", &["ecdsa", "-b", "256"]);
    let pem = workshop.convert(&key, "pem", "", &["-m", "PEM"]);
    for file in [
        workshop.convert(&key, "openssh", PASSPHRASE, &[]),
        workshop.convert(&key, "legacy", PASSPHRASE, &["-m", "PEM"]),
        workshop.openssl("ec", &pem, "des3", &["-des3"]),
        workshop.openssl("pkcs8", &pem, "pkcs8", &["-topk8", "-v2", "aes-256-cbc"]),
        workshop.openssl("pkcs8", &pem, "scrypt", &["-topk8", "-scrypt", "-scrypt_N", "1024"]),
    ] {
        check(&file, None, "it is encrypted and no passphrase was given: set TRITON_KEY_PASSPHRASE");
        let text = fs::read_to_string(&file).expect("a key");
        // Of legacy encryption, one wrong passphrase in 256 gets past the padding; the others are slow.
        let attempts = if text.contains("DEK-Info") { 600 } else { 2 };
        for attempt in 0..attempts {
            let passphrase = SecretString::from(format!("wrong {attempt}"));
            let error = PrivateKey::from_pem(&text, Some(&passphrase)).expect_err("a wrong passphrase");
            assert!(matches!(error, KeyError::WrongPassphrase { .. }), "{}: {error}", file.display());
        }
    }
    let rc2 = fs::read_to_string(workshop.path("des3")).expect("a key").replace("DES-EDE3-CBC", "RC2-CBC");
    fs::write(workshop.path("rc2"), rc2).expect("a file");
    check(&workshop.path("rc2"), Some(PASSPHRASE), "encrypted with RC2-CBC, which is not supported");
    for (name, option, cipher) in [("camellia", "-v2", "camellia-256-cbc"), ("pbe", "-v1", "PBE-SHA1-3DES")] {
        let file = workshop.openssl("pkcs8", &pem, name, &["-topk8", option, cipher]);
        check(&file, Some(PASSPHRASE), "which is not supported: re-encrypt it with ssh-keygen -p");
    }
}

#[test]
fn what_is_not_a_private_key_says_what_it_is() {
    if !tools::are_here() {
        return;
    }
    let workshop = Workshop::new();
    let key = workshop.new_key("key", &["ed25519"]);
    check(&workshop.path("key.pub"), None, "it is a public key: give the private one");
    check(&workshop.path("none"), None, "it cannot be read: ");
    let text = fs::read_to_string(&key.file).expect("a key");
    for (content, expected) in [
        (Vec::new(), "it is not a private key"),
        (vec![0xff; 100], "it is not a private key"),
        (vec![b'a'; 200_000], "it is larger than any private key"),
        (b"PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n".to_vec(), "convert it with puttygen"),
        (text.as_bytes()[..text.len() - 40].to_vec(), "it is cut off"),
        (text.replace("b3BlbnNzaC1rZXktdjE", "b3BlbnNzaC1rZXktdjI").into_bytes(), "it is damaged"),
    ] {
        fs::write(workshop.path("other"), content).expect("a file");
        check(&workshop.path("other"), None, expected);
    }
}

#[test]
fn halves_that_do_not_belong_together_are_noticed() {
    if !tools::are_here() {
        return;
    }
    let workshop = Workshop::new();
    for (name, kind) in
        [("ed25519", &["ed25519"][..]), ("p256", &["ecdsa", "-b", "256"]), ("p521", &["ecdsa", "-b", "521"])]
    {
        let (one, other) = (workshop.new_key(name, kind), workshop.new_key(&format!("{name}.other"), kind));
        let body = |file: &Path| {
            let text = fs::read_to_string(file).expect("a key");
            STANDARD
                .decode(text.lines().filter(|line| !line.starts_with('-')).collect::<String>())
                .expect("base64")
        };
        // The public half stands twice in the file, and in these types it is the end of the wire format.
        let (from, to) = (&one.public.wire()[20..], &other.public.wire()[20..]);
        let mut mixed = body(&one.file);
        let places: Vec<usize> = (0..mixed.len()).filter(|at| mixed[*at..].starts_with(from)).collect();
        assert!(!places.is_empty());
        for at in places {
            mixed[at..at + to.len()].copy_from_slice(to);
        }
        let point = from.len().min(32);
        let (from, to) = (&from[from.len() - point..], &to[to.len() - point..]);
        let rest: Vec<usize> = (0..mixed.len()).filter(|at| mixed[*at..].starts_with(from)).collect();
        for at in rest {
            mixed[at..at + to.len()].copy_from_slice(to);
        }
        let text = format!(
            "-----BEGIN OPENSSH PRIVATE KEY-----\n{}\n-----END OPENSSH PRIVATE KEY-----\n",
            STANDARD.encode(mixed)
        );
        let error = PrivateKey::from_pem(&text, None).expect_err("mixed halves");
        assert!(matches!(error, KeyError::Inconsistent | KeyError::Damaged { .. }), "{name}: {error}");
    }
}

#[tokio::test]
async fn a_key_with_another_fingerprint_names_both() {
    if !tools::are_here() {
        return;
    }
    let workshop = Workshop::new();
    let (given, other) = (workshop.new_key("given", &["ed25519"]), workshop.new_key("other", &["ed25519"]));
    let path = given.file.display().to_string();
    for (wanted, found) in [
        (other.public.fingerprint(), given.public.fingerprint()),
        (Fingerprint::sha256_of(other.public.wire()), Fingerprint::sha256_of(given.public.wire())),
    ] {
        let environment: Environment = [
            ("TRITON_URL", "https://a".to_owned()),
            ("TRITON_ACCOUNT", "acme".to_owned()),
            ("TRITON_KEY_ID", wanted.to_string()),
            ("TRITON_KEY_MATERIAL", path.clone()),
        ]
        .into_iter()
        .collect();
        let config = Config::load(&environment, None).expect("settings");
        let error = config.authenticator().await.expect_err("another key").to_string();
        assert!(
            [&path, &wanted.to_string(), &found.to_string()].iter().all(|it| error.contains(*it)),
            "{error}"
        );
        assert!(error.contains("or correct the fingerprint"), "{error}");
    }
}

#[test]
fn a_damaged_key_is_an_error_and_never_a_panic() {
    if !tools::are_here() {
        return;
    }
    let workshop = Workshop::new();
    let rsa = workshop.new_key("rsa", &["rsa", "-b", "2048"]);
    let p256 = workshop.new_key("p256", &["ecdsa", "-b", "256"]);
    let p521 = workshop.new_key("p521", &["ecdsa", "-b", "521"]);
    let ed25519 = workshop.new_key("ed25519", &["ed25519"]);
    let pkcs1 = workshop.convert(&rsa, "pkcs1", "", &["-m", "PEM"]);
    let sec1 = workshop.convert(&p256, "sec1", "", &["-m", "PEM"]);
    let pkcs8 = workshop.openssl("pkcs8", &pkcs1, "rsa.pkcs8", &["-topk8", "-nocrypt"]);
    for file in [&rsa.file, &p256.file, &p521.file, &ed25519.file, &pkcs1, &sec1, &pkcs8] {
        let text = fs::read_to_string(file).expect("a key");
        let (first, last) = (text.lines().next().expect("a line"), text.lines().last().expect("a line"));
        let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
        let body = STANDARD.decode(body).expect("base64");
        let step = (body.len() / 150).max(1);
        for at in (0..body.len()).step_by(step) {
            for change in [0x01, 0x80, 0xff] {
                let mut damaged = body.clone();
                damaged[at] ^= change;
                let pem = format!("{first}\n{}\n{last}\n", STANDARD.encode(&damaged));
                if let Ok(key) = PrivateKey::from_pem(&pem, None) {
                    // The comment, padding, or a number that is not used was hit; or one that spoils
                    // signatures, which is noticed before they are given out.
                    if let Ok(signature) = key.sign(b"text") {
                        let verified = triton::auth::signature::verify(key.public_key(), b"text", &signature);
                        assert_eq!(verified, Ok(()), "{}: byte {at} changed by {change}", file.display());
                    }
                }
            }
            let cut = format!("{first}\n{}\n{last}\n", STANDARD.encode(&body[..at]));
            assert!(PrivateKey::from_pem(&cut, None).is_err(), "{}: cut at {at}", file.display());
        }
    }
}
