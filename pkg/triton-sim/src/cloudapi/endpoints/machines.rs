//! Instances: making, finding, changing, deleting, and what was done to them (reference 2.11 to 2.16, 2.25).

use std::sync::Arc;

use crate::cloudapi::call::Call;
use crate::cloudapi::error::ApiError;
use crate::cloudapi::respond::{Answer, Reply};
use crate::cloudapi::view;
use crate::world::list::MachineFilter;
use crate::world::{Machine, WorldError};

/// The largest page, and the one that is sent when none is asked for.
const MAX_PAGE: usize = 1000;

/// Which rows of a list are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) limit: usize,
    pub(super) offset: usize,
}

/// Reads `limit` and `offset` (reference 2.6).
pub(super) fn page(call: &Call<'_>) -> Result<Page, ApiError> {
    let refused = |name: &str, message: String| {
        ApiError::validation_failed("Invalid VM parameters").field(name, "Invalid", message)
    };
    let limit = match call.params.integer("limit") {
        None => MAX_PAGE,
        Some(limit) => limit
            .ok()
            .and_then(|limit| usize::try_from(limit).ok())
            .filter(|limit| (1..=MAX_PAGE).contains(limit))
            .ok_or_else(|| refused("limit", format!("must be a number from 1 to {MAX_PAGE}")))?,
    };
    let offset = match call.params.integer("offset") {
        None => 0,
        Some(offset) => offset
            .ok()
            .and_then(|offset| usize::try_from(offset).ok())
            .ok_or_else(|| refused("offset", "must be a number from 0".to_owned()))?,
    };
    Ok(Page { limit, offset })
}

/// Instances as JSON. Rows are shared, so that the lock on the truth is not held meanwhile.
fn render(machines: &[Arc<Machine>], credentials: bool) -> Vec<view::Machine<'_>> {
    let one = |machine| {
        let view = view::Machine::of(machine);
        if credentials { view.with_credentials(machine) } else { view }
    };
    machines.iter().map(|machine| one(&**machine)).collect()
}

pub(super) fn list(call: &Call<'_>) -> Answer {
    let page = page(call)?;
    let filter = MachineFilter::from_params(call.params.as_map())?;
    let (decision, plan) = (call.decision, call.api.faults.plan());
    let shown = |machine: &Machine| {
        decision.has_row(machine.id.as_uuid().as_u128()) && !plan.instances.unlisted.contains(&machine.id)
    };
    let machines: Vec<Arc<Machine>> = call.read(|world| {
        let machines = world.list_machines(call.account, &filter);
        // A row that is missing moves all rows behind it, as when an instance goes between two pages.
        let machines = machines.filter(|machine| shown(machine));
        machines.skip(page.offset).take(page.limit).cloned().collect()
    });
    let rows = render(&machines, call.params.is_truthy("credentials"));
    Ok(Reply::counted(&rows).query_limit(page.limit))
}

pub(super) fn create(call: &Call<'_>) -> Answer {
    let machine = call.write(|world, now| {
        world.create_machine(now, call.account, call.params.as_map(), call.version.major, &call.caller)
    })?;
    let id = machine.id.to_string();
    Ok(Reply::created(&view::Machine::of(&machine)).location(&call.location(&["machines", &id])))
}

pub(super) fn get(call: &Call<'_>) -> Answer {
    let id = call.machine()?;
    if call.api.faults.plan().instances.not_found.contains(&id) {
        return Err(WorldError::not_found("VM not found").into());
    }
    let (machine, cns) = call.read(|world| {
        let cns = world.account(call.account).is_some_and(|account| account.cns_enabled);
        world.machine(call.account, id).map(|machine| (Arc::clone(machine), cns))
    })?;
    let names = call.api.names.as_ref().filter(|_| cns).map(|names| names.dns_names(id));
    let view = view::Machine::of(&machine).with_dns_names(names);
    let view = match call.params.is_truthy("credentials") {
        true => view.with_credentials(&machine),
        false => view,
    };
    let status = if machine.is_destroyed() { http::StatusCode::GONE } else { http::StatusCode::OK };
    Ok(Reply::json(status, &view))
}

pub(super) fn update(call: &Call<'_>) -> Answer {
    let id = call.machine()?;
    call.write(|world, now| world.update_machine(now, call.account, id, call.params.as_map(), &call.caller))?;
    Ok(Reply::accepted())
}

pub(super) fn delete(call: &Call<'_>) -> Answer {
    let id = call.machine()?;
    call.write(|world, now| world.delete_machine(now, call.account, id, &call.caller))?;
    Ok(Reply::deleted())
}

pub(super) fn audit(call: &Call<'_>) -> Answer {
    let id = call.machine()?;
    call.read(|world| {
        world.machine(call.account, id)?;
        let entries: Vec<_> = world.audit(id).map(view::Audit::of).collect();
        Ok(Reply::ok(&entries))
    })
}

/// The instances of a firewall rule.
pub(super) fn of_firewall_rule(call: &Call<'_>) -> Answer {
    let rule = call.id("id")?;
    let machines: Vec<Arc<Machine>> =
        call.read(|world| Ok::<_, ApiError>(world.machines_of_rule(call.account, rule)?.cloned().collect()))?;
    Ok(Reply::counted(&render(&machines, false)))
}
