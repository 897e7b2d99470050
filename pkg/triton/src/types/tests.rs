use super::*;
use crate::id::InstanceId;
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;

const ID: &str = "8a5918c3-84a2-4122-9ed5-60d76d7a8525";

fn instance(fields: &str) -> Instance {
    decode(format!(r#"{{"id":"{ID}"{fields}}}"#).as_bytes()).unwrap()
}

#[test]
fn an_instance_is_its_id_and_whatever_else_is_usable() {
    let nothing = Instance::new(ID.parse().unwrap());
    for fields in [
        "",
        r#","name":null,"state":null,"type":null,"brand":null,"package":null,"tags":null,"metadata":null"#,
        r#","name":"","state":"","type":"","brand":"","package":"","tags":"","metadata":"","image":"""#,
        r#","ips":null,"nics":null,"networks":null,"disks":null,"dns_names":null,"compute_node":"""#,
        r#","ips":{},"nics":{},"networks":{},"disks":{},"tags":[],"metadata":[],"memory":"","disk":null"#,
        r#","ips":["",null,7],"nics":[{},null,{"mac":"x"}],"networks":["",{}],"created":"","updated":12"#,
        r#","memory":-1,"disk":1e400,"free_space":1e999,"primaryIp":"","docker":null,"encrypted":"maybe""#,
        r#","tags":{"a":null,"b":[1],"c":{}},"metadata":{"a":null,"b":[1],"c":{}},"from_the_future":{"a":[]}"#,
    ] {
        assert_eq!(instance(fields), nothing, "{fields}");
    }
}

#[test]
fn both_spellings_of_a_field_arrive() {
    let snake = r#","primary_ip":"10.0.0.5","firewall_enabled":true,"compute_node":"ID","dns_names":["a"],
        "deletion_protection":true,"delegate_dataset":true,"free_space":-7,"role_tag":["r"]"#;
    let camel = r#","primaryIp":"10.0.0.5","firewallEnabled":true,"computeNode":"ID","dnsNames":["a"],
        "deletionProtection":true,"delegateDataset":true,"freeSpace":"-7","roleTag":["r"]"#;
    let snake = instance(&snake.replace("ID", ID));
    assert_eq!(snake, instance(&camel.replace("ID", ID)));
    assert_eq!(snake.primary_ip, Some("10.0.0.5".parse().unwrap()));
    assert_eq!(snake.compute_node, Some(ID.parse().unwrap()));
    assert_eq!(snake.free_space, Some(-7));
    assert!(snake.firewall_enabled && snake.deletion_protection && snake.delegate_dataset);
    assert_eq!((snake.dns_names.unwrap().len(), snake.role_tags.len()), (1, 1));
}

#[test]
fn a_field_given_twice_is_no_error() {
    assert_eq!(&*instance(r#","name":"a","name":"b","name":null"#).name, "b");
    let image: Image = decode(
        format!(r#"{{"id":"{ID}","requirements":{{"min_ram":256,"min_memory":256,"max_memory":"512"}}}}"#)
            .as_bytes(),
    )
    .unwrap();
    assert_eq!(image.requirements.min_ram_mib, Some(256));
    assert_eq!(image.requirements.max_ram_mib, Some(512));
}

#[test]
fn no_dns_names_and_no_answer_about_them_are_told_apart() {
    assert_eq!(instance("").dns_names, None);
    assert_eq!(instance(r#","dns_names":[]"#).dns_names, Some(Box::default()));
}

#[test]
fn words_that_nobody_knows_yet_are_kept() {
    let instance = instance(r#","state":"hibernating","brand":"wasm","type":7"#);
    assert_eq!(instance.state, InstanceState::Unknown("hibernating".into()));
    assert_eq!(instance.brand.as_str(), "wasm");
    assert_eq!(instance.instance_type.to_string(), "7");
    assert_eq!(serde_json::to_value(&instance).unwrap()["state"], "hibernating");
}

#[test]
fn nothing_secret_of_an_instance_is_printed_or_written() {
    let instance = instance(
        r#","metadata":{"user-data":"hunter2","credentials":{"root":"hunter3"}},"tags":{"role":"web"}"#,
    );
    assert_eq!(instance.metadata.get("user-data"), Some("hunter2"));
    let printed = format!("{instance:?}");
    assert!(
        printed.contains("user-data") && printed.contains("web"),
        "{printed}"
    );
    assert!(!printed.contains("hunter"), "{printed}");
    assert!(!serde_json::to_string(&instance).unwrap().contains("hunter3"));
}

#[test]
fn the_primary_nic_is_the_marked_one_or_else_the_first() {
    let nics = |first: bool, second: bool| {
        instance(&format!(
            r#","nics":[{{"mac":"90:b8:d0:00:00:01","primary":{first}}},
                {{"mac":"90:b8:d0:00:00:02","primary":{second}}}]"#
        ))
    };
    for (first, second, expected) in [(true, false, 1), (false, true, 2), (false, false, 1)] {
        assert_eq!(
            nics(first, second).primary_nic().unwrap().mac.octets()[5],
            expected
        );
    }
    assert_eq!(instance("").primary_nic(), None);
}

#[test]
fn an_instance_stays_small() {
    // Ten thousand of them are held at once; the budget of the whole store is 64 MiB.
    assert!(size_of::<Instance>() <= 640, "{} bytes", size_of::<Instance>());
    assert!(size_of::<Nic>() <= 128, "{} bytes", size_of::<Nic>());
}

#[test]
fn list_filters_become_query_pairs() {
    fn check(pairs: Vec<(String, String)>, expected: &str) {
        let text: Vec<_> = pairs
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(text.join("&"), expected);
    }
    check(ListInstances::default().query(), "");
    check(
        ListInstances {
            instance_type: Some(InstanceType::SmartMachine),
            brand: Some(Brand::Lx),
            name_prefix: Some("web-1".into()),
            image: Some(ID.parse().unwrap()),
            state: Some(InstanceStateFilter::Active),
            memory_mib: Some(1024),
            tombstone: true,
            tags: [
                ("k8s.cluster".into(), "prod & test".into()),
                ("tier".into(), 2.into()),
                ("up".into(), true.into()),
            ]
            .into(),
            docker: Some(false),
            credentials: true,
            limit: Some(5000),
            offset: Some(3000),
        }
        .query(),
        &format!(
            "type=smartmachine&brand=lx&name=web-1&image={ID}&state=active&memory=1024&tombstone=true\
             &docker=false&credentials=true&tag.k8s.cluster=prod & test&tag.tier=2&tag.up=true\
             &limit=1000&offset=3000"
        ),
    );
    check(
        ListInstances {
            limit: Some(0),
            ..ListInstances::default()
        }
        .query(),
        "limit=1",
    );
    for (state, word) in [
        (InstanceStateFilter::Running, "running"),
        (InstanceStateFilter::Stopped, "stopped"),
        (InstanceStateFilter::Unknown, "unknown"),
        (InstanceStateFilter::Destroyed, "destroyed"),
    ] {
        let filter = ListInstances {
            state: Some(state),
            ..ListInstances::default()
        };
        check(filter.query(), &format!("state={word}"));
    }
    check(
        ListImages {
            name: Some("base-64-lts".into()),
            version: Some("21.4.0".into()),
            os: Some("smartos".into()),
            public: Some(true),
            state: Some(ImageState::Disabled),
            all_states: false,
            owner: Some(ID.parse().unwrap()),
            image_type: Some(ImageType::ZoneDataset),
        }
        .query(),
        &format!(
            "name=base-64-lts&version=21.4.0&os=smartos&public=true&state=disabled&owner={ID}&type=zone-dataset"
        ),
    );
    check(
        ListImages {
            state: Some(ImageState::Active),
            all_states: true,
            ..ListImages::default()
        }
        .query(),
        "state=all",
    );
    check(
        ListPackages {
            name: Some("g1.*".into()),
            memory_mib: Some(1024),
            disk_mib: Some(25_600),
            swap_mib: Some(4096),
            lwps: Some(4000),
            vcpus: Some(0),
            version: Some("1.0.0".into()),
            group: Some("g1".into()),
            brand: Some(Brand::Bhyve),
            flexible_disk: Some(true),
        }
        .query(),
        "name=g1.*&memory=1024&disk=25600&swap=4096&lwps=4000&vcpus=0&version=1.0.0&group=g1&brand=bhyve\
         &flexible_disk=true",
    );
    check(ListNetworks { fabric: Some(true) }.query(), "fabric=true");
    check(
        ListVolumes {
            name: Some("data".into()),
            size_mib: Some(10_240),
            state: Some(VolumeState::Ready),
            volume_type: Some(VolumeType::TritonNfs),
            predicate: Some("{}".into()),
        }
        .query(),
        "name=data&size=10240&state=ready&type=tritonnfs&predicate={}",
    );
    check(
        ImportImage {
            datacenter: "us-east-1".into(),
            id: ID.parse().unwrap(),
        }
        .query(),
        &format!("datacenter=us-east-1&id={ID}"),
    );
}

/// The names that the objects' fields have, and some that nothing has.
const NAMES: &[&str] = &[
    "id",
    "name",
    "type",
    "brand",
    "state",
    "image",
    "ips",
    "memory",
    "disk",
    "deletion_protection",
    "metadata",
    "credentials",
    "tags",
    "created",
    "updated",
    "docker",
    "networks",
    "nics",
    "primaryIp",
    "primary_ip",
    "firewall_enabled",
    "firewallEnabled",
    "compute_node",
    "computeNode",
    "package",
    "dns_names",
    "free_space",
    "flexible",
    "disks",
    "encrypted",
    "delegate_dataset",
    "role-tag",
    "mac",
    "ip",
    "primary",
    "gateway",
    "netmask",
    "network",
    "size",
    "block_size",
    "boot",
    "pci_slot",
    "login",
    "email",
    "fingerprint",
    "key",
    "multifactor",
    "by",
    "value",
    "used",
    "default_network",
    "version",
    "os",
    "requirements",
    "min_ram",
    "min_memory",
    "min_platform",
    "files",
    "sha1",
    "acl",
    "error",
    "code",
    "vcpus",
    "lwps",
    "flexible_disk",
    "caller",
    "keyId",
    "success",
    "time",
    "action",
    "rule",
    "enabled",
    "global",
    "subnet",
    "resolvers",
    "routes",
    "vlan_id",
    "suffixes",
    "internet_nat",
    "reserved",
    "owner_uuid",
    "belongs_to_uuid",
    "filesystem_path",
    "refs",
    "machine",
    "phase",
    "progress_history",
    "progress_percent",
    "created_timestamp",
    "",
    "__proto__",
    "ünknown",
    "\\ud800",
];

/// JSON texts, also of the kind that a parsed tree cannot hold: huge numbers, half surrogate pairs, names
/// that occur twice.
fn json_text() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        4 => prop::sample::select(vec![
            "null", "true", "false", "0", "-0", "1e999", "-1e-999", "18446744073709551616",
            r#""""#, r#""running""#, r#""remaining""#, r#""\ud800""#, r#""\u0000""#, r#""1024""#,
            r#""8a5918c3-84a2-4122-9ed5-60d76d7a8525""#, r#""203.0.113.28""#, r#""203.0.113.0/24""#,
            r#""90:b8:d0:80:ec:ae""#, r#""2026-01-26T21:32:02.032Z""#,
            r#""-999999-01-01T00:00:00Z""#, r#""fe80::1""#,
        ]).prop_map(str::to_owned),
        1 => "-?[1-9][0-9]{0,20}",
        1 => "-?[1-9][0-9]{0,4}\\.[0-9]{1,4}",
        1 => any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
    ];
    scalar.prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(|items| format!("[{}]", items.join(","))),
            fields(inner).prop_map(|fields| format!("{{{fields}}}")),
        ]
    })
}

fn fields(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    prop::collection::vec((prop::sample::select(NAMES), value), 0..12).prop_map(|fields| {
        let fields: Vec<_> = fields
            .into_iter()
            .map(|(name, value)| format!("\"{name}\":{value}"))
            .collect();
        fields.join(",")
    })
}

/// Reads `json` as `T`, which may fail but not panic; what was read is the same when written and read again.
fn read_and_write<T: DeserializeOwned + Serialize + PartialEq + Debug>(json: &str) {
    if let Ok(object) = decode::<T>(json.as_bytes()) {
        let written = serde_json::to_string(&object).unwrap();
        assert_eq!(decode::<T>(written.as_bytes()).unwrap(), object);
        let _ = format!("{object:?}");
    }
}

proptest! {
    #[test]
    fn an_instance_with_a_valid_id_is_always_read(before in fields(json_text()), after in fields(json_text())) {
        let join = |left: &str, right: &str| [left, right].iter().filter(|s| !s.is_empty()).cloned().collect::<Vec<_>>().join(",");
        let id = format!("\"id\":\"{ID}\"");
        let after = after.replace("\"id\":", "\"uuid\":");
        let json = format!("{{{}}}", join(&before, &join(&id, &after)));
        let instance: Instance = decode(json.as_bytes()).unwrap();
        prop_assert_eq!(instance.id, ID.parse::<InstanceId>().unwrap());
    }

    #[test]
    fn no_json_makes_any_object_panic(json in json_text()) {
        read_and_write::<Account>(&json);
        read_and_write::<AuditEntry>(&json);
        read_and_write::<Config>(&json);
        read_and_write::<Datacenters>(&json);
        read_and_write::<Disk>(&json);
        read_and_write::<FabricVlan>(&json);
        read_and_write::<FirewallRule>(&json);
        read_and_write::<Image>(&json);
        read_and_write::<Key>(&json);
        read_and_write::<Limit>(&json);
        read_and_write::<Migration>(&json);
        read_and_write::<Network>(&json);
        read_and_write::<NetworkIp>(&json);
        read_and_write::<Nic>(&json);
        read_and_write::<Package>(&json);
        read_and_write::<Services>(&json);
        read_and_write::<Snapshot>(&json);
        read_and_write::<TagValue>(&json);
        read_and_write::<Volume>(&json);
        read_and_write::<VolumeSize>(&json);
        let _ = decode::<Instance>(json.as_bytes());
        let _ = decode::<Metadata>(json.as_bytes());
        let _ = decode_list::<Instance>(json.as_bytes());
    }

    #[test]
    fn no_bytes_make_decoding_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode::<Instance>(&body);
        let _ = decode_list::<Instance>(&body);
    }
}
