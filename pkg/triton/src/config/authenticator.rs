//! Finding the key that a [`Config`] names.

use std::path::Path;
use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};

use super::{Config, KeySource};
use crate::auth::{
    AgentError, AgentKey, AuthError, Found, KeyError, PrivateKey, Signer, SshSignature, find_in_directory,
    listed, read_key_file,
};

impl Config {
    /// Finds the key and returns what signs requests with it.
    ///
    /// A key that is given is used, and must have [`Config::key_id`] if that is given, too. Otherwise the
    /// key with that fingerprint is looked for in the agent, then among the files of the directory, where
    /// only the file that matches is decrypted (Triton reference 1.10).
    ///
    /// # Errors
    ///
    /// [`AuthError`], which says what to do.
    pub async fn authenticator(&self) -> Result<SshSignature, AuthError> {
        let signer = match &self.key {
            KeySource::Pem(pem) => {
                let pem = pem.clone();
                let load = move |passphrase: Option<&SecretString>| {
                    PrivateKey::from_pem(pem.expose_secret(), passphrase)
                };
                self.given_key("given as text (TRITON_KEY_MATERIAL)".to_owned(), load).await?
            }
            KeySource::File(path) => {
                let origin = path.display().to_string();
                let path = path.clone();
                self.given_key(origin, move |passphrase| PrivateKey::load(&path, passphrase)).await?
            }
            KeySource::Search { agent, directory } => {
                self.search(agent.as_deref(), directory.as_deref()).await?
            }
        };
        SshSignature::new(&self.account, self.user.as_deref(), signer).map_err(AuthError::KeyId)
    }

    /// The text of the private key, for whoever passes it on: as it was given, or from its file, encrypted if that is.
    /// `None` when no file has it; an agent, which may, gives none away.
    ///
    /// # Errors
    ///
    /// [`AuthError`]: the key cannot be read, or is not the one with [`Config::key_id`].
    pub async fn key_text(&self) -> Result<Option<SecretString>, AuthError> {
        let path = match &self.key {
            KeySource::Pem(text) => return Ok(Some(text.clone())),
            KeySource::File(path) => path.clone(),
            KeySource::Search { directory: None, .. } => return Ok(None),
            KeySource::Search { directory: Some(directory), .. } => {
                let wanted = self.key_id.ok_or(AuthError::NoKeyConfigured)?;
                let (directory, passphrase) = (directory.clone(), self.passphrase.clone());
                match blocking(move || find_in_directory(&directory, &wanted, passphrase.as_ref())).await?? {
                    Found::Key(_, path) => path,
                    Found::Nothing(_) => return Ok(None),
                }
            }
        };
        let origin = path.display().to_string();
        let text = blocking(move || read_key_file(&path)).await?;
        text.map(Some).map_err(|source| AuthError::Key { origin, source })
    }

    async fn given_key(
        &self,
        origin: String,
        load: impl FnOnce(Option<&SecretString>) -> Result<PrivateKey, KeyError> + Send + 'static,
    ) -> Result<Signer, AuthError> {
        let passphrase = self.passphrase.clone();
        let key = match blocking(move || load(passphrase.as_ref())).await? {
            Ok(key) => key,
            Err(source) => return Err(AuthError::Key { origin, source }),
        };
        match self.key_id {
            Some(wanted) if !wanted.matches(key.public_key()) => {
                Err(AuthError::mismatch(origin, wanted, key.public_key()))
            }
            _ => Ok(Signer::Key(Arc::new(key))),
        }
    }

    async fn search(&self, agent: Option<&Path>, directory: Option<&Path>) -> Result<Signer, AuthError> {
        let Some(wanted) = self.key_id else {
            return Err(AuthError::NoKeyConfigured);
        };
        let mut looked = Vec::new();
        let mut agent_error = None;
        match agent {
            None => looked.push("no ssh-agent: SSH_AUTH_SOCK is not set".to_owned()),
            Some(socket) => match AgentKey::find(socket, &wanted).await {
                Ok(key) => return Ok(Signer::Agent(key)),
                // The key is there: any other copy of it would be no better.
                Err(error @ AgentError::Unsupported { .. }) => return Err(AuthError::Agent(error)),
                Err(AgentError::NoSuchKey { socket, held, .. }) => {
                    looked.push(format!("the ssh-agent at {} holds {}", socket.display(), listed(&held)));
                }
                Err(error) => {
                    looked.push(format!("the ssh-agent at {} could not be asked", socket.display()));
                    agent_error = Some(Box::new(error));
                }
            },
        }
        match directory {
            None => looked.push("no directory of keys: HOME is not set".to_owned()),
            Some(directory) => {
                let (directory, passphrase) = (directory.to_owned(), self.passphrase.clone());
                match blocking(move || find_in_directory(&directory, &wanted, passphrase.as_ref())).await?? {
                    Found::Key(key, _) => return Ok(Signer::Key(Arc::from(key))),
                    Found::Nothing(why) => looked.push(why),
                }
            }
        }
        Err(AuthError::NotFound { wanted, looked, agent: agent_error })
    }
}

/// Runs what reads files and decrypts keys where it holds up no other task.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, AuthError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| AuthError::Interrupted)
}
