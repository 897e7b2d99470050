//! Networks and their addresses (reference 2.22).

use triton::id::NetworkId;

use super::machines::page;
use crate::cloudapi::call::Call;
use crate::cloudapi::respond::{Answer, Reply};
use crate::cloudapi::view;
use crate::world::World;
use crate::world::networks::NetworkRef;

/// A network with the suffixes of its names, when CNS is on for the account. Those of a pool depend on the member.
pub(super) fn render<'a>(call: &Call<'_>, world: &World, network: NetworkRef<'a>) -> view::Network<'a> {
    let cns = world.account(call.account).is_some_and(|account| account.cns_enabled);
    let names = call.api.names.as_ref().filter(|_| cns).zip(network.network());
    let suffixes = names.map(|(names, network)| names.suffixes(network.id, call.account, &call.login));
    view::Network::of(network).with_suffixes(suffixes)
}

pub(super) fn list(call: &Call<'_>) -> Answer {
    let fabric = call.params.flag("fabric");
    call.read(|world| {
        let networks = world.list_networks(call.account, fabric == Some(true));
        let wanted = networks.into_iter().filter(|network| {
            fabric != Some(false) || !network.network().is_some_and(|network| network.fabric)
        });
        let networks: Vec<_> = wanted.map(|network| render(call, world, network)).collect();
        Ok(Reply::ok(&networks))
    })
}

pub(super) fn get(call: &Call<'_>) -> Answer {
    let id: NetworkId = call.id("network")?;
    call.read(|world| Ok(Reply::ok(&render(call, world, world.network(call.account, id)?))))
}

pub(super) fn list_addresses(call: &Call<'_>) -> Answer {
    let id = call.id("network")?;
    let page = page(call)?;
    call.read(|world| {
        let addresses = world.list_addresses(call.account, id)?.skip(page.offset).take(page.limit);
        let addresses: Vec<_> =
            addresses.map(|(ip, address)| view::NetworkIp::of(ip, address, call.account)).collect();
        Ok(Reply::counted(&addresses).query_limit(page.limit))
    })
}

pub(super) fn get_address(call: &Call<'_>) -> Answer {
    let id = call.id("network")?;
    let text = call.path_param("ip_address");
    let (ip, address) = call.read(|world| world.address(call.account, id, &text))?;
    Ok(Reply::ok(&view::NetworkIp::of(ip, &address, call.account)))
}

pub(super) fn update_address(call: &Call<'_>) -> Answer {
    let id = call.id("network")?;
    let text = call.path_param("ip_address");
    let (ip, address) =
        call.write(|world, _| world.update_address(call.account, id, &text, call.params.as_map()))?;
    Ok(Reply::ok(&view::NetworkIp::of(ip, &address, call.account)))
}
