//! Sub-users of accounts, and their keys.

use std::collections::BTreeMap;

use jiff::Timestamp;
use triton::id::AccountId;
use uuid::Uuid;

use super::{MAX_OBJECTS, World};
use crate::world::account::set_profile;
use crate::world::error::WorldError;
use crate::world::keys::{self, AccountKey};
use crate::world::params::{self, Params};

/// A sub-user of an account. Passwords are checked and forgotten, for nothing in CloudAPI uses them.
#[derive(Debug, Clone)]
pub struct SubUser {
    /// Its id.
    pub id: Uuid,
    /// Its login, unique in the account.
    pub login: String,
    /// Its address for mail.
    pub email: String,
    /// The optional fields that are set, by CloudAPI's names.
    pub profile: BTreeMap<&'static str, String>,
    /// When it was made.
    pub created: Timestamp,
    /// When it last changed.
    pub updated: Timestamp,
    /// Its keys.
    pub keys: Vec<AccountKey>,
}

fn check_email(email: &str) -> Result<(), WorldError> {
    let parts: Vec<&str> = email.split('@').collect();
    if matches!(parts.as_slice(), [name, host] if !name.is_empty() && host.contains('.')) {
        return Ok(());
    }
    Err(WorldError::invalid_argument(format!("email: {email} is invalid")))
}

/// Whether a text can be a login: a letter, then letters, digits and `_.@-`, 3 to 32 in all.
fn is_login(login: &str) -> bool {
    let later = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'@' | b'-');
    (3..=32).contains(&login.len())
        && login.bytes().next().is_some_and(|first| first.is_ascii_alphabetic())
        && login.bytes().all(later)
}

impl World {
    /// The sub-users of an account, by id.
    pub fn list_users(&self, owner: AccountId) -> impl Iterator<Item = &SubUser> {
        self.rbac_of(owner).into_iter().flat_map(|rbac| rbac.users.values())
    }

    /// A sub-user by id or login.
    ///
    /// # Errors
    ///
    /// 404.
    pub fn user(&self, owner: AccountId, id_or_login: &str) -> Result<&SubUser, WorldError> {
        let user = self.find_user(owner, id_or_login);
        user.ok_or_else(|| WorldError::not_found(format!("user {id_or_login} not found")))
    }

    pub(super) fn find_user(&self, owner: AccountId, id_or_login: &str) -> Option<&SubUser> {
        let id = id_or_login.parse::<Uuid>().ok();
        self.list_users(owner).find(|user| Some(user.id) == id || user.login == id_or_login)
    }

    /// Makes a sub-user: `login`, `email`, `password` and optional fields.
    ///
    /// # Errors
    ///
    /// 409 for missing or bad parameters.
    pub fn create_user(
        &mut self,
        now: Timestamp,
        owner: AccountId,
        params: &Params,
    ) -> Result<SubUser, WorldError> {
        let required = ["email", "login", "password"];
        let missing: Vec<String> = required
            .iter()
            .filter(|field| params::text(params, field).is_none())
            .map(|field| format!("{field} is required"))
            .collect();
        if !missing.is_empty() {
            let message = format!("Request is missing required parameters: {}", missing.join(", "));
            return Err(WorldError::missing_parameter(message));
        }
        let [email, login, password] = required.map(|name| params::text(params, name).unwrap_or_default());
        check_email(&email)?;
        check_password(&password)?;
        let full = self.list_users(owner).count() >= MAX_OBJECTS;
        if full || !is_login(&login) || self.find_user(owner, &login).is_some() {
            return Err(WorldError::invalid_argument("user is invalid"));
        }
        let mut profile = BTreeMap::new();
        set_profile(&mut profile, params);
        let (id, keys) = (self.new_uuid(), Vec::new());
        let user = SubUser { id, login, email, profile, created: now, updated: now, keys };
        self.rbac_mut(owner).users.insert(id, user.clone());
        Ok(user)
    }

    /// Changes a sub-user: any of `login`, `email` and the optional fields.
    ///
    /// # Errors
    ///
    /// 404, 409 for bad parameters.
    pub fn update_user(
        &mut self,
        now: Timestamp,
        owner: AccountId,
        id_or_login: &str,
        params: &Params,
    ) -> Result<SubUser, WorldError> {
        let mut user = self.user(owner, id_or_login)?.clone();
        if let Some(email) = params::text(params, "email") {
            check_email(&email)?;
            user.email = email;
        }
        if let Some(login) = params::text(params, "login") {
            let taken = self.find_user(owner, &login).is_some_and(|other| other.id != user.id);
            if taken || !is_login(&login) {
                return Err(WorldError::invalid_argument("login is invalid or already in use"));
            }
            user.login = login;
        }
        set_profile(&mut user.profile, params);
        user.updated = now;
        self.rbac_mut(owner).users.insert(user.id, user.clone());
        Ok(user)
    }

    /// Changes the password of a sub-user: `password` and `password_confirmation`.
    ///
    /// # Errors
    ///
    /// 404, 409 when one is missing or they differ.
    pub fn change_password(
        &mut self,
        now: Timestamp,
        owner: AccountId,
        id_or_login: &str,
        params: &Params,
    ) -> Result<SubUser, WorldError> {
        let password = params::required(params, "password")?;
        if password != params::required(params, "password_confirmation")? {
            let message = "password and password_confirmation must have the same value";
            return Err(WorldError::invalid_argument(message));
        }
        check_password(&password)?;
        self.update_user(now, owner, id_or_login, &Params::new())
    }

    /// Deletes a sub-user; roles lose it.
    ///
    /// # Errors
    ///
    /// 404.
    pub fn delete_user(&mut self, owner: AccountId, id_or_login: &str) -> Result<(), WorldError> {
        let id = self.user(owner, id_or_login)?.id;
        let rbac = self.rbac_mut(owner);
        rbac.users.remove(&id);
        rbac.roles.values_mut().for_each(|role| role.members.retain(|member| member.id != id));
        Ok(())
    }

    /// A key of a sub-user, by name or fingerprint.
    ///
    /// # Errors
    ///
    /// 404.
    pub fn user_key(&self, owner: AccountId, user: &str, name: &str) -> Result<&AccountKey, WorldError> {
        keys::find(&self.user(owner, user)?.keys, name)
    }

    /// Adds a key to a sub-user: `key`, and optionally `name`.
    ///
    /// # Errors
    ///
    /// 404, 409 when the key is missing, bad or there already.
    pub fn create_user_key(
        &mut self,
        now: Timestamp,
        owner: AccountId,
        user: &str,
        params: &Params,
    ) -> Result<AccountKey, WorldError> {
        keys::add(&mut self.user_mut(owner, user)?.keys, now, params)
    }

    /// Removes a key from a sub-user, by name or fingerprint.
    ///
    /// # Errors
    ///
    /// 404.
    pub fn delete_user_key(&mut self, owner: AccountId, user: &str, name: &str) -> Result<(), WorldError> {
        keys::remove(&mut self.user_mut(owner, user)?.keys, name)
    }

    fn user_mut(&mut self, owner: AccountId, id_or_login: &str) -> Result<&mut SubUser, WorldError> {
        let id = self.user(owner, id_or_login)?.id;
        let user = self.rbac_mut(owner).users.get_mut(&id);
        user.ok_or_else(|| WorldError::not_found(format!("user {id_or_login} not found")))
    }
}

/// The shortest password that UFDS takes.
const MIN_PASSWORD: usize = 7;

fn check_password(password: &str) -> Result<(), WorldError> {
    let mixed = password.bytes().any(|b| b.is_ascii_digit()) && password.chars().any(char::is_alphabetic);
    if password.chars().count() < MIN_PASSWORD || !mixed {
        let message = "password must have at least 7 characters, a letter and a digit among them";
        return Err(WorldError::invalid_argument(message));
    }
    Ok(())
}
