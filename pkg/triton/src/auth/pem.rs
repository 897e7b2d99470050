//! Finding the private key in a PEM text, and telling what else a text may be.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::KeyError;

/// One PEM block.
pub(super) struct Pem<'a> {
    /// What it says after `BEGIN`: `OPENSSH PRIVATE KEY`, ...
    pub(super) label: &'a str,
    /// `Proc-Type` and `DEK-Info` of legacy encryption.
    pub(super) headers: Vec<(&'a str, &'a str)>,
    /// The decoded body.
    pub(super) body: Zeroizing<Vec<u8>>,
}

impl<'a> Pem<'a> {
    /// The value of a header.
    pub(super) fn header(&self, name: &str) -> Option<&'a str> {
        self.headers.iter().find(|(it, _)| it.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
    }
}

/// The first block of `text` that holds a private key. Blanks around lines do not matter, so a key that
/// was indented into another document is read too.
pub(super) fn private_key(text: &str) -> Result<Pem<'_>, KeyError> {
    let mut lines = text.lines().map(str::trim);
    let Some(label) = lines.find_map(|line| label(line).filter(|label| label.ends_with("PRIVATE KEY")))
    else {
        return Err(no_private_key(text));
    };
    let mut headers = Vec::new();
    let mut base64 = Zeroizing::new(String::with_capacity(text.len()));
    for line in lines {
        if let Some(end) = line.strip_prefix("-----END ") {
            if end.strip_suffix("-----") != Some(label) {
                return Err(KeyError::Damaged { source: None });
            }
            let body = STANDARD.decode(base64.as_bytes()).map_err(|_| KeyError::Damaged { source: None })?;
            return Ok(Pem { label, headers, body: Zeroizing::new(body) });
        }
        match line.split_once(':') {
            Some((name, value)) => headers.push((name.trim(), value.trim())),
            None => base64.push_str(line),
        }
    }
    Err(KeyError::Truncated)
}

fn label(line: &str) -> Option<&str> {
    line.strip_prefix("-----BEGIN ")?.strip_suffix("-----")
}

/// What the text is instead of a private key.
fn no_private_key(text: &str) -> KeyError {
    let text = text.trim_start();
    let is_public_block = |line: &str| {
        line.starts_with("---- BEGIN SSH2 PUBLIC KEY")
            || label(line).is_some_and(|it| it.ends_with("PUBLIC KEY"))
    };
    if text.starts_with("PuTTY-User-Key-File-") {
        return KeyError::Putty;
    }
    let is_public_line = ["ssh-", "ecdsa-sha2-", "sk-"].iter().any(|prefix| text.starts_with(prefix));
    if is_public_line || text.lines().any(|line| is_public_block(line.trim())) {
        return KeyError::Public;
    }
    KeyError::NotAKey
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "-----BEGIN PRIVATE KEY-----\nAAEC\nAwQF\n-----END PRIVATE KEY-----\n";

    #[test]
    fn the_body_is_found_among_other_blocks_and_blanks() {
        let parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
        for text in [
            KEY.to_owned(),
            KEY.replace('\n', "\r\n"),
            KEY.replace('\n', "\n    "),
            format!("comment\n\n{parameters}{KEY}{parameters}"),
        ] {
            let pem = private_key(&text).map_err(|error| error.to_string()).expect("a key");
            assert_eq!((pem.label, pem.body.as_slice()), ("PRIVATE KEY", &[0, 1, 2, 3, 4, 5][..]));
        }
    }

    #[test]
    fn headers_are_kept_apart_from_the_body() {
        let text = KEY.replace("AAEC", "Proc-Type: 4,ENCRYPTED\nDEK-Info: X,Y\n\nAAEC");
        let pem = private_key(&text).map_err(|error| error.to_string()).expect("a key");
        assert_eq!((pem.header("dek-info"), pem.header("other")), (Some("X,Y"), None));
        assert_eq!(pem.body.as_slice(), [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn what_is_no_private_key_says_what_it_is() {
        let check = |text: &str, expected: &str| {
            let error = private_key(text).err().map(|error| error.to_string()).unwrap_or_default();
            assert!(error.contains(expected), "{text:?}: {error}");
        };
        check("", "not a private key");
        check("hunter2", "not a private key");
        check("-----BEGIN CERTIFICATE-----\nAAEC\n-----END CERTIFICATE-----", "not a private key");
        check("PuTTY-User-Key-File-3: ssh-ed25519\n", "puttygen");
        check("ssh-ed25519 AAAA me", "public key");
        check("-----BEGIN PUBLIC KEY-----\nAAEC\n-----END PUBLIC KEY-----", "public key");
        check("---- BEGIN SSH2 PUBLIC KEY ----\nAAEC\n---- END SSH2 PUBLIC KEY ----", "public key");
        check("-----BEGIN PRIVATE KEY-----\nAAEC\n", "cut off");
        check("-----BEGIN PRIVATE KEY-----", "cut off");
        check("-----BEGIN PRIVATE KEY-----\n****\n-----END PRIVATE KEY-----", "damaged");
        check("-----BEGIN PRIVATE KEY-----\nAAEC\n-----END RSA PRIVATE KEY-----", "damaged");
    }
}
