//! Keys of accounts (reference 2.8).

use crate::cloudapi::call::Call;
use crate::cloudapi::error::ApiError;
use crate::cloudapi::respond::{Answer, Reply};
use crate::cloudapi::view;

pub(super) fn list(call: &Call<'_>) -> Answer {
    call.read(|world| {
        let account = world.account(call.account).ok_or_else(|| ApiError::not_found("account not found"))?;
        let keys: Vec<_> = account.keys.iter().map(view::Key::of).collect();
        Ok(Reply::ok(&keys))
    })
}

pub(super) fn create(call: &Call<'_>) -> Answer {
    let key = call.write(|world, now| world.create_key(now, call.account, call.params.as_map()))?;
    Ok(Reply::created(&view::Key::of(&key)).location(&call.location(&["keys", &key.fingerprint])))
}

pub(super) fn get(call: &Call<'_>) -> Answer {
    call.read(|world| Ok(Reply::ok(&view::Key::of(world.key(call.account, &call.path_param("name"))?))))
}

pub(super) fn delete(call: &Call<'_>) -> Answer {
    call.write(|world, _| world.delete_key(call.account, &call.path_param("name")))?;
    Ok(Reply::deleted())
}
