//! The parameter `volumes` of CreateMachine (reference 2.14, 2.23).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;
use triton::id::{AccountId, InstanceId, NetworkId};

use super::interfaces::Interface;
use crate::world::World;
use crate::world::error::{FieldError, WorldError};
use crate::world::machine::{Brand, VolumeMount};
use crate::world::params::{self, Params};
use crate::world::volumes::{Volume, VolumeState, is_volume_name};

/// A volume that a new instance is to mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WantedMount {
    name: String,
    mountpoint: String,
    read_only: bool,
}

fn invalid(message: impl Into<String>) -> WorldError {
    WorldError::invalid_argument(message)
}

/// Whether a text is an absolute path that names something below the root.
fn is_mountpoint(path: &str) -> bool {
    path.starts_with('/') && !path.contains('\0') && path.bytes().any(|b| b != b'/')
}

fn read(value: &Value) -> Result<WantedMount, WorldError> {
    let Some(object) = value.as_object() else {
        return Err(invalid("volumes must be an array of objects"));
    };
    if let Some(kind) = params::text(object, "type").filter(|kind| kind != "tritonnfs") {
        return Err(invalid(format!("unknown volume type \"{kind}\"")));
    }
    let read_only = match params::text(object, "mode").as_deref() {
        None | Some("rw") => false,
        Some("ro") => true,
        Some(_) => return Err(invalid(format!("volume mode for volume {value} must be one of ro, rw"))),
    };
    let name = params::text(object, "name").filter(|name| is_volume_name(name));
    let name = name.ok_or_else(|| invalid("Invalid volume name: volume name must be a string"))?;
    let mountpoint = params::text(object, "mountpoint").filter(|path| is_mountpoint(path));
    let mountpoint = mountpoint.ok_or_else(|| invalid(format!("invalid mount point for volume {value}")))?;
    Ok(WantedMount { name, mountpoint, read_only })
}

impl World {
    /// The volumes that a new instance is to mount, each of which it must be able to reach.
    pub(super) fn wanted_mounts(
        &self,
        owner: AccountId,
        brand: Brand,
        params: &Params,
        interfaces: &[Interface],
    ) -> Result<Vec<WantedMount>, WorldError> {
        let Some(value) = params.get("volumes").filter(|value| !value.is_null()) else {
            return Ok(Vec::new());
        };
        let values = value.as_array().ok_or_else(|| invalid("volumes must be an array of objects"))?;
        if values.is_empty() {
            return Ok(Vec::new());
        }
        if brand.is_hvm() {
            let message = format!("volumes not yet supported with brand \"{}\"", brand.as_str());
            return Err(invalid(message));
        }
        if !self.settings.features.volumes {
            return Err(invalid("Support for automounting volumes is not enabled"));
        }
        let mounts: Vec<WantedMount> = values.iter().map(read).collect::<Result<_, _>>()?;
        let unreachable: Vec<FieldError> = mounts
            .iter()
            .filter(|mount| !self.is_reachable(owner, &mount.name, interfaces))
            .map(|mount| {
                let message = format!("Volume {} not reachable on the networks of the machine", mount.name);
                FieldError::invalid("volumes", message)
            })
            .collect();
        if unreachable.is_empty() {
            return Ok(mounts);
        }
        let texts: Vec<&str> = unreachable.iter().filter_map(|error| error.message.as_deref()).collect();
        let message = format!("Volumes not reachable from machine: {}", texts.join(", "));
        Err(WorldError::conflict("VolumesNotReachable", message))
    }

    fn ready_volume(&self, owner: AccountId, name: &str) -> Option<&Volume> {
        let mut volumes = self.volumes.values().filter(|volume| volume.owner == owner);
        volumes.find(|volume| volume.name == name && volume.state == VolumeState::Ready)
    }

    /// A volume that does not exist will be made on the fabric of the machine, so it must have one.
    fn is_reachable(&self, owner: AccountId, name: &str, interfaces: &[Interface]) -> bool {
        match self.ready_volume(owner, name) {
            Some(volume) => interfaces.iter().any(|interface| volume.networks.contains(&interface.network)),
            None => self.first_fabric(interfaces).is_some(),
        }
    }

    fn first_fabric(&self, interfaces: &[Interface]) -> Option<NetworkId> {
        let networks = interfaces.iter().map(|interface| interface.network);
        networks.into_iter().find(|id| self.network_by_id(*id).is_some_and(|network| network.fabric))
    }

    /// Reserves the volumes for an instance; those that do not exist are made (RFD 26).
    pub(super) fn mount(
        &mut self,
        now: Timestamp,
        owner: AccountId,
        id: InstanceId,
        mounts: Vec<WantedMount>,
        interfaces: &[Interface],
    ) -> Result<Vec<VolumeMount>, WorldError> {
        let mut mounted = Vec::with_capacity(mounts.len());
        for WantedMount { name, mountpoint, read_only } in mounts {
            let existing = self.ready_volume(owner, &name).map(|volume| volume.id);
            let volume = match existing {
                Some(volume) => volume,
                None => {
                    let networks = self.first_fabric(interfaces).into_iter().collect();
                    self.make_volume(now, owner, Some(name.clone()), None, networks, BTreeMap::new())?.id
                }
            };
            mounted.push(VolumeMount { volume, name, mountpoint, read_only });
        }
        for mount in &mounted {
            if let Some(volume) = self.volumes.get_mut(&mount.volume) {
                volume.refs.insert(id);
            }
        }
        Ok(mounted)
    }
}
