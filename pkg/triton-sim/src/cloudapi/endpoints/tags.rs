//! Tags of instances (reference 2.17).

use crate::cloudapi::call::Call;
use crate::cloudapi::respond::{Answer, Reply};

pub(super) fn list(call: &Call<'_>) -> Answer {
    let id = call.machine()?;
    call.read(|world| Ok(Reply::ok(&world.machine(call.account, id)?.tags)))
}

pub(super) fn add(call: &Call<'_>) -> Answer {
    let id = call.machine()?;
    let (job, tags) =
        call.write(|world, now| world.add_tags(now, call.account, id, call.params.as_map(), &call.caller))?;
    Ok(Reply::ok(&tags).job(job))
}

pub(super) fn replace(call: &Call<'_>) -> Answer {
    let id = call.machine()?;
    let (job, tags) = call
        .write(|world, now| world.replace_tags(now, call.account, id, call.params.as_map(), &call.caller))?;
    Ok(Reply::ok(&tags).job(job))
}

/// One tag. A value that is no string comes back as an empty one.
pub(super) fn get(call: &Call<'_>) -> Answer {
    let id = call.machine()?;
    call.read(|world| {
        let value = world.tag(call.account, id, &call.path_param("tag"))?;
        Ok(Reply::ok(&value.as_str().unwrap_or_default()))
    })
}

pub(super) fn delete(call: &Call<'_>) -> Answer {
    let id = call.machine()?;
    let tag = call.path_param("tag");
    let job = call.write(|world, now| world.delete_tag(now, call.account, id, &tag, &call.caller))?;
    Ok(Reply::deleted().job(job))
}

pub(super) fn delete_all(call: &Call<'_>) -> Answer {
    let id = call.machine()?;
    let job = call.write(|world, now| world.delete_tags(now, call.account, id, &call.caller))?;
    Ok(Reply::deleted().job(job))
}
