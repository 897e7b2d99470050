//! The form of a pod: what an instance can never be, and what has no effect on one.

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, Volume};
use serde::Serialize;

use super::unsupported;
use crate::pod::{Refusal, Warning};

/// The volume that admission adds to every pod, for the token of its service account.
const TOKEN_VOLUME: &str = "kube-api-access-";

/// Refuses pods that no instance can be, and gives the spec and the one container of the others.
///
/// Unsupported volumes are refused also when nothing mounts them: a pod that comes up without what its manifest
/// says is harder to find than one that does not come up. What changes how a process is started within a node has
/// no meaning for an instance, which starts its image as it is; one warning lists it all. Ephemeral containers are
/// among that, because `kubectl debug` adds them to pods that run.
pub(super) fn check<'a>(
    pod: &'a Pod,
    warnings: &mut Vec<Warning>,
) -> Result<(&'a PodSpec, &'a Container), Refusal> {
    let spec = pod.spec.as_ref().ok_or_else(|| unsupported("spec", "the pod has none"))?;
    let container = match spec.containers.as_slice() {
        [container] => container,
        [] => return Err(unsupported("spec.containers", "there is none; an instance needs one")),
        more => {
            let message = format!(
                "an instance is one container, the pod has {}; put the others in pods of their own",
                more.len()
            );
            return Err(unsupported("spec.containers", message));
        }
    };
    if let Some(init) = spec.init_containers.as_ref().and_then(|containers| containers.first()) {
        let kind = if init.restart_policy.is_some() { "sidecars" } else { "init containers" };
        let message = format!("an instance has no {kind}; do the work of {:?} in the image", init.name);
        return Err(unsupported("spec.initContainers", message));
    }
    for (field, value) in
        [("hostNetwork", spec.host_network), ("hostPID", spec.host_pid), ("hostIPC", spec.host_ipc)]
    {
        if value == Some(true) {
            let message = "an instance shares nothing with its node; remove it";
            return Err(unsupported(format!("spec.{field}"), message));
        }
    }
    if let Some(volume) = spec.volumes.iter().flatten().find(|volume| !is_token(volume)) {
        let message = format!("volumes are not supported; remove {:?} and what mounts it", volume.name);
        return Err(unsupported("spec.volumes", message));
    }
    if container.volume_devices.iter().flatten().next().is_some() {
        let message = "block devices are not supported; remove them";
        return Err(unsupported("spec.containers[0].volumeDevices", message));
    }
    if spec.resource_claims.iter().flatten().next().is_some() {
        return Err(unsupported("spec.resourceClaims", "dynamic resources are not supported; remove them"));
    }
    let ignored = ignored(spec, container);
    if !ignored.is_empty() {
        let message =
            format!("an instance starts its image as it is; without effect: {}", ignored.join(", "));
        warnings.push(Warning::new(Warning::IGNORED, message));
    }
    Ok((spec, container))
}

/// Whether a volume is that of the service account's token, which Kubernetes adds to each pod.
pub(crate) fn is_token(volume: &Volume) -> bool {
    volume.name.starts_with(TOKEN_VOLUME) && volume.projected.is_some()
}

/// The fields that are set and have no effect, but for those that Kubernetes sets itself.
fn ignored(spec: &PodSpec, container: &Container) -> Vec<String> {
    let some = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|list| !list.is_empty());
    let post_start = container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.post_start.as_ref());
    let fields = [
        ("spec.containers[0].command", some(&container.command)),
        ("spec.containers[0].args", some(&container.args)),
        ("spec.containers[0].workingDir", container.working_dir.is_some()),
        ("spec.containers[0].stdin", container.stdin == Some(true)),
        ("spec.containers[0].tty", container.tty == Some(true)),
        ("spec.containers[0].lifecycle.postStart", post_start.is_some()),
        ("spec.ephemeralContainers", spec.ephemeral_containers.iter().flatten().next().is_some()),
        ("spec.imagePullSecrets", spec.image_pull_secrets.iter().flatten().next().is_some()),
        ("spec.runtimeClassName", spec.runtime_class_name.is_some()),
        ("spec.hostAliases", spec.host_aliases.iter().flatten().next().is_some()),
        ("spec.dnsConfig", spec.dns_config.is_some()),
    ];
    let mut ignored: Vec<String> =
        fields.into_iter().filter(|(_, set)| *set).map(|(field, _)| field.to_owned()).collect();
    ignored.extend(keys("spec.securityContext", spec.security_context.as_ref()));
    ignored.extend(keys("spec.containers[0].securityContext", container.security_context.as_ref()));
    ignored
}

/// The fields of an object that are set.
fn keys(parent: &str, object: Option<&impl Serialize>) -> Vec<String> {
    let fields = object.and_then(|object| serde_json::to_value(object).ok());
    let fields = fields.as_ref().and_then(|value| value.as_object());
    fields.into_iter().flatten().map(|(key, _)| format!("{parent}.{key}")).collect()
}
