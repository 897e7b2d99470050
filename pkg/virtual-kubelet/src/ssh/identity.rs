//! Who we are to SSH servers.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::keys::{HashAlg, PrivateKey};
use secrecy::SecretString;
use triton::auth::{KeyError, load_ssh_key};

/// A private key in memory. Cloning gives another handle; `Debug` shows its fingerprint.
#[derive(Clone)]
pub struct Identity(Arc<PrivateKey>);

/// Why the key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// It is encrypted, and there is no passphrase.
    #[error("the SSH key {} is encrypted: set TRITON_VK_SSH_KEY_PASSPHRASE", .0.display())]
    MissingPassphrase(PathBuf),
    /// All else.
    #[error("cannot use the SSH key {}; check --ssh-key", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// Why, and what to do.
        source: KeyError,
    },
}

impl Identity {
    /// Reads a key file: OpenSSH, PKCS#1, PKCS#8 or SEC1, any of them encrypted or not. Blocks.
    ///
    /// # Errors
    /// [`IdentityError`]
    pub fn load(path: &Path, passphrase: Option<&SecretString>) -> Result<Self, IdentityError> {
        match load_ssh_key(path, passphrase) {
            Ok(key) => Ok(Self::new(key)),
            Err(KeyError::MissingPassphrase) => Err(IdentityError::MissingPassphrase(path.to_owned())),
            Err(source) => Err(IdentityError::Key { path: path.to_owned(), source }),
        }
    }

    pub(super) fn new(key: PrivateKey) -> Self {
        Self(Arc::new(key))
    }

    pub(super) fn key(&self) -> &Arc<PrivateKey> {
        &self.0
    }

    /// The fingerprint of its public half, as `ssh-keygen -l` prints it.
    pub fn fingerprint(&self) -> String {
        self.0.public_key().fingerprint(HashAlg::Sha256).to_string()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.fingerprint())
    }
}
