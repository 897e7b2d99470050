//! NICs of instances (reference 2.19).

use http::StatusCode;

use crate::cloudapi::call::Call;
use crate::cloudapi::respond::{Answer, Reply};
use crate::cloudapi::view;
use crate::world::{Mac, WorldError};

/// The path of a NIC, in which its address has no colons.
fn location(call: &Call<'_>, machine: &str, mac: Mac) -> String {
    let digits: String = mac.to_string().chars().filter(|digit| *digit != ':').collect();
    call.location(&["machines", machine, "nics", &digits])
}

pub(super) fn list(call: &Call<'_>) -> Answer {
    let id = call.machine()?;
    call.read(|world| {
        let nics: Vec<_> =
            world.list_nics(call.account, id)?.map(|(nic, state)| view::Nic::of(nic, state)).collect();
        Ok(Reply::counted(&nics))
    })
}

pub(super) fn get(call: &Call<'_>) -> Answer {
    let id = call.machine()?;
    let mac = call.path_param("mac");
    call.read(|world| {
        let (nic, state) = world.nic(call.account, id, &mac)?;
        Ok(Reply::ok(&view::Nic::of(nic, state)))
    })
}

/// Adds a NIC. An instance that has one on the network already is answered 302 with its path and no body.
pub(super) fn add(call: &Call<'_>) -> Answer {
    let id = call.machine()?;
    let machine = id.to_string();
    let added =
        call.write(|world, now| world.add_nic(now, call.account, id, call.params.as_map(), &call.caller));
    match added {
        Ok(nic) => {
            let reply = Reply::created(&view::Nic::of(&nic, "provisioning"));
            Ok(reply.location(&location(call, &machine, nic.mac)))
        }
        Err(WorldError::NicExists { mac, .. }) => {
            Ok(Reply::empty(StatusCode::FOUND).location(&location(call, &machine, mac)))
        }
        Err(error) => Err(error.into()),
    }
}

pub(super) fn remove(call: &Call<'_>) -> Answer {
    let id = call.machine()?;
    let mac = call.path_param("mac");
    call.write(|world, now| world.remove_nic(now, call.account, id, &mac, &call.caller))?;
    Ok(Reply::deleted())
}
