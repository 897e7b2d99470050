//! Images (reference 2.9).

use std::collections::BTreeMap;

use semver::Version;
use serde::Serialize;
use serde_json::Value;
use triton::id::AccountId;

use super::time;
use crate::world::images::{self, ImageState};

/// The version of the API from which types are shown as they are.
const TYPES_SINCE: Version = Version::new(8, 0, 0);

/// An image.
#[derive(Debug, Serialize)]
pub(crate) struct Image<'a> {
    id: String,
    name: &'a str,
    version: &'a str,
    os: &'a str,
    requirements: Requirements<'a>,
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    files: Option<[File<'a>; 1]>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tags: &'a BTreeMap<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    homepage: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    published_at: Option<String>,
    owner: String,
    public: bool,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    eula: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    acl: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure>,
}

/// What an image needs, with two older names for the memory.
#[derive(Debug, Serialize)]
struct Requirements<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    max_memory: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_ram: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_memory: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min_ram: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    brand: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bootrom: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct File<'a> {
    compression: &'a str,
    sha1: &'a str,
    size: u64,
}

#[derive(Debug, Serialize)]
struct Failure {
    code: &'static str,
    message: &'static str,
}

impl<'a> Image<'a> {
    /// An image as `account` sees it: with whom it is shared is for its owner only.
    pub(crate) fn of(image: &'a images::Image, account: AccountId, version: &Version) -> Self {
        let zvol = image.kind == "zvol";
        let acl = image.acl.iter().map(ToString::to_string).collect();
        Self {
            id: image.id.to_string(),
            name: &image.name,
            version: &image.version,
            os: &image.os,
            requirements: Requirements {
                max_memory: image.max_ram_mib,
                max_ram: image.max_ram_mib,
                min_memory: image.min_ram_mib,
                min_ram: image.min_ram_mib,
                brand: image.brand.map(crate::world::machine::Brand::as_str),
                bootrom: image.bootrom.as_deref(),
            },
            kind: match (*version >= TYPES_SINCE, zvol) {
                (true, _) => &image.kind,
                (false, true) => "virtualmachine",
                (false, false) => "smartmachine",
            },
            image_size: image.image_size_mib.filter(|_| zvol),
            description: image.description.as_deref(),
            files: image
                .file
                .as_ref()
                .map(|file| [File { compression: &file.compression, sha1: &file.sha1, size: file.size }]),
            tags: &image.tags,
            homepage: image.homepage.as_deref(),
            published_at: image.published.map(time),
            owner: image.owner.to_string(),
            public: image.public,
            state: image.state.as_str(),
            eula: image.eula.as_deref(),
            acl: Some(acl).filter(|acl: &Vec<_>| image.owner == account && !acl.is_empty()),
            origin: image.origin.map(|origin| origin.to_string()),
            error: (image.state == ImageState::Failed)
                .then_some(Failure { code: "PrepareImageDidNotRun", message: "The image could not be made" }),
        }
    }
}
