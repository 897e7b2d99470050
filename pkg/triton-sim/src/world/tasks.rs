//! What jobs do to their instance: when they begin, when they succeed and when they fail (reference 7.2).

use std::sync::Arc;

use jiff::Timestamp;
use triton::grammar::affinity::AffinityRule;
use triton::id::{DiskId, InstanceId, NetworkId, PackageId};

use super::World;
use super::affinity::Wanted;
use super::machine::{Caller, Disk, Mac, Machine, Metadata, Nic, Tags};
use super::migrations::Phase;
use crate::view::VmState;

/// What a job does.
#[derive(Clone)]
pub(super) enum Task {
    Provision(Arc<Provision>),
    Start,
    Stop,
    Reboot,
    Destroy,
    Rename(String),
    Resize(PackageId),
    SetFirewall(bool),
    SetDeletionProtection(bool),
    SetTags(Tags),
    ReplaceTags {
        set: Tags,
        remove: Vec<String>,
    },
    RemoveTags(Vec<String>),
    SetMetadata(Metadata),
    ReplaceMetadata {
        set: Metadata,
        remove: Vec<String>,
    },
    RemoveMetadata(String),
    AddNic(Mac),
    RemoveNic(Mac),
    /// A disk, and whether its slot was asked for, so that it is listed before it is there.
    CreateDisk {
        disk: Disk,
        announced: bool,
    },
    /// A disk, its size in MiB, and whether that may be less than before.
    ResizeDisk(DiskId, u64, bool),
    DeleteDisk(DiskId),
    CreateSnapshot(String),
    RollBack(String),
    DeleteSnapshot(String),
    Migrate(Phase),
}

/// What a new instance needs besides its row.
#[derive(Default)]
pub(super) struct Provision {
    pub(super) nics: Vec<WantedNic>,
    pub(super) rules: Vec<AffinityRule>,
    /// From the old parameter `locality`.
    pub(super) locality: Wanted,
    pub(super) encrypted: bool,
}

/// A NIC of a new instance.
pub(super) struct WantedNic {
    /// A network or a pool.
    pub(super) network: NetworkId,
    pub(super) primary: bool,
    /// The NIC, where it had to be made at once because its address was asked for.
    pub(super) made: Option<Nic>,
}

impl Task {
    /// The word of the audit log. Updates that CloudAPI has no word for are `unknown` there (reference 2.25).
    pub(super) fn action(&self) -> &'static str {
        match self {
            Self::Provision(_) => "provision",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Reboot => "reboot",
            Self::Destroy => "destroy",
            Self::Rename(_) => "rename",
            Self::Resize(_) => "resize",
            Self::SetFirewall(_)
            | Self::AddNic(_)
            | Self::RemoveNic(_)
            | Self::CreateDisk { .. }
            | Self::ResizeDisk(..)
            | Self::DeleteDisk(_) => "unknown",
            Self::SetDeletionProtection(true) => "enable_deletion_protection",
            Self::SetDeletionProtection(false) => "disable_deletion_protection",
            Self::SetTags(_) => "set_tags",
            Self::ReplaceTags { .. } => "replace_tags",
            Self::RemoveTags(_) => "remove_tags",
            Self::SetMetadata(_) => "set_metadata",
            Self::ReplaceMetadata { .. } => "replace_metadata",
            Self::RemoveMetadata(_) => "remove_metadata",
            Self::CreateSnapshot(_) => "create_snapshot",
            Self::RollBack(_) => "rollback_snapshot",
            Self::DeleteSnapshot(_) => "delete_snapshot",
            Self::Migrate(_) => "migrate",
        }
    }
}

/// VMAPI's properties that change when an instance begins or ceases to run.
const STATE: &[&str] = &["state", "zone_state"];

impl World {
    /// A job begins. What it does at once can be seen while it is under way.
    pub(super) fn begin_task(&mut self, at: Timestamp, id: InstanceId, task: &Task) {
        let Some(machine) = self.machines.get(id) else {
            return;
        };
        let running = machine.stored_state == VmState::Running;
        let stops = match task {
            Task::Stop => running,
            Task::Destroy => running && !machine.deletion_protection,
            _ => false,
        };
        if stops && self.node_is_up(machine.compute_node) {
            self.edit(at, id, STATE, |machine| machine.stored_state = VmState::Stopping);
        }
    }

    /// A job does its work, unless the instance is in the wrong state for it; says whether it did.
    pub(super) fn complete_task(
        &mut self,
        at: Timestamp,
        id: InstanceId,
        task: &Task,
        caller: &Caller,
    ) -> bool {
        let Some(machine) = self.machines.get(id).cloned() else {
            return false;
        };
        // What was destroyed or never made has nothing left to work on.
        if !machine.is_active() && !matches!(task, Task::Destroy) {
            return false;
        }
        match task {
            Task::Provision(_) => self.boots(at, id, &["state", "zone_state", "boot_timestamp", "autoboot"]),
            Task::Start => {
                if machine.stored_state != VmState::Stopped {
                    return false;
                }
                self.boots(at, id, &["state", "zone_state", "boot_timestamp", "pid"]);
            }
            Task::Stop => {
                if machine.stored_state != VmState::Stopping {
                    return false;
                }
                self.halts(at, id);
            }
            Task::Reboot => {
                if machine.stored_state != VmState::Running {
                    return false;
                }
                self.boots(at, id, &["boot_timestamp", "pid"]);
            }
            Task::Destroy => return self.destroys(at, &machine),
            Task::Rename(name) => return self.renames(at, &machine, name),
            Task::Resize(package) => return self.resizes(at, &machine, *package),
            Task::SetFirewall(on) => {
                self.edit(at, id, &["firewall_enabled"], |machine| machine.firewall_enabled = *on);
            }
            Task::SetDeletionProtection(on) => {
                self.edit(at, id, &["indestructible_zoneroot"], |machine| machine.deletion_protection = *on);
            }
            Task::SetTags(set) => return self.tags_change(at, id, set, &[]),
            Task::ReplaceTags { set, remove } => return self.tags_change(at, id, set, remove),
            Task::RemoveTags(remove) => return self.tags_change(at, id, &Tags::new(), remove),
            Task::SetMetadata(set) => return self.metadata_changes(at, id, set, &[]),
            Task::ReplaceMetadata { set, remove } => return self.metadata_changes(at, id, set, remove),
            Task::RemoveMetadata(key) => {
                return self.metadata_changes(at, id, &Metadata::new(), std::slice::from_ref(key));
            }
            Task::AddNic(mac) => return self.nic_is_added(at, &machine, *mac),
            Task::RemoveNic(mac) => return self.nic_is_removed(at, &machine, *mac),
            Task::CreateDisk { disk, .. } => return self.disk_is_created(at, &machine, disk),
            Task::ResizeDisk(disk, size, shrink) => {
                return self.disk_is_resized(at, &machine, *disk, *size, *shrink);
            }
            Task::DeleteDisk(disk) => return self.disk_is_deleted(at, &machine, *disk),
            Task::CreateSnapshot(name) => return self.snapshot_is_created(at, &machine, name),
            Task::RollBack(name) => return self.rolls_back(at, &machine, name),
            Task::DeleteSnapshot(name) => return self.snapshot_is_deleted(at, &machine, name),
            Task::Migrate(phase) => return self.migration_proceeds(at, &machine, *phase, caller),
        }
        true
    }

    /// A job does not do its work: what it began is undone.
    pub(super) fn fail_task(&mut self, at: Timestamp, id: InstanceId, task: &Task) {
        let Some(machine) = self.machines.get(id).cloned() else {
            return;
        };
        match task {
            Task::Provision(_) if machine.is_active() => self.provision_fails(at, &machine),
            Task::Stop | Task::Destroy if machine.stored_state == VmState::Stopping => {
                self.edit(at, id, STATE, |machine| machine.stored_state = VmState::Running);
            }
            Task::AddNic(mac) => self.nic_is_not_added(&machine, *mac),
            Task::Migrate(_) => self.migration_fails(at, id),
            _ => {}
        }
    }

    /// An instance begins to run.
    pub(super) fn boots(&mut self, at: Timestamp, id: InstanceId, sub_resources: &[&'static str]) {
        self.edit(at, id, sub_resources, |machine| {
            machine.stored_state = VmState::Running;
            machine.booted = Some(at);
        });
    }

    /// An instance ceases to run.
    pub(super) fn halts(&mut self, at: Timestamp, id: InstanceId) {
        self.edit(at, id, &["state", "zone_state", "exit_status", "pid"], |machine| {
            machine.stored_state = VmState::Stopped;
        });
    }

    /// An instance is gone: its addresses and its name are free again. One that was still being made has failed
    /// instead (reference 2.12).
    fn destroys(&mut self, at: Timestamp, machine: &Machine) -> bool {
        if machine.is_destroyed() || machine.deletion_protection {
            return false;
        }
        if machine.stored_state == VmState::Provisioning {
            self.provision_fails(at, machine);
            return true;
        }
        self.give_back(machine);
        self.edit(at, machine.id, &["state", "zone_state", "destroyed"], |machine| {
            machine.stored_state = VmState::Destroyed;
            machine.destroyed = Some(at);
            machine.pending_nics.clear();
        });
        true
    }

    /// An instance could not be made. It keeps its row and nothing else.
    pub(super) fn provision_fails(&mut self, at: Timestamp, machine: &Machine) {
        self.give_back(machine);
        self.edit(at, machine.id, &["state", "zone_state", "nics"], |machine| {
            machine.stored_state = VmState::Failed;
            machine.nics.clear();
            machine.pending_nics.clear();
        });
    }

    /// Frees what an active instance takes of networks and compute nodes.
    fn give_back(&mut self, machine: &Machine) {
        if !machine.is_active() {
            return;
        }
        for nic in machine.nics.iter().chain(&machine.pending_nics) {
            self.networks.release(nic, machine.id);
        }
        if let Some(node) = machine.compute_node {
            self.vacate(node, machine.demand());
        }
        for mount in &machine.volumes {
            if let Some(volume) = self.volumes.get_mut(&mount.volume) {
                volume.refs.remove(&machine.id);
            }
        }
        self.end_migration(machine.id);
    }

    /// A provision chooses the compute node and makes the NICs; says whether both worked.
    pub(super) fn provision_places(&mut self, at: Timestamp, id: InstanceId, provision: &Provision) -> bool {
        let Some(machine) = self.machines.get(id).cloned() else {
            return false;
        };
        let demand = machine.demand();
        let node = self.place(id, demand, provision.encrypted, &provision.rules, &provision.locality);
        let Some(node) = node else {
            self.provision_fails(at, &machine);
            return false;
        };
        self.occupy(node, demand);
        let mut nics = Vec::with_capacity(provision.nics.len());
        for wanted in &provision.nics {
            let nic = wanted
                .made
                .clone()
                .or_else(|| self.networks.make_nic(&mut self.rng, machine.owner, id, wanted.network, None));
            nics.extend(nic.map(|nic| Nic { primary: wanted.primary, ..nic }));
        }
        let complete = nics.len() == provision.nics.len();
        self.edit(at, id, &["server_uuid", "nics"], |machine| {
            machine.compute_node = Some(node);
            machine.nics = nics;
            machine.pending_nics.clear();
        });
        if !complete && let Some(machine) = self.machines.get(id).cloned() {
            self.provision_fails(at, &machine);
        }
        complete
    }
}
