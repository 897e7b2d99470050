//! The account, its limits and its configuration (reference 2.8).

use serde::Serialize;
use triton::id::NetworkId;

use crate::cloudapi::call::Call;
use crate::cloudapi::error::ApiError;
use crate::cloudapi::respond::{Answer, Reply};
use crate::cloudapi::view;
use crate::world::account::Account;

fn found(account: Option<&Account>) -> Result<&Account, ApiError> {
    account.ok_or_else(|| ApiError::not_found("account not found"))
}

pub(super) fn get(call: &Call<'_>) -> Answer {
    call.read(|world| Ok(Reply::ok(&view::Account::of(found(world.account(call.account))?))))
}

pub(super) fn update(call: &Call<'_>) -> Answer {
    let account = call.write(|world, now| world.update_account(now, call.account, call.params.as_map()))?;
    Ok(Reply::ok(&view::Account::of(&account)))
}

pub(super) fn limits(call: &Call<'_>) -> Answer {
    let limits = call.read(|world| world.limits(call.account));
    let limits: Vec<_> = limits.iter().map(|(limit, used)| view::Limit::of(limit, *used)).collect();
    Ok(Reply::ok(&limits))
}

#[derive(Serialize)]
struct Config {
    /// Empty when there is none.
    default_network: String,
}

pub(super) fn config(call: &Call<'_>) -> Answer {
    call.read(|world| {
        let network = found(world.account(call.account))?.default_network;
        Ok(Reply::ok(&Config { default_network: network.map(|id| id.to_string()).unwrap_or_default() }))
    })
}

pub(super) fn update_config(call: &Call<'_>) -> Answer {
    let text = call.params.required("default_network")?;
    let network: NetworkId = text
        .parse()
        .map_err(|_| ApiError::invalid_argument("property \"default_network\": must be a UUID"))?;
    call.write(|world, _| world.set_default_network(call.account, network))?;
    config(call)
}
