//! Making, changing, sharing and deleting images (reference 2.9).

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;
use triton::id::{AccountId, ImageId, InstanceId};
use uuid::Uuid;

use super::{Image, ImageFile, ImageState};
use crate::world::error::{FieldError, WorldError};
use crate::world::machine::Brand;
use crate::world::params::{self, Params};
use crate::world::{Due, World, after};

/// The most images of one account. The bound is ours.
const MAX_IMAGES: usize = 1000;

impl World {
    /// Makes an image of an instance: `machine`, `name`, `version` and optional fields. It is `creating` for a while.
    /// Says the job too.
    ///
    /// # Errors
    ///
    /// 409 for a missing or bad parameter, 422 when there is no such instance.
    pub fn create_image(
        &mut self,
        now: Timestamp,
        owner: AccountId,
        params: &Params,
    ) -> Result<(Uuid, Arc<Image>), WorldError> {
        let machine = params::required(params, "machine")?;
        for (field, what) in [("name", "Image name"), ("version", "Image version")] {
            if params::text(params, field).is_none() {
                return Err(WorldError::missing_parameter(format!("{what} is a required argument")));
            }
        }
        let no_vm = || {
            let error = FieldError::invalid("vm_uuid", "VM not found");
            WorldError::invalid_parameters("Invalid parameters", vec![error])
        };
        let machine = machine.parse::<InstanceId>().map_err(|_| no_vm())?;
        let machine = self.machine(owner, machine).ok().filter(|machine| machine.is_active());
        let machine = machine.ok_or_else(no_vm)?.clone();
        self.check_image_count(owner)?;
        let source = self.images.get(&machine.image).cloned();
        let kind = match machine.brand {
            Brand::Joyent | Brand::JoyentMinimal => "zone-dataset",
            Brand::Lx => "lx-dataset",
            Brand::Bhyve | Brand::Kvm => "zvol",
        };
        let os = source.as_ref().map_or("other", |image| &*image.os);
        let mut image = Image::new(ImageId::from(self.new_uuid()), owner, "", "", os, kind);
        if let Some(source) = &source {
            image.min_ram_mib = source.min_ram_mib;
            image.max_ram_mib = source.max_ram_mib;
            image.brand = source.brand;
            image.bootrom.clone_from(&source.bootrom);
            image.image_size_mib = source.image_size_mib;
            image.origin = Some(source.id);
        }
        set_fields(&mut image, params)?;
        (image.public, image.state) = (false, ImageState::Creating);
        let (id, image) = (image.id, Arc::new(image));
        self.images.insert(id, image.clone());
        let delay = self.jittered(self.settings.timing.image);
        self.schedule(after(now, delay), Due::Image(id));
        Ok((self.new_uuid(), image))
    }

    /// An image has been made, or cannot be.
    pub(in crate::world) fn image_is_due(&mut self, at: Timestamp, id: ImageId) {
        let fails = self.chance(self.settings.job_failures);
        let number: Vec<u8> = (0..20).map(|_| self.rng.u8(..)).collect();
        let sha1 = number.iter().map(|byte| format!("{byte:02x}")).collect();
        let size = self.rng.u64((100 << 20)..(1 << 30));
        let Some(image) = self.images.get_mut(&id).map(Arc::make_mut) else {
            return;
        };
        if fails {
            image.state = ImageState::Failed;
            return;
        }
        image.state = ImageState::Active;
        image.published = Some(at);
        image.file = Some(ImageFile { compression: "gzip".to_owned(), sha1, size });
    }

    /// Changes fields of an own image, also with whom it is shared (`acl`).
    ///
    /// # Errors
    ///
    /// 404, 403 for another account's image, 409 for a bad field.
    pub fn update_image(
        &mut self,
        owner: AccountId,
        id: ImageId,
        params: &Params,
    ) -> Result<Arc<Image>, WorldError> {
        let mut image = Image::clone(self.own_image(owner, id)?);
        set_fields(&mut image, params)?;
        let image = Arc::new(image);
        self.images.insert(id, image.clone());
        Ok(image)
    }

    /// Makes an own copy of an image that is shared with the account.
    ///
    /// # Errors
    ///
    /// 404, 409 when the image is not shared with the account.
    pub fn clone_image(
        &mut self,
        now: Timestamp,
        owner: AccountId,
        id: ImageId,
    ) -> Result<Arc<Image>, WorldError> {
        let mut image = Image::clone(self.image(owner, id)?);
        if image.owner == owner || !image.acl.contains(&owner) {
            let message = "only images shared with your account can be cloned";
            return Err(WorldError::invalid_argument(message));
        }
        self.check_image_count(owner)?;
        image.id = ImageId::from(self.new_uuid());
        (image.owner, image.public, image.published) = (owner, false, Some(now));
        image.acl.clear();
        let image = Arc::new(image);
        self.images.insert(image.id, image.clone());
        Ok(image)
    }

    /// Copies an own image to Manta: `manta_path`. Says where its file and its manifest are; they are not really
    /// there.
    ///
    /// # Errors
    ///
    /// 404, 403 for another account's image, 409 without a path.
    pub fn export_image(
        &self,
        owner: AccountId,
        id: ImageId,
        params: &Params,
    ) -> Result<(String, String), WorldError> {
        let Some(path) = params::text(params, "manta_path") else {
            let message = "Image destination manta_path is a required argument";
            return Err(WorldError::missing_parameter(message));
        };
        let image = self.own_image(owner, id)?;
        let base = format!("{}/{}-{}", path.trim_end_matches('/'), image.name, image.version);
        Ok((format!("{base}.zfs.gz"), format!("{base}.imgmanifest")))
    }

    /// Copies an image from another data centre, where the same account has one of this id: parameters `datacenter`
    /// and `id`.
    ///
    /// # Errors
    ///
    /// 409 for missing or bad parameters and when the image is here already.
    pub fn import_image(
        &mut self,
        now: Timestamp,
        owner: AccountId,
        params: &Params,
    ) -> Result<Arc<Image>, WorldError> {
        params::required(params, "datacenter")?;
        let id = params::text(params, "id").unwrap_or_default();
        let Ok(id) = id.parse::<ImageId>() else {
            return Err(WorldError::invalid_argument(format!("id {id} must be a UUID")));
        };
        if self.images.contains_key(&id) {
            let message = format!("image with uuid \"{id}\" already exists");
            return Err(WorldError::conflict("ImageUuidAlreadyExists", message));
        }
        self.check_image_count(owner)?;
        let name = format!("imported-{}", id.as_uuid().as_fields().0);
        let mut image = Image::new(id, owner, &name, "1.0.0", "smartos", "zone-dataset");
        (image.public, image.published) = (false, Some(now));
        let image = Arc::new(image);
        self.images.insert(id, image.clone());
        Ok(image)
    }

    /// Deletes an own image.
    ///
    /// # Errors
    ///
    /// 404, 403 for another account's image, 422 while another image builds on it.
    pub fn delete_image(&mut self, owner: AccountId, id: ImageId) -> Result<(), WorldError> {
        self.own_image(owner, id)?;
        if self.images.values().any(|image| image.origin == Some(id)) {
            let message = format!("image \"{id}\" has dependent images");
            return Err(WorldError::refused(422, "ImageHasDependentImages", message, Vec::new()));
        }
        self.images.remove(&id);
        Ok(())
    }

    fn own_image(&self, owner: AccountId, id: ImageId) -> Result<&Arc<Image>, WorldError> {
        let image = self.image(owner, id)?;
        if image.owner != owner {
            return Err(WorldError::refused(403, "NotImageOwner", "you are not the owner", Vec::new()));
        }
        Ok(image)
    }

    fn check_image_count(&self, owner: AccountId) -> Result<(), WorldError> {
        if self.images.values().filter(|image| image.owner == owner).count() >= MAX_IMAGES {
            return Err(WorldError::not_authorized("Quota exceeded"));
        }
        Ok(())
    }
}

/// Sets the fields that a request names.
fn set_fields(image: &mut Image, params: &Params) -> Result<(), WorldError> {
    let invalid = |field: &str, message: &str| {
        WorldError::invalid_parameters("Invalid parameters", vec![FieldError::invalid(field, message)])
    };
    if let Some(name) = params::text(params, "name") {
        if name.len() > 512 {
            return Err(invalid("name", "name too long, max 512 characters"));
        }
        image.name = name.into();
    }
    if let Some(version) = params::text(params, "version") {
        image.version = version;
    }
    let texts = [
        ("description", &mut image.description),
        ("homepage", &mut image.homepage),
        ("eula", &mut image.eula),
    ];
    for (field, place) in texts {
        if params.contains_key(field) {
            *place = params::text(params, field);
        }
    }
    if let Some(acl) = params.get("acl") {
        let ids = params::texts(acl).unwrap_or_default();
        let acl: Result<Vec<AccountId>, _> = ids.iter().map(|id| id.parse()).collect();
        image.acl = acl.map_err(|_| invalid("acl", "not an array of UUIDs"))?;
    }
    match params.get("tags") {
        None => {}
        Some(Value::Object(tags)) => {
            image.tags = tags.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        }
        Some(_) => return Err(invalid("tags", "not an object")),
    }
    Ok(())
}
