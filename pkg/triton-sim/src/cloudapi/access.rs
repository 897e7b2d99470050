//! Who signed in, and what they may do (reference 1.5, 1.6).

use semver::Version;
use triton::auth::signature::{Authorization, KeyId};
use triton::id::AccountId;

use super::CloudApi;
use super::auth::{self, Signed, WRONG};
use super::error::ApiError;
use super::params::Params;
use super::routes::Operation;
use crate::world::account::Account;
use crate::world::{Caller, CallerKind, World};

/// Whoever signed.
#[derive(Clone, Debug)]
pub(crate) struct Signer {
    account: AccountId,
    login: String,
    operator: bool,
    key_id: KeyId,
}

/// What a signer may do, and where.
#[derive(Clone, Debug)]
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
        let key = account.keys.iter().find(|key| auth::names_key(&key_id, &key.name, &key.fingerprint));
        let key = key.ok_or_else(wrong)?.public.clone();
        let signer = Signer {
            account: account.id,
            login: account.login.clone(),
            operator: account.operator,
            key_id: key_id.clone(),
        };
        Ok::<_, ApiError>((signer, key))
    })?;
    // Not while the truth is locked: this is most of what a request costs.
    auth::verify(authorization, signed, &key)?;
    Ok(signer)
}

/// Who asks, for the audit.
pub(crate) fn caller(signer: &Signer, ip: Option<std::net::IpAddr>) -> Caller {
    Caller { kind: CallerKind::Signature, ip, key_id: Some(signer.key_id.to_string()) }
}

fn path_account<'w>(world: &'w World, login: &str) -> Result<&'w Account, ApiError> {
    world.account_by_login(login).ok_or_else(|| ApiError::not_found(format!("{login} does not exist")))
}

/// Decides whether the signer may do this, and says in which account.
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
    if wanted == signer.login {
        return Ok(Access { account: signer.account, login: wanted, roles: Vec::new() });
    }
    let account = api.engine.read(|world| path_account(world, &wanted).map(|account| account.id))?;
    if signer.operator {
        return Ok(Access { account, login: wanted, roles: Vec::new() });
    }
    let action = operation.name().to_lowercase();
    Err(ApiError::not_authorized(format!("You do not have permission to access {path} ({action})")))
}
