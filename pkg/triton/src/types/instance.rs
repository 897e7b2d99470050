//! The instance, which CloudAPI's paths call machine (reference 2.11).

use crate::id::{ComputeNodeId, ImageId, InstanceId, NetworkId};
use crate::types::disk::InstanceDisk;
use crate::types::instance_state::InstanceState;
use crate::types::metadata::Metadata;
use crate::types::nic::Nic;
use crate::types::object::{object, open_enum};
use crate::types::tags::Tags;
use jiff::Timestamp;
use std::net::IpAddr;

open_enum! {
    /// How an instance is virtualised (reference 0).
    pub enum Brand {
        /// A SmartOS zone.
        Joyent = "joyent",
        /// A SmartOS zone without its usual packages.
        JoyentMinimal = "joyent-minimal",
        /// A zone with the Linux system call interface.
        Lx = "lx",
        /// A hardware virtual machine.
        Bhyve = "bhyve",
        /// A hardware virtual machine of the older kind: no resize, no snapshots.
        Kvm = "kvm",
        /// A zone that builds the platform; internal to operators.
        Builder = "builder",
    }
}

open_enum! {
    /// Container or machine.
    pub enum InstanceType {
        /// A zone: every brand but `bhyve` and `kvm`.
        SmartMachine = "smartmachine",
        /// A hardware virtual machine: `bhyve` or `kvm`.
        VirtualMachine = "virtualmachine",
    }
}

object! {
    /// An instance.
    ///
    /// What is there depends on where the object comes from: lists and changefeed events have no
    /// `dns_names` (reference 2.13), events have no `package` (reference 2.26), and a new instance has no
    /// addresses and no compute node yet.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Instance("an instance") {
        /// Its id.
        identity id: InstanceId = "id",
        /// Its name, unique among the account's active instances but for a race (reference 2.14); empty when
        /// it has none.
        name: Box<str> = "name",
        /// Container or machine.
        instance_type: InstanceType = "type",
        /// How it is virtualised.
        brand: Brand = "brand",
        /// Its state.
        state: InstanceState = "state",
        /// The image it was made from.
        image: Option<ImageId> = "image",
        /// Its addresses, one per NIC; empty until they are allocated.
        ips: Box<[IpAddr]> = "ips",
        /// Memory in MiB.
        memory_mib: Option<u64> = "memory",
        /// Disk quota in MiB; the whole pool of a flexible bhyve machine, the data disk of a KVM machine.
        disk_mib: Option<u64> = "disk",
        /// Whether deleting it is refused.
        deletion_protection: bool = "deletion_protection",
        /// Metadata, with the credentials if they were asked for.
        metadata: Metadata = "metadata",
        /// Tags.
        tags: Tags = "tags",
        /// When it was made.
        created: Option<Timestamp> = "created",
        /// When anything about it last changed.
        updated: Option<Timestamp> = "updated",
        /// Whether sdc-docker made it.
        docker: bool = "docker",
        /// Its networks, one per NIC: the networks themselves, also where a pool was asked for.
        networks: Box<[NetworkId]> = "networks",
        /// Its NICs, without their `state`.
        nics: Box<[Nic]> = "nics",
        /// The address of the primary NIC.
        primary_ip: Option<IpAddr> = "primaryIp",
        /// Whether the account's firewall rules apply to it.
        firewall_enabled: bool = "firewall_enabled",
        /// The server it is on; `None` until one is chosen.
        compute_node: Option<ComputeNodeId> = "compute_node",
        /// The name of its package; `None` where the server does not know or does not say, as in every
        /// changefeed event.
        package: Option<Box<str>> = "package",
        /// Its names in CNS. `None`: not said, or CNS is off for the account. Empty: CNS has none.
        dns_names: Option<Box<[Box<str>]>> = "dns_names",
        /// What is left of a flexible machine's disk pool. The unit differs between sources (MiB in the
        /// platform's manual, bytes in the OpenAPI document): compare it with zero only.
        free_space: Option<i64> = "free_space",
        /// Whether a bhyve machine's disks are chosen by the tenant.
        flexible: bool = "flexible",
        /// The disks of a bhyve machine.
        disks: Box<[InstanceDisk]> = "disks",
        /// Whether it is on an encrypted server.
        encrypted: bool = "encrypted",
        /// Whether it has a dataset of its own to manage.
        delegate_dataset: bool = "delegate_dataset",
        /// Role tags (reference 1.6), where the server puts them in the body.
        role_tags: Box<[Box<str>]> = "role-tag",
    }
}

object! {
    /// What a list says of an instance to whoever needs its state only. Rows are kilobytes, and a list of the destroyed has
    /// as many as history made.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct InstanceSummary("an instance") {
        /// Its id.
        identity id: InstanceId = "id",
        /// Its state.
        state: InstanceState = "state",
    }
}

impl Instance {
    /// The primary NIC; where none is marked, the first.
    pub fn primary_nic(&self) -> Option<&Nic> {
        self.nics.iter().find(|nic| nic.primary).or_else(|| self.nics.first())
    }
}
