//! Making, changing, moving and finding images (reference 2.9).

use crate::id::{AccountId, ImageId, InstanceId};
use crate::types::image::{ImageState, ImageType};
use crate::types::query::Query;
use crate::types::tags::Tags;
use serde::Serialize;

/// Makes an image of an instance, which should be stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CreateImage {
    /// The instance to make it from.
    pub machine: InstanceId,
    /// The image's name.
    pub name: String,
    /// The image's version.
    pub version: String,
    /// Description.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// URL of a page about the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub homepage: Option<String>,
    /// URL of the licence agreement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eula: Option<String>,
    /// The accounts to share it with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acl: Option<Vec<AccountId>>,
    /// Tags.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Tags>,
    /// Store only the difference from the instance's own image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incremental: Option<bool>,
}

impl CreateImage {
    /// A full image of `machine` with nothing but a name and a version.
    pub fn new(machine: InstanceId, name: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            machine,
            name: name.into(),
            version: version.into(),
            description: None,
            homepage: None,
            eula: None,
            acl: None,
            tags: None,
            incremental: None,
        }
    }
}

/// Changes the fields of an image that are `Some`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct UpdateImage {
    /// Name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Description.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// URL of a page about the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub homepage: Option<String>,
    /// URL of the licence agreement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eula: Option<String>,
    /// All accounts it is shared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acl: Option<Vec<AccountId>>,
    /// All tags.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Tags>,
}

/// Exports an image to object storage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExportImage {
    /// The path to write to.
    pub manta_path: String,
}

/// Copies an image that the account owns from another data centre of the same cloud.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportImage {
    /// The name of the other data centre.
    pub datacenter: String,
    /// The image there; the copy keeps the id.
    pub id: ImageId,
}

impl ImportImage {
    /// The pairs of the query string, without the `action`.
    pub fn query(&self) -> Vec<(String, String)> {
        Query::default().with("datacenter", Some(&self.datacenter)).with("id", Some(self.id)).pairs()
    }
}

/// Which images to list; all active ones by default, docker layers never unless asked for by type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListImages {
    /// Exactly this name.
    pub name: Option<String>,
    /// Exactly this version.
    pub version: Option<String>,
    /// This operating system.
    pub os: Option<String>,
    /// Public ones, or private ones.
    pub public: Option<bool>,
    /// In this state.
    pub state: Option<ImageState>,
    /// In every state; goes before `state`.
    pub all_states: bool,
    /// Of this owner.
    pub owner: Option<AccountId>,
    /// Of this type.
    pub image_type: Option<ImageType>,
}

impl ListImages {
    /// The pairs of the query string.
    pub fn query(&self) -> Vec<(String, String)> {
        let state = if self.all_states { Some("all") } else { self.state.as_ref().map(ImageState::as_str) };
        Query::default()
            .with("name", self.name.as_ref())
            .with("version", self.version.as_ref())
            .with("os", self.os.as_ref())
            .with("public", self.public)
            .with("state", state)
            .with("owner", self.owner)
            .with("type", self.image_type.as_ref())
            .pairs()
    }
}
