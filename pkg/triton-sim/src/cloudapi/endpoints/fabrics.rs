//! The fabric of an account: VLANs and the networks on them (reference 2.22).

use http::StatusCode;
use triton::id::NetworkId;

use super::networks::render;
use crate::cloudapi::call::Call;
use crate::cloudapi::error::ApiError;
use crate::cloudapi::respond::{Answer, Reply};
use crate::cloudapi::view;
use crate::world::networks::NetworkRef;

/// The VLAN in the path.
fn vlan_id(call: &Call<'_>) -> Result<u16, ApiError> {
    call.path_param("vlan_id").parse().map_err(|_| {
        ApiError::invalid_argument("property \"vlan_id\": VLAN ID must be a number between 0 and 4094")
    })
}

pub(super) fn list_vlans(call: &Call<'_>) -> Answer {
    call.read(|world| {
        let vlans: Vec<_> = world.list_vlans(call.account)?.map(view::Vlan::of).collect();
        Ok(Reply::ok(&vlans))
    })
}

pub(super) fn create_vlan(call: &Call<'_>) -> Answer {
    let vlan = call.write(|world, _| world.create_vlan(call.account, call.params.as_map()))?;
    Ok(Reply::created(&view::Vlan::of(&vlan)))
}

pub(super) fn get_vlan(call: &Call<'_>) -> Answer {
    let vlan_id = vlan_id(call)?;
    call.read(|world| Ok(Reply::ok(&view::Vlan::of(world.vlan(call.account, vlan_id)?))))
}

pub(super) fn update_vlan(call: &Call<'_>) -> Answer {
    let vlan_id = vlan_id(call)?;
    let vlan = call.write(|world, _| world.update_vlan(call.account, vlan_id, call.params.as_map()))?;
    Ok(Reply::json(StatusCode::ACCEPTED, &view::Vlan::of(&vlan)))
}

pub(super) fn delete_vlan(call: &Call<'_>) -> Answer {
    let vlan_id = vlan_id(call)?;
    call.write(|world, _| world.delete_vlan(call.account, vlan_id))?;
    Ok(Reply::deleted())
}

pub(super) fn list_networks(call: &Call<'_>) -> Answer {
    let vlan_id = vlan_id(call)?;
    call.read(|world| {
        let networks = world.list_fabric_networks(call.account, vlan_id)?;
        let networks: Vec<_> =
            networks.map(|network| render(call, world, NetworkRef::Network(network))).collect();
        Ok(Reply::ok(&networks))
    })
}

pub(super) fn create_network(call: &Call<'_>) -> Answer {
    let vlan_id = vlan_id(call)?;
    call.write(|world, _| {
        let network = world.create_fabric_network(call.account, vlan_id, call.params.as_map())?;
        Ok(Reply::created(&render(call, world, NetworkRef::Network(&network))))
    })
}

pub(super) fn get_network(call: &Call<'_>) -> Answer {
    let (vlan_id, id): (_, NetworkId) = (vlan_id(call)?, call.id("id")?);
    call.read(|world| {
        let network = world.fabric_network(call.account, vlan_id, id)?;
        Ok(Reply::ok(&render(call, world, NetworkRef::Network(network))))
    })
}

pub(super) fn update_network(call: &Call<'_>) -> Answer {
    let (vlan_id, id) = (vlan_id(call)?, call.id("id")?);
    call.write(|world, _| {
        let network = world.update_fabric_network(call.account, vlan_id, id, call.params.as_map())?;
        Ok(Reply::ok(&render(call, world, NetworkRef::Network(&network))))
    })
}

pub(super) fn delete_network(call: &Call<'_>) -> Answer {
    let (vlan_id, id) = (vlan_id(call)?, call.id("id")?);
    call.write(|world, _| world.delete_fabric_network(call.account, vlan_id, id))?;
    Ok(Reply::deleted())
}
