//! SSH keys of accounts and sub-users (reference 2.8).

use jiff::Timestamp;
use triton::auth::{Fingerprint, PublicKey};
use triton::id::AccountId;

use super::World;
use super::error::WorldError;
use super::params::{self, Params};

/// The most keys of one account or sub-user. The bound is ours.
const MAX_KEYS: usize = 1000;

/// A key of an account or sub-user.
#[derive(Debug, Clone)]
pub struct AccountKey {
    /// Its name; the fingerprint when none was given.
    pub name: String,
    /// Its MD5 fingerprint in pairs of hexadecimal digits.
    pub fingerprint: String,
    /// The line of a `.pub` file, as it was given.
    pub openssh: String,
    /// The key itself.
    pub public: PublicKey,
    /// When it was added.
    pub created: Timestamp,
}

impl AccountKey {
    /// A key of an OpenSSH line.
    ///
    /// # Errors
    ///
    /// 409 as CloudAPI has it when the line is no key.
    pub fn new(name: Option<String>, openssh: &str, created: Timestamp) -> Result<Self, WorldError> {
        let openssh = openssh.trim();
        let public = PublicKey::from_openssh(openssh).map_err(|_| invalid_key())?;
        let fingerprint = public.fingerprint().to_string();
        let name = name.unwrap_or_else(|| fingerprint.clone());
        Ok(Self { name, fingerprint, openssh: openssh.to_owned(), public, created })
    }

    /// Whether a path means this key: by its name or by its fingerprint of either kind.
    pub fn is_called(&self, name_or_fingerprint: &str) -> bool {
        self.name == name_or_fingerprint
            || self.fingerprint == name_or_fingerprint
            || name_or_fingerprint
                .parse::<Fingerprint>()
                .is_ok_and(|fingerprint| fingerprint.matches(&self.public))
    }
}

fn invalid_key() -> WorldError {
    WorldError::invalid_argument("key already exists or is invalid")
}

/// The key that is called so.
pub(super) fn find<'a>(keys: &'a [AccountKey], name: &str) -> Result<&'a AccountKey, WorldError> {
    keys.iter()
        .find(|key| key.is_called(name))
        .ok_or_else(|| WorldError::not_found(format!("{name} not found")))
}

/// Adds a key of the parameters `key` and `name`.
pub(super) fn add(
    keys: &mut Vec<AccountKey>,
    now: Timestamp,
    params: &Params,
) -> Result<AccountKey, WorldError> {
    let openssh = params::required(params, "key")?;
    let key = AccountKey::new(params::text(params, "name"), &openssh, now)?;
    let exists = keys.iter().any(|other| other.fingerprint == key.fingerprint || other.name == key.name);
    if exists || keys.len() >= MAX_KEYS {
        return Err(invalid_key());
    }
    keys.push(key.clone());
    Ok(key)
}

/// Removes the key that is called so.
pub(super) fn remove(keys: &mut Vec<AccountKey>, name: &str) -> Result<(), WorldError> {
    let fingerprint = find(keys, name)?.fingerprint.clone();
    keys.retain(|key| key.fingerprint != fingerprint);
    Ok(())
}

impl World {
    /// A key of an account, by name or fingerprint.
    ///
    /// # Errors
    ///
    /// 404.
    pub fn key(&self, owner: AccountId, name: &str) -> Result<&AccountKey, WorldError> {
        find(&self.owner(owner)?.keys, name)
    }

    /// Adds a key to an account: `key`, and optionally `name`.
    ///
    /// # Errors
    ///
    /// 409 when the key is missing, bad or there already.
    pub fn create_key(
        &mut self,
        now: Timestamp,
        owner: AccountId,
        params: &Params,
    ) -> Result<AccountKey, WorldError> {
        add(&mut self.owner_mut(owner)?.keys, now, params)
    }

    /// Removes a key from an account, by name or fingerprint.
    ///
    /// # Errors
    ///
    /// 404.
    pub fn delete_key(&mut self, owner: AccountId, name: &str) -> Result<(), WorldError> {
        remove(&mut self.owner_mut(owner)?.keys, name)
    }
}

#[cfg(test)]
mod tests;
