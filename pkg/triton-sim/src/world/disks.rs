//! Disks of bhyve instances (reference 2.20).

use jiff::Timestamp;
use serde_json::Value;
use triton::id::{AccountId, DiskId, InstanceId};

use super::World;
use super::create::DEFAULT_BLOCK_SIZE;
use super::error::{FieldError, WorldError};
use super::machine::{Brand, Caller, Disk, Machine};
use super::params::{self, Params};
use super::tasks::Task;
use crate::view::VmState;

/// The most disks of one instance (reference 2.14).
const MAX_DISKS: usize = 8;

fn invalid(message: impl Into<String>) -> WorldError {
    WorldError::invalid_argument(message)
}

fn vm_invalid(field: &str, message: &str) -> WorldError {
    WorldError::validation_failed("Invalid Parameters", vec![FieldError::invalid(field, message)])
}

fn no_space() -> WorldError {
    WorldError::conflict("InsufficientDiskSpace", "VM does not have sufficient free disk")
}

/// The size of a request: MiB, or `None` for what remains.
fn size_of(params: &Params) -> Result<Option<u64>, WorldError> {
    match params.get("size") {
        None | Some(Value::Null) => Err(WorldError::missing_parameter("size must be specified")),
        Some(Value::String(text)) if text == "remaining" => Ok(None),
        Some(value) => match params::integer(value) {
            Some(0) => Err(vm_invalid("size", "Must be greater than zero")),
            Some(size) => Ok(Some(size)),
            None => Err(invalid("size must be a number")),
        },
    }
}

/// Whether a text is a PCI slot such as `0:4:1`.
fn is_pci_slot(text: &str) -> bool {
    let parts: Vec<&str> = text.split(':').collect();
    matches!(parts.len(), 2 | 3) && parts.iter().all(|part| part.parse::<u8>().is_ok_and(|part| part < 32))
}

impl World {
    /// The disks of an instance with their states: those it has, and those being made in a slot that was asked for.
    ///
    /// # Errors
    ///
    /// 404.
    pub fn list_disks(
        &self,
        owner: AccountId,
        id: InstanceId,
    ) -> Result<Vec<(Disk, &'static str)>, WorldError> {
        let machine = self.machine(owner, id)?;
        let mut disks: Vec<(Disk, &'static str)> = Vec::new();
        for disk in &machine.disks {
            let mut states = self.unfinished_tasks(id).filter_map(|task| match task {
                Task::ResizeDisk(resized, _, _) if *resized == disk.id => Some("resizing"),
                Task::DeleteDisk(deleted) if *deleted == disk.id => Some("deleting"),
                _ => None,
            });
            disks.push((disk.clone(), states.next().unwrap_or_else(|| machine.public_state())));
        }
        for task in self.unfinished_tasks(id) {
            if let Task::CreateDisk { disk, announced: true } = task {
                disks.push((disk.clone(), "creating"));
            }
        }
        Ok(disks)
    }

    /// One disk of an instance and its state.
    ///
    /// # Errors
    ///
    /// 404.
    pub fn disk(
        &self,
        owner: AccountId,
        id: InstanceId,
        disk: DiskId,
    ) -> Result<(Disk, &'static str), WorldError> {
        let mut disks = self.list_disks(owner, id)?.into_iter();
        disks.find(|(other, _)| other.id == disk).ok_or_else(|| WorldError::not_found("disk not found"))
    }

    /// Makes a disk: `size` in MiB or `remaining`, optionally `pci_slot` and `block_size`. With a slot, says the disk;
    /// without one CloudAPI says nothing, and the disk appears when it is there.
    ///
    /// # Errors
    ///
    /// 404, and 409 for another brand or state and for bad parameters.
    pub fn create_disk(
        &mut self,
        now: Timestamp,
        owner: AccountId,
        id: InstanceId,
        params: &Params,
        caller: &Caller,
    ) -> Result<Option<Disk>, WorldError> {
        let machine = self.machine(owner, id)?.clone();
        if machine.brand != Brand::Bhyve {
            return Err(invalid("Disk Creation is supported only for BHYVE VMs"));
        }
        must_be_stopped(&machine)?;
        let size = size_of(params)?;
        let slot = params::text(params, "pci_slot");
        if slot.as_ref().is_some_and(|slot| !is_pci_slot(slot)) {
            return Err(invalid("pci_slot has wrong format"));
        }
        if machine.disks.len() >= MAX_DISKS {
            return Err(invalid(format!("A maximum of {MAX_DISKS} disks per VM are supported")));
        }
        let block_size = match params.get("block_size") {
            None => DEFAULT_BLOCK_SIZE,
            Some(value) => params::integer(value)
                .filter(|size| size.is_power_of_two() && (512..=131_072).contains(size))
                .ok_or_else(|| invalid("block_size must be 512-131072 and a power of 2"))?,
        };
        let Some(free) = machine.free_space_mib() else {
            return Err(WorldError::conflict(
                "VmWithoutFlexibleDiskSize",
                "VM does not have flexible disk sizing enabled",
            ));
        };
        let size_mib = size.unwrap_or(free);
        if size_mib == 0 || size_mib > free {
            return Err(no_space());
        }
        if slot.as_ref().is_some_and(|slot| machine.disks.iter().any(|disk| disk.pci_slot == *slot)) {
            return Err(vm_invalid("pci_slot", "Already in use"));
        }
        let announced = slot.is_some();
        let id_of_disk = DiskId::from(self.new_uuid());
        let pci_slot = slot.unwrap_or_default();
        let disk = Disk { id: id_of_disk, size_mib, block_size, boot: false, image: None, pci_slot };
        self.enqueue(now, id, Task::CreateDisk { disk: disk.clone(), announced }, caller)?;
        Ok(announced.then_some(disk))
    }

    /// Changes the size of a disk: `size` in MiB, and `dangerous_allow_shrink` to make it smaller. Says the disk as it
    /// still is.
    ///
    /// # Errors
    ///
    /// 404, and 409 for another brand or state and for bad parameters.
    pub fn resize_disk(
        &mut self,
        now: Timestamp,
        owner: AccountId,
        id: InstanceId,
        disk: DiskId,
        params: &Params,
        caller: &Caller,
    ) -> Result<Disk, WorldError> {
        let machine = self.machine(owner, id)?.clone();
        let disk = self.disk(owner, id, disk)?.0;
        must_be_stopped(&machine)?;
        let size = size_of(params)?.ok_or_else(|| invalid("size must be a number"))?;
        let shrink = params::boolean(params, "dangerous_allow_shrink")
            .map_err(|_| invalid("dangerous_allow_shrink must be a boolean"))?
            .unwrap_or(false);
        self.check_flexible(&machine, "resize")?;
        if size < disk.size_mib && !shrink {
            return Err(vm_invalid("size", "Reducing disk size is a dangerous operation"));
        }
        if size > disk.size_mib + machine.free_space_mib().unwrap_or_default() {
            return Err(no_space());
        }
        self.enqueue(now, id, Task::ResizeDisk(disk.id, size, shrink), caller)?;
        Ok(disk)
    }

    /// Removes a disk.
    ///
    /// # Errors
    ///
    /// 404, and 409 for another brand or state and for the disk it boots from.
    pub fn delete_disk(
        &mut self,
        now: Timestamp,
        owner: AccountId,
        id: InstanceId,
        disk: DiskId,
        caller: &Caller,
    ) -> Result<(), WorldError> {
        let machine = self.machine(owner, id)?.clone();
        let disk = self.disk(owner, id, disk)?.0;
        must_be_stopped(&machine)?;
        if disk.boot {
            return Err(vm_invalid("slot", "Cannot remove boot disk"));
        }
        self.check_flexible(&machine, "delete")?;
        self.enqueue(now, id, Task::DeleteDisk(disk.id), caller).map(|_| ())
    }

    fn check_flexible(&self, machine: &Machine, what: &str) -> Result<(), WorldError> {
        if machine.brand != Brand::Bhyve {
            let message = format!("Can only {what} disks on bhyve VMs");
            return Err(WorldError::conflict("BrandNotSupported", message));
        }
        if machine.flexible_disk_mib.is_none() {
            let message = "VM does not have flexible disk sizing enabled";
            return Err(WorldError::conflict("VmWithoutFlexibleDiskSize", message));
        }
        Ok(())
    }

    /// A disk is made, if there is still room for it.
    pub(super) fn disk_is_created(&mut self, at: Timestamp, machine: &Machine, disk: &Disk) -> bool {
        let fits = machine.free_space_mib().is_some_and(|free| disk.size_mib <= free);
        let taken = |slot: &str| machine.disks.iter().any(|disk| disk.pci_slot == slot);
        let mut disk = disk.clone();
        if disk.pci_slot.is_empty() {
            let free = (0..MAX_DISKS).map(|number| format!("0:4:{number}")).find(|slot| !taken(slot));
            disk.pci_slot = free.unwrap_or_default();
        }
        let full = machine.disks.len() >= MAX_DISKS || disk.pci_slot.is_empty() || taken(&disk.pci_slot);
        if machine.stored_state != VmState::Stopped || !fits || full {
            return false;
        }
        self.edit(at, machine.id, &["disks"], |machine| machine.disks.push(disk));
        true
    }

    /// A disk changes its size, if there is still room for it.
    pub(super) fn disk_is_resized(
        &mut self,
        at: Timestamp,
        machine: &Machine,
        id: DiskId,
        size: u64,
        shrink: bool,
    ) -> bool {
        let Some(disk) = machine.disks.iter().find(|disk| disk.id == id) else {
            return false;
        };
        let fits = machine.free_space_mib().is_some_and(|free| size <= disk.size_mib + free);
        if machine.stored_state != VmState::Stopped || !fits || (size < disk.size_mib && !shrink) {
            return false;
        }
        self.edit(at, machine.id, &["disks"], |machine| {
            let disks = machine.disks.iter_mut().filter(|disk| disk.id == id);
            disks.for_each(|disk| disk.size_mib = size);
        });
        true
    }

    /// A disk is removed.
    pub(super) fn disk_is_deleted(&mut self, at: Timestamp, machine: &Machine, id: DiskId) -> bool {
        let stopped = machine.stored_state == VmState::Stopped;
        if !stopped || !machine.disks.iter().any(|disk| disk.id == id) {
            return false;
        }
        self.edit(at, machine.id, &["disks"], |machine| machine.disks.retain(|disk| disk.id != id));
        true
    }
}

fn must_be_stopped(machine: &Machine) -> Result<(), WorldError> {
    if machine.stored_state == VmState::Stopped {
        return Ok(());
    }
    Err(WorldError::conflict("VmNotStopped", "VM must be stopped"))
}

#[cfg(test)]
mod tests;
