//! Starting, stopping, changing and deleting instances, by requests and by the guests themselves (reference
//! 2.12, 2.16).

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;
use triton::id::{AccountId, InstanceId, PackageId};
use uuid::Uuid;

use super::World;
use super::error::{FieldError, WorldError};
use super::machine::{Brand, Caller, Machine};
use super::params::{self, Params};
use super::tasks::Task;
use crate::view::VmState;

/// The longest name (reference 2.14).
pub(super) const MAX_NAME: usize = 189;

/// The longest name when CNS is on, for it becomes a label of DNS.
pub(super) const MAX_NAME_WITH_CNS: usize = 63;

impl World {
    /// One instance of an account, also a destroyed one.
    ///
    /// # Errors
    ///
    /// 404, also when it is another account's.
    pub fn machine(&self, owner: AccountId, id: InstanceId) -> Result<&Arc<Machine>, WorldError> {
        let machine = self.machines.get(id).filter(|machine| machine.owner == owner);
        machine.ok_or_else(|| WorldError::not_found("VM not found"))
    }

    /// One instance, whosoever it is.
    pub fn machine_by_id(&self, id: InstanceId) -> Option<&Arc<Machine>> {
        self.machines.get(id)
    }

    /// All instances of all accounts, also destroyed ones, by id.
    pub fn machines(&self) -> impl Iterator<Item = &Arc<Machine>> {
        self.machines.rows()
    }

    /// An instance to change through VMAPI.
    ///
    /// # Errors
    ///
    /// 404, 410 when it is destroyed, 409 `UnallocatedVM` while it is being made.
    pub(super) fn machine_for(
        &self,
        owner: AccountId,
        id: InstanceId,
        action: &str,
    ) -> Result<Arc<Machine>, WorldError> {
        let machine = self.machine(owner, id)?;
        match machine.stored_state {
            VmState::Destroyed => Err(WorldError::Gone(machine.clone())),
            VmState::Provisioning => Err(WorldError::conflict(
                "UnallocatedVM",
                format!("Cannot call {action} for a VM that has not been provisioned yet"),
            )),
            _ => Ok(machine.clone()),
        }
    }

    /// UpdateMachine: parameter `action` and what that needs (reference 2.16). CloudAPI answers 202.
    ///
    /// # Errors
    ///
    /// 404, 410, and 409 for a wrong action or parameter. A wrong state is no error: the job fails.
    pub fn update_machine(
        &mut self,
        now: Timestamp,
        owner: AccountId,
        id: InstanceId,
        params: &Params,
        caller: &Caller,
    ) -> Result<(), WorldError> {
        let machine = self.machine(owner, id)?;
        let Some(action) = params::text(params, "action") else {
            return Err(WorldError::missing_parameter("action is required"));
        };
        if machine.is_destroyed() {
            return Err(WorldError::Gone(machine.clone()));
        }
        let (protected, firewall) = (machine.deletion_protection, machine.firewall_enabled);
        let task = match action.as_str() {
            "start" => Task::Start,
            "stop" => Task::Stop,
            "reboot" => Task::Reboot,
            "rename" => self.rename_task(now, owner, id, params)?,
            "resize" => self.resize_task(owner, id, params)?,
            // No job when it is so already; also while it is being made (reference 2.16).
            "enable_firewall" if firewall => return Ok(()),
            "disable_firewall" if !firewall => return Ok(()),
            "enable_deletion_protection" if protected => return Ok(()),
            "disable_deletion_protection" if !protected => return Ok(()),
            "enable_firewall" => Task::SetFirewall(true),
            "disable_firewall" => Task::SetFirewall(false),
            "enable_deletion_protection" => Task::SetDeletionProtection(true),
            "disable_deletion_protection" => Task::SetDeletionProtection(false),
            _ => return Err(WorldError::invalid_argument(format!("{action} is not a valid action"))),
        };
        let vmapi_action = match task {
            Task::Start | Task::Stop | Task::Reboot => action.as_str(),
            _ => "update",
        };
        self.machine_for(owner, id, vmapi_action)?;
        self.enqueue(now, id, task, caller).map(|_: Uuid| ())
    }

    fn rename_task(
        &self,
        now: Timestamp,
        owner: AccountId,
        id: InstanceId,
        params: &Params,
    ) -> Result<Task, WorldError> {
        let Some(name) = params::text(params, "name") else {
            return Err(WorldError::missing_parameter("New name must be specified"));
        };
        if name.len() > MAX_NAME {
            return Err(WorldError::invalid_argument("Name cannot be longer than 189 characters."));
        }
        if self.owner(owner)?.cns_enabled && name.len() > MAX_NAME_WITH_CNS {
            return Err(WorldError::invalid_argument(
                "Name cannot be longer than 63 characters, because you have triton_cns_enabled set on your \
                 Account.",
            ));
        }
        if !is_name(&name) {
            let error = FieldError::invalid("alias", "String does not match regexp");
            return Err(WorldError::validation_failed("Invalid VM update parameters", vec![error]));
        }
        if self.name_is_taken(now, owner, &name, Some(id)) {
            let message = "Invalid VM update parameters";
            return Err(WorldError::validation_failed(message, vec![duplicate_name()]));
        }
        Ok(Task::Rename(name))
    }

    fn resize_task(&self, owner: AccountId, id: InstanceId, params: &Params) -> Result<Task, WorldError> {
        let machine = self.machine(owner, id)?;
        let invalid = |message: String| Err(WorldError::invalid_argument(message));
        if machine.brand == Brand::Kvm {
            return invalid("resize is not supported for KVM virtualmachines".to_owned());
        }
        let Some(name) = params::text(params, "package") else {
            return Err(WorldError::missing_parameter("package must be specified"));
        };
        let package = self.wanted_package(owner, &name)?;
        let image = self.images.get(&machine.image);
        let (least, most) = image.map_or((None, None), |image| (image.min_ram_mib, image.max_ram_mib));
        let memory = package.memory_mib;
        if let Some(least) = least.filter(|least| memory < *least) {
            return invalid(format!("Package RAM ({memory}) is less than allowed by the image ({least})"));
        }
        if let Some(most) = most.filter(|most| memory > *most) {
            return invalid(format!("Package RAM ({memory}) is more than allowed by the image ({most})"));
        }
        if machine.brand == Brand::Bhyve {
            if !package.flexible_disk {
                let message = "Resizing to a package without flexible disk space is not supported";
                return invalid(message.to_owned());
            }
            if machine.stored_state != VmState::Stopped {
                let message = "VM not stopped: changing bhyve CPU or memory requires a stopped VM";
                return Err(WorldError::conflict("VmNotStopped", message));
            }
        }
        let brand = machine.brand.as_str();
        self.check_limits(owner, brand, image.map(|image| &**image), package, Some(machine))?;
        self.check_growth(machine, package)?;
        Ok(Task::Resize(package.id))
    }

    /// Refuses what the compute node has no room for, and disks that no longer fit.
    fn check_growth(&self, machine: &Machine, package: &super::packages::Package) -> Result<(), WorldError> {
        let node = machine.compute_node.and_then(|id| self.nodes.get(&id));
        let full = node.is_some_and(|node| {
            package.memory_mib > machine.memory_mib + node.free_memory_mib()
                || package.disk_mib > machine.demand().disk_mib + node.free_disk_mib()
        });
        if full {
            let error = FieldError {
                field: "ram".to_owned(),
                code: "InsufficientCapacity",
                message: Some("Required additional RAM exceeds the server's available RAM".to_owned()),
            };
            return Err(WorldError::validation_failed("Invalid VM update parameters", vec![error]));
        }
        let disks: u64 = machine.disks.iter().map(|disk| disk.size_mib).sum();
        if machine.flexible_disk_mib.is_some() && package.disk_mib < disks {
            let error = FieldError::invalid("flexible_disk_size", "Invalid parameter");
            return Err(WorldError::validation_failed("Cannot resize bhyve VM", vec![error]));
        }
        Ok(())
    }

    /// DeleteMachine. CloudAPI answers 204, also while the instance is being destroyed.
    ///
    /// # Errors
    ///
    /// 404, 410 when it is destroyed, 409 when it is protected or has no compute node.
    pub fn delete_machine(
        &mut self,
        now: Timestamp,
        owner: AccountId,
        id: InstanceId,
        caller: &Caller,
    ) -> Result<(), WorldError> {
        let machine = self.machine(owner, id)?.clone();
        if machine.is_destroyed() {
            return Err(WorldError::Gone(machine));
        }
        if machine.deletion_protection {
            return Err(WorldError::conflict(
                "CannotDestroyMachineError",
                "Instance has \"deletion_protection\" enabled, preventing deletion",
            ));
        }
        if self.has_job(id, |task| matches!(task, Task::Destroy)) {
            return Ok(());
        }
        if machine.compute_node.is_none() {
            return Err(WorldError::conflict("ConflictError", "Cannot delete a VM with no server_uuid"));
        }
        if machine.stored_state == VmState::Provisioning {
            self.abandon_provision(now, id);
        }
        self.enqueue(now, id, Task::Destroy, caller).map(|_: Uuid| ())
    }

    /// Whether another active instance has the name, as far as the check for it can see (reference 2.14).
    pub(super) fn name_is_taken(
        &self,
        now: Timestamp,
        owner: AccountId,
        name: &str,
        except: Option<InstanceId>,
    ) -> bool {
        let visible_since = super::before(now, self.settings.unique_name_blindness);
        let mut named = self.machines.named(owner, name);
        named.any(|machine| Some(machine.id) != except && machine.created <= visible_since)
    }

    pub(super) fn renames(&mut self, at: Timestamp, machine: &Machine, name: &str) -> bool {
        if self.name_is_taken(at, machine.owner, name, Some(machine.id)) {
            return false;
        }
        self.edit(at, machine.id, &["alias"], |machine| machine.name = name.to_owned());
        true
    }

    pub(super) fn resizes(&mut self, at: Timestamp, machine: &Machine, package: PackageId) -> bool {
        let Some(package) = self.packages.get(&package).cloned() else {
            return false;
        };
        let stopped = machine.stored_state == VmState::Stopped;
        let refused = machine.brand == Brand::Bhyve && !stopped;
        if refused || self.is_moving(machine.id) || self.check_growth(machine, &package).is_err() {
            return false;
        }
        let before = machine.demand();
        self.edit(at, machine.id, &["ram", "max_physical_memory", "quota", "billing_id"], |machine| {
            machine.package = package.id;
            machine.package_name = package.name.clone();
            machine.memory_mib = package.memory_mib;
            machine.disk_mib = package.disk_mib;
            machine.flexible_disk_mib = machine.flexible_disk_mib.map(|_| package.disk_mib);
        });
        if let (Some(node), Some(machine)) = (machine.compute_node, self.machines.get(machine.id)) {
            let after = machine.demand();
            self.vacate(node, before);
            self.occupy(node, after);
        }
        true
    }

    /// A package to provision or resize with.
    pub(super) fn wanted_package(
        &self,
        owner: AccountId,
        id_or_name: &str,
    ) -> Result<&Arc<super::packages::Package>, WorldError> {
        let Some(package) = self.find_package(owner, id_or_name) else {
            return Err(match id_or_name.parse::<PackageId>() {
                Ok(_) => WorldError::not_found(format!("package {id_or_name} not found")),
                Err(_) => WorldError::invalid_argument(format!("{id_or_name} is not a valid package")),
            });
        };
        if !package.active {
            let message = format!("{id_or_name} is inactive. Must use an active package");
            return Err(WorldError::invalid_argument(message));
        }
        Ok(package)
    }

    /// The guest writes a metadata key, or deletes it with `None`; at once, for it needs no job (reference 2.18).
    pub fn guest_sets_metadata(&mut self, now: Timestamp, id: InstanceId, key: &str, value: Option<&str>) {
        let running = self.machines.get(id).is_some_and(|machine| machine.stored_state == VmState::Running);
        if !running || key.is_empty() {
            return;
        }
        let set = value.map(|value| (key.to_owned(), Value::String(value.to_owned()))).into_iter().collect();
        let remove = if value.is_none() { vec![key.to_owned()] } else { Vec::new() };
        self.metadata_changes(now, id, &set, &remove);
    }

    /// The guest powers itself off. Nothing starts it again (reference 2.12).
    pub fn guest_powers_off(&mut self, now: Timestamp, id: InstanceId) {
        if self.machines.get(id).is_some_and(|machine| machine.stored_state == VmState::Running) {
            self.halts(now, id);
        }
    }

    /// The guest reboots itself.
    pub fn guest_reboots(&mut self, now: Timestamp, id: InstanceId) {
        if self.machines.get(id).is_some_and(|machine| machine.stored_state == VmState::Running) {
            self.boots(now, id, &["boot_timestamp", "pid"]);
        }
    }
}

/// The error of a name that another instance has.
pub(super) fn duplicate_name() -> FieldError {
    FieldError {
        field: "alias".to_owned(),
        code: "Duplicate",
        message: Some("Already exists for this owner_uuid".to_owned()),
    }
}

/// Whether a text can be the name of an instance, its length aside (reference 2.14).
pub(super) fn is_name(name: &str) -> bool {
    name.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

#[cfg(test)]
mod tests;
