//! Images (reference 2.9).

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;
use triton::id::{AccountId, ImageId, InstanceId};
use uuid::Uuid;

use super::error::{FieldError, WorldError};
use super::machine::{Brand, Tags};
use super::params::{self, Params};
use super::{Due, World, after};

/// The most images of one account. The bound is ours.
const MAX_IMAGES: usize = 1000;

/// An image.
#[derive(Debug, Clone, PartialEq)]
pub struct Image {
    /// Its id.
    pub id: ImageId,
    /// Its name.
    pub name: Arc<str>,
    /// Its version.
    pub version: String,
    /// Its operating system: `smartos`, `linux`, `windows`, `bsd` or `other`.
    pub os: String,
    /// Its type: `zone-dataset`, `lx-dataset`, `zvol`, `docker`, `lxd` or `other`.
    pub kind: String,
    /// The least memory in MiB.
    pub min_ram_mib: Option<u64>,
    /// The most memory in MiB.
    pub max_ram_mib: Option<u64>,
    /// The only brand it can be used with.
    pub brand: Option<Brand>,
    /// How it boots: `bios` or `uefi`.
    pub bootrom: Option<String>,
    /// How many public networks it can have, if it says so.
    pub public_networks: Option<usize>,
    /// Whether an administrator's password has to be given, and no keys are needed.
    pub needs_password: bool,
    /// The size of its virtual disk in MiB; only for the type `zvol`.
    pub image_size_mib: Option<u64>,
    /// What it is.
    pub description: Option<String>,
    /// Where to read more.
    pub homepage: Option<String>,
    /// Its licence.
    pub eula: Option<String>,
    /// Its file, once made.
    pub file: Option<ImageFile>,
    /// Its tags, such as `default_user`.
    pub tags: Tags,
    /// When it was published.
    pub published: Option<Timestamp>,
    /// Its account.
    pub owner: AccountId,
    /// Whether everybody sees it.
    pub public: bool,
    /// Its state.
    pub state: ImageState,
    /// The accounts that it is shared with.
    pub acl: Vec<AccountId>,
    /// The image it builds on.
    pub origin: Option<ImageId>,
    /// The roles it is tagged with, by name.
    pub role_tags: Vec<String>,
}

/// The file of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFile {
    /// How it is compressed: `gzip`, `none` and others.
    pub compression: String,
    /// Its SHA-1 in hexadecimal digits.
    pub sha1: String,
    /// Its size in bytes.
    pub size: u64,
}

/// The state of an image (reference 2.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImageState {
    /// It can be used.
    Active,
    /// It can no longer be used.
    Disabled,
    /// It cannot be used yet.
    Unactivated,
    /// It is being made.
    Creating,
    /// It could not be made.
    Failed,
}

impl ImageState {
    /// CloudAPI's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
            Self::Unactivated => "unactivated",
            Self::Creating => "creating",
            Self::Failed => "failed",
        }
    }
}

impl Image {
    /// An active, public image without requirements.
    pub fn new(id: ImageId, owner: AccountId, name: &str, version: &str, os: &str, kind: &str) -> Self {
        Self {
            id,
            name: name.into(),
            version: version.to_owned(),
            os: os.to_owned(),
            kind: kind.to_owned(),
            min_ram_mib: None,
            max_ram_mib: None,
            brand: None,
            bootrom: None,
            public_networks: None,
            needs_password: false,
            image_size_mib: None,
            description: None,
            homepage: None,
            eula: None,
            file: None,
            tags: BTreeMap::new(),
            published: None,
            owner,
            public: true,
            state: ImageState::Active,
            acl: Vec::new(),
            origin: None,
            role_tags: Vec::new(),
        }
    }

    /// Whether instances can be made from it.
    pub fn is_active(&self) -> bool {
        self.state == ImageState::Active
    }

    fn is_visible_to(&self, account: AccountId) -> bool {
        self.owner == account
            || (self.state == ImageState::Active && (self.public || self.acl.contains(&account)))
    }
}

impl World {
    /// Adds an image; one of the same id is replaced.
    pub fn add_image(&mut self, image: Image) {
        self.images.insert(image.id, Arc::new(image));
    }

    /// An image by id, whoever may see it.
    pub fn image_by_id(&self, id: ImageId) -> Option<&Arc<Image>> {
        self.images.get(&id)
    }

    /// An image that an account sees: its own in any state, and active ones that are public or shared with it.
    ///
    /// # Errors
    ///
    /// 404.
    pub fn image(&self, owner: AccountId, id: ImageId) -> Result<&Arc<Image>, WorldError> {
        let image = self.images.get(&id).filter(|image| image.is_visible_to(owner));
        image.ok_or_else(|| WorldError::not_found("image not found"))
    }

    /// The images an account sees, by id, filtered by `name`, `os`, `version`, `public`, `state`, `owner`, `type` and
    /// `tag.NAME`. Only active ones without `state`, and none of type docker without `type` (reference 2.9).
    pub fn list_images(&self, owner: AccountId, params: &Params) -> Vec<&Arc<Image>> {
        let visible = self.images.values().filter(|image| image.is_visible_to(owner));
        visible.filter(|image| image.matches(params)).collect()
    }

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
    pub(super) fn image_is_due(&mut self, at: Timestamp, id: ImageId) {
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
        image.role_tags.clear();
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

impl Image {
    fn matches(&self, params: &Params) -> bool {
        let text = |name| params::text(params, name);
        let state = text("state").unwrap_or_else(|| "active".to_owned());
        let kind = match text("type") {
            Some(kind) => match kind.strip_prefix('!') {
                Some(unwanted) => self.kind != unwanted,
                None => self.kind == kind,
            },
            None => self.kind != "docker",
        };
        // IMGAPI takes `~` before a name for "contains".
        let name = text("name").is_none_or(|name| match name.strip_prefix('~') {
            Some(part) => self.name.contains(part),
            None => *self.name == *name,
        });
        let tags = params.iter().filter_map(|(name, value)| Some((name.strip_prefix("tag.")?, value)));
        let tag_text = |value: &Value| super::metadata::text(value);
        kind && name
            && (state == "all" || state == self.state.as_str())
            && text("os").is_none_or(|os| os == self.os)
            && text("version").is_none_or(|version| version == self.version)
            && text("public").is_none_or(|public| public == self.public.to_string())
            && text("owner").is_none_or(|owner| owner == self.owner.to_string())
            && tags.into_iter().all(|(name, wanted)| {
                self.tags.get(name).is_some_and(|value| tag_text(value) == tag_text(wanted))
            })
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

#[cfg(test)]
mod tests;
