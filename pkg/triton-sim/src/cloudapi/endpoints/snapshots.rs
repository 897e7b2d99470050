//! Snapshots of instances (reference 2.20).

use crate::cloudapi::call::Call;
use crate::cloudapi::respond::{Answer, Reply};
use crate::cloudapi::view;
use crate::world::snapshots::SnapshotStatus;

pub(super) fn list(call: &Call<'_>) -> Answer {
    let id = call.machine()?;
    call.read(|world| {
        let snapshots = world.list_snapshots(call.account, id)?;
        let snapshots: Vec<_> = snapshots.iter().map(view::Snapshot::created).collect();
        Ok(Reply::ok(&snapshots))
    })
}

pub(super) fn create(call: &Call<'_>) -> Answer {
    let id = call.machine()?;
    let name = call.write(|world, now| {
        world.create_snapshot(now, call.account, id, call.params.as_map(), &call.caller)
    })?;
    Ok(Reply::created(&view::Snapshot::queued(&name)))
}

pub(super) fn get(call: &Call<'_>) -> Answer {
    let id = call.machine()?;
    let name = call.path_param("name");
    Ok(match call.read(|world| world.snapshot(call.account, id, &name))? {
        SnapshotStatus::Created(snapshot) => Reply::ok(&view::Snapshot::created(&snapshot)),
        SnapshotStatus::Queued(name) => Reply::ok(&view::Snapshot::queued(&name)),
    })
}

/// Rolls the instance back and starts it.
pub(super) fn start(call: &Call<'_>) -> Answer {
    let id = call.machine()?;
    let name = call.path_param("name");
    call.write(|world, now| world.start_from_snapshot(now, call.account, id, &name, &call.caller))?;
    Ok(Reply::accepted())
}

pub(super) fn delete(call: &Call<'_>) -> Answer {
    let id = call.machine()?;
    let name = call.path_param("name");
    call.write(|world, now| world.delete_snapshot(now, call.account, id, &name, &call.caller))?;
    Ok(Reply::deleted())
}
