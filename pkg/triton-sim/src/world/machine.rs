//! An instance as VMAPI keeps it, with its NICs, disks and snapshots (reference 2.11, 2.19, 2.20).

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv4Addr;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;
use triton::id::{AccountId, ComputeNodeId, DiskId, ImageId, InstanceId, NetworkId, PackageId, VolumeId};
use triton::types::MacAddress;

use crate::view::VmState;

/// The hardware address of a NIC.
pub type Mac = MacAddress;

/// Tags: strings, numbers and booleans (reference 2.17).
pub type Tags = BTreeMap<String, Value>;

/// Customer metadata: strings, numbers and booleans (reference 2.18).
pub type Metadata = BTreeMap<String, Value>;

/// How an instance is virtualised (reference 0).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Brand {
    /// A SmartOS zone.
    Joyent,
    /// A SmartOS zone without its usual packages.
    JoyentMinimal,
    /// A zone with the Linux system call interface.
    Lx,
    /// A hardware virtual machine.
    Bhyve,
    /// A hardware virtual machine of the older kind.
    Kvm,
}

impl Brand {
    /// Every brand that CloudAPI provisions.
    pub const ALL: [Self; 5] = [Self::Joyent, Self::JoyentMinimal, Self::Lx, Self::Bhyve, Self::Kvm];

    /// The brand of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|brand| brand.as_str() == name)
    }

    /// The name, such as `lx`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Joyent => "joyent",
            Self::JoyentMinimal => "joyent-minimal",
            Self::Lx => "lx",
            Self::Bhyve => "bhyve",
            Self::Kvm => "kvm",
        }
    }

    /// Whether it is a hardware virtual machine: `virtualmachine` in CloudAPI, otherwise `smartmachine`.
    pub const fn is_hvm(self) -> bool {
        matches!(self, Self::Bhyve | Self::Kvm)
    }
}

/// One instance.
///
/// Read the fields freely; they change only through [`World`](super::World). Its queue of jobs and its audit log
/// are kept apart from it, so that copying a row stays cheap.
#[derive(Clone, PartialEq)]
pub struct Machine {
    /// Its id.
    pub id: InstanceId,
    /// Its account.
    pub owner: AccountId,
    /// Its name, which VMAPI calls alias.
    pub name: String,
    /// How it is virtualised.
    pub brand: Brand,
    /// Its state as VMAPI has stored it; see [`Machine::state`].
    pub(super) stored_state: VmState,
    /// Whether its compute node is lost and VMAPI says so.
    pub(super) node_unknown: bool,
    /// Its image.
    pub image: ImageId,
    /// Its package.
    pub package: PackageId,
    /// The name of its package.
    pub package_name: Arc<str>,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// What CloudAPI shows as `disk`, in MiB.
    pub disk_mib: u64,
    /// Whether it cannot be deleted.
    pub deletion_protection: bool,
    /// Whether its firewall is on.
    pub firewall_enabled: bool,
    /// Whether sdc-docker made it.
    pub docker: bool,
    /// Whether it has a dataset of its own; absent for instances without datasets.
    pub delegate_dataset: Option<bool>,
    /// Whether it is on an encrypted compute node.
    pub encrypted: bool,
    /// Tags.
    pub tags: Tags,
    /// Customer metadata.
    pub metadata: Metadata,
    /// Passwords by user, shown only when asked for.
    pub credentials: BTreeMap<String, String>,
    /// When it was made.
    pub created: Timestamp,
    /// When anything about it last changed.
    pub updated: Timestamp,
    /// When it last began to run.
    pub booted: Option<Timestamp>,
    /// When it was destroyed.
    pub destroyed: Option<Timestamp>,
    /// Its NICs; none before it is placed.
    pub nics: Vec<Nic>,
    /// NICs that NAPI has made and a job has yet to give to the instance.
    pub pending_nics: Vec<Nic>,
    /// The compute node, once chosen.
    pub compute_node: Option<ComputeNodeId>,
    /// The disks of a bhyve or kvm instance.
    pub disks: Vec<Disk>,
    /// The pool that disks are cut from, in MiB, for flexible bhyve instances.
    pub flexible_disk_mib: Option<u64>,
    /// Snapshots, oldest first.
    pub snapshots: Vec<Snapshot>,
    /// The volumes it mounts.
    pub volumes: Vec<VolumeMount>,
}

/// Names, never contents: metadata and passwords are secret.
impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

impl Machine {
    /// Its state as VMAPI reports it: running instances of a lost compute node are unknown if the data centre
    /// is set to say so (reference 2.12).
    pub fn state(&self) -> VmState {
        if self.node_unknown && self.stored_state == VmState::Running {
            VmState::Unknown
        } else {
            self.stored_state
        }
    }

    /// CloudAPI's word for the state: `deleted` for destroyed (reference 2.12).
    pub fn public_state(&self) -> &'static str {
        match self.state() {
            VmState::Destroyed => "deleted",
            state => state.as_str(),
        }
    }

    /// Whether it is neither destroyed nor failed, so that its name is taken and lists show it.
    pub fn is_active(&self) -> bool {
        !matches!(self.stored_state, VmState::Destroyed | VmState::Failed)
    }

    /// Whether it was destroyed: CloudAPI answers 410.
    pub fn is_destroyed(&self) -> bool {
        self.stored_state == VmState::Destroyed
    }

    /// CloudAPI's `type`.
    pub fn type_name(&self) -> &'static str {
        if self.brand.is_hvm() { "virtualmachine" } else { "smartmachine" }
    }

    /// The primary NIC, or the first one.
    pub fn primary_nic(&self) -> Option<&Nic> {
        self.nics.iter().find(|nic| nic.primary).or_else(|| self.nics.first())
    }

    /// The state of a NIC as NAPI reports it (reference 2.19).
    pub fn nic_state(&self, nic: &Nic) -> &'static str {
        if self.pending_nics.iter().any(|pending| pending.mac == nic.mac) {
            "provisioning"
        } else if self.stored_state == VmState::Running {
            "running"
        } else {
            "stopped"
        }
    }

    /// What is left of the pool of a flexible bhyve instance, in MiB (`free_space`).
    pub fn free_space_mib(&self) -> Option<u64> {
        let used = self.disks.iter().map(|disk| disk.size_mib).sum();
        Some(self.flexible_disk_mib?.saturating_sub(used))
    }
}

/// A NIC (reference 2.19).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nic {
    /// Its hardware address, by which it is known.
    pub mac: Mac,
    /// Its address.
    pub ip: Ipv4Addr,
    /// Whether it is the primary one.
    pub primary: bool,
    /// The gateway of its network.
    pub gateway: Option<Ipv4Addr>,
    /// The netmask of its network.
    pub netmask: Ipv4Addr,
    /// The network, never a pool.
    pub network: NetworkId,
}

/// A disk of a bhyve or kvm instance (reference 2.20).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// Its id.
    pub id: DiskId,
    /// Its size in MiB.
    pub size_mib: u64,
    /// The size of its blocks in bytes.
    pub block_size: u64,
    /// Whether the instance boots from it.
    pub boot: bool,
    /// The image it was made from.
    pub image: Option<ImageId>,
    /// Its PCI slot, such as `0:4:1`.
    pub pci_slot: String,
}

/// A snapshot that was made (reference 2.20).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its name.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// When it was made.
    pub created: Timestamp,
}

/// A volume that an instance mounts (reference 2.14).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeMount {
    /// The volume.
    pub volume: VolumeId,
    /// Its name when the instance was made.
    pub name: String,
    /// Where it is mounted.
    pub mountpoint: String,
    /// Whether it can only be read.
    pub read_only: bool,
}

/// Who asked for a job, as the audit log shows it (reference 2.25).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Caller {
    /// How the request was authenticated: `signature`, `basic`, `token` or, for the data centre itself,
    /// `operator`.
    pub kind: CallerKind,
    /// Where it came from.
    pub ip: Option<std::net::IpAddr>,
    /// The key that signed it, such as `/acme/keys/2e:c9:…`.
    pub key_id: Option<String>,
}

/// How a request was authenticated (reference 2.25).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CallerKind {
    /// By a signature.
    Signature,
    /// By a token.
    Token,
    /// Not at all: the operator, or the data centre itself.
    #[default]
    Operator,
}

impl CallerKind {
    /// CloudAPI's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Signature => "signature",
            Self::Token => "token",
            Self::Operator => "operator",
        }
    }
}

/// An entry of the audit log: a finished job (reference 2.25).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// What was done, such as `provision`.
    pub action: &'static str,
    /// Whether it worked: `yes` or `no`.
    pub success: bool,
    /// When it ended.
    pub time: Timestamp,
    /// Who asked for it.
    pub caller: Caller,
}
