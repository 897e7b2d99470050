//! Disks of bhyve instances (reference 2.20).

use crate::cloudapi::call::Call;
use crate::cloudapi::respond::{Answer, Reply};
use crate::cloudapi::view;

pub(super) fn list(call: &Call<'_>) -> Answer {
    let id = call.machine()?;
    let disks = call.read(|world| world.list_disks(call.account, id))?;
    let disks: Vec<_> = disks.iter().map(|(disk, state)| view::Disk::of(disk, state)).collect();
    Ok(Reply::counted(&disks))
}

pub(super) fn get(call: &Call<'_>) -> Answer {
    let (id, disk) = (call.machine()?, call.id("disk")?);
    let (disk, state) = call.read(|world| world.disk(call.account, id, disk))?;
    Ok(Reply::ok(&view::Disk::of(&disk, state)))
}

/// Makes a disk. Only one whose slot was asked for can be told at once.
pub(super) fn create(call: &Call<'_>) -> Answer {
    let id = call.machine()?;
    let disk = call
        .write(|world, now| world.create_disk(now, call.account, id, call.params.as_map(), &call.caller))?;
    Ok(match disk {
        None => Reply::accepted(),
        Some(disk) => {
            let location = call.location(&["machines", &id.to_string(), "disks", &disk.id.to_string()]);
            Reply::ok(&view::Disk::of(&disk, "creating")).location(&location)
        }
    })
}

pub(super) fn resize(call: &Call<'_>) -> Answer {
    let (id, disk) = (call.machine()?, call.id("disk")?);
    let disk = call.write(|world, now| {
        world.resize_disk(now, call.account, id, disk, call.params.as_map(), &call.caller)
    })?;
    Ok(Reply::ok(&view::Disk::of(&disk, "resizing")))
}

pub(super) fn delete(call: &Call<'_>) -> Answer {
    let (id, disk) = (call.machine()?, call.id("disk")?);
    call.write(|world, now| world.delete_disk(now, call.account, id, disk, &call.caller))?;
    Ok(Reply::deleted())
}
