//! Metadata of instances (reference 2.18).

use std::collections::BTreeMap;

use serde_json::Value;

use crate::cloudapi::call::Call;
use crate::cloudapi::respond::{Answer, Reply};

pub(super) fn list(call: &Call<'_>) -> Answer {
    let id = call.machine()?;
    call.read(|world| {
        let machine = world.machine(call.account, id)?;
        if !call.params.is_truthy("credentials") || machine.credentials.is_empty() {
            return Ok(Reply::ok(&machine.metadata));
        }
        let mut metadata: BTreeMap<&str, Value> =
            machine.metadata.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
        let credentials = machine.credentials.iter().map(|(user, word)| (user.clone(), word.clone().into()));
        metadata.insert("credentials", Value::Object(credentials.collect()));
        Ok(Reply::ok(&metadata))
    })
}

pub(super) fn add(call: &Call<'_>) -> Answer {
    let id = call.machine()?;
    let (job, metadata) = call
        .write(|world, now| world.add_metadata(now, call.account, id, call.params.as_map(), &call.caller))?;
    Ok(Reply::ok(&metadata).job(job))
}

pub(super) fn get(call: &Call<'_>) -> Answer {
    let id = call.machine()?;
    call.read(|world| Ok(Reply::ok(&world.metadatum(call.account, id, &call.path_param("key"))?)))
}

pub(super) fn delete(call: &Call<'_>) -> Answer {
    let id = call.machine()?;
    let key = call.path_param("key");
    let job = call.write(|world, now| world.delete_metadatum(now, call.account, id, &key, &call.caller))?;
    Ok(Reply::deleted().job(job))
}

pub(super) fn delete_all(call: &Call<'_>) -> Answer {
    let id = call.machine()?;
    let job = call.write(|world, now| world.delete_metadata(now, call.account, id, &call.caller))?;
    Ok(Reply::deleted().job(job))
}
