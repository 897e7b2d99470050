//! Firewall rules (reference 2.21).

use crate::cloudapi::call::Call;
use crate::cloudapi::respond::{Answer, Reply};
use crate::cloudapi::view;

pub(super) fn list(call: &Call<'_>) -> Answer {
    call.read(|world| {
        let rules: Vec<_> = world.list_rules(call.account).map(view::FirewallRule::of).collect();
        Ok(Reply::ok(&rules))
    })
}

pub(super) fn create(call: &Call<'_>) -> Answer {
    let rule = call.write(|world, _| world.create_rule(call.account, call.params.as_map()))?;
    let location = call.location(&["fwrules", &rule.id.to_string()]);
    Ok(Reply::created(&view::FirewallRule::of(&rule)).location(&location))
}

pub(super) fn get(call: &Call<'_>) -> Answer {
    let id = call.id("id")?;
    call.read(|world| Ok(Reply::ok(&view::FirewallRule::of(world.rule(call.account, id)?))))
}

pub(super) fn update(call: &Call<'_>) -> Answer {
    let id = call.id("id")?;
    let rule = call.write(|world, _| world.update_rule(call.account, id, call.params.as_map()))?;
    Ok(Reply::ok(&view::FirewallRule::of(&rule)))
}

pub(super) fn enable(call: &Call<'_>) -> Answer {
    set_enabled(call, true)
}

pub(super) fn disable(call: &Call<'_>) -> Answer {
    set_enabled(call, false)
}

fn set_enabled(call: &Call<'_>, enabled: bool) -> Answer {
    let id = call.id("id")?;
    let rule = call.write(|world, _| world.enable_rule(call.account, id, enabled))?;
    Ok(Reply::ok(&view::FirewallRule::of(&rule)))
}

pub(super) fn delete(call: &Call<'_>) -> Answer {
    let id = call.id("id")?;
    call.write(|world, _| world.delete_rule(call.account, id))?;
    Ok(Reply::deleted())
}

/// The rules of an instance, global ones among them.
pub(super) fn of_machine(call: &Call<'_>) -> Answer {
    let id = call.machine()?;
    call.read(|world| {
        let rules: Vec<_> = world.rules_of_machine(call.account, id)?.map(view::FirewallRule::of).collect();
        Ok(Reply::ok(&rules))
    })
}
