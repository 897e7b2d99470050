//! The sample objects of CloudAPI decode without loss: a wrong field name would lose a value here.

use crate::shared_data::{cloudapi, lost, read};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use triton::types::{Account, FirewallRule, Image, Instance, Key, Network, Volume, decode, decode_list};

/// Decodes a sample, alone and in a list, and lists what did not arrive.
fn losses<T: DeserializeOwned + Serialize>(sample: &Value) -> Vec<String> {
    let object: T = decode(sample.to_string().as_bytes()).unwrap();
    let list = decode_list::<T>(format!("[{sample},{sample}]").as_bytes()).unwrap();
    assert!(list.is_clean() && list.items.len() == 2);
    lost(sample, &serde_json::to_value(object).unwrap())
}

#[test]
fn every_field_of_every_sample_object_arrives() {
    let Some(directory) = cloudapi() else { return };
    let mut names: Vec<_> = std::fs::read_dir(directory.join("fixtures"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert!(!names.is_empty(), "no sample objects in {}", directory.display());
    for name in names {
        let sample = read(&directory.join("fixtures").join(&name));
        let losses = match name.split('-').next() {
            Some("account") => losses::<Account>(&sample),
            Some("firewall") => losses::<FirewallRule>(&sample),
            Some("image") => losses::<Image>(&sample),
            Some("machine") => losses::<Instance>(&sample),
            Some("network") => losses::<Network>(&sample),
            Some("sshkey") => losses::<Key>(&sample),
            Some("volume") => losses::<Volume>(&sample),
            _ => panic!("{name}: a sample of a kind that this test does not know"),
        };
        assert_eq!(losses, Vec::<String>::new(), "{name}");
    }
}

/// The same samples through the accessors, so that a field cannot arrive under the wrong name and leave
/// under it again.
#[test]
fn the_sample_instance_reads_as_its_fields_say() {
    let Some(directory) = cloudapi() else { return };
    let sample = std::fs::read(directory.join("fixtures/machine-instance_get.json")).unwrap();
    let instance: Instance = decode(&sample).unwrap();
    assert_eq!(instance.id.to_string(), "8a5918c3-84a2-4122-9ed5-60d76d7a8525");
    assert_eq!(&*instance.name, "deploy-424bd6a9");
    assert_eq!(instance.instance_type, triton::types::InstanceType::SmartMachine);
    assert_eq!(instance.brand, triton::types::Brand::Lx);
    assert!(instance.state.is_running());
    assert_eq!(instance.image.unwrap().to_string(), "8a1b6e3a-00ec-4031-b0a8-8fb0f334c394");
    assert_eq!(instance.ips.len(), 2);
    assert_eq!((instance.memory_mib, instance.disk_mib), (Some(1024), Some(10_240)));
    assert!(instance.metadata.get("root_authorized_keys").unwrap().starts_with("ssh-ed25519 "));
    assert_eq!(instance.tags["triton_deploy_app_id"].as_str(), Some("424bd6a9-b2bb-487b-8931-5fe2dbaae3b7"));
    assert_eq!(instance.networks.len(), 2);
    let primary = instance.primary_nic().unwrap();
    assert_eq!(primary.mac.to_string(), "90:b8:d0:80:ec:ae");
    assert!(primary.ip.is_some() && primary.ip == instance.primary_ip);
    assert_eq!(primary.network, instance.networks.first().copied());
    assert_eq!(instance.compute_node.unwrap().to_string(), "44454c4c-5300-1057-8050-b7c04f533532");
    assert_eq!(instance.package.as_deref(), Some("g1.micro"));
    assert_eq!(instance.dns_names.unwrap().len(), 6);
    assert!(instance.created < instance.updated);
}
