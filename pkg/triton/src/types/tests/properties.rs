//! Whatever arrives, decoding neither panics nor loses an object that says which one it is.

use crate::types::*;
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;

const ID: &str = "8a5918c3-84a2-4122-9ed5-60d76d7a8525";

/// The names that the objects' fields have, and some that nothing has.
const NAMES: &str = "\
    id name type brand state image ips memory disk deletion_protection metadata credentials tags \
    created updated docker networks nics primaryIp primary_ip firewall_enabled firewallEnabled \
    compute_node computeNode package dns_names free_space flexible disks encrypted delegate_dataset \
    role-tag mac ip primary gateway netmask network size block_size boot pci_slot login email \
    fingerprint key multifactor by value used default_network version os requirements min_ram \
    min_memory min_platform files sha1 acl error code vcpus lwps flexible_disk caller keyId success \
    time action rule enabled global subnet resolvers routes vlan_id suffixes internet_nat reserved \
    owner_uuid belongs_to_uuid filesystem_path refs machine phase progress_history progress_percent \
    created_timestamp __proto__ ünknown \\ud800";

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
    prop::collection::vec((prop::sample::select(NAMES.split(' ').collect::<Vec<_>>()), value), 0..12)
        .prop_map(|fields| {
            let fields: Vec<_> =
                fields.into_iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
            fields.join(",")
        })
}

/// Reads an object that must be readable; it is the same when written and read again.
fn check_readable<T: DeserializeOwned + Serialize + PartialEq + Debug>(json: &str) -> T {
    let object: T = decode(json.as_bytes()).unwrap();
    let written = serde_json::to_string(&object).unwrap();
    assert_eq!(decode::<T>(written.as_bytes()).unwrap(), object);
    object
}

/// One valid value for the identity of every kind of object.
const IDENTITIES: &str = r#""id":"8a5918c3-84a2-4122-9ed5-60d76d7a8525","mac":"90:b8:d0:80:ec:ae","ip":"10.0.0.5",
    "machine":"8a5918c3-84a2-4122-9ed5-60d76d7a8525","fingerprint":"aa:bb","name":"a","vlan_id":2,"size":1"#;

proptest! {
    #[test]
    fn an_object_with_an_identity_is_always_read(before in fields(json_text()), after in fields(json_text())) {
        let parts: Vec<_> =
            [&*before, IDENTITIES, &*after].into_iter().filter(|part| !part.is_empty()).collect();
        let json = format!("{{{}}}", parts.join(","));
        prop_assert_eq!(check_readable::<Account>(&json).id, ID.parse().unwrap());
        check_readable::<AuditEntry>(&json);
        check_readable::<Config>(&json);
        check_readable::<Datacenters>(&json);
        check_readable::<Disk>(&json);
        check_readable::<FabricVlan>(&json);
        check_readable::<FirewallRule>(&json);
        check_readable::<Image>(&json);
        check_readable::<Key>(&json);
        check_readable::<Limit>(&json);
        check_readable::<Migration>(&json);
        check_readable::<Network>(&json);
        check_readable::<NetworkIp>(&json);
        check_readable::<Nic>(&json);
        check_readable::<Package>(&json);
        check_readable::<Services>(&json);
        check_readable::<Snapshot>(&json);
        check_readable::<Volume>(&json);
        check_readable::<VolumeSize>(&json);
        let instance: Instance = decode(json.as_bytes()).unwrap();
        prop_assert_eq!(instance.id, ID.parse().unwrap());
        prop_assert!(decode_list::<Instance>(["[", &json, "]"].concat().as_bytes()).unwrap().is_clean());
    }

    #[test]
    fn no_json_makes_decoding_panic(json in json_text()) {
        let _ = decode::<Instance>(json.as_bytes());
        let _ = decode::<Image>(json.as_bytes());
        let _ = decode::<Migration>(json.as_bytes());
        let _ = decode::<TagValue>(json.as_bytes());
        let _ = decode_list::<Instance>(json.as_bytes());
    }

    #[test]
    fn no_bytes_make_decoding_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode::<Instance>(&body);
        let _ = decode_list::<Instance>(&body);
    }
}
