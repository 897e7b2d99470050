//! Access keys of accounts and sub-users for object storage (reference 2.7).

use uuid::Uuid;

use crate::cloudapi::call::Call;
use crate::cloudapi::respond::{Answer, Reply};
use crate::cloudapi::view;
use crate::world::{World, WorldError};

/// The sub-user in the path, if there is one.
fn user(call: &Call<'_>, world: &World) -> Result<Option<Uuid>, WorldError> {
    let user = call.params.filled("user");
    user.map(|user| world.user(call.account, &user).map(|user| user.id)).transpose()
}

pub(super) fn list(call: &Call<'_>) -> Answer {
    call.read(|world| {
        let user = user(call, world)?;
        let keys: Vec<_> = world.list_access_keys(call.account, user).map(view::AccessKey::of).collect();
        Ok(Reply::ok(&keys))
    })
}

pub(super) fn create(call: &Call<'_>) -> Answer {
    let key = call.write(|world, now| {
        let user = user(call, world)?;
        world.create_access_key(now, call.account, user, call.params.as_map())
    })?;
    let location = match call.params.filled("user") {
        Some(user) => call.location(&["users", &user, "accesskeys", &key.id]),
        None => call.location(&["accesskeys", &key.id]),
    };
    Ok(Reply::created(&view::AccessKey::of(&key).with_secret(&key)).location(&location))
}

pub(super) fn get(call: &Call<'_>) -> Answer {
    let id = call.path_param("accesskeyid");
    call.read(|world| {
        let user = user(call, world)?;
        Ok(Reply::ok(&view::AccessKey::of(world.access_key(call.account, user, &id)?)))
    })
}

pub(super) fn delete(call: &Call<'_>) -> Answer {
    let id = call.path_param("accesskeyid");
    call.write(|world, _| {
        let user = user(call, world)?;
        world.delete_access_key(call.account, user, &id)
    })?;
    Ok(Reply::deleted())
}
