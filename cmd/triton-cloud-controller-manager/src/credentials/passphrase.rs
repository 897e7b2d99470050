//! Asking for the passphrase of an encrypted key.

use std::io::IsTerminal as _;

use secrecy::SecretString;
use triton::auth::{AuthError, KeyError};

/// How often a passphrase is asked for.
pub(super) const ATTEMPTS: usize = 3;

/// Why there is no passphrase.
#[derive(Debug, thiserror::Error)]
pub(super) enum PassphraseError {
    #[error("the private key {origin} is encrypted; run this in a terminal, or set TRITON_KEY_PASSPHRASE")]
    NoTerminal { origin: String },
    #[error("the passphrase cannot be read from the terminal")]
    Read(#[source] std::io::Error),
}

/// Where the key is from, when an error says that a passphrase is needed, or another one.
pub(super) fn wanted(error: &AuthError) -> Option<&str> {
    match error {
        AuthError::Key { origin, source: KeyError::MissingPassphrase | KeyError::WrongPassphrase { .. } } => {
            Some(origin)
        }
        _ => None,
    }
}

/// Asks on the terminal; what is typed is not shown. Standard input and output may be files.
pub(super) fn ask(origin: &str) -> Result<SecretString, PassphraseError> {
    let terminal = std::fs::File::open("/dev/tty").is_ok_and(|terminal| terminal.is_terminal());
    if !terminal {
        return Err(PassphraseError::NoTerminal { origin: origin.to_owned() });
    }
    let typed = rpassword::prompt_password(format!("Passphrase of {origin}: "));
    typed.map(SecretString::from).map_err(PassphraseError::Read)
}
