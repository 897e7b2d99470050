//! From what a pod asks for to the request that makes its instance.

use provider::names::metadata as key;
use triton::types::{CreateInstance, MAX_BODY_BYTES, Metadata, NetworkRequest, Package};

use super::packages::describe;
use super::{Catalog, capacity};
use crate::pod::drift::Applied;
use crate::pod::env::Environment;
use crate::pod::{Demand, Desired, PackageDemand, Refusal, RefusalReason, Warning};

impl Desired {
    /// Looks up everything that a pod names and makes the request of it.
    ///
    /// An annotation `user-data` wins over the environment, with a warning: it is what the user wrote for the guest by
    /// that very name.
    ///
    /// # Errors
    /// What is not there or does not fit; a request that is larger than CloudAPI takes.
    pub fn resolve(demand: Demand, catalog: &Catalog, environment: Environment) -> Result<Self, Refusal> {
        let image = catalog.image(&demand.image)?;
        let package = catalog.package(&demand.package, &image)?;
        let networks = catalog.networks(&demand.networks)?;
        let pod_network =
            demand.pod_network.as_ref().map(|name| catalog.pod_network(name, &networks)).transpose()?;
        let mut warnings = demand.warnings.clone();
        warnings.extend(too_small(&demand, &package));
        if demand.metadata.contains_key(key::USER_DATA) && environment.has_own() {
            let message = "the annotation user-data takes the place of the container's environment variables";
            warnings.push(Warning::new(Warning::IGNORED, message));
        }
        let is_shared = image.public == Some(false) && image.owner.is_some_and(|it| it != catalog.account);
        let request = CreateInstance {
            name: Some(demand.instance_name.clone()),
            networks: networks.iter().copied().map(NetworkRequest::Any).collect(),
            affinity: demand.affinity.clone(),
            metadata: metadata(&demand, &environment),
            tags: demand.tags.clone(),
            firewall_enabled: demand.firewall.enabled,
            deletion_protection: demand.deletion_protection.then_some(true),
            allow_shared_images: is_shared.then_some(true),
            // The id, because packages of several versions share a name.
            ..CreateInstance::new(package.id.to_string(), image.id)
        };
        check_size(&request)?;
        Ok(Self { demand, image, package, networks, pod_network, environment, request, warnings })
    }
}

/// The metadata of a new instance.
fn metadata(demand: &Demand, environment: &Environment) -> Metadata {
    let mut metadata = demand.metadata.clone();
    if !metadata.contains_key(key::USER_DATA)
        && let Some(user_data) = environment.user_data()
    {
        metadata.insert(key::USER_DATA, user_data);
    }
    if let Some(applied) = Applied::of(demand, environment).text() {
        metadata.insert(key::APPLIED, applied);
    }
    // CNS answers with running instances only, and one of these is ready as soon as it runs.
    if demand.earns_readiness {
        metadata.insert(key::CNS_STATUS, "down");
    }
    metadata
}

/// A package that was named is taken, whatever it has; the user should know what it lacks. CPU counts only where
/// the package has a fixed count.
fn too_small(demand: &Demand, package: &Package) -> Option<Warning> {
    let (wanted, has) = (demand.resources, capacity(package));
    let lacks = (package.vcpus > 0 && has.cpu_millis < wanted.cpu_millis)
        || has.memory_bytes < wanted.memory_bytes
        || has.storage_bytes < wanted.storage_bytes;
    let is_named = !matches!(demand.package, PackageDemand::Fit(_));
    (is_named && lacks).then(|| {
        let (name, has, wanted) = (&package.name, describe(has), describe(wanted));
        Warning::new(
            Warning::PACKAGE_SMALL,
            format!("package {name} has {has}, the container asks for {wanted}"),
        )
    })
}

fn check_size(request: &CreateInstance) -> Result<(), Refusal> {
    let size = request.body_bytes();
    if size <= MAX_BODY_BYTES {
        return Ok(());
    }
    let largest = request.metadata.iter().max_by_key(|(_, value)| value.len());
    let largest = largest.map(|(key, value)| format!(", of which the metadata {key} is {}", value.len()));
    Err(Refusal {
        field: "spec.containers[0].env".to_owned(),
        reason: RefusalReason::TooLarge,
        message: format!(
            "the request for the instance has {size} bytes{}; CloudAPI takes {MAX_BODY_BYTES}: \
             make the environment and the annotations smaller",
            largest.unwrap_or_default()
        ),
    })
}

#[cfg(test)]
mod tests;
