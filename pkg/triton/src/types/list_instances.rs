//! Finding instances (reference 2.13).

use crate::id::ImageId;
use crate::types::instance::{Brand, InstanceType};
use crate::types::query::Query;
use crate::types::tags::TagValue;
use std::collections::BTreeMap;

/// The most items in one page of a list; 0 and more are refused with 409 (reference 2.6).
pub const MAX_PAGE: u32 = 1000;

/// The states that a list can be filtered by. They are not the states of an instance: `provisioning` and
/// `stopping` mean [`InstanceStateFilter::Active`] to the server, and the others are refused (reference 2.13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstanceStateFilter {
    /// Neither destroyed nor failed: what is listed when nothing is asked for.
    Active,
    /// Running.
    Running,
    /// Stopped.
    Stopped,
    /// In a state that the server does not know, such as on a lost compute node.
    Unknown,
    /// Destroyed.
    Destroyed,
}

impl InstanceStateFilter {
    /// The word in the query.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Unknown => "unknown",
            Self::Destroyed => "destroyed",
        }
    }
}

/// Which instances to list: those that meet every condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListInstances {
    /// Container or machine.
    pub instance_type: Option<InstanceType>,
    /// With this brand.
    pub brand: Option<Brand>,
    /// With names that **begin** like this: compare again (reference 6 no. 12).
    pub name_prefix: Option<String>,
    /// Made from this image.
    pub image: Option<ImageId>,
    /// In this state.
    pub state: Option<InstanceStateFilter>,
    /// With this memory, in MiB.
    pub memory_mib: Option<u64>,
    /// Also the destroyed and failed ones.
    pub tombstone: bool,
    /// With these tags. Booleans and numbers match tags of either type; in a string `*` stands for anything.
    pub tags: BTreeMap<String, TagValue>,
    /// Docker containers only, or none.
    pub docker: Option<bool>,
    /// With [`crate::types::Metadata::credentials`].
    pub credentials: bool,
    /// At most so many, from 1 to [`MAX_PAGE`], to which other numbers are moved; `None` means [`MAX_PAGE`].
    pub limit: Option<u32>,
    /// Without the first so many.
    pub offset: Option<u64>,
}

impl ListInstances {
    /// The pairs of the query string.
    pub fn query(&self) -> Vec<(String, String)> {
        let mut query = Query::default()
            .with("type", self.instance_type.as_ref())
            .with("brand", self.brand.as_ref())
            .with("name", self.name_prefix.as_ref())
            .with("image", self.image)
            .with("state", self.state.map(InstanceStateFilter::as_str))
            .with("memory", self.memory_mib)
            .with("tombstone", self.tombstone.then_some(true))
            .with("docker", self.docker)
            .with("credentials", self.credentials.then_some(true));
        for (name, value) in &self.tags {
            query = query.with(&format!("tag.{name}"), Some(value));
        }
        query
            .with("limit", self.limit.map(|limit| limit.clamp(1, MAX_PAGE)))
            .with("offset", self.offset)
            .pairs()
    }
}
