//! NFS volumes (reference 2.23).

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde_json::Value;
use triton::id::{AccountId, InstanceId, NetworkId, VolumeId};

use super::error::WorldError;
use super::machine::Nic;
use super::params::{self, Params};
use super::predicate::Predicate;
use super::{Due, World, after};

/// The most volumes of one account. The bound is ours.
const MAX_VOLUMES: usize = 1000;

/// A volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Its id.
    pub id: VolumeId,
    /// Its name.
    pub name: String,
    /// Its account.
    pub owner: AccountId,
    /// Its size in MiB.
    pub size_mib: u64,
    /// Its state.
    pub state: VolumeState,
    /// The fabric networks it can be reached on.
    pub networks: Vec<NetworkId>,
    /// When it was made.
    pub created: Timestamp,
    /// Its tags, all of them texts.
    pub tags: BTreeMap<String, String>,
    /// The instances that mount it.
    pub refs: BTreeSet<InstanceId>,
    /// The hidden instance that exports it.
    pub(super) zone: InstanceId,
    /// The NICs of that.
    pub(super) nics: Vec<Nic>,
}

impl Volume {
    /// Where it is mounted from, once it is made: `ADDRESS:/exports/data`.
    pub fn filesystem_path(&self) -> Option<String> {
        let nic = self.nics.first().filter(|_| self.state == VolumeState::Ready)?;
        Some(format!("{}:/exports/data", nic.ip))
    }
}

/// The state of a volume (reference 2.23).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VolumeState {
    /// It is being made.
    Creating,
    /// It can be mounted.
    Ready,
    /// It could not be made.
    Failed,
    /// It is being deleted.
    Deleting,
}

impl VolumeState {
    const ALL: [Self; 4] = [Self::Creating, Self::Ready, Self::Failed, Self::Deleting];

    /// CloudAPI's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Ready => "ready",
            Self::Failed => "failed",
            Self::Deleting => "deleting",
        }
    }
}

/// The sizes in MiB that volumes can have: 10 to 100 GiB by 10, 200 to 1000 by 100.
pub fn volume_sizes() -> impl Iterator<Item = u64> {
    (1..=10).map(|tens| tens * 10).chain((2..=10).map(|hundreds| hundreds * 100)).map(|gib| gib * 1024)
}

fn invalid(message: impl Into<String>) -> WorldError {
    WorldError::invalid_argument(message)
}

/// Whether a text can be the name of a volume.
pub(super) fn is_volume_name(name: &str) -> bool {
    let later = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    (2..=256).contains(&name.len())
        && name.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
        && name.bytes().all(later)
}

impl World {
    fn check_volumes(&self) -> Result<(), WorldError> {
        if self.settings.features.volumes {
            return Ok(());
        }
        // The routes are not there without the feature.
        Err(WorldError::not_found("/volumes does not exist"))
    }

    /// The volumes of an account, by id, filtered by `name`, `size`, `state`, `type` and `predicate`; failed ones only
    /// if a state or a predicate is given.
    ///
    /// # Errors
    ///
    /// 409 for a bad filter, 404 without the feature.
    pub fn list_volumes(&self, owner: AccountId, params: &Params) -> Result<Vec<&Volume>, WorldError> {
        self.check_volumes()?;
        let state = params::text(params, "state");
        if let Some(state) = &state
            && !VolumeState::ALL.iter().any(|known| known.as_str() == state)
        {
            return Err(invalid(format!("Error: Volume state: {state} is invalid")));
        }
        check_type(params, false)?;
        let name = params::text(params, "name");
        let size = match params.get("size") {
            None => None,
            Some(value) => Some(params::integer(value).filter(|size| *size > 0).ok_or_else(|| {
                invalid("Error: invalid value for size search parameter, must match /^[1-9][0-9]*$/")
            })?),
        };
        let predicate = params::text(params, "predicate").map(|text| Predicate::parse(&text)).transpose()?;
        let hide_failed = state.is_none() && predicate.is_none();
        let matches = |volume: &&Volume| {
            volume.owner == owner
                && !(hide_failed && volume.state == VolumeState::Failed)
                && state.as_ref().is_none_or(|state| state == volume.state.as_str())
                && name.as_ref().is_none_or(|name| super::list::glob(name, &volume.name))
                && size.is_none_or(|size| size == volume.size_mib)
                && predicate.as_ref().is_none_or(|predicate| predicate.holds(volume))
        };
        Ok(self.volumes.values().filter(matches).collect())
    }

    /// One volume.
    ///
    /// # Errors
    ///
    /// 404 `VolumeNotFound`.
    pub fn volume(&self, owner: AccountId, id: VolumeId) -> Result<&Volume, WorldError> {
        self.check_volumes()?;
        let volume = self.volumes.get(&id).filter(|volume| volume.owner == owner);
        volume.ok_or_else(|| {
            let message = format!("Error when getting volume: Volume with uuid {id} could not be found");
            WorldError::refused(404, "VolumeNotFound", message, Vec::new())
        })
    }

    /// Makes a volume: `type`, and optionally `name`, `size`, `networks`, `tags` and `affinity`, which is checked and
    /// has no effect. It is `creating` for a while.
    ///
    /// # Errors
    ///
    /// 409 for a bad parameter, 404 without the feature.
    pub fn create_volume(
        &mut self,
        now: Timestamp,
        owner: AccountId,
        params: &Params,
    ) -> Result<Volume, WorldError> {
        self.check_volumes()?;
        let name = match params.get("name") {
            None | Some(Value::Null) => None,
            Some(Value::String(name)) if is_volume_name(name) => Some(name.clone()),
            Some(_) => return Err(invalid("Error: Invalid volume name")),
        };
        check_type(params, true)?;
        let size = match params.get("size") {
            None => None,
            Some(value) => Some(params::integer(value).ok_or_else(|| invalid("Error: Invalid volume size"))?),
        };
        let tags = read_tags(params)?;
        check_affinity(params)?;
        let networks = match params.get("networks") {
            None => {
                let network = self.owner(owner)?.default_network.ok_or_else(|| {
                    let code = "DefaultFabricNetworkNotConfiguredError";
                    WorldError::conflict(code, "default_network is not configured for account")
                })?;
                vec![network]
            }
            Some(value) => self.own_fabrics(owner, value)?,
        };
        self.make_volume(now, owner, name, size, networks, tags)
    }

    fn own_fabrics(&self, owner: AccountId, value: &Value) -> Result<Vec<NetworkId>, WorldError> {
        let fault = || invalid(format!("Invalid networks: {value}"));
        let texts = params::texts(value).filter(|texts| !texts.is_empty()).ok_or_else(fault)?;
        let mut networks = Vec::with_capacity(texts.len());
        for text in texts {
            let id: NetworkId = text.parse().map_err(|_| fault())?;
            let is_own = |network: &&super::networks::Network| network.fabric && network.owner == Some(owner);
            self.network_by_id(id).filter(is_own).ok_or_else(fault)?;
            networks.push(id);
        }
        Ok(networks)
    }

    /// Makes a volume of checked parts.
    pub(super) fn make_volume(
        &mut self,
        now: Timestamp,
        owner: AccountId,
        name: Option<String>,
        size: Option<u64>,
        networks: Vec<NetworkId>,
        tags: BTreeMap<String, String>,
    ) -> Result<Volume, WorldError> {
        let wrap = |code, message: String| {
            Err(WorldError::conflict(code, format!("Error when creating volume: {message}")))
        };
        let size_mib = size.or_else(|| volume_sizes().next()).unwrap_or_default();
        if !volume_sizes().any(|known| known == size_mib) {
            return wrap("VolumeSizeNotAvailable", format!("Volume size {size_mib} is not available"));
        }
        let theirs = || self.volumes.values().filter(|volume| volume.owner == owner);
        let is_taken = |name: &String| {
            theirs().any(|volume| volume.name == *name && volume.state != VolumeState::Failed)
        };
        if let Some(name) = name.as_ref().filter(|name| is_taken(name)) {
            return wrap("VolumeAlreadyExists", format!("Volume with name {name} already exists"));
        }
        if theirs().count() >= MAX_VOLUMES {
            return wrap("ValidationError", "too many volumes".to_owned());
        }
        let id = VolumeId::from(self.new_uuid());
        let zone = InstanceId::from(self.new_uuid());
        let name = name.unwrap_or_else(|| id.as_uuid().simple().to_string());
        let nics = networks
            .iter()
            .filter_map(|network| self.networks.make_nic(&mut self.rng, owner, zone, *network, None))
            .collect();
        let volume = Volume {
            id,
            name,
            owner,
            size_mib,
            state: VolumeState::Creating,
            networks,
            created: now,
            tags,
            refs: BTreeSet::new(),
            zone,
            nics,
        };
        self.volumes.insert(id, volume.clone());
        self.schedule_volume(now, id);
        Ok(volume)
    }

    fn schedule_volume(&mut self, now: Timestamp, id: VolumeId) {
        let delay = self.jittered(self.settings.timing.volume);
        self.schedule(after(now, delay), Due::Volume(id));
    }

    /// A volume has been made or deleted.
    pub(super) fn volume_is_due(&mut self, id: VolumeId) {
        let fails = self.chance(self.settings.job_failures);
        let Some(volume) = self.volumes.get_mut(&id) else {
            return;
        };
        match volume.state {
            VolumeState::Creating if fails || volume.nics.len() != volume.networks.len() => {
                volume.state = VolumeState::Failed;
                let (zone, nics) = (volume.zone, std::mem::take(&mut volume.nics));
                nics.iter().for_each(|nic| self.networks.release(nic, zone));
            }
            VolumeState::Creating => volume.state = VolumeState::Ready,
            VolumeState::Deleting => {
                if let Some(volume) = self.volumes.remove(&id) {
                    volume.nics.iter().for_each(|nic| self.networks.release(nic, volume.zone));
                }
            }
            VolumeState::Ready | VolumeState::Failed => {}
        }
    }

    /// Renames a volume: `name`, the only thing that can change.
    ///
    /// # Errors
    ///
    /// 404 `VolumeNotFound`, 409 for a bad name or one that is taken.
    pub fn update_volume(
        &mut self,
        owner: AccountId,
        id: VolumeId,
        params: &Params,
    ) -> Result<Volume, WorldError> {
        let mut volume = self.volume(owner, id)?.clone();
        if let Some(name) = params::text(params, "name") {
            if !is_volume_name(&name) {
                return Err(invalid(format!("Error: Invalid volume name: {name}")));
            }
            let taken = |other: &Volume| other.owner == owner && other.id != id && other.name == name;
            if self.volumes.values().any(taken) {
                let message = format!("Error when updating volume: Volume with name {name} already exists");
                return Err(WorldError::conflict("VolumeAlreadyExists", message));
            }
            volume.name = name;
        }
        self.volumes.insert(id, volume.clone());
        Ok(volume)
    }

    /// Deletes a volume, which takes a while.
    ///
    /// # Errors
    ///
    /// 404 `VolumeNotFound`, 409 `VolumeInUse` while an instance mounts it.
    pub fn delete_volume(
        &mut self,
        now: Timestamp,
        owner: AccountId,
        id: VolumeId,
    ) -> Result<(), WorldError> {
        let volume = self.volume(owner, id)?;
        if !volume.refs.is_empty() {
            let message = format!("Error when deleting volume: Volume with name {} is used", volume.name);
            return Err(WorldError::conflict("VolumeInUse", message));
        }
        let pending = matches!(volume.state, VolumeState::Deleting | VolumeState::Creating);
        if let Some(volume) = self.volumes.get_mut(&id) {
            volume.state = VolumeState::Deleting;
        }
        if !pending {
            self.schedule_volume(now, id);
        }
        Ok(())
    }
}

fn check_type(params: &Params, required: bool) -> Result<(), WorldError> {
    match params::text(params, "type") {
        None if !required => Ok(()),
        Some(kind) if kind == "tritonnfs" => Ok(()),
        kind => {
            let kind = kind.unwrap_or_else(|| "undefined".to_owned());
            let message =
                format!("Error: Invalid volume type: {kind}. Volume type should be one of: tritonnfs");
            Err(invalid(message))
        }
    }
}

fn read_tags(params: &Params) -> Result<BTreeMap<String, String>, WorldError> {
    let fault = || invalid("Error: Invalid tags: tags must be an object of key/value strings");
    match params.get("tags") {
        None | Some(Value::Null) => Ok(BTreeMap::new()),
        Some(Value::Object(tags)) => tags
            .iter()
            .map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect::<Option<_>>()
            .ok_or_else(fault),
        Some(_) => Err(fault()),
    }
}

fn check_affinity(params: &Params) -> Result<(), WorldError> {
    let Some(value) = params.get("affinity").filter(|value| !value.is_null()) else {
        return Ok(());
    };
    let rules = value.as_array().and_then(|_| params::texts(value));
    let rules =
        rules.ok_or_else(|| invalid("Error: Invalid affinity: affinity must be an array of strings"))?;
    rules.iter().try_for_each(|rule| {
        let parsed = rule.parse::<triton::grammar::affinity::AffinityRule>();
        parsed.map(|_| ()).map_err(|error| invalid(error.to_string()))
    })
}

#[cfg(test)]
mod tests;
