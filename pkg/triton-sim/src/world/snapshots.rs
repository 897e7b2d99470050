//! Snapshots of instances (reference 2.20).

use jiff::Timestamp;
use triton::id::{AccountId, InstanceId};

use super::World;
use super::error::WorldError;
use super::machine::{Brand, Caller, Machine, Snapshot};
use super::params::{self, Params};
use super::tasks::Task;
use crate::view::VmState;

/// The most snapshots of one instance. The bound is ours.
const MAX_SNAPSHOTS: usize = 100;

/// A snapshot as CloudAPI shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotStatus {
    /// A job will make it.
    Queued(String),
    /// It was made.
    Created(Snapshot),
}

impl World {
    /// Makes a snapshot: optionally `name`, by default the time. Says the name; the snapshot is `queued`.
    ///
    /// # Errors
    ///
    /// 404, 410, and 409 for instances that cannot have any.
    pub fn create_snapshot(
        &mut self,
        now: Timestamp,
        owner: AccountId,
        id: InstanceId,
        params: &Params,
        caller: &Caller,
    ) -> Result<String, WorldError> {
        let machine = self.machine_for(owner, id, "create_snapshot")?;
        if machine.brand == Brand::Bhyve && !self.settings.features.bhyve_snapshots {
            return Err(WorldError::invalid_argument("Snapshots of bhyve VMs are not allowed"));
        }
        check_brand(&machine)?;
        let name = params::text(params, "name");
        let name = name.unwrap_or_else(|| now.strftime("%Y%m%dT%H%M%SZ").to_string());
        let valid = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-' | b':');
        if name.len() > 64 || !name.bytes().all(valid) {
            return Err(WorldError::invalid_argument("snapshot name is invalid"));
        }
        self.enqueue(now, id, Task::CreateSnapshot(name.clone()), caller)?;
        Ok(name)
    }

    /// The snapshots of an instance that were made, oldest first.
    ///
    /// # Errors
    ///
    /// 404.
    pub fn list_snapshots(&self, owner: AccountId, id: InstanceId) -> Result<&[Snapshot], WorldError> {
        Ok(&self.machine(owner, id)?.snapshots)
    }

    /// One snapshot, made or queued.
    ///
    /// # Errors
    ///
    /// 404.
    pub fn snapshot(
        &self,
        owner: AccountId,
        id: InstanceId,
        name: &str,
    ) -> Result<SnapshotStatus, WorldError> {
        if let Some(snapshot) = self.list_snapshots(owner, id)?.iter().find(|snapshot| snapshot.name == name)
        {
            return Ok(SnapshotStatus::Created(snapshot.clone()));
        }
        if self.has_job(id, |task| matches!(task, Task::CreateSnapshot(queued) if queued == name)) {
            return Ok(SnapshotStatus::Queued(name.to_owned()));
        }
        Err(WorldError::not_found("Snapshot does not exist"))
    }

    /// Rolls an instance back to a snapshot and starts it. That there is no such snapshot shows in the job only.
    ///
    /// # Errors
    ///
    /// 404, 410, and 409 for instances that cannot have any.
    pub fn start_from_snapshot(
        &mut self,
        now: Timestamp,
        owner: AccountId,
        id: InstanceId,
        name: &str,
        caller: &Caller,
    ) -> Result<(), WorldError> {
        let machine = self.machine_for(owner, id, "rollback_snapshot")?;
        check_brand(&machine)?;
        self.enqueue(now, id, Task::RollBack(name.to_owned()), caller).map(|_| ())
    }

    /// Deletes a snapshot.
    ///
    /// # Errors
    ///
    /// 404, 410, and 409 for instances that cannot have any.
    pub fn delete_snapshot(
        &mut self,
        now: Timestamp,
        owner: AccountId,
        id: InstanceId,
        name: &str,
        caller: &Caller,
    ) -> Result<(), WorldError> {
        if !self.list_snapshots(owner, id)?.iter().any(|snapshot| snapshot.name == name) {
            return Err(WorldError::not_found(format!("{name} not found")));
        }
        let machine = self.machine_for(owner, id, "delete_snapshot")?;
        check_brand(&machine)?;
        self.enqueue(now, id, Task::DeleteSnapshot(name.to_owned()), caller).map(|_| ())
    }

    pub(super) fn snapshot_is_created(&mut self, at: Timestamp, machine: &Machine, name: &str) -> bool {
        let exists = machine.snapshots.iter().any(|snapshot| snapshot.name == name);
        if exists || machine.snapshots.len() >= MAX_SNAPSHOTS {
            return false;
        }
        let size = self.rng.u64((1 << 20)..(64 << 20));
        self.edit(at, machine.id, &["snapshots"], |machine| {
            machine.snapshots.push(Snapshot { name: name.to_owned(), size, created: at });
        });
        true
    }

    pub(super) fn snapshot_is_deleted(&mut self, at: Timestamp, machine: &Machine, name: &str) -> bool {
        if !machine.snapshots.iter().any(|snapshot| snapshot.name == name) {
            return false;
        }
        self.edit(at, machine.id, &["snapshots"], |machine| {
            machine.snapshots.retain(|snapshot| snapshot.name != name);
        });
        true
    }

    /// An instance starts from a snapshot; those that were made after it are gone.
    pub(super) fn rolls_back(&mut self, at: Timestamp, machine: &Machine, name: &str) -> bool {
        let Some(index) = machine.snapshots.iter().position(|snapshot| snapshot.name == name) else {
            return false;
        };
        if machine.stored_state == VmState::Provisioning {
            return false;
        }
        self.edit(at, machine.id, &["state", "zone_state", "boot_timestamp", "snapshots"], |machine| {
            machine.stored_state = VmState::Running;
            machine.booted = Some(at);
            machine.snapshots.truncate(index + 1);
        });
        true
    }
}

fn check_brand(machine: &Machine) -> Result<(), WorldError> {
    let unsupported = |what: String| {
        Err(WorldError::conflict("BrandNotSupported", format!("snapshots are not supported for VMs {what}")))
    };
    if machine.brand == Brand::Kvm {
        return unsupported("of brand \"kvm\"".to_owned());
    }
    if machine.delegate_dataset == Some(true) {
        return unsupported("with delegated datasets".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
