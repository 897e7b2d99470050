//! Volumes (reference 2.23).

use std::collections::BTreeMap;

use serde::Serialize;

use super::time;
use crate::world::volumes;

/// The only type of volume that there is.
const KIND: &str = "tritonnfs";

/// A volume.
#[derive(Debug, Serialize)]
pub(crate) struct Volume<'a> {
    id: String,
    name: &'a str,
    owner_uuid: String,
    #[serde(rename = "type")]
    kind: &'static str,
    size: u64,
    state: &'static str,
    networks: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    filesystem_path: Option<String>,
    created: String,
    tags: &'a BTreeMap<String, String>,
    refs: Vec<String>,
}

impl<'a> Volume<'a> {
    pub(crate) fn of(volume: &'a volumes::Volume) -> Self {
        Self {
            id: volume.id.to_string(),
            name: &volume.name,
            owner_uuid: volume.owner.to_string(),
            kind: KIND,
            size: volume.size_mib,
            state: volume.state.as_str(),
            networks: volume.networks.iter().map(ToString::to_string).collect(),
            filesystem_path: volume.filesystem_path(),
            created: time(volume.created),
            tags: &volume.tags,
            refs: volume.refs.iter().map(ToString::to_string).collect(),
        }
    }
}

/// A size in MiB that volumes can have.
#[derive(Debug, Serialize)]
pub(crate) struct VolumeSize {
    #[serde(rename = "type")]
    kind: &'static str,
    size: u64,
}

impl VolumeSize {
    pub(crate) fn of(size: u64) -> Self {
        Self { kind: KIND, size }
    }
}
