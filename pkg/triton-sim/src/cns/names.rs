//! Names as CNS makes them, and those that CloudAPI shows of them (reference 3.2, 3.6).

use std::net::Ipv4Addr;

use triton::id::{AccountId, InstanceId, NetworkId};

use super::records::{Data, Records};
use super::zones::ZoneConfig;

/// The longest label of a DNS name, in bytes.
const MAX_LABEL: usize = 63;
/// The longest DNS name as text without the last dot, in bytes.
const MAX_NAME: usize = 253;
/// An alias or login of this length, in UTF-16 units, or more makes no names (reference 3.2).
const TOO_LONG: usize = 63;

/// The label that CNS makes of a name: in lower case, and every run of other characters than letters, digits
/// and hyphens is one hyphen (reference 3.2). So `Web_1.a` becomes `web-1-a`, and names may collide.
pub fn dnsify(name: &str) -> String {
    let mut label = String::with_capacity(name.len());
    let mut in_run = false;
    for c in name.to_lowercase().chars() {
        let is_kept = matches!(c, 'a'..='z' | '0'..='9' | '-');
        if is_kept || !in_run {
            label.push(if is_kept { c } else { '-' });
        }
        in_run = !is_kept;
    }
    label
}

/// The label of an alias or login, if it is short enough to have one.
pub(super) fn label_of(name: &str) -> Option<String> {
    let is_short = !name.is_empty() && name.encode_utf16().count() < TOO_LONG;
    is_short.then(|| dnsify(name)).filter(|label| label.len() <= MAX_LABEL)
}

/// Whether a text, without the last dot, can be looked up in the DNS.
pub(super) fn is_name(name: &str) -> bool {
    name.len() <= MAX_NAME && name.split('.').all(|label| !label.is_empty() && label.len() <= MAX_LABEL)
}

/// Whether a text is a name of labels that start with a letter or digit and have no others but these and
/// hyphens, in any case: what `triton.cns.reverse_ptr` may be.
pub(super) fn is_host_name(name: &str) -> bool {
    let is_inner = |b: u8| b == b'-' || b.is_ascii_alphanumeric();
    is_name(name) && name.split('.').all(|label| !label.starts_with('-') && label.bytes().all(is_inner))
}

/// The name in its zone, and the zone, of the PTR record of an address. Reverse zones are /24 networks.
pub(super) fn reverse(address: Ipv4Addr) -> (String, String) {
    let [a, b, c, d] = address.octets();
    (d.to_string(), format!("{c}.{b}.{a}.in-addr.arpa"))
}

/// The `dns_names` of an instance (reference 2.11): those of its names whose first TXT record is its id.
///
/// While an instance is not in its services, their TXT records read `verifying:` and their names are missing
/// here. The order is that of reference 3.6: by zone; in a zone the names of the id, those of the alias, then
/// those of services; each followed by its network-qualified names.
pub fn dns_names(id: InstanceId, records: &Records) -> Vec<String> {
    let id = id.to_string();
    let first_text = |data: &[Data]| {
        data.iter().find_map(|data| match data {
            Data::Txt(text) => Some(**text == *id),
            _ => None,
        })
    };
    let named = records.sets().iter().filter(|set| first_text(&set.data) == Some(true));
    named.map(|set| format!("{}.{}", set.name, set.zone)).collect()
}

/// The `suffixes` of a network for an account (reference 2.22): what follows the name of a service or of an
/// instance in each zone that publishes the network. With logins in names it is the login that is shown.
///
/// A pool is not known here: ask with a network of it.
pub fn suffixes(config: &ZoneConfig, network: NetworkId, owner: AccountId, login: &str) -> Vec<String> {
    let account = if config.use_login() { dnsify(login) } else { owner.to_string() };
    let of_zone = |zone| ["svc", "inst"].map(|kind| format!("{kind}.{account}.{zone}"));
    config.zones_of(network).flat_map(|zone| of_zone(&zone.name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_becomes_a_label() {
        let cases = [
            ("Web_1.a", "web-1-a"),
            ("web-1", "web-1"),
            ("My-Fabric-Network", "my-fabric-network"),
            ("SDC-Customer-Public-Pool-72.2.118.0/23", "sdc-customer-public-pool-72-2-118-0-23"),
            ("a _-_ b", "a---b"),
            ("Größe", "gr-e"),
            ("\u{212a}elvin", "kelvin"),
            ("...", "-"),
            ("", ""),
        ];
        for (name, label) in cases {
            assert_eq!(dnsify(name), label, "{name}");
        }
    }

    #[test]
    fn long_and_empty_aliases_make_no_names() {
        assert_eq!(label_of(&"a".repeat(62)), Some("a".repeat(62)));
        assert_eq!(label_of(&"a".repeat(63)), None);
        assert_eq!(label_of(""), None);
        assert_eq!(label_of(&"\u{130}".repeat(62)), None, "a label of 124 bytes");
    }

    #[test]
    fn an_address_has_its_name_in_the_zone_of_its_24() {
        assert_eq!(
            reverse(Ipv4Addr::new(192, 168, 128, 34)),
            ("34".to_owned(), "128.168.192.in-addr.arpa".to_owned())
        );
    }

    #[test]
    fn suffixes_are_of_the_zones_of_the_network() {
        let public: NetworkId = "3985900d-15a8-42d8-a997-1f7e8df2d0af".parse().unwrap();
        let fabric: NetworkId = "ac336e0f-8532-4e0e-a19e-7cd5bdd62817".parse().unwrap();
        let owner: AccountId = "7d2a4a1e-2f3b-4f5c-8a39-0d3f4f6a7b8c".parse().unwrap();
        let config = ZoneConfig::of_data_center("dc1", [public]).unwrap();
        let of =
            |zone: &str, account: &str| [format!("svc.{account}.{zone}"), format!("inst.{account}.{zone}")];
        assert_eq!(suffixes(&config, public, owner, "Acme"), of("dc1.triton.zone", &owner.to_string()));
        assert_eq!(suffixes(&config, fabric, owner, "Acme"), of("dc1.cns.example.net", &owner.to_string()));
        let config = config.with_login(true);
        assert_eq!(suffixes(&config, public, owner, "Acme"), of("dc1.triton.zone", "acme"));
    }

    proptest! {
        #[test]
        fn every_label_is_a_label_of_the_dns(name in ".{0,80}") {
            let label = dnsify(&name);
            prop_assert!(label.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-')), "{}", label);
            prop_assert_eq!(dnsify(&label), label.clone());
            if let Some(label) = label_of(&name) {
                prop_assert!(is_name(&label), "{}", label);
            }
        }
    }
}
