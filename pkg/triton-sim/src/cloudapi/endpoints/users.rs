//! Sub-users of an account and their keys (reference 1.6).

use crate::cloudapi::call::Call;
use crate::cloudapi::respond::{Answer, Reply};
use crate::cloudapi::view;

pub(super) fn list(call: &Call<'_>) -> Answer {
    call.read(|world| {
        let users: Vec<_> = world.list_users(call.account).map(view::User::of).collect();
        Ok(Reply::ok(&users))
    })
}

pub(super) fn create(call: &Call<'_>) -> Answer {
    let user = call.write(|world, now| world.create_user(now, call.account, call.params.as_map()))?;
    Ok(Reply::created(&view::User::of(&user)).location(&call.location(&["users", &user.login])))
}

/// One sub-user, with its roles when `membership` is given.
pub(super) fn get(call: &Call<'_>) -> Answer {
    let wanted = call.path_param("user");
    call.read(|world| {
        let user = world.user(call.account, &wanted)?;
        let view = view::User::of(user);
        if !call.params.is_truthy("membership") {
            return Ok(Reply::ok(&view));
        }
        let named = |default: bool| {
            let roles = world.list_roles(call.account).filter(|role| {
                role.members.iter().any(|member| member.id == user.id && (member.default || !default))
            });
            roles.map(|role| role.name.as_str()).collect()
        };
        Ok(Reply::ok(&view.with_roles(named(false), named(true))))
    })
}

pub(super) fn update(call: &Call<'_>) -> Answer {
    let wanted = call.path_param("user");
    let user =
        call.write(|world, now| world.update_user(now, call.account, &wanted, call.params.as_map()))?;
    Ok(Reply::ok(&view::User::of(&user)))
}

pub(super) fn change_password(call: &Call<'_>) -> Answer {
    let wanted = call.path_param("user");
    let user =
        call.write(|world, now| world.change_password(now, call.account, &wanted, call.params.as_map()))?;
    Ok(Reply::ok(&view::User::of(&user)))
}

pub(super) fn delete(call: &Call<'_>) -> Answer {
    let wanted = call.path_param("user");
    call.write(|world, _| world.delete_user(call.account, &wanted))?;
    Ok(Reply::deleted())
}

pub(super) fn list_keys(call: &Call<'_>) -> Answer {
    let user = call.path_param("user");
    call.read(|world| {
        let keys: Vec<_> = world.user(call.account, &user)?.keys.iter().map(view::Key::of).collect();
        Ok(Reply::ok(&keys))
    })
}

pub(super) fn create_key(call: &Call<'_>) -> Answer {
    let user = call.path_param("user");
    let key =
        call.write(|world, now| world.create_user_key(now, call.account, &user, call.params.as_map()))?;
    let location = call.location(&["users", &user, "keys", &key.fingerprint]);
    Ok(Reply::created(&view::Key::of(&key)).location(&location))
}

pub(super) fn get_key(call: &Call<'_>) -> Answer {
    let (user, name) = (call.path_param("user"), call.path_param("name"));
    call.read(|world| Ok(Reply::ok(&view::Key::of(world.user_key(call.account, &user, &name)?))))
}

pub(super) fn delete_key(call: &Call<'_>) -> Answer {
    let (user, name) = (call.path_param("user"), call.path_param("name"));
    call.write(|world, _| world.delete_user_key(call.account, &user, &name))?;
    Ok(Reply::deleted())
}
