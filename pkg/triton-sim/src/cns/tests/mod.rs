//! Tests of what is pure: records, the database, answers. The instance is the example of reference 2.11.

mod answers;
mod database;
mod records;

use std::net::Ipv4Addr;

use serde_json::Value;
use triton::id::{AccountId, InstanceId, NetworkId};

use super::records::{Data, Records, records_of};
use super::zones::ZoneConfig;
use crate::view::{InstanceView, NicView, VmState};

pub(super) const ID: &str = "8a5918c3-84a2-4122-9ed5-60d76d7a8525";
pub(super) const ACCOUNT: &str = "7d2a4a1e-2f3b-4f5c-8a39-0d3f4f6a7b8c";
pub(super) const EXTERNAL: &str = "3985900d-15a8-42d8-a997-1f7e8df2d0af";
pub(super) const FABRIC: &str = "ac336e0f-8532-4e0e-a19e-7cd5bdd62817";

pub(super) fn zones() -> ZoneConfig {
    ZoneConfig::of_data_center("dc1", [EXTERNAL.parse().unwrap()]).unwrap()
}

fn nic(ip: &str, network: &str, name: &str, nic_tag: &str) -> NicView {
    NicView {
        mac: [0x90, 0xb8, 0xd0, 0x80, 0xec, 0xae],
        ip: ip.parse().unwrap(),
        primary: nic_tag == "external",
        network: network.parse().unwrap(),
        network_name: name.into(),
        network_owner: (nic_tag == "sdc_overlay").then(|| ACCOUNT.parse().unwrap()),
        public: nic_tag == "external",
        nic_tag: nic_tag.into(),
    }
}

fn external(ip: &str) -> NicView {
    nic(ip, EXTERNAL, "external", "external")
}

fn fabric(ip: &str) -> NicView {
    nic(ip, FABRIC, "My-Fabric-Network", "sdc_overlay")
}

pub(super) fn example() -> InstanceView {
    InstanceView {
        id: ID.parse().unwrap(),
        owner: ACCOUNT.parse().unwrap(),
        owner_login: "Acme".into(),
        cns_enabled: true,
        alias: "web-1".to_owned(),
        state: VmState::Running,
        brand: "lx".into(),
        image: "8a1b6e3a-00ec-4031-b0a8-8fb0f334c394".parse().unwrap(),
        image_name: "ubuntu-22.04".into(),
        image_tags: [].into(),
        package_name: "g1.micro".into(),
        compute_node: Some("44454c4c-5300-1057-8050-b7c04f533532".parse().unwrap()),
        compute_node_up: true,
        memory_mib: 1024,
        disk_mib: 10240,
        nics: vec![external("203.0.113.28"), fabric("192.168.128.34")],
        tags: [].into(),
        metadata: [].into(),
        booted: None,
    }
}

/// An instance of the same account with a number, a fabric address and this service tag.
pub(super) fn member(n: u16, services: &str) -> InstanceView {
    let mut view = example();
    view.id = format!("00000000-0000-4000-8000-{n:012x}").parse().unwrap();
    view.alias = format!("member-{n}");
    view.nics = vec![fabric(&Ipv4Addr::from_bits(0xc0a8_8000 + u32::from(n)).to_string())];
    with_tag(view, "triton.cns.services", services)
}

pub(super) fn with_tag(mut view: InstanceView, key: &str, value: impl Into<Value>) -> InstanceView {
    view.tags.insert(key.to_owned(), value.into());
    view
}

fn with_metadata(mut view: InstanceView, key: &str, value: &str) -> InstanceView {
    view.metadata.insert(key.to_owned(), value.to_owned());
    view
}

/// A record as in a zone file, with `U` for the instance and `A` for the account.
fn line(name: &str, zone: &str, data: &Data) -> String {
    let data = match data {
        Data::A(address) => format!("A {address}"),
        Data::Txt(text) => format!("TXT {text}"),
        Data::Srv { port, target } => format!("SRV {port} {target}"),
        Data::Cname(target) => format!("CNAME {target}"),
        Data::Ptr(target) => format!("PTR {target}"),
    };
    format!("{name}.{zone} {data}").replace(ID, "U").replace(ACCOUNT, "A")
}

fn lines(records: &Records) -> Vec<String> {
    let lines = |set: &super::RecordSet| {
        let lines = set.data.iter().map(|data| line(&set.name, &set.zone, data));
        lines.collect::<Vec<_>>()
    };
    records.sets().iter().flat_map(lines).collect()
}

fn lines_of(view: &InstanceView) -> Vec<String> {
    lines(&records_of(view, &zones(), false))
}

fn ids() -> (InstanceId, AccountId, NetworkId) {
    (ID.parse().unwrap(), ACCOUNT.parse().unwrap(), EXTERNAL.parse().unwrap())
}
