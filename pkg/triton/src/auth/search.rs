//! Looking for a private key in a directory such as `~/.ssh` (Triton reference 1.10).

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::key_file::{self, MAX_KEY_FILE};
use super::{AuthError, Fingerprint, KeyError, PrivateKey, PublicKey};

/// Upper bound of a `.pub` file, as in the official client.
const MAX_PUBLIC_FILE: u64 = 64 * 1024;

/// What a directory had.
pub(crate) enum Found {
    /// The private key, and its file.
    Key(Box<PrivateKey>, PathBuf),
    /// No such key: what was there instead, in words.
    Nothing(String),
}

/// Looks for the private key with a fingerprint among the files of a directory.
///
/// A file `NAME.pub` beside `NAME` tells whose key it is, so a key that is not wanted is neither read nor
/// asked a passphrase for. Files without one are tried as private keys when `id_` is in their names, as
/// the official client does.
pub(crate) fn find_in_directory(
    directory: &Path,
    wanted: &Fingerprint,
    passphrase: Option<&SecretString>,
) -> Result<Found, AuthError> {
    let mut names: Vec<PathBuf> = match fs::read_dir(directory) {
        Ok(entries) => entries.filter_map(|entry| Some(entry.ok()?.path())).collect(),
        Err(error) => {
            return Ok(Found::Nothing(format!("{}: {}", directory.display(), error.kind())));
        }
    };
    names.sort();
    let mut public_only = None;
    for public_file in names.iter().filter(|path| path.extension().is_some_and(|it| it == "pub")) {
        if !read_public(public_file).is_some_and(|key| wanted.matches(&key)) {
            continue;
        }
        let private_file = public_file.with_extension("");
        if names.contains(&private_file) {
            let key = load(&private_file, passphrase)?;
            if !wanted.matches(key.public_key()) {
                let origin = private_file.display().to_string();
                return Err(AuthError::mismatch(origin, *wanted, key.public_key()));
            }
            return Ok(Found::Key(Box::new(key), private_file));
        }
        public_only = Some(public_file);
    }
    let mut locked = 0_usize;
    for path in names.iter().filter(|path| may_be_private(path, &names)) {
        match try_private(path, wanted, passphrase)? {
            Tried::Wanted(key) => return Ok(Found::Key(key, path.clone())),
            Tried::Locked => locked = locked.saturating_add(1),
            Tried::Other => {}
        }
    }
    let unless_locked = match locked {
        0 => String::new(),
        _ => format!(", unless it is among the {locked} that could not be decrypted"),
    };
    Ok(Found::Nothing(match public_only {
        Some(path) => format!("{} is its public key, without the private one beside it", path.display()),
        None => format!("{} has no such key{unless_locked}", directory.display()),
    }))
}

enum Tried {
    Wanted(Box<PrivateKey>),
    /// Encrypted, in a format that does not tell whose key it is.
    Locked,
    Other,
}

fn try_private(
    path: &Path,
    wanted: &Fingerprint,
    passphrase: Option<&SecretString>,
) -> Result<Tried, AuthError> {
    let Some(text) = is_small_file(path, MAX_KEY_FILE).then(|| key_file::read(path).ok()).flatten() else {
        return Ok(Tried::Other);
    };
    if let Some(public) = key_file::public_half(&text) {
        if !wanted.matches(&public) {
            return Ok(Tried::Other);
        }
        return load(path, passphrase).map(|key| Tried::Wanted(Box::new(key)));
    }
    Ok(match PrivateKey::from_pem(&text, passphrase) {
        Ok(key) if wanted.matches(key.public_key()) => Tried::Wanted(Box::new(key)),
        Err(KeyError::MissingPassphrase | KeyError::WrongPassphrase { .. }) => Tried::Locked,
        Ok(_) | Err(_) => Tried::Other,
    })
}

fn load(path: &Path, passphrase: Option<&SecretString>) -> Result<PrivateKey, AuthError> {
    PrivateKey::load(path, passphrase)
        .map_err(|source| AuthError::Key { origin: path.display().to_string(), source })
}

fn may_be_private(path: &Path, names: &[PathBuf]) -> bool {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        return false;
    };
    let has_public_half = names
        .iter()
        .any(|other| other.extension().is_some_and(|it| it == "pub") && other.with_extension("") == *path);
    name.contains("id_") && !name.ends_with(".pub") && !has_public_half
}

fn read_public(path: &Path) -> Option<PublicKey> {
    let mut line = String::new();
    is_small_file(path, MAX_PUBLIC_FILE)
        .then(|| fs::File::open(path))?
        .and_then(|file| file.take(MAX_PUBLIC_FILE).read_to_string(&mut line))
        .ok()?;
    PublicKey::from_openssh(&line).ok()
}

/// Sockets and pipes end up in such directories, too, and opening one would wait.
fn is_small_file(path: &Path, limit: u64) -> bool {
    fs::metadata(path).is_ok_and(|it| it.is_file() && it.len() <= limit)
}
