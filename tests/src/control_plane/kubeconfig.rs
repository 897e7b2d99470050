//! Kubeconfig files; JSON is YAML.

use std::path::Path;

use serde_json::{Value, json};

/// The credentials of a user with a client certificate, both in PEM.
pub(super) fn certificate(certificate: &str, key: &str) -> Value {
    json!({"client-certificate-data": base64(certificate), "client-key-data": base64(key)})
}

/// The credentials of whoever holds a token.
pub(super) fn token(token: &str) -> Value {
    json!({"token": token})
}

/// The credentials of whoever holds the token in this file, which is read again as it is renewed.
pub(super) fn token_file(file: &Path) -> Value {
    json!({"tokenFile": file})
}

/// A kubeconfig with one cluster, one user and one context.
pub(super) fn file(url: &str, ca: &str, user: &str, credentials: &Value) -> String {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": url, "certificate-authority-data": base64(ca)}}],
        "users": [{"name": user, "user": credentials}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": user}}],
    })
    .to_string()
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}
