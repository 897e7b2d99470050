//! Migrations of instances (reference 2.24).

use crate::cloudapi::call::Call;
use crate::cloudapi::respond::{Answer, Reply};
use crate::cloudapi::view;

pub(super) fn estimate(call: &Call<'_>) -> Answer {
    let id = call.machine()?;
    let size = call.read(|world| world.migration_estimate(call.account, id))?;
    Ok(Reply::ok(&view::Estimate { size }))
}

/// Begins or continues a migration. `finalize` is answered without a body, and `watch` with what has happened so
/// far: the real server goes on sending.
pub(super) fn act(call: &Call<'_>) -> Answer {
    let id = call.machine()?;
    if call.params.filled("action").as_deref() == Some("watch") {
        let migration = call.read(|world| world.migration(call.account, id).cloned())?;
        return Ok(Reply::ok(&view::MigrationEvent::of(&migration)));
    }
    let migration =
        call.write(|world, now| world.migrate(now, call.account, id, call.params.as_map(), &call.caller))?;
    if call.params.filled("action").as_deref() == Some("finalize") {
        return Ok(Reply::empty(http::StatusCode::OK));
    }
    Ok(Reply::created(&view::Migration::of(&migration)))
}

pub(super) fn list(call: &Call<'_>) -> Answer {
    call.read(|world| {
        let migrations: Vec<_> = world.list_migrations(call.account).map(view::Migration::of).collect();
        Ok(Reply::ok(&migrations))
    })
}

pub(super) fn get(call: &Call<'_>) -> Answer {
    let id = call.machine()?;
    call.read(|world| Ok(Reply::ok(&view::Migration::of(world.migration(call.account, id)?))))
}
