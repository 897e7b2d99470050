//! Instances and their parts (reference 2.11, 2.19, 2.20, 2.25).

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde::{Serialize, Serializer, ser::SerializeMap as _};
use serde_json::Value;

use super::time;
use crate::world::machine::{self, AuditEntry};

/// An instance.
#[derive(Debug, Serialize)]
pub(crate) struct Machine<'a> {
    id: String,
    name: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    brand: &'static str,
    state: &'static str,
    image: String,
    ips: Vec<Ipv4Addr>,
    memory: u64,
    disk: u64,
    deletion_protection: bool,
    metadata: Metadata<'a>,
    tags: &'a BTreeMap<String, Value>,
    created: String,
    updated: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    docker: Option<bool>,
    networks: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delegate_dataset: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nics: Option<Vec<MachineNic>>,
    #[serde(rename = "primaryIp", skip_serializing_if = "Option::is_none")]
    primary_ip: Option<Ipv4Addr>,
    firewall_enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    compute_node: Option<String>,
    package: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    flexible: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dns_names: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    free_space: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disks: Option<Vec<MachineDisk>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    encrypted: Option<bool>,
}

/// Customer metadata, with `credentials` among it when that was asked for.
#[derive(Debug)]
struct Metadata<'a> {
    customer: &'a BTreeMap<String, Value>,
    credentials: Option<&'a BTreeMap<String, String>>,
}

impl Serialize for Metadata<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let credentials = self.credentials.filter(|credentials| !credentials.is_empty());
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in self.customer {
            map.serialize_entry(key, value)?;
        }
        if let Some(credentials) = credentials {
            map.serialize_entry("credentials", credentials)?;
        }
        map.end()
    }
}

/// A NIC inside an instance: without its state.
#[derive(Debug, Serialize)]
pub(crate) struct MachineNic {
    mac: String,
    ip: Ipv4Addr,
    primary: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway: Option<Ipv4Addr>,
    netmask: Ipv4Addr,
    network: String,
}

impl MachineNic {
    fn of(nic: &machine::Nic) -> Self {
        Self {
            mac: nic.mac.to_string(),
            ip: nic.ip,
            primary: nic.primary,
            gateway: nic.gateway,
            netmask: nic.netmask,
            network: nic.network.to_string(),
        }
    }
}

/// A NIC with its state.
#[derive(Debug, Serialize)]
pub(crate) struct Nic {
    #[serde(flatten)]
    nic: MachineNic,
    state: &'static str,
}

impl Nic {
    pub(crate) fn of(nic: &machine::Nic, state: &'static str) -> Self {
        Self { nic: MachineNic::of(nic), state }
    }
}

#[derive(Debug, Serialize)]
struct MachineDisk {
    id: String,
    size: u64,
    block_size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    boot: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<String>,
}

impl MachineDisk {
    fn of(disk: &machine::Disk) -> Self {
        Self {
            id: disk.id.to_string(),
            size: disk.size_mib,
            block_size: disk.block_size,
            boot: disk.boot.then_some(true),
            image: disk.image.map(|image| image.to_string()),
        }
    }
}

/// A disk on its own, with its place and its state, and without its image.
#[derive(Debug, Serialize)]
pub(crate) struct Disk<'a> {
    id: String,
    pci_slot: &'a str,
    size: u64,
    block_size: u64,
    boot: bool,
    state: &'static str,
}

impl<'a> Disk<'a> {
    pub(crate) fn of(disk: &'a machine::Disk, state: &'static str) -> Self {
        Self {
            id: disk.id.to_string(),
            pci_slot: &disk.pci_slot,
            size: disk.size_mib,
            block_size: disk.block_size,
            boot: disk.boot,
            state,
        }
    }
}

impl<'a> Machine<'a> {
    /// An instance as lists show it.
    pub(crate) fn of(machine: &'a machine::Machine) -> Self {
        let bhyve = machine.brand == machine::Brand::Bhyve;
        let nics: Vec<_> = machine.nics.iter().map(MachineNic::of).collect();
        Self {
            id: machine.id.to_string(),
            name: &machine.name,
            kind: machine.type_name(),
            brand: machine.brand.as_str(),
            state: machine.public_state(),
            image: machine.image.to_string(),
            ips: machine.nics.iter().map(|nic| nic.ip).collect(),
            memory: machine.memory_mib,
            disk: machine.disk_mib,
            deletion_protection: machine.deletion_protection,
            metadata: Metadata { customer: &machine.metadata, credentials: None },
            tags: &machine.tags,
            created: time(machine.created),
            updated: time(machine.updated),
            docker: machine.docker.then_some(true),
            networks: machine.nics.iter().map(|nic| nic.network.to_string()).collect(),
            delegate_dataset: machine.delegate_dataset,
            nics: Some(nics).filter(|nics| !nics.is_empty()),
            primary_ip: machine.primary_nic().map(|nic| nic.ip),
            firewall_enabled: machine.firewall_enabled,
            compute_node: machine.compute_node.map(|node| node.to_string()),
            package: &machine.package_name,
            flexible: (bhyve && !machine.package_name.is_empty())
                .then_some(machine.flexible_disk_mib.is_some()),
            dns_names: None,
            free_space: machine.free_space_mib(),
            disks: bhyve.then(|| machine.disks.iter().map(MachineDisk::of).collect()),
            encrypted: machine.encrypted.then_some(true),
        }
    }

    /// As the changefeed shows it, which knows no package.
    pub(crate) fn in_feed(machine: &'a machine::Machine) -> Self {
        Self { package: "", flexible: None, ..Self::of(machine) }
    }

    /// With passwords in its metadata.
    pub(crate) fn with_credentials(mut self, machine: &'a machine::Machine) -> Self {
        self.metadata.credentials = Some(&machine.credentials);
        self
    }

    /// With its names in CNS.
    pub(crate) fn with_dns_names(self, names: Option<Vec<String>>) -> Self {
        Self { dns_names: names, ..self }
    }
}

/// A snapshot.
#[derive(Debug, Serialize)]
pub(crate) struct Snapshot<'a> {
    name: &'a str,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated: Option<String>,
}

impl<'a> Snapshot<'a> {
    /// A snapshot that was made.
    pub(crate) fn created(snapshot: &'a machine::Snapshot) -> Self {
        let created = Some(time(snapshot.created));
        let size = Some(snapshot.size);
        Self { name: &snapshot.name, state: "created", size, created: created.clone(), updated: created }
    }

    /// A snapshot that was asked for: name and state only.
    pub(crate) fn queued(name: &'a str) -> Self {
        Self { name, state: "queued", size: None, created: None, updated: None }
    }
}

/// An entry of the audit.
#[derive(Debug, Serialize)]
pub(crate) struct Audit<'a> {
    success: &'static str,
    time: String,
    action: &'a str,
    caller: AuditCaller<'a>,
}

#[derive(Debug, Serialize)]
struct AuditCaller<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip: Option<String>,
    #[serde(rename = "keyId", skip_serializing_if = "Option::is_none")]
    key_id: Option<&'a str>,
}

impl<'a> Audit<'a> {
    pub(crate) fn of(entry: &'a AuditEntry) -> Self {
        Self {
            success: if entry.success { "yes" } else { "no" },
            time: time(entry.time),
            action: entry.action,
            caller: AuditCaller {
                kind: entry.caller.kind.as_str(),
                ip: entry.caller.ip.map(|ip| ip.to_string()),
                key_id: entry.caller.key_id.as_deref(),
            },
        }
    }
}
