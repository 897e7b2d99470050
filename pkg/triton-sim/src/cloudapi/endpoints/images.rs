//! Images (reference 2.9).

use http::HeaderName;
use serde::Serialize;

use crate::cloudapi::call::Call;
use crate::cloudapi::error::ApiError;
use crate::cloudapi::respond::{Answer, Reply};
use crate::cloudapi::view;
use crate::world::images::Image;

/// The header with the job that makes an image.
const JOB: HeaderName = HeaderName::from_static("x-joyent-jobid");

fn view<'a>(call: &Call<'_>, image: &'a Image) -> view::Image<'a> {
    view::Image::of(image, call.account, call.version)
}

pub(super) fn list(call: &Call<'_>) -> Answer {
    call.read(|world| {
        let images = world.list_images(call.account, call.params.as_map());
        let images: Vec<_> = images.iter().map(|image| view(call, image)).collect();
        Ok(Reply::ok(&images))
    })
}

pub(super) fn get(call: &Call<'_>) -> Answer {
    let id = call.id("dataset")?;
    call.read(|world| Ok(Reply::ok(&view(call, world.image(call.account, id)?))))
}

/// Makes an image of an instance, or copies one from another data centre.
pub(super) fn create(call: &Call<'_>) -> Answer {
    let params = call.params.as_map();
    match call.params.filled("action").as_deref() {
        None => {
            let (job, image) = call.write(|world, now| world.create_image(now, call.account, params))?;
            let location = call.location(&["images", &image.id.to_string()]);
            let reply = Reply::created(&view(call, &image)).location(&location);
            Ok(reply.header(JOB, &job.to_string()))
        }
        Some("import-from-datacenter") => {
            let image = call.write(|world, now| world.import_image(now, call.account, params))?;
            Ok(Reply::created(&view(call, &image)))
        }
        Some(other) => Err(ApiError::invalid_argument(format!("action {other} is not a valid argument"))),
    }
}

#[derive(Serialize)]
struct Exported {
    manta_url: String,
    image_path: String,
    manifest_path: String,
}

/// Updates, exports or clones an image.
pub(super) fn update(call: &Call<'_>) -> Answer {
    let id = call.id("dataset")?;
    let params = call.params.as_map();
    match call.params.filled("action").as_deref() {
        Some("update") => {
            let image = call.write(|world, _| world.update_image(call.account, id, params))?;
            Ok(Reply::ok(&view(call, &image)))
        }
        Some("export") => {
            let (image_path, manifest_path) =
                call.read(|world| world.export_image(call.account, id, params))?;
            let manta_url = call.api.settings.url.clone();
            Ok(Reply::ok(&Exported { manta_url, image_path, manifest_path }))
        }
        Some("clone") => {
            let image = call.write(|world, now| world.clone_image(now, call.account, id))?;
            Ok(Reply::ok(&view(call, &image)))
        }
        Some(other) => Err(ApiError::invalid_argument(format!("action {other} is not a valid argument"))),
        None => Err(ApiError::missing_parameter("action is a required argument")),
    }
}

pub(super) fn delete(call: &Call<'_>) -> Answer {
    let id = call.id("dataset")?;
    call.write(|world, _| world.delete_image(call.account, id))?;
    Ok(Reply::deleted())
}
