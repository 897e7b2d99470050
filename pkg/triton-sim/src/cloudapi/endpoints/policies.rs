//! Policies of an account's roles (reference 1.6).

use crate::cloudapi::call::Call;
use crate::cloudapi::respond::{Answer, Reply};
use crate::cloudapi::view;

pub(super) fn list(call: &Call<'_>) -> Answer {
    call.read(|world| {
        let policies: Vec<_> = world.list_policies(call.account).map(view::Policy::of).collect();
        Ok(Reply::ok(&policies))
    })
}

pub(super) fn create(call: &Call<'_>) -> Answer {
    let policy = call.write(|world, _| world.create_policy(call.account, call.params.as_map()))?;
    let location = call.location(&["policies", &policy.id.to_string()]);
    Ok(Reply::created(&view::Policy::of(&policy)).location(&location))
}

pub(super) fn get(call: &Call<'_>) -> Answer {
    let wanted = call.path_param("policy");
    call.read(|world| Ok(Reply::ok(&view::Policy::of(world.policy(call.account, &wanted)?))))
}

pub(super) fn update(call: &Call<'_>) -> Answer {
    let wanted = call.path_param("policy");
    let policy = call.write(|world, _| world.update_policy(call.account, &wanted, call.params.as_map()))?;
    Ok(Reply::ok(&view::Policy::of(&policy)))
}

pub(super) fn delete(call: &Call<'_>) -> Answer {
    let wanted = call.path_param("policy");
    call.write(|world, _| world.delete_policy(call.account, &wanted))?;
    Ok(Reply::deleted())
}
