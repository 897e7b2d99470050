//! Request bodies: what the document calls them, and what this library sends.

use super::schemas;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use triton::types::*;

const ID: &str = "8a5918c3-84a2-4122-9ed5-60d76d7a8525";

/// A request body with everything in it, and where it differs from the document on purpose.
pub(crate) struct Request {
    pub(crate) schema: &'static str,
    body: Value,
    /// Properties of the document that are not sent, with the reason.
    not_sent: &'static [(&'static str, &'static str)],
    /// Fields that are sent without being in the document, with the reason.
    not_documented: &'static [(&'static str, &'static str)],
}

fn request(schema: &'static str, body: impl serde::Serialize) -> Request {
    Request { schema, body: serde_json::to_value(body).unwrap(), not_sent: &[], not_documented: &[] }
}

fn id<T: std::str::FromStr<Err: std::fmt::Debug>>() -> T {
    ID.parse().unwrap()
}

fn text() -> Option<String> {
    Some("text".into())
}

fn create_instance() -> CreateInstance {
    CreateInstance {
        name: text(),
        networks: vec![NetworkRequest::Address { network: id(), ip: [10, 0, 0, 5].into() }],
        affinity: vec!["role!=web".into()],
        metadata: [("user-data", "{}")].into_iter().collect(),
        tags: [("role".into(), "web".into())].into(),
        firewall_enabled: Some(true),
        deletion_protection: Some(true),
        allow_shared_images: Some(true),
        delegate_dataset: Some(true),
        encrypted: Some(true),
        brand: Some(Brand::Bhyve),
        disks: vec![NewDisk { size: DiskSize::Remaining, block_size: Some(4096) }],
        volumes: vec![VolumeMount {
            name: "data".into(),
            mode: MountMode::ReadWrite,
            mountpoint: "/data".into(),
        }],
        bootrom: text(),
        ..CreateInstance::new("g1.micro", id())
    }
}

/// Every request body that has a schema.
pub(crate) fn bodies() -> Vec<Request> {
    let account = UpdateAccount {
        email: text(),
        company_name: text(),
        first_name: text(),
        last_name: text(),
        address: text(),
        postal_code: text(),
        city: text(),
        state: text(),
        country: text(),
        phone: text(),
        triton_cns_enabled: Some(true),
    };
    let image = UpdateImage {
        name: text(),
        version: text(),
        description: text(),
        homepage: text(),
        eula: text(),
        acl: Some(vec![id()]),
        tags: Some(Tags::new()),
    };
    let network = CreateFabricNetwork {
        name: "net".into(),
        subnet: "10.0.0.0/24".parse().unwrap(),
        provision_start_ip: [10, 0, 0, 2].into(),
        provision_end_ip: [10, 0, 0, 9].into(),
        gateway: Some([10, 0, 0, 1].into()),
        resolvers: vec!["8.8.8.8".parse().unwrap()],
        routes: [("10.9.0.0/16".into(), "10.0.0.5".into())].into(),
        internet_nat: Some(true),
        description: text(),
    };
    let network_update = UpdateFabricNetwork {
        name: text(),
        description: text(),
        provision_start_ip: Some([10, 0, 0, 2].into()),
        provision_end_ip: Some([10, 0, 0, 9].into()),
        resolvers: Some(vec![]),
        routes: Some(Routes::new()),
    };
    let volume = CreateVolume {
        volume_type: Some(VolumeType::TritonNfs),
        name: text(),
        size_mib: Some(10_240),
        networks: vec![id()],
        tags: [("role".into(), "web".into())].into(),
        affinity: vec!["role!=web".into()],
    };
    let rule = CreateFirewallRule {
        rule: "FROM any TO all vms ALLOW tcp PORT 22".into(),
        enabled: true,
        log: Some(true),
        description: text(),
    };
    let rule_update =
        UpdateFirewallRule { rule: text(), enabled: Some(true), log: Some(true), description: text() };
    vec![
        request("AddNicRequest", AddNic { network: NetworkRequest::Any(id()), primary: Some(true) }),
        request("CreateDiskRequest", CreateDisk { size: DiskSize::Mib(10_240), pci_slot: text() }),
        request("CreateFabricNetworkRequest", network),
        request(
            "CreateFabricVlanRequest",
            CreateFabricVlan { vlan_id: 2, name: "vlan".into(), description: text() },
        ),
        request("CreateFirewallRuleRequest", rule),
        Request {
            not_sent: &[
                ("metadata", "sent flattened, as metadata.KEY, which every API version takes"),
                ("tags", "sent flattened, as tag.KEY, which every API version takes"),
                ("locality", "deprecated by affinity"),
            ],
            not_documented: &[
                ("metadata.user-data", "the flattened form (reference 2.14)"),
                ("tag.role", "the flattened form (reference 2.14)"),
                ("bootrom", "taken for bhyve (reference 2.14)"),
            ],
            ..request("CreateMachineRequest", create_instance())
        },
        request("CreateSnapshotRequest", CreateSnapshot { name: text() }),
        request("CreateSshKeyRequest", CreateKey { name: text(), key: "ssh-ed25519 AAAA".into() }),
        Request {
            not_documented: &[("affinity", "taken since 9.8.6 (reference 2.1, 2.23)")],
            ..request("CreateVolumeRequest", volume)
        },
        request("ExportImageRequest", ExportImage { manta_path: "/acct/stor".into() }),
        request(
            "ImportImageRequest",
            ImportImage { datacenter: "us-east-1".into(), id: id() }.query().into_iter().collect::<Map>(),
        ),
        action("DisableDeletionProtectionRequest", InstanceAction::DisableDeletionProtection),
        action("DisableFirewallRequest", InstanceAction::DisableFirewall),
        action("EnableDeletionProtectionRequest", InstanceAction::EnableDeletionProtection),
        action("EnableFirewallRequest", InstanceAction::EnableFirewall),
        action("RebootMachineRequest", InstanceAction::Reboot),
        action("RenameMachineRequest", InstanceAction::Rename { name: "web-2".into() }),
        action("ResizeMachineRequest", InstanceAction::Resize { package: "g1.xl".into() }),
        action("StartMachineRequest", InstanceAction::Start),
        action("StopMachineRequest", InstanceAction::Stop),
        request("ResizeDiskRequest", ResizeDisk { size_mib: 10_240, dangerous_allow_shrink: true }),
        request("UpdateAccountRequest", account),
        request("UpdateConfigRequest", UpdateConfig { default_network: id() }),
        Request {
            not_sent: &[("gateway", "cannot change (reference 2.22)")],
            ..request("UpdateFabricNetworkRequest", network_update)
        },
        request("UpdateFabricVlanRequest", UpdateFabricVlan { name: text(), description: text() }),
        request("UpdateFirewallRuleRequest", rule_update),
        request("UpdateImageRequest", image),
        request("UpdateNetworkIpRequest", UpdateNetworkIp { reserved: true }),
        request("UpdateVolumeRequest", UpdateVolume { name: "data".into() }),
    ]
}

type Map = std::collections::BTreeMap<String, String>;

fn action(schema: &'static str, action: InstanceAction) -> Request {
    Request {
        not_sent: &[("origin", "who asked, for the audit log: the server's default is cloudapi")],
        not_documented: &[(
            "action",
            "in the document a parameter of the query, which is the same (reference 2.2)",
        )],
        ..request(schema, action)
    }
}

#[test]
fn every_property_of_every_request_can_be_sent_and_no_other() {
    let Some(schemas) = schemas() else { return };
    for request in bodies() {
        let name = request.schema;
        let names = |value: &Value| -> BTreeSet<String> {
            value.as_object().map(|object| object.keys().cloned().collect()).unwrap_or_default()
        };
        let documented = names(&schemas[name]["properties"]);
        let sent = names(&request.body);
        let ours = |list: &[(&str, &str)]| -> BTreeSet<String> {
            list.iter().map(|(name, _)| (*name).into()).collect()
        };
        let missing: Vec<_> = documented.difference(&sent).cloned().collect();
        let extra: Vec<_> = sent.difference(&documented).cloned().collect();
        let (not_sent, not_documented) = (ours(request.not_sent), ours(request.not_documented));
        assert!(missing.iter().all(|property| not_sent.contains(property)), "{name}: not sent: {missing:?}");
        assert!(
            extra.iter().all(|field| not_documented.contains(field)),
            "{name}: not documented: {extra:?}"
        );
    }
}

#[test]
fn parts_of_a_create_have_the_documented_names() {
    let Some(schemas) = schemas() else { return };
    let body = serde_json::to_value(create_instance()).unwrap();
    for (part, schema) in [("networks", "NetworkObject"), ("disks", "DiskSpec"), ("volumes", "VolumeMount")] {
        let documented = &schemas[schema]["properties"];
        for field in body[part][0].as_object().unwrap().keys() {
            assert_ne!(documented[field], json!(null), "{schema} has no {field}");
        }
    }
}
