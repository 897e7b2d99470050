//! Images (reference 2.9).

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;
use triton::id::{AccountId, ImageId};

use super::World;
use super::error::WorldError;
use super::machine::{Brand, Tags};
use super::params::{self, Params};

mod requests;

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

#[cfg(test)]
mod tests;
