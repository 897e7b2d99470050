//! Key pairs that the simulator makes for its account.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use ring::rand::{SecureRandom as _, SystemRandom};
use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use russh::keys::ssh_key::{LineEnding, PrivateKey};
use secrecy::{ExposeSecret as _, SecretString};
use triton::auth::{KeyError, PublicKey};

/// The name of the private key in a state directory; the public one has `.pub` behind it.
pub const KEY_FILE: &str = "id_ed25519";

/// A private key with its public half.
#[derive(Clone, Debug)]
pub struct KeyPair {
    /// The key as the account has it.
    pub public: PublicKey,
    /// The text of an OpenSSH private key file, not encrypted.
    pub private: SecretString,
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyPairError {
    /// No key could be made.
    #[error("cannot make a key")]
    Make(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The key file that is there cannot be used.
    #[error("cannot use the key {}: remove it to have another made", path.display())]
    Use {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: KeyError,
    },
    /// The key cannot be written.
    #[error("cannot write {}: give a directory that can be written to --state", path.display())]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl KeyPair {
    /// Makes an Ed25519 key.
    ///
    /// # Errors
    ///
    /// [`KeyPairError::Make`] when the system has no random numbers.
    pub fn generate() -> Result<Self, KeyPairError> {
        let mut seed = [0_u8; 32];
        SystemRandom::new().fill(&mut seed).map_err(|_| KeyPairError::Make("no random numbers".into()))?;
        let keypair = KeypairData::from(Ed25519Keypair::from_seed(&seed));
        let made = |error: russh::keys::ssh_key::Error| KeyPairError::Make(error.into());
        let key = PrivateKey::new(keypair, "triton-sim").map_err(made)?;
        let line = key.public_key().to_openssh().map_err(made)?;
        let public = PublicKey::from_openssh(&line).map_err(|error| KeyPairError::Make(error.into()))?;
        let private = key.to_openssh(LineEnding::LF).map_err(made)?.as_str().into();
        Ok(Self { public, private })
    }

    /// The key in a directory, which is made with the directory when it is not there.
    ///
    /// # Errors
    ///
    /// [`KeyPairError`]. Nothing is left half-written.
    pub fn in_directory(directory: &Path) -> Result<(PathBuf, Self), KeyPairError> {
        let path = directory.join(KEY_FILE);
        let write = |path: &Path| {
            let path = path.to_owned();
            move |source| KeyPairError::Write { path, source }
        };
        let unusable = |source| KeyPairError::Use { path: path.clone(), source };
        match fs::read_to_string(&path) {
            Ok(text) => {
                let key = triton::auth::PrivateKey::from_pem(&text, None).map_err(unusable)?;
                let public = key.public_key().clone();
                return Ok((path, Self { public, private: text.into() }));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(unusable(KeyError::Read(source))),
        }
        fs::create_dir_all(directory).map_err(write(directory))?;
        let made = Self::generate()?;
        let public = directory.join(format!("{KEY_FILE}.pub"));
        let line = format!("{} triton-sim\n", made.public.to_openssh());
        write_whole(&public, &line, 0o644).map_err(write(&public))?;
        write_whole(&path, made.private.expose_secret(), 0o600).map_err(write(&path))?;
        Ok((path, made))
    }
}

/// Writes a file under another name first, so that it is there as a whole or not at all.
fn write_whole(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let unfinished = path.with_extension(format!("{}.tmp", std::process::id()));
    let written = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(&unfinished)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .and_then(|()| fs::rename(&unfinished, path));
    if written.is_err() {
        let _ = fs::remove_file(&unfinished);
    }
    written
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_can_be_used() {
        let directory = tempfile::tempdir().expect("a directory");
        let state = directory.path().join("state");
        let (path, made) = KeyPair::in_directory(&state).expect("made");
        let (again, read) = KeyPair::in_directory(&state).expect("read");
        assert_eq!((&path, &made.public), (&again, &read.public));
        let key = triton::auth::PrivateKey::load(&path, None).expect("a private key");
        assert_eq!(key.public_key(), &made.public);
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        let public = fs::read_to_string(path.with_extension("pub")).expect("there");
        assert_eq!(PublicKey::from_openssh(&public).expect("a key"), made.public);
        assert_eq!(fs::read_dir(&state).expect("there").count(), 2);
        assert!(!format!("{made:?}").contains("PRIVATE"));
    }

    #[test]
    fn a_damaged_key_is_named_and_not_replaced() {
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join(KEY_FILE), "x").expect("written");
        let error = KeyPair::in_directory(directory.path()).expect_err("damaged");
        assert!(error.to_string().contains("remove it to have another made"), "{error}");
        assert_eq!(fs::read_to_string(directory.path().join(KEY_FILE)).expect("there"), "x");
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_named() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("file");
        fs::write(&file, "").expect("written");
        let error = KeyPair::in_directory(&file.join("state")).expect_err("no directory");
        assert!(error.to_string().contains("state"), "{error}");
    }
}
