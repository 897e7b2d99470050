//! Settings with the key that they name.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use provider::credentials::{CMON_CERTIFICATE, CMON_KEY, Contents, SecretError, SecretName, read};
use triton::auth::{AuthError, SshSignature};
use triton::client::ClientIdentity;
use triton::config::{CaSource, Config, ConfigError, KeySource};

/// Settings with the key that they name.
#[derive(Debug)]
pub struct Settled {
    /// How CloudAPI is reached.
    pub config: Config,
    /// What signs.
    pub signature: Arc<SshSignature>,
    /// CMON's client certificate, where a Secret has one.
    pub cmon: Option<ClientIdentity>,
}

/// Settings that come to nothing.
#[derive(Debug, thiserror::Error)]
pub enum SettledError {
    /// What is in the Secret is not what belongs there.
    #[error("Secret {name} cannot be used")]
    Secret {
        /// Which Secret.
        name: SecretName,
        /// What is wrong.
        source: SecretError,
    },
    /// There is no key in the Secret, and a process has no other.
    #[error("Secret {name} holds no private key; the key TRITON_KEY_MATERIAL is missing")]
    NoKey {
        /// Which Secret.
        name: SecretName,
    },
    /// The settings contradict themselves or lack something.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The key cannot be used.
    #[error(transparent)]
    Key(#[from] AuthError),
}

impl Settled {
    /// The settings that a process has from its environment. Nobody is asked for a passphrase.
    ///
    /// # Errors
    ///
    /// [`SettledError::Key`]
    pub async fn of_config(config: Config) -> Result<Self, SettledError> {
        let signature = Arc::new(config.authenticator().await?);
        Ok(Self { config, signature, cmon: None })
    }

    /// The settings in a Secret, which `load` makes of its variables.
    ///
    /// # Errors
    ///
    /// [`SettledError`]
    pub async fn of_secret(
        name: &SecretName,
        secret: &Secret,
        load: impl Fn(&Contents) -> Result<Config, ConfigError>,
    ) -> Result<Self, SettledError> {
        let contents = read(secret).map_err(|source| SettledError::Secret { name: name.clone(), source })?;
        let mut config = load(&contents)?;
        if matches!(config.key, KeySource::Search { .. }) {
            return Err(SettledError::NoKey { name: name.clone() });
        }
        config.tls.ca = contents.ca.map(CaSource::Pem);
        let signature = Arc::new(config.authenticator().await?);
        let text = |key: &str| {
            let value = secret.data.as_ref()?.get(key)?;
            String::from_utf8(value.0.clone()).ok()
        };
        let cmon = text(CMON_CERTIFICATE).zip(text(CMON_KEY));
        let cmon = cmon.map(|(certificate_pem, key)| ClientIdentity { certificate_pem, key_pem: key.into() });
        Ok(Self { config, signature, cmon })
    }
}
