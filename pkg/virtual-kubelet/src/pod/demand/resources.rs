//! What a container asks for, as one number per resource.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, PodSpec, ResourceRequirements};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity as Text;

use super::{Resources, invalid, unsupported};
use crate::pod::Refusal;
use crate::quantity::Quantity;

/// The resources that a package has.
const KNOWN: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];

const POD: &str = "spec.resources";
const CONTAINER: &str = "spec.containers[0].resources";

/// Limits over requests, and those of the pod over those of its one container.
///
/// # Errors
/// A quantity that is none or negative; any other resource, which an instance cannot have: the scheduler would not
/// have placed the pod here.
pub(super) fn read(spec: &PodSpec, container: &Container) -> Result<Resources, Refusal> {
    let levels = [(POD, spec.resources.as_ref()), (CONTAINER, container.resources.as_ref())];
    let mut lists: Vec<(String, &BTreeMap<String, Text>)> = Vec::new();
    for (field, requirements) in levels {
        let Some(ResourceRequirements { limits, requests, claims }) = requirements else {
            continue;
        };
        if claims.iter().flatten().next().is_some() {
            return Err(unsupported(
                format!("{field}.claims"),
                "dynamic resources are not supported; remove them",
            ));
        }
        lists.extend(limits.iter().map(|list| (format!("{field}.limits"), list)));
        lists.extend(requests.iter().map(|list| (format!("{field}.requests"), list)));
    }
    for (field, list) in &lists {
        for (name, text) in *list {
            let field = format!("{field}[{name}]");
            let amount = Quantity::try_from(text).map_err(|error| invalid(&field, error.to_string()))?;
            if amount.is_negative() {
                return Err(invalid(&field, format!("{} is less than nothing", text.0)));
            }
            if !KNOWN.contains(&name.as_str()) && amount.is_positive() {
                let message = "an instance has cpu, memory and ephemeral-storage only; remove it";
                return Err(unsupported(&field, message));
            }
        }
    }
    // All of them can be read, as was just checked.
    let amount = |name: &str| {
        let text = lists.iter().find_map(|(_, list)| list.get(name))?;
        Quantity::try_from(text).ok()
    };
    Ok(Resources {
        cpu_millis: amount("cpu").unwrap_or_default().millis(),
        memory_bytes: amount("memory").unwrap_or_default().units(),
        storage_bytes: amount("ephemeral-storage").unwrap_or_default().units(),
    })
}
