//! Sub-users, policies, roles and role tags of accounts (reference 1.6).
//!
//! A sub-user may do something if one of its active roles is tagged on the resource and one of that role's policies
//! allows the action. Members of other accounts are kept in roles and shown, but get no access here.

use std::collections::{BTreeMap, BTreeSet};

use triton::id::AccountId;
use uuid::Uuid;

use super::World;
use super::error::WorldError;

mod policies;
mod policy;
mod roles;
mod users;

pub use policy::Policy;
pub use roles::{Member, MemberKind, Role};
pub use users::SubUser;

/// The most sub-users, roles or policies of one account. The bound is ours.
const MAX_OBJECTS: usize = 1000;

/// The most resources of an account that are tagged with roles. The bound is ours.
const MAX_TAGGED: usize = 50_000;

/// The role whose members may do everything that the account may.
const ADMINISTRATOR: &str = "administrator";

/// The resources that can be tagged with roles.
const TAGGABLE: [&str; 11] = [
    "machines",
    "users",
    "roles",
    "packages",
    "images",
    "policies",
    "keys",
    "datacenters",
    "fwrules",
    "networks",
    "services",
];

/// What one account has of all this.
#[derive(Default)]
pub(super) struct Rbac {
    users: BTreeMap<Uuid, SubUser>,
    policies: BTreeMap<Uuid, Policy>,
    roles: BTreeMap<Uuid, Role>,
    /// Roles by resource, see [`resource_of`].
    tags: BTreeMap<String, BTreeSet<Uuid>>,
}

/// The resource that a path below the account is about, which carries the role tags: `machines/ID/tags/x` is about
/// `machines/ID`, `users/ID/keys/K` is about itself, the account is the empty text.
pub fn resource_of(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let kept = match parts.as_slice() {
        ["users", _, "keys", ..] => 4,
        ["machines" | "users", ..] => 2,
        [_, _, _] => 2,
        _ => 3,
    };
    parts.get(..kept.min(parts.len())).unwrap_or_default().join("/")
}

impl World {
    pub(super) fn rbac_of(&self, owner: AccountId) -> Option<&Rbac> {
        self.rbac.get(&owner)
    }

    fn rbac_mut(&mut self, owner: AccountId) -> &mut Rbac {
        self.rbac.entry(owner).or_default()
    }

    /// The roles a resource is tagged with, by name. `path` is that of the request below the account.
    pub fn role_tags(&self, owner: AccountId, path: &str) -> Vec<String> {
        let Some(rbac) = self.rbac_of(owner) else {
            return Vec::new();
        };
        let ids = rbac.tags.get(&resource_of(path)).into_iter().flatten();
        let mut names: Vec<String> =
            ids.filter_map(|id| rbac.roles.get(id)).map(|role| role.name.clone()).collect();
        names.sort();
        names
    }

    /// Tags a resource with roles by name, instead of those it had. Says the names.
    ///
    /// # Errors
    ///
    /// 404 for a resource that cannot be tagged, 409 for a role that does not exist.
    pub fn set_role_tags(
        &mut self,
        owner: AccountId,
        path: &str,
        names: &[String],
    ) -> Result<Vec<String>, WorldError> {
        let resource = resource_of(path);
        let kind = resource.split('/').next().unwrap_or_default();
        if !kind.is_empty() && !TAGGABLE.contains(&kind) {
            return Err(WorldError::not_found(format!("{kind} is not a valid resource")));
        }
        let mut ids = BTreeSet::new();
        for name in names.iter().filter(|name| !name.is_empty()) {
            match self.find_role(owner, name) {
                Some(role) => ids.insert(role.id),
                None => return Err(WorldError::invalid_argument(format!("Role(s) {name} not found"))),
            };
        }
        let tags = &mut self.rbac_mut(owner).tags;
        if ids.is_empty() {
            tags.remove(&resource);
        } else if tags.len() >= MAX_TAGGED && !tags.contains_key(&resource) {
            return Err(WorldError::overloaded("too many resources are tagged with roles"));
        } else {
            tags.insert(resource, ids);
        }
        Ok(self.role_tags(owner, path))
    }

    /// Forgets the role tags of a resource that was deleted.
    pub fn forget_role_tags(&mut self, owner: AccountId, path: &str) {
        if let Some(rbac) = self.rbac.get_mut(&owner) {
            rbac.tags.remove(&resource_of(path));
        }
    }

    /// The roles a sub-user acts in: those named, comma-separated, in `as_role`; without it the default ones.
    ///
    /// # Errors
    ///
    /// 409 for a role that does not exist, 403 for one the user does not hold.
    pub fn active_roles(
        &self,
        owner: AccountId,
        user: Uuid,
        as_role: Option<&str>,
    ) -> Result<Vec<Uuid>, WorldError> {
        let roles = self.rbac_of(owner).into_iter().flat_map(|rbac| rbac.roles.values());
        let Some(names) = as_role.filter(|names| !names.is_empty()) else {
            return Ok(roles.filter(|role| role.is_default_of(user)).map(|role| role.id).collect());
        };
        let mut active = Vec::new();
        for name in names.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let role = self.find_role(owner, name);
            let role =
                role.ok_or_else(|| WorldError::invalid_argument(format!("Role {name} does not exist")))?;
            if !role.has_member(user) {
                return Err(WorldError::not_authorized(format!("user does not have the role {name}")));
            }
            active.push(role.id);
        }
        Ok(active)
    }

    /// Whether a sub-user in these roles may do an action, such as `getmachine`, on the resource of a path below the
    /// account.
    pub fn is_allowed(&self, owner: AccountId, active_roles: &[Uuid], action: &str, path: &str) -> bool {
        let Some(rbac) = self.rbac_of(owner) else {
            return false;
        };
        let tagged = rbac.tags.get(&resource_of(path));
        active_roles.iter().filter_map(|id| rbac.roles.get(id)).any(|role| {
            let allows = |id: &Uuid| rbac.policies.get(id).is_some_and(|policy| policy.allows(action));
            role.name == ADMINISTRATOR
                || (tagged.is_some_and(|tagged| tagged.contains(&role.id))
                    && role.policies.iter().any(allows))
        })
    }
}

#[cfg(test)]
mod tests;
