//! From what a user has to settings with a key, and from these to what is in the Secret.

use std::collections::BTreeMap;
use std::sync::Arc;

use diagnostics::Settled;
use provider::credentials::{CA, CMON_CERTIFICATE, CMON_KEY};
use runtime::exit::Fatal;
use secrecy::ExposeSecret as _;
use triton::auth::{AuthError, SshSignature};
use triton::client::ClientIdentity;
use triton::config::{CaSource, Config, ConfigError, Environment, KeySource};

use super::arguments::User;
use super::passphrase;
use crate::cloud_config::CloudConfig;

/// What the key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To sign with, wherever it is.
    Sign,
    /// To be passed on: not one that only an agent has.
    PassOn,
}

/// Settings that come to nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum SettingsError {
    #[error(
        "no file has the private key with the fingerprint {fingerprint}, and an ssh-agent gives none away; name the \
         key's file with --key-file"
    )]
    NoFile { fingerprint: String },
    #[error("cannot read {file}")]
    Ca { file: String, source: std::io::Error },
}

/// The settings of whoever runs this.
pub(super) async fn of_user(user: &User, purpose: Purpose) -> Result<Settled, Fatal> {
    let given = CloudConfig {
        key_file: user.key_file.clone(),
        ca_file: user.ca_file.clone(),
        ..CloudConfig::default()
    };
    let environment = given.environment(&Environment::from_process());
    let mut config = Config::load(&environment, user.profile.as_deref()).map_err(Fatal::usage)?;
    if let (Purpose::PassOn, KeySource::Search { agent, .. }) = (purpose, &mut config.key) {
        *agent = None;
    }
    let signature = unlock(&mut config, purpose).await?;
    Ok(Settled { config, signature, cmon: None })
}

/// Finds the key, and asks for its passphrase when it is encrypted.
async fn unlock(config: &mut Config, purpose: Purpose) -> Result<Arc<SshSignature>, Fatal> {
    let mut attempts = 0;
    loop {
        let error = match config.authenticator().await {
            Ok(signature) => return Ok(Arc::new(signature)),
            Err(error) => error,
        };
        match (passphrase::wanted(&error), &error, config.key_id) {
            (Some(origin), ..) if attempts < passphrase::ATTEMPTS => {
                config.passphrase = Some(passphrase::ask(origin).map_err(Fatal::failure)?);
                attempts += 1;
            }
            (None, AuthError::NotFound { .. }, Some(fingerprint)) if purpose == Purpose::PassOn => {
                let fingerprint = fingerprint.to_string();
                return Err(Fatal::failure(SettingsError::NoFile { fingerprint }));
            }
            _ => return Err(Fatal::failure(error)),
        }
    }
}

/// What is put into the Secret: the variables of the official client, and the certificates.
pub(super) async fn contents(
    settled: &Settled,
    cmon: Option<&ClientIdentity>,
) -> Result<BTreeMap<String, String>, Box<dyn std::error::Error + Send + Sync>> {
    let Settled { config, signature, .. } = settled;
    let fingerprint = signature.signer().public_key().fingerprint().to_string();
    let Some(key) = config.key_text().await.map_err(ConfigError::Key)? else {
        return Err(SettingsError::NoFile { fingerprint }.into());
    };
    let ca = match &config.tls.ca {
        None => None,
        Some(CaSource::Pem(text)) => Some(text.clone()),
        Some(CaSource::File(path)) => Some(
            std::fs::read_to_string(path)
                .map_err(|source| SettingsError::Ca { file: path.display().to_string(), source })?,
        ),
    };
    let passphrase = config.passphrase.as_ref().map(|it| it.expose_secret().to_owned());
    let roles = (!config.roles.is_empty()).then(|| config.roles.join(","));
    let values = [
        ("TRITON_URL", Some(config.url.to_string())),
        ("TRITON_ACCOUNT", Some(config.account.clone())),
        ("TRITON_USER", config.user.clone()),
        ("TRITON_ACT_AS", config.act_as.clone()),
        ("TRITON_ROLE", roles),
        ("TRITON_KEY_ID", Some(fingerprint)),
        ("TRITON_KEY_MATERIAL", Some(key.expose_secret().to_owned())),
        // Not for a key that needs none: whatever the variable was set for.
        ("TRITON_KEY_PASSPHRASE", passphrase.filter(|_| is_encrypted(key.expose_secret()))),
        ("TRITON_TLS_INSECURE", config.tls.insecure.then(|| "true".to_owned())),
        (CA, ca),
        (CMON_CERTIFICATE, cmon.map(|it| it.certificate_pem.clone())),
        (CMON_KEY, cmon.map(|it| it.key_pem.expose_secret().to_owned())),
    ];
    Ok(values.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))).collect())
}

/// Whether a key opens with a passphrase only.
fn is_encrypted(key: &str) -> bool {
    triton::auth::PrivateKey::from_pem(key, None).is_err()
}
