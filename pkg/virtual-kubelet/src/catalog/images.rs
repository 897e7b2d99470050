//! Which image a name means.

use std::sync::Arc;

use triton::types::{Image, ImageState, ImageType};

use super::{Catalog, refuse};
use crate::pod::{ImageName, Refusal, RefusalReason};

const FIELD: &str = "spec.containers[0].image";

impl Catalog {
    /// The image that a pod names: by id, or among the active ones of the name (and version) the one that was
    /// published last; among several of one instant the one with the highest id.
    ///
    /// # Errors
    /// [`RefusalReason::Image`]: there is none, it is not active, or nothing can run it.
    pub fn image(&self, name: &ImageName) -> Result<Arc<Image>, Refusal> {
        let found = match name {
            ImageName::Id(id) => self.images.iter().find(|image| image.id == *id),
            ImageName::Name { name, version } => self
                .images
                .iter()
                .filter(|image| is_active(image) && image.name == *name)
                .filter(|image| version.as_ref().is_none_or(|version| image.version == *version))
                .max_by_key(|image| (image.published_at, image.id)),
        };
        let Some(image) = found else {
            let message = match name {
                ImageName::Id(id) => format!("no image {id} is visible to the account"),
                ImageName::Name { .. } => format!("no active image {name} is visible to the account"),
            };
            let message = format!("{message}; `triton images` lists those that are");
            return Err(refuse(RefusalReason::Image, FIELD, message));
        };
        let refuse = |message: String| Err(refuse(RefusalReason::Image, FIELD, message));
        if !is_active(image) {
            let state = image.state.as_ref().map_or("in no state", ImageState::as_str);
            return refuse(format!("image {} is {state}; choose an active one", label(image)));
        }
        if matches!(image.image_type, ImageType::Lxd | ImageType::Other) {
            let kind = image.image_type.as_str();
            return refuse(format!("image {} is of type {kind}, which no instance runs", label(image)));
        }
        Ok(Arc::clone(image))
    }
}

/// Whether instances can be made from it; also when the server does not say, for it lists only those.
fn is_active(image: &Image) -> bool {
    image.state.as_ref().is_none_or(|state| *state == ImageState::Active)
}

/// As users name it.
pub(super) fn label(image: &Image) -> String {
    match (&*image.name, &*image.version) {
        ("", _) => image.id.to_string(),
        (name, "") => name.to_owned(),
        (name, version) => format!("{name}@{version}"),
    }
}
