//! Volumes (reference 2.23).

use triton::id::VolumeId;

use crate::cloudapi::call::Call;
use crate::cloudapi::error::ApiError;
use crate::cloudapi::respond::{Answer, Reply};
use crate::cloudapi::view;
use crate::world::volumes::volume_sizes;

/// The volume in the path.
fn id(call: &Call<'_>) -> Result<VolumeId, ApiError> {
    call.path_param("id").parse().map_err(|_| ApiError::invalid_argument("Error: Invalid volume UUID"))
}

pub(super) fn sizes(_: &Call<'_>) -> Answer {
    let sizes: Vec<_> = volume_sizes().map(view::VolumeSize::of).collect();
    Ok(Reply::ok(&sizes))
}

pub(super) fn list(call: &Call<'_>) -> Answer {
    call.read(|world| {
        let volumes = world.list_volumes(call.account, call.params.as_map())?;
        let volumes: Vec<_> = volumes.into_iter().map(view::Volume::of).collect();
        Ok(Reply::ok(&volumes))
    })
}

pub(super) fn create(call: &Call<'_>) -> Answer {
    let volume = call.write(|world, now| world.create_volume(now, call.account, call.params.as_map()))?;
    let location = call.location(&["volumes", &volume.id.to_string()]);
    Ok(Reply::created(&view::Volume::of(&volume)).location(&location))
}

pub(super) fn get(call: &Call<'_>) -> Answer {
    let id = id(call)?;
    call.read(|world| Ok(Reply::ok(&view::Volume::of(world.volume(call.account, id)?))))
}

/// Renames a volume, the only action there is.
pub(super) fn update(call: &Call<'_>) -> Answer {
    let id = id(call)?;
    match call.params.filled("action").as_deref() {
        Some("update") => {}
        Some(other) => {
            return Err(ApiError::invalid_argument(format!("action {other} is not a valid argument")));
        }
        None => return Err(ApiError::missing_parameter("action is a required argument")),
    }
    let volume = call.write(|world, _| world.update_volume(call.account, id, call.params.as_map()))?;
    Ok(Reply::ok(&view::Volume::of(&volume)))
}

pub(super) fn delete(call: &Call<'_>) -> Answer {
    let id = id(call)?;
    call.write(|world, now| world.delete_volume(now, call.account, id))?;
    Ok(Reply::deleted())
}
