//! Migrations of instances (reference 2.24).

use std::time::Duration;

use http::{StatusCode, header};
use tokio::time::sleep;

use crate::cloudapi::call::Call;
use crate::cloudapi::error::ApiError;
use crate::cloudapi::respond::{Answer, Reply};
use crate::cloudapi::routes::Operation;
use crate::cloudapi::view;
use crate::world::migrations::{Migration, MigrationState};

/// How often a watched migration is looked at. The service behind the real CloudAPI looks once a second; shorter,
/// so that what takes no time here is told of at once.
const WATCH_INTERVAL: Duration = Duration::from_millis(50);

pub(super) fn estimate(call: &Call<'_>) -> Answer {
    let id = call.machine()?;
    let size = call.read(|world| world.migration_estimate(call.account, id))?;
    Ok(Reply::ok(&view::Estimate { size }))
}

/// Whether a request wants to watch a migration: [`watch`] answers it.
pub(crate) fn is_watched(call: &Call<'_>) -> bool {
    call.operation == Operation::Migrate && call.params.filled("action").as_deref() == Some("watch")
}

/// Tells how a migration goes until it no longer runs: a line of JSON for each phase from the one that is under way
/// on, and one for the end. The real server sends each line when it happens, here they all come at the end.
pub(crate) async fn watch(call: &Call<'_>) -> Answer {
    let id = call.machine()?;
    let find = || call.read(|world| world.migration(call.account, id).cloned());
    let mut migration = find()?;
    let under_way = |migration: &Migration| migration.state == MigrationState::Running;
    let before = migration.progress.len() - usize::from(under_way(&migration));
    while under_way(&migration) {
        sleep(WATCH_INTERVAL).await;
        // Gone with its instance: then the last that is known of it is told.
        let Ok(now) = find() else { break };
        migration = now;
    }
    let lines = view::migration_events(&migration, before);
    let lines = lines.map_err(|_| ApiError::internal("Internal Error"))?;
    let reply = Reply { body: Some(lines.into()), ..Reply::empty(StatusCode::OK) };
    Ok(reply.header(header::CONTENT_TYPE, "application/x-json-stream"))
}

/// Begins or continues a migration. `finalize` is answered without a body.
pub(super) fn act(call: &Call<'_>) -> Answer {
    let id = call.machine()?;
    let migration =
        call.write(|world, now| world.migrate(now, call.account, id, call.params.as_map(), &call.caller))?;
    if call.params.filled("action").as_deref() == Some("finalize") {
        return Ok(Reply::empty(StatusCode::OK));
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
