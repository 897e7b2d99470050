//! What is in the Secret.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use triton::config::Environment;

/// The Secret that the manifests give the binaries the right to read.
pub const DEFAULT_SECRET: &str = "kube-system/triton-credentials";

/// The type of Secrets that are made here. Those of any type are read.
pub const TYPE: &str = "Opaque";

/// The key of certificates in PEM that CloudAPI's is checked against, besides the system's.
pub const CA: &str = "ca.crt";

/// The keys of CMON's client certificate and its private key, both in PEM.
pub const CMON_CERTIFICATE: &str = "cmon-cert.pem";
/// See [`CMON_CERTIFICATE`].
pub const CMON_KEY: &str = "cmon-key.pem";

/// The variables that are taken from a Secret: those of the official client that name no files, and no agent.
const VARIABLES: [&str; 21] = [
    "TRITON_URL",
    "TRITON_ACCOUNT",
    "TRITON_USER",
    "TRITON_ACT_AS",
    "TRITON_KEY_ID",
    "TRITON_KEY_MATERIAL",
    "TRITON_KEY_PASSPHRASE",
    "TRITON_ROLE",
    "TRITON_TLS_INSECURE",
    "TRITON_INSECURE",
    "TRITON_SKIP_TLS_VERIFY",
    "SDC_URL",
    "SDC_ACCOUNT",
    "SDC_USER",
    "SDC_ACT_AS",
    "SDC_KEY_ID",
    "SDC_KEY_MATERIAL",
    "SDC_KEY_PASSPHRASE",
    "SDC_ROLE",
    "SDC_TLS_INSECURE",
    "SDC_TESTING",
];

/// What begins every private key in PEM.
const PEM: &str = "-----BEGIN ";

/// The name of a Secret with its namespace, as `--credentials-secret` has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretName {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

/// A text that names no Secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a Secret is named by NAMESPACE/NAME, such as {DEFAULT_SECRET}")]
pub struct SecretNameError;

impl FromStr for SecretName {
    type Err = SecretNameError;

    fn from_str(text: &str) -> Result<Self, SecretNameError> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let label = |text: &str| {
            text.starts_with(allowed)
                && text.ends_with(allowed)
                && text.chars().all(|c| allowed(c) || c == '-')
                && text.len() <= 63
        };
        let (namespace, name) = text.split_once('/').ok_or(SecretNameError)?;
        let named = name.len() <= 253 && name.split('.').all(label);
        let fits = label(namespace) && named;
        fits.then(|| Self { namespace: namespace.to_owned(), name: name.to_owned() }).ok_or(SecretNameError)
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// What a Secret says. `Debug` shows no values.
#[derive(Debug, Clone, Default)]
pub struct Contents {
    /// The variables.
    pub environment: Environment,
    /// Certificates to trust, in PEM.
    pub ca: Option<String>,
}

/// A Secret that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// A value is no text.
    #[error("the key {key} is not UTF-8 text")]
    Text {
        /// The key.
        key: String,
    },
    /// The private key is named, not given.
    #[error("the key {key} must hold the private key itself, with its line {PEM}…, not the name of a file")]
    Path {
        /// The key.
        key: String,
    },
}

/// Reads what is in a Secret. Keys that mean nothing here are passed over.
///
/// # Errors
///
/// [`SecretError`], which names the key and shows no value.
pub fn read(secret: &Secret) -> Result<Contents, SecretError> {
    let text = |key: &str| match secret.data.as_ref().and_then(|data| data.get(key)) {
        None => Ok(None),
        Some(ByteString(bytes)) => match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(SecretError::Text { key: key.to_owned() }),
        },
    };
    let mut variables = Vec::new();
    for key in VARIABLES {
        let Some(value) = text(key)? else { continue };
        let material = key.ends_with("_KEY_MATERIAL");
        if material && !value.is_empty() && !value.contains(PEM) {
            return Err(SecretError::Path { key: key.to_owned() });
        }
        // Editors and `echo` leave a line break at the end, which no other value has.
        variables.push((key, if material { value } else { value.trim() }));
    }
    let ca = text(CA)?.filter(|text| !text.trim().is_empty()).map(str::to_owned);
    Ok(Contents { environment: variables.into_iter().collect(), ca })
}

/// A Secret of this name with these keys.
pub fn write(name: &SecretName, contents: BTreeMap<String, String>) -> Secret {
    Secret {
        metadata: ObjectMeta {
            name: Some(name.name.clone()),
            namespace: Some(name.namespace.clone()),
            ..ObjectMeta::default()
        },
        type_: Some(TYPE.to_owned()),
        data: Some(contents.into_iter().map(|(key, value)| (key, ByteString(value.into_bytes()))).collect()),
        ..Secret::default()
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("kube-system/triton-credentials", true)]
    #[case("a/b.c", true)]
    #[case("triton-credentials", false)]
    #[case("/b", false)]
    #[case("a/", false)]
    #[case("a/b/c", false)]
    #[case("A/b", false)]
    #[case("a/-b", false)]
    fn names_are_namespace_and_name(#[case] text: &str, #[case] valid: bool) {
        assert_eq!(
            text.parse::<SecretName>().map(|name| name.to_string()),
            valid.then(|| text.to_owned()).ok_or(SecretNameError)
        );
    }

    fn secret(data: &[(&str, &[u8])]) -> Secret {
        let data = data.iter().map(|(key, value)| ((*key).to_owned(), ByteString(value.to_vec()))).collect();
        Secret { data: Some(data), ..Secret::default() }
    }

    #[test]
    fn variables_and_the_authority_are_read_and_what_is_written_is_read_back() {
        let key = "-----BEGIN PRIVATE KEY-----\n";
        let contents = [
            ("TRITON_URL", "https://a\n"),
            ("TRITON_KEY_MATERIAL", key),
            ("ca.crt", "pem"),
            ("HOME", "/root"),
        ];
        let contents = contents.map(|(key, value)| (key.to_owned(), value.to_owned()));
        let written = write(&DEFAULT_SECRET.parse().unwrap(), contents.into());
        assert_eq!(written.metadata.namespace.as_deref(), Some("kube-system"));
        let read = read(&written).unwrap();
        assert_eq!(read.environment.get("TRITON_URL"), Some("https://a"));
        assert_eq!(read.environment.get("TRITON_KEY_MATERIAL"), Some(key));
        assert_eq!(read.environment.get("HOME"), None, "no files of this machine");
        assert_eq!(read.ca.as_deref(), Some("pem"));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_without_its_value() {
        let error = read(&secret(&[("TRITON_KEY_MATERIAL", b"/keys/id_rsa")])).unwrap_err().to_string();
        assert!(error.contains("TRITON_KEY_MATERIAL") && !error.contains("id_rsa"), "{error}");
        let error = read(&secret(&[("TRITON_URL", b"\xff")])).unwrap_err();
        assert_eq!(error, SecretError::Text { key: "TRITON_URL".to_owned() });
        assert!(read(&Secret::default()).is_ok());
    }
}
