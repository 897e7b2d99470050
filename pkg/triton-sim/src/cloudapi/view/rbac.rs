//! Sub-users, roles, policies, role tags and access keys (reference 1.6, 2.7).

use std::collections::BTreeMap;

use semver::Version;
use serde::Serialize;
use triton::id::AccountId;

use super::time;
use crate::world::World;
use crate::world::accesskeys;
use crate::world::rbac::{self, MemberKind, SubUser};

/// The version of the API since which members and policies of roles are objects.
const OBJECTS_SINCE: Version = Version::new(9, 0, 0);

/// A sub-user.
#[derive(Debug, Serialize)]
pub(crate) struct User<'a> {
    id: String,
    login: &'a str,
    email: &'a str,
    #[serde(flatten)]
    profile: &'a BTreeMap<&'static str, String>,
    #[serde(flatten)]
    membership: Option<Membership<'a>>,
    updated: String,
    created: String,
}

/// The roles of a sub-user by name, when they are asked for.
#[derive(Debug, Serialize)]
struct Membership<'a> {
    roles: Vec<&'a str>,
    default_roles: Vec<&'a str>,
}

impl<'a> User<'a> {
    pub(crate) fn of(user: &'a SubUser) -> Self {
        Self {
            id: user.id.to_string(),
            login: &user.login,
            email: &user.email,
            profile: &user.profile,
            membership: None,
            updated: time(user.updated),
            created: time(user.created),
        }
    }

    /// With its roles.
    pub(crate) fn with_roles(self, roles: Vec<&'a str>, default_roles: Vec<&'a str>) -> Self {
        Self { membership: Some(Membership { roles, default_roles }), ..self }
    }
}

/// A policy.
#[derive(Debug, Serialize)]
pub(crate) struct Policy<'a> {
    name: &'a str,
    id: String,
    rules: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
}

impl<'a> Policy<'a> {
    pub(crate) fn of(policy: &'a rbac::Policy) -> Self {
        Self {
            name: &policy.name,
            id: policy.id.to_string(),
            rules: &policy.rules,
            description: policy.description.as_deref(),
        }
    }
}

/// A role.
#[derive(Debug, Serialize)]
pub(crate) struct Role<'a> {
    name: &'a str,
    id: String,
    #[serde(flatten)]
    parts: RoleParts<'a>,
}

/// Who has a role and what it allows.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum RoleParts<'a> {
    /// Since version 9 as objects.
    Objects { members: Vec<Member<'a>>, policies: Vec<PolicyRef<'a>> },
    /// Before by name, and sub-users only.
    Names { members: Vec<&'a str>, default_members: Vec<&'a str>, policies: Vec<&'a str> },
}

#[derive(Debug, Serialize)]
struct Member<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    login: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    default: Option<bool>,
}

#[derive(Debug, Serialize)]
struct PolicyRef<'a> {
    id: String,
    name: &'a str,
}

impl<'a> Role<'a> {
    /// A role of `owner`, whose members and policies `world` knows.
    pub(crate) fn of(world: &'a World, owner: AccountId, role: &'a rbac::Role, version: &Version) -> Self {
        let policies: Vec<&rbac::Policy> =
            world.list_policies(owner).filter(|policy| role.policies.contains(&policy.id)).collect();
        let login = |member: &rbac::Member| match member.kind {
            MemberKind::SubUser => {
                world.list_users(owner).find(|user| user.id == member.id).map(|user| user.login.as_str())
            }
            MemberKind::Account => {
                world.account(AccountId::from(member.id)).map(|account| account.login.as_str())
            }
        };
        let users = || role.members.iter().filter(|member| member.kind == MemberKind::SubUser);
        let parts = if *version >= OBJECTS_SINCE {
            RoleParts::Objects {
                members: role
                    .members
                    .iter()
                    .map(|member| Member {
                        kind: member.kind.as_str(),
                        id: member.id.to_string(),
                        login: login(member),
                        default: member.default.then_some(true),
                    })
                    .collect(),
                policies: policies
                    .iter()
                    .map(|policy| PolicyRef { id: policy.id.to_string(), name: &policy.name })
                    .collect(),
            }
        } else {
            RoleParts::Names {
                members: users().filter_map(login).collect(),
                default_members: users().filter(|member| member.default).filter_map(login).collect(),
                policies: policies.iter().map(|policy| policy.name.as_str()).collect(),
            }
        };
        Self { name: &role.name, id: role.id.to_string(), parts }
    }
}

/// The roles that a resource is tagged with.
#[derive(Debug, Serialize)]
pub(crate) struct RoleTags<'a> {
    /// The path of the resource.
    pub(crate) name: &'a str,
    #[serde(rename = "role-tag")]
    pub(crate) role_tag: &'a [String],
}

/// An access key for object storage.
#[derive(Debug, Serialize)]
pub(crate) struct AccessKey<'a> {
    accesskeyid: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    accesskeysecret: Option<&'a str>,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    credentialtype: &'static str,
    created: String,
    updated: String,
}

impl<'a> AccessKey<'a> {
    pub(crate) fn of(key: &'a accesskeys::AccessKey) -> Self {
        Self {
            accesskeyid: &key.id,
            accesskeysecret: None,
            status: "Active",
            description: key.description.as_deref(),
            credentialtype: "permanent",
            created: time(key.created),
            updated: time(key.created),
        }
    }

    /// With its secret, as whoever makes it sees it.
    pub(crate) fn with_secret(self, key: &'a accesskeys::AccessKey) -> Self {
        Self { accesskeysecret: Some(&key.secret), ..self }
    }
}
