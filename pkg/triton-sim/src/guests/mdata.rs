//! The metadata that a guest sees: its customer metadata, and the read-only namespace `sdc:` (reference 5.1). Pure.

use serde_json::{Value, json};

use crate::view::InstanceView;

/// The namespace of what the data centre says about the instance.
const SDC: &str = "sdc:";
/// Keys that end so are internal metadata (reference 5.1).
const INTERNAL: &str = "_pw";
/// Where there are tags, by name.
const TAGS: &str = "tags.";

/// Why a key cannot be written from inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReadOnly {
    #[error("Cannot update the sdc Namespace.")]
    Sdc,
    #[error("Cannot update internal metadata.")]
    Internal,
}

/// The value of a key; `None` when there is none.
///
/// `sdc:nics` has what the simulator knows: no netmask, gateway or VLAN.
pub(crate) fn get(view: &InstanceView, data_center: &str, key: &str) -> Option<String> {
    match key.strip_prefix(SDC) {
        Some(key) => sdc(view, data_center, key),
        None => view.metadata.get(key).cloned(),
    }
}

/// The keys that `mdata-list` prints: those of customer metadata, in order.
pub(crate) fn keys(view: &InstanceView) -> impl Iterator<Item = &str> {
    view.metadata.keys().map(String::as_str)
}

/// Whether the guest may write a key.
pub(crate) fn check_writable(key: &str) -> Result<(), ReadOnly> {
    if key.starts_with(SDC) {
        Err(ReadOnly::Sdc)
    } else if key.ends_with(INTERNAL) {
        Err(ReadOnly::Internal)
    } else {
        Ok(())
    }
}

fn sdc(view: &InstanceView, data_center: &str, key: &str) -> Option<String> {
    if let Some(tag) = key.strip_prefix(TAGS) {
        return view.tags.get(tag).map(text);
    }
    let text = match key {
        "uuid" | "zonename" => view.id.to_string(),
        "alias" | "hostname" => view.alias.clone(),
        "brand" => view.brand.to_string(),
        "state" => view.state.as_str().to_owned(),
        "server_uuid" => view.compute_node?.to_string(),
        "datacenter_name" => data_center.to_owned(),
        "owner_uuid" => view.owner.to_string(),
        "image_uuid" => view.image.to_string(),
        "package_name" => view.package_name.to_string(),
        "max_physical_memory" | "ram" => view.memory_mib.to_string(),
        // VMAPI's unit is GiB.
        "quota" => (view.disk_mib / 1024).to_string(),
        "nics" => nics(view).to_string(),
        "tags" => json!(view.tags).to_string(),
        "resolvers" | "routes" | "volumes" => "[]".to_owned(),
        _ => return None,
    };
    Some(text)
}

fn nics(view: &InstanceView) -> Value {
    let nics = view.nics.iter().enumerate().map(|(number, nic)| {
        let mac: Vec<_> = nic.mac.iter().map(|byte| format!("{byte:02x}")).collect();
        json!({
            "interface": format!("net{number}"),
            "mac": mac.join(":"),
            "ip": nic.ip,
            "primary": nic.primary,
            "nic_tag": nic.nic_tag,
            "network_uuid": nic.network,
        })
    });
    nics.collect()
}

/// Strings as they are, anything else as JSON.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guests::fixture;

    #[test]
    fn the_data_centre_tells_the_guest_about_itself() {
        let view = fixture::view();
        let check = |key: &str, expected: Option<&str>| {
            assert_eq!(get(&view, "dc1", key).as_deref(), expected, "{key}");
        };
        check("sdc:uuid", Some("00000000-0000-0000-0000-000000000001"));
        check("sdc:alias", Some("web"));
        check("sdc:hostname", Some("web"));
        check("sdc:datacenter_name", Some("dc1"));
        check("sdc:server_uuid", Some("00000000-0000-0000-0000-00000000000c"));
        check("sdc:max_physical_memory", Some("512"));
        check("sdc:quota", Some("10"));
        check("sdc:tags.role", Some("api"));
        check("sdc:tags.number", Some("7"));
        check("sdc:tags.none", None);
        check("sdc:nothing", None);
        check("role", None);
        check("greeting", Some("hello"));
        let nics: Value = serde_json::from_str(&get(&view, "dc1", "sdc:nics").unwrap()).unwrap();
        assert_eq!(nics[0]["ip"], "192.168.128.5");
        assert_eq!(nics[0]["mac"], "90:b8:d0:00:00:01");
        assert_eq!(keys(&view).collect::<Vec<_>>(), ["greeting"]);
    }

    #[test]
    fn a_guest_writes_customer_metadata_only() {
        assert_eq!(check_writable("k8s:exit-code"), Ok(()));
        assert_eq!(check_writable("sdc:alias"), Err(ReadOnly::Sdc));
        assert_eq!(check_writable("root_pw"), Err(ReadOnly::Internal));
    }
}
