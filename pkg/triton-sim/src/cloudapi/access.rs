//! Who signed in, and what they may do (reference 1.5, 1.6).

use std::net::IpAddr;

use semver::Version;
use triton::auth::signature::{Authorization, KeyId};
use triton::id::AccountId;
use uuid::Uuid;

use super::CloudApi;
use super::auth::{self, Signed, WRONG};
use super::call::below_account;
use super::error::ApiError;
use super::params::Params;
use super::routes::Operation;
use crate::world::{Caller, CallerKind, World};

/// Whoever signed: an account, or a sub-user of it.
#[derive(Clone, Debug)]
pub(crate) struct Signer {
    account: AccountId,
    login: String,
    user: Option<Uuid>,
    operator: bool,
    key_id: KeyId,
}

/// What a signer may do, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Access {
    /// The account that the request is about.
    pub(crate) account: AccountId,
    /// Its login.
    pub(crate) login: String,
    /// The roles that a sub-user acts in, by name.
    pub(crate) roles: Vec<String>,
}

/// Finds the key that signed and checks the signature.
pub(crate) fn sign_in(
    api: &CloudApi,
    authorization: Option<&Authorization>,
    signed: Signed<'_>,
    version: &Version,
) -> Result<Signer, ApiError> {
    let key_id = auth::key_id(authorization, version)?;
    let wrong = || ApiError::invalid_credentials(WRONG);
    let authorization = authorization.ok_or_else(wrong)?;
    let (signer, key) = api.engine.read(|world| {
        let account = world.account_by_login(key_id.account()).ok_or_else(wrong)?;
        let user = match key_id.user() {
            None => None,
            Some(login) => {
                Some(world.list_users(account.id).find(|user| user.login == login).ok_or_else(wrong)?)
            }
        };
        let keys = user.map_or(&account.keys, |user| &user.keys);
        let key = keys.iter().find(|key| auth::names_key(&key_id, &key.name, &key.fingerprint));
        let key = key.ok_or_else(wrong)?.public.clone();
        let signer = Signer {
            account: account.id,
            login: account.login.clone(),
            user: user.map(|user| user.id),
            operator: account.operator && user.is_none(),
            key_id: key_id.clone(),
        };
        Ok::<_, ApiError>((signer, key))
    })?;
    // Not while the truth is locked: this is most of what a request costs.
    auth::verify(authorization, signed, &key)?;
    Ok(signer)
}

/// Who asks, for the audit.
pub(crate) fn caller(signer: &Signer, ip: IpAddr) -> Caller {
    Caller { kind: CallerKind::Signature, ip: Some(ip), key_id: Some(signer.key_id.to_string()) }
}

/// The action of a policy that allows an operation. Those of UpdateMachine have one each (reference 2.16).
fn action(operation: Operation, params: &Params) -> String {
    if operation != Operation::UpdateMachine {
        return operation.name().to_ascii_lowercase();
    }
    match params.text("action").as_deref().unwrap_or_default() {
        "enable_firewall" => "enablemachinefirewall".to_owned(),
        "disable_firewall" => "disablemachinefirewall".to_owned(),
        action => format!("{action}machine"),
    }
}

/// Decides whether the signer may do this, and says in which account. The parameters no longer have `as-role`.
pub(crate) fn authorize(
    api: &CloudApi,
    signer: &Signer,
    params: &mut Params,
    operation: Operation,
    path: &str,
) -> Result<Access, ApiError> {
    let wanted = params.text("account").unwrap_or_default().into_owned();
    let wanted = if wanted == "my" { signer.login.clone() } else { wanted };
    params.set("account", wanted.clone());
    let as_role = params.remove("as-role");
    let action = action(operation, params);
    let as_role = as_role.as_ref().and_then(|value| value.as_str());
    api.engine.read(|world| decide(world, signer, &wanted, as_role, &action, path))
}

fn decide(
    world: &World,
    signer: &Signer,
    wanted: &str,
    as_role: Option<&str>,
    action: &str,
    path: &str,
) -> Result<Access, ApiError> {
    let forbidden =
        |what: &str| ApiError::not_authorized(format!("You do not have permission to access {what}"));
    let account = world
        .account_by_login(wanted)
        .ok_or_else(|| ApiError::not_found(format!("{wanted} does not exist")))?;
    let access = Access { account: account.id, login: account.login.clone(), roles: Vec::new() };
    let own = account.id == signer.account;
    let user = match signer.user {
        None if own || signer.operator => return Ok(access),
        Some(user) if own => user,
        _ => return Err(forbidden(&format!("{path} ({action})"))),
    };
    let active = world.active_roles(account.id, user, as_role).map_err(|_| forbidden(wanted))?;
    if !world.is_allowed(account.id, &active, action, &below_account(path)) {
        return Err(forbidden(&format!("{path} ({action})")));
    }
    let roles = world.list_roles(account.id).filter(|role| active.contains(&role.id));
    Ok(Access { roles: roles.map(|role| role.name.clone()).collect(), ..access })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_of_instances_have_names_of_their_own() {
        let check = |operation: Operation, given: &str, expected: &str| {
            let mut params = Params::default();
            params.set("action", given);
            assert_eq!(action(operation, &params), expected);
        };
        check(Operation::GetMachine, "", "getmachine");
        check(Operation::SetRoleTags, "", "setroletags");
        check(Operation::Changefeed, "", "changefeed");
        check(Operation::UpdateMachine, "start", "startmachine");
        check(Operation::UpdateMachine, "enable_firewall", "enablemachinefirewall");
        check(Operation::UpdateMachine, "disable_firewall", "disablemachinefirewall");
        check(Operation::UpdateMachine, "enable_deletion_protection", "enable_deletion_protectionmachine");
    }
}
