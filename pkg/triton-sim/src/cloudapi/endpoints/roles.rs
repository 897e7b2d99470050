//! Roles of an account (reference 1.6).

use crate::cloudapi::call::Call;
use crate::cloudapi::respond::{Answer, Reply};
use crate::cloudapi::view;
use crate::world::World;
use crate::world::rbac::Role;

fn render<'a>(call: &Call<'_>, world: &'a World, role: &'a Role) -> view::Role<'a> {
    view::Role::of(world, call.account, role, call.version)
}

pub(super) fn list(call: &Call<'_>) -> Answer {
    call.read(|world| {
        let roles: Vec<_> = world.list_roles(call.account).map(|role| render(call, world, role)).collect();
        Ok(Reply::ok(&roles))
    })
}

pub(super) fn create(call: &Call<'_>) -> Answer {
    call.write(|world, _| {
        let role = world.create_role(call.account, call.params.as_map(), call.version.major)?;
        let location = call.location(&["roles", &role.id.to_string()]);
        Ok(Reply::created(&render(call, world, &role)).location(&location))
    })
}

pub(super) fn get(call: &Call<'_>) -> Answer {
    let wanted = call.path_param("role");
    call.read(|world| Ok(Reply::ok(&render(call, world, world.role(call.account, &wanted)?))))
}

pub(super) fn update(call: &Call<'_>) -> Answer {
    let wanted = call.path_param("role");
    call.write(|world, _| {
        let role = world.update_role(call.account, &wanted, call.params.as_map(), call.version.major)?;
        Ok(Reply::ok(&render(call, world, &role)))
    })
}

pub(super) fn delete(call: &Call<'_>) -> Answer {
    let wanted = call.path_param("role");
    call.write(|world, _| world.delete_role(call.account, &wanted))?;
    Ok(Reply::deleted())
}
