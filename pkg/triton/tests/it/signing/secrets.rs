//! Nothing that is printed shows a key, a passphrase or a signature.

use std::fs;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use triton::auth::{PrivateKey, Signer, SshSignature};
use triton::config::{Config, Environment};

use super::tools::{self, PASSPHRASE, Workshop};

#[tokio::test]
async fn no_secret_is_in_any_debug_output_or_error() {
    if !tools::are_here() {
        return;
    }
    let workshop = Workshop::new();
    for (name, kind) in [
        ("rsa", &["rsa", "-b", "2048"][..]),
        ("p256", &["ecdsa", "-b", "256"]),
        ("p521", &["ecdsa", "-b", "521"]),
        ("ed25519", &["ed25519"]),
    ] {
        let key = workshop.new_key(name, kind);
        let encrypted = workshop.convert(&key, &format!("{name}.encrypted"), PASSPHRASE, &[]);
        let mut shown = String::new();
        let private = Arc::new(PrivateKey::load(&key.file, None).expect("a key"));
        let signer = Signer::Key(private.clone());
        let signature = SshSignature::new("acme", None, signer.clone()).expect("a signer");
        shown += &format!("{private:?} {private:#?} {signer:?} {signature:?}");
        let header = signature.authorization_now(&tools::HEAD).expect("in memory").expect("a header");
        let header_text = header.to_str().expect("text").to_owned();
        shown += &format!("{header:?}");

        let text = fs::read_to_string(&key.file).expect("a key");
        let encrypted_text = fs::read_to_string(&encrypted).expect("a key");
        for (material, passphrase) in [
            (text.clone(), PASSPHRASE),
            (encrypted_text.clone(), PASSPHRASE),
            (encrypted_text.clone(), "tr0ub4dor"),
            (text[..text.len() - 60].to_owned(), PASSPHRASE),
            (text.replace("-----BEGIN", "--BEGIN"), PASSPHRASE),
            (text.replace("\nb3Blb", "\nb3Bla"), PASSPHRASE),
        ] {
            let environment: Environment = [
                ("TRITON_URL", "https://a".to_owned()),
                ("TRITON_ACCOUNT", "acme".to_owned()),
                ("TRITON_KEY_MATERIAL", material.clone()),
                ("TRITON_KEY_PASSPHRASE", passphrase.to_owned()),
            ]
            .into_iter()
            .collect();
            let config = Config::load(&environment, None).expect("settings");
            shown += &format!("{environment:?} {config:?} {config:#?}");
            match config.authenticator().await {
                Ok(authenticator) => shown += &format!("{authenticator:?}"),
                Err(error) => shown += &format!("{error:?} {error:#?} {}", tools::chain(&error)),
            }
            // The same text where a fingerprint, a URL, a profile or a path was asked for.
            for name in
                ["TRITON_KEY_ID", "TRITON_URL", "TRITON_ACCOUNT", "TRITON_PROFILE", "TRITON_TLS_INSECURE"]
            {
                let variables = [
                    ("TRITON_URL", "https://a"),
                    ("TRITON_ACCOUNT", "a"),
                    ("TRITON_KEY_ID", "b"),
                    (name, &material),
                ];
                let variables = variables.into_iter().chain([("HOME", "/nonexistent")]);
                if let Err(error) = Config::load(&variables.collect(), None) {
                    shown += &format!("{error:?} {}", tools::chain(&error));
                }
            }
        }

        assert!(!shown.contains(PASSPHRASE) && !shown.contains("tr0ub4dor"), "{shown}");
        assert!(!shown.contains(&header_text), "{shown}");
        for line in text.lines().chain(encrypted_text.lines()).filter(|line| !line.starts_with('-')) {
            for piece in line.as_bytes().chunks_exact(20) {
                let piece = std::str::from_utf8(piece).expect("base64");
                assert!(!shown.contains(piece), "{name}: {piece} of the key is shown: {shown}");
            }
        }
        check_numbers(&shown, &text);
    }
}

/// No eight bytes of the file stand in `shown` as hexadecimal or as a list of numbers, either.
fn check_numbers(shown: &str, text: &str) {
    let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    let bytes = STANDARD.decode(body).expect("base64");
    let squeezed: String = shown.chars().filter(|it| !it.is_whitespace()).collect::<String>().to_lowercase();
    for window in bytes.windows(8).filter(|window| window.iter().any(|byte| *byte != window[0])) {
        let hex: String = window.iter().map(|byte| format!("{byte:02x}")).collect();
        let list: Vec<String> = window.iter().map(ToString::to_string).collect();
        assert!(!squeezed.contains(&hex) && !squeezed.contains(&list.join(",")), "{window:?} is shown");
    }
}
