//! What is kept in memory of pods: what is read. A node may have thousands of them.
//!
//! Nothing is ever written back as a whole, so what is not kept cannot get lost.

use k8s_openapi::api::core::v1::Pod;

use super::demand::is_token;

/// Takes off a pod what nobody reads: who made it, and the volume of its service account's token, which an instance does
/// not get. Other volumes stay, for they are refused.
pub(crate) fn lean(pod: &mut Pod) {
    let metadata = &mut pod.metadata;
    (metadata.generate_name, metadata.owner_references, metadata.self_link) = (None, None, None);
    let Some(spec) = &mut pod.spec else { return };
    let volumes: Vec<_> = spec.volumes.take().into_iter().flatten().filter(|it| !is_token(it)).collect();
    spec.volumes = (!volumes.is_empty()).then_some(volumes);
    for container in &mut spec.containers {
        container.volume_mounts = None;
        (container.termination_message_path, container.termination_message_policy) = (None, None);
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::pod::testing::{manifest, plain};
    use crate::pod::{Demand, Refusal};

    fn read(pod: &Pod) -> Result<Demand, Refusal> {
        Demand::read(pod, "kubernetes", "triton")
    }

    #[test]
    fn a_token_goes_and_what_is_asked_for_stays() {
        let whole = manifest();
        let mut pod = whole.clone();
        lean(&mut pod);
        let spec = pod.spec.as_ref().unwrap();
        assert_eq!((&spec.volumes, &spec.containers[0].volume_mounts), (&None, &None));
        assert_eq!(read(&pod).unwrap(), read(&whole).unwrap());
    }

    #[rstest]
    #[case(json!({"name": "data", "emptyDir": {}}))]
    #[case(json!({"name": "kube-api-access-mine", "emptyDir": {}}))]
    fn a_pod_with_another_volume_is_refused_as_before(#[case] volume: serde_json::Value) {
        let whole = plain(&[json!({"spec": {"volumes": [volume]}})]);
        let mut pod = whole.clone();
        lean(&mut pod);
        assert_eq!(read(&pod).unwrap_err(), read(&whole).unwrap_err());
    }
}
