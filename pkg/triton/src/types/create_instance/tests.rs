use super::*;
use serde_json::json;

const IMAGE: &str = "8a1b6e3a-00ec-4031-b0a8-8fb0f334c394";
const NETWORK: &str = "3985900d-15a8-42d8-a997-1f7e8df2d0af";

fn minimal() -> CreateInstance {
    CreateInstance::new("g1.micro", IMAGE.parse().unwrap())
}

fn full() -> CreateInstance {
    let network: NetworkId = NETWORK.parse().unwrap();
    CreateInstance {
        name: Some("web-1".into()),
        networks: vec![network.into(), NetworkRequest::Address { network, ip: Ipv4Addr::new(10, 0, 0, 5) }],
        affinity: vec!["role!=~database".into()],
        metadata: [("user-script", "#!/bin/sh\n"), ("k8s:exit-code", "0")].into_iter().collect(),
        tags: [("role".into(), "web".into()), ("tier".into(), 2.into()), ("canary".into(), true.into())]
            .into(),
        firewall_enabled: Some(true),
        deletion_protection: Some(false),
        allow_shared_images: Some(true),
        delegate_dataset: Some(true),
        encrypted: Some(false),
        brand: Some(Brand::Bhyve),
        disks: vec![
            NewDisk { size: DiskSize::Mib(10_240), block_size: Some(4096) },
            NewDisk { size: DiskSize::Remaining, block_size: None },
        ],
        volumes: vec![VolumeMount {
            name: "data".into(),
            mode: MountMode::ReadOnly,
            mountpoint: "/data".into(),
        }],
        bootrom: Some("uefi".into()),
        ..minimal()
    }
}

#[test]
fn a_minimal_body_names_only_image_and_package() {
    assert_eq!(serde_json::to_value(minimal()).unwrap(), json!({"package": "g1.micro", "image": IMAGE}));
}

#[test]
fn a_full_body_flattens_tags_and_metadata() {
    assert_eq!(
        serde_json::to_value(full()).unwrap(),
        json!({
            "name": "web-1",
            "package": "g1.micro",
            "image": IMAGE,
            "networks": [NETWORK, {"ipv4_uuid": NETWORK, "ipv4_ips": ["10.0.0.5"]}],
            "affinity": ["role!=~database"],
            "metadata.user-script": "#!/bin/sh\n",
            "metadata.k8s:exit-code": "0",
            "tag.role": "web",
            "tag.tier": 2,
            "tag.canary": true,
            "firewall_enabled": true,
            "deletion_protection": false,
            "allow_shared_images": true,
            "delegate_dataset": true,
            "encrypted": false,
            "brand": "bhyve",
            "disks": [{"size": 10240, "block_size": 4096}, {"size": "remaining"}],
            "volumes": [{"name": "data", "type": "tritonnfs", "mode": "ro", "mountpoint": "/data"}],
            "bootrom": "uefi",
        })
    );
}

#[test]
fn the_size_is_that_of_the_body_as_it_is_sent() {
    for create in [minimal(), full()] {
        assert_eq!(create.body_bytes(), serde_json::to_vec(&create).unwrap().len());
    }
    let mut create = minimal();
    create.metadata.insert("user-data", "\n".repeat(50_000));
    assert!(create.body_bytes() > MAX_BODY_BYTES, "each line end takes two bytes in JSON");
}

#[test]
fn metadata_is_not_printed() {
    let printed = format!("{:?}", full());
    assert!(printed.contains("user-script") && !printed.contains("/bin/sh"), "{printed}");
}
