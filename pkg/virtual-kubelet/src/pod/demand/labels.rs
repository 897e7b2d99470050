//! Labels become tags of the same key (reference 2.17).

use std::collections::BTreeMap;

use provider::names::tag;
use triton::grammar::cmon_groups::CmonGroups;
use triton::grammar::cns::CnsServices;
use triton::types::{RESERVED_TAGS, TagValue, Tags};

use super::{indexed, invalid};
use crate::pod::{Refusal, Warning};

/// The tags of labels.
///
/// A label that CloudAPI would refuse, or that would pass for one of our own tags, is an error: its tag was meant to
/// do something. A label whose key CloudAPI takes for a parameter of the request stays a label, with a warning: it is
/// no rare word (`image`, `account`), and a tag is not what it was set for.
pub(super) fn tags(labels: &BTreeMap<String, String>, warnings: &mut Vec<Warning>) -> Result<Tags, Refusal> {
    let mut tags = Tags::new();
    for (key, value) in labels {
        let refuse = |message: String| Err(invalid(indexed("labels", key), message));
        if key.starts_with(tag::PREFIX) {
            return refuse(format!(
                "labels that begin with {} are reserved; choose another key",
                tag::PREFIX
            ));
        }
        if key == "sdc_docker" {
            return refuse("the tag of this name is Triton's own; choose another key".to_owned());
        }
        if RESERVED_TAGS.contains(&key.as_str()) {
            let message =
                format!("the label {key} does not become a tag, CloudAPI has another use for the name");
            warnings.push(Warning::new(Warning::IGNORED, message));
            continue;
        }
        let value = match triton_tag(key, value) {
            Ok(value) => value,
            Err(message) => return refuse(message),
        };
        tags.insert(key.clone(), value);
    }
    Ok(tags)
}

/// The value of a tag; those under `triton.` are a closed set with types.
fn triton_tag(key: &str, value: &str) -> Result<TagValue, String> {
    let fault = match key {
        "triton.cns.disable" | "triton.placement.exclude_virtual_servers" => {
            return match value {
                "true" => Ok(TagValue::Bool(true)),
                "false" => Ok(TagValue::Bool(false)),
                _ => Err(format!("is {value:?}; write \"true\" or \"false\"")),
            };
        }
        tag::CNS_SERVICES => value.parse::<CnsServices>().err().map(|error| error.to_string()),
        tag::CMON_GROUPS => value.parse::<CmonGroups>().err().map(|error| error.to_string()),
        "triton.cns.reverse_ptr" => (!is_dns_name(value)).then(|| format!("{value:?} is no DNS name")),
        "triton.network.public" | "triton.network.public_ipv4" => None,
        _ if key.starts_with("triton._test.") => None,
        _ if key.starts_with("triton.") => {
            Some("Triton knows no tag of this name; remove the label".to_owned())
        }
        _ => None,
    };
    fault.map_or_else(|| Ok(TagValue::from(value)), Err)
}

fn is_dns_name(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    text.len() <= 253 && text.strip_suffix('.').unwrap_or(text).split('.').all(is_label)
}
