//! Making, changing and finding roles, in the object format of API 9 and the one of names before it (reference
//! 2.1).

use serde_json::Value;
use triton::id::AccountId;
use uuid::Uuid;

use super::{ADMINISTRATOR, MAX_OBJECTS, World};
use crate::world::error::WorldError;
use crate::world::params::{self, Params};

/// The first API version in which members and policies are objects.
const OBJECTS_SINCE: u64 = 9;

/// A role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// The ids of its policies.
    pub policies: Vec<Uuid>,
    /// Its members.
    pub members: Vec<Member>,
}

/// A member of a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// What it is.
    pub kind: MemberKind,
    /// Its id.
    pub id: Uuid,
    /// Whether the role is active when no other is named.
    pub default: bool,
}

/// What can be a member of a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberKind {
    /// A sub-user of the account.
    SubUser,
    /// Another account.
    Account,
}

impl MemberKind {
    /// CloudAPI's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SubUser => "subuser",
            Self::Account => "account",
        }
    }
}

impl Role {
    pub(super) fn has_member(&self, id: Uuid) -> bool {
        self.members.iter().any(|member| member.id == id)
    }

    pub(super) fn is_default_of(&self, id: Uuid) -> bool {
        self.members.iter().any(|member| member.id == id && member.default)
    }
}

/// The fields that a request names.
#[derive(Default)]
struct Fields {
    name: Option<String>,
    policies: Option<Vec<Uuid>>,
    members: Option<Vec<Member>>,
}

fn invalid(message: impl Into<String>) -> WorldError {
    WorldError::invalid_argument(message)
}

impl World {
    /// The roles of an account, by id.
    pub fn list_roles(&self, owner: AccountId) -> impl Iterator<Item = &Role> {
        self.rbac_of(owner).into_iter().flat_map(|rbac| rbac.roles.values())
    }

    /// A role by id or name.
    ///
    /// # Errors
    ///
    /// 404.
    pub fn role(&self, owner: AccountId, id_or_name: &str) -> Result<&Role, WorldError> {
        let role = self.find_role(owner, id_or_name);
        role.ok_or_else(|| WorldError::not_found(format!("role {id_or_name} not found")))
    }

    pub(super) fn find_role(&self, owner: AccountId, id_or_name: &str) -> Option<&Role> {
        let id = id_or_name.parse::<Uuid>().ok();
        self.list_roles(owner).find(|role| Some(role.id) == id || role.name == id_or_name)
    }

    /// Makes a role: `name`, and optionally `policies`, `members` and, before API 9, `default_members`.
    ///
    /// # Errors
    ///
    /// 409 for missing or bad parameters.
    pub fn create_role(
        &mut self,
        owner: AccountId,
        params: &Params,
        api_major: u64,
    ) -> Result<Role, WorldError> {
        let fields = self.role_fields(owner, params, api_major)?;
        let Some(name) = fields.name else {
            let message = "Request is missing required parameter: name";
            return Err(WorldError::missing_parameter(message));
        };
        let full = self.list_roles(owner).count() >= MAX_OBJECTS;
        if full || self.find_role(owner, &name).is_some() {
            return Err(invalid("role is invalid"));
        }
        let policies = fields.policies.unwrap_or_default();
        check_administrator(&name, &policies)?;
        let members = fields.members.unwrap_or_default();
        let role = Role { id: self.new_uuid(), name, policies, members };
        self.rbac_mut(owner).roles.insert(role.id, role.clone());
        Ok(role)
    }

    /// Changes a role: any of `name`, `policies`, `members` and, before API 9, `default_members`.
    ///
    /// # Errors
    ///
    /// 404, 409 for bad parameters.
    pub fn update_role(
        &mut self,
        owner: AccountId,
        id_or_name: &str,
        params: &Params,
        api_major: u64,
    ) -> Result<Role, WorldError> {
        let mut role = self.role(owner, id_or_name)?.clone();
        let fields = self.role_fields(owner, params, api_major)?;
        if let Some(name) = fields.name {
            if self.find_role(owner, &name).is_some_and(|other| other.id != role.id) {
                return Err(invalid("role is invalid"));
            }
            role.name = name;
        }
        role.policies = fields.policies.unwrap_or(role.policies);
        role.members = fields.members.unwrap_or(role.members);
        check_administrator(&role.name, &role.policies)?;
        self.rbac_mut(owner).roles.insert(role.id, role.clone());
        Ok(role)
    }

    /// Deletes a role; what was tagged with it no longer is.
    ///
    /// # Errors
    ///
    /// 404.
    pub fn delete_role(&mut self, owner: AccountId, id_or_name: &str) -> Result<(), WorldError> {
        let id = self.role(owner, id_or_name)?.id;
        let rbac = self.rbac_mut(owner);
        rbac.roles.remove(&id);
        rbac.tags.retain(|_, roles| {
            roles.remove(&id);
            !roles.is_empty()
        });
        Ok(())
    }

    fn role_fields(&self, owner: AccountId, params: &Params, api_major: u64) -> Result<Fields, WorldError> {
        let name = params::text(params, "name");
        if name.as_deref() == Some("true") {
            return Err(invalid("\"true\" is not a valid role name"));
        }
        let mut fields = Fields { name, ..Fields::default() };
        let present = |name: &str| params.get(name).filter(|value| !value.is_null());
        if let Some(value) = present("policies") {
            let policies = list(value, "policies", api_major)?;
            fields.policies = Some(
                policies.iter().map(|value| self.policy_reference(owner, value)).collect::<Result<_, _>>()?,
            );
        }
        if let Some(value) = present("members") {
            let members = list(value, "members", api_major)?;
            fields.members =
                Some(members.iter().map(|value| self.member(owner, value)).collect::<Result<_, _>>()?);
        }
        if let Some(value) = present("default_members").filter(|_| api_major < OBJECTS_SINCE) {
            let members = fields.members.get_or_insert_default();
            for value in list(value, "default_members", api_major)? {
                let member = Member { default: true, ..self.member(owner, &value)? };
                members.retain(|other| other.id != member.id);
                members.push(member);
            }
        }
        Ok(fields)
    }

    fn policy_reference(&self, owner: AccountId, value: &Value) -> Result<Uuid, WorldError> {
        let name = match value {
            Value::String(name) => Some(name.as_str()),
            Value::Object(object) => {
                if let Some(key) = object.keys().find(|key| !matches!(key.as_str(), "id" | "name")) {
                    let message = format!(
                        "Policy references may only contain \"name\" or \"id\" properties, not \"{key}\""
                    );
                    return Err(invalid(message));
                }
                object.get("id").or_else(|| object.get("name")).and_then(Value::as_str)
            }
            _ => None,
        };
        let policy = name.and_then(|name| self.find_policy(owner, name));
        policy.map(|policy| policy.id).ok_or_else(|| {
            invalid(format!("Invalid policy: {}", name.map_or_else(|| value.to_string(), str::to_owned)))
        })
    }

    fn member(&self, owner: AccountId, value: &Value) -> Result<Member, WorldError> {
        let object = match value {
            Value::String(login) => {
                let user = self.find_user(owner, login);
                let user = user.ok_or_else(|| invalid(format!("Invalid subuser: {login}")))?;
                return Ok(Member { kind: MemberKind::SubUser, id: user.id, default: false });
            }
            Value::Object(object) => object,
            _ => return Err(invalid("Role \"members\" must be an array of objects")),
        };
        let known = |key: &str| matches!(key, "type" | "login" | "id" | "default");
        if let Some(key) = object.keys().find(|key| !known(key)) {
            return Err(invalid(format!(
                "Member references may only contain \"type\", \"login\", \"id\", or \"default\" properties, not \
                 \"{key}\""
            )));
        }
        let kind = match object.get("type").and_then(Value::as_str) {
            Some("subuser") => MemberKind::SubUser,
            Some("account") => MemberKind::Account,
            Some(other) => return Err(invalid(format!("Member \"type\" is not supported: \"{other}\""))),
            None => {
                let message = "Role \"member\" references must have a string \"type\" property";
                return Err(invalid(message));
            }
        };
        let default = match object.get("default") {
            None => false,
            Some(Value::Bool(default)) => *default,
            Some(_) => return Err(invalid("Member \"default\" property must be a boolean")),
        };
        let name = object.get("id").or_else(|| object.get("login")).and_then(Value::as_str);
        let found = name.and_then(|name| match kind {
            MemberKind::SubUser => self.find_user(owner, name).map(|user| user.id),
            MemberKind::Account => {
                let id = name.parse::<AccountId>().ok().and_then(|id| self.account(id));
                id.or_else(|| self.account_by_login(name)).map(|account| account.id.into())
            }
        });
        let id = found
            .ok_or_else(|| invalid(format!("Invalid {}: {}", kind.as_str(), name.unwrap_or_default())))?;
        Ok(Member { kind, id, default })
    }
}

/// The elements of a list: of objects since API 9; before it of names, also as one text or as JSON in a text.
fn list(value: &Value, what: &str, api_major: u64) -> Result<Vec<Value>, WorldError> {
    match value {
        Value::Array(values) if api_major < OBJECTS_SINCE || values.iter().all(Value::is_object) => {
            Ok(values.clone())
        }
        Value::String(text) if api_major < OBJECTS_SINCE => {
            if text.is_empty() {
                return Ok(Vec::new());
            }
            Ok(serde_json::from_str::<Vec<Value>>(text).unwrap_or_else(|_| vec![value.clone()]))
        }
        _ => Err(invalid(format!("Role \"{what}\" must be an array of objects"))),
    }
}

fn check_administrator(name: &str, policies: &[Uuid]) -> Result<(), WorldError> {
    if name == ADMINISTRATOR && !policies.is_empty() {
        return Err(invalid("Administrator role cannot have policies"));
    }
    Ok(())
}
