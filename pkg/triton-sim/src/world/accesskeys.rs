//! S3-style access keys of accounts and sub-users, as far as listing and deleting them needs (reference 2.1).

use std::fmt;

use jiff::Timestamp;
use triton::id::AccountId;
use uuid::Uuid;

use super::World;
use super::error::WorldError;
use super::params::{self, Params};

/// The most access keys of one account. The bound is ours.
const MAX_KEYS: usize = 100;

/// An access key.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKey {
    /// Its id.
    pub id: String,
    /// Its secret, which is shown when it is made.
    pub secret: String,
    /// The sub-user it belongs to; none for the account's own.
    pub user: Option<Uuid>,
    /// What it is for.
    pub description: Option<String>,
    /// When it was made.
    pub created: Timestamp,
}

/// The id, never the secret.
impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessKey").field("id", &self.id).field("user", &self.user).finish_non_exhaustive()
    }
}

impl World {
    /// The access keys of an account, or of one of its sub-users, oldest first.
    pub fn list_access_keys(&self, owner: AccountId, user: Option<Uuid>) -> impl Iterator<Item = &AccessKey> {
        self.access_keys.get(&owner).into_iter().flatten().filter(move |key| key.user == user)
    }

    /// One access key.
    ///
    /// # Errors
    ///
    /// 404.
    pub fn access_key(
        &self,
        owner: AccountId,
        user: Option<Uuid>,
        id: &str,
    ) -> Result<&AccessKey, WorldError> {
        let key = self.list_access_keys(owner, user).find(|key| key.id == id);
        key.ok_or_else(|| WorldError::not_found(format!("{id} not found")))
    }

    /// Makes an access key: optionally `description`.
    ///
    /// # Errors
    ///
    /// 409 when there are too many.
    pub fn create_access_key(
        &mut self,
        now: Timestamp,
        owner: AccountId,
        user: Option<Uuid>,
        params: &Params,
    ) -> Result<AccessKey, WorldError> {
        let mut random = |length| (0..length).map(|_| self.rng.alphanumeric()).collect::<String>();
        let key = AccessKey {
            id: random(20).to_ascii_uppercase(),
            secret: random(40),
            user,
            description: params::text(params, "description"),
            created: now,
        };
        let keys = self.access_keys.entry(owner).or_default();
        if keys.len() >= MAX_KEYS {
            return Err(WorldError::invalid_argument("key is invalid"));
        }
        keys.push(key.clone());
        Ok(key)
    }

    /// Deletes an access key.
    ///
    /// # Errors
    ///
    /// 404.
    pub fn delete_access_key(
        &mut self,
        owner: AccountId,
        user: Option<Uuid>,
        id: &str,
    ) -> Result<(), WorldError> {
        self.access_key(owner, user, id)?;
        if let Some(keys) = self.access_keys.get_mut(&owner) {
            keys.retain(|key| key.user != user || key.id != id);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
