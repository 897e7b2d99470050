//! Instances that differ from what their pods should be, and what is written to them.

use k8s_openapi::api::core::v1::Pod;
use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};
use triton::id::InstanceId;

use super::*;
use crate::catalog::Catalog;
use crate::catalog::testing::{catalog, id};
use crate::pod::env::{Known, Outcome, Sources, resolve};
use crate::pod::testing::{container, manifest};

fn desired_by(pod: &Pod, sources: &Sources, known: &Known) -> Desired {
    let catalog = Catalog { default_network: Some(id(23)), ..catalog() };
    let demand = Demand::read(pod, "kubernetes", "triton").unwrap();
    let sources = Sources { services: Some(sources.services.clone().unwrap_or_default()), ..sources.clone() };
    match resolve(pod, &sources, known).outcome {
        Outcome::Complete(environment) => Desired::resolve(demand, &catalog, environment).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn desired(pod: &Pod) -> Desired {
    desired_by(pod, &Sources::default(), &Known::default())
}

/// The instance that a request makes.
fn made(desired: &Desired) -> Instance {
    let request = &desired.request;
    Instance {
        name: request.name.clone().unwrap().into(),
        brand: Brand::Joyent,
        image: Some(request.image),
        package: Some(desired.package.name.clone()),
        tags: request.tags.clone(),
        metadata: request.metadata.clone(),
        firewall_enabled: request.firewall_enabled == Some(true),
        deletion_protection: request.deletion_protection == Some(true),
        ..Instance::new(id::<InstanceId>(1))
    }
}

/// Carries out the steps.
fn written(mut instance: Instance, drift: &Drift) -> Instance {
    for step in &drift.steps {
        match step.clone() {
            Step::AddTags { tags, .. } => instance.tags.extend(tags),
            Step::RemoveTag { key, .. } => assert!(instance.tags.remove(&key).is_some(), "{key}"),
            Step::AddMetadata { metadata, .. } => {
                metadata.iter().for_each(|(key, value)| instance.metadata.insert(key, value));
            }
            Step::RemoveMetadata { key, .. } => assert!(instance.metadata.remove(&key), "{key}"),
            Step::Act { action, .. } => match action {
                InstanceAction::EnableFirewall => instance.firewall_enabled = true,
                InstanceAction::DisableFirewall => instance.firewall_enabled = false,
                InstanceAction::EnableDeletionProtection => instance.deletion_protection = true,
                InstanceAction::DisableDeletionProtection => instance.deletion_protection = false,
                InstanceAction::Resize { package } => instance.package = Some(package.into()),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }
    instance
}

/// The steps as texts; metadata by key, as its values may be long.
fn steps(drift: &Drift) -> Vec<String> {
    drift.steps.iter().map(text).collect()
}

fn text(step: &Step) -> String {
    match step {
        Step::AddTags { tags, .. } => {
            let tags = tags.iter().map(|(key, value)| format!("{key}={value}"));
            format!("+tags {}", tags.collect::<Vec<_>>().join(" "))
        }
        Step::RemoveTag { key, .. } => format!("-tag {key}"),
        Step::AddMetadata { metadata, .. } => {
            format!("+metadata {}", metadata.keys().collect::<Vec<_>>().join(" "))
        }
        Step::RemoveMetadata { key, .. } => format!("-metadata {key}"),
        Step::Act { action, .. } => match action {
            InstanceAction::Resize { package } => format!("resize {package}"),
            other => other.as_str().to_owned(),
        },
        other => panic!("{other:?}"),
    }
}

fn set(pod: &mut Pod, map: &str, key: &str, value: Option<&str>) {
    let map = if map == "labels" { &mut pod.metadata.labels } else { &mut pod.metadata.annotations };
    let map = map.get_or_insert_default();
    match value {
        Some(value) => map.insert(key.to_owned(), value.to_owned()),
        None => map.remove(key),
    };
}

#[test]
fn an_instance_as_it_was_made_is_left_alone() {
    for pod in [manifest(), container(&json!({"image": "base"}))] {
        let desired = desired(&pod);
        assert_eq!(plan(&desired, &made(&desired), CnsTags::Here), Drift::default());
    }
}

#[test]
fn the_readiness_in_dns_is_somebody_elses() {
    let desired = desired(&manifest());
    let mut instance = made(&desired);
    instance.metadata.insert("triton.cns.status", "up");
    assert_eq!(plan(&desired, &instance, CnsTags::Here), Drift::default());
}

#[rstest]
#[case::label_added("labels", "tier", Some("web"), &["+tags k8s.labels=app,pod-template-hash,tier,triton.cns.services tier=web"])]
#[case::label_changed("labels", "app", Some("other"), &["+tags app=other"])]
#[case::label_gone("labels", "app", None, &["-tag app", "+tags k8s.labels=pod-template-hash,triton.cns.services"])]
#[case::metadata_added("annotations", "user-script", Some("#!"), &["+metadata k8s:applied user-script"])]
#[case::firewall_off("annotations", "fwenabled", Some("false"), &["disable_firewall"])]
#[case::firewall_unsaid("annotations", "fwenabled", None, &[])]
#[case::group_gone("annotations", "fwgroup", None, &["-tag k8s.group"])]
#[case::protected("annotations", "delprotect", Some("true"), &["enable_deletion_protection"])]
fn a_change_to_the_pod_is_written_once(
    #[case] map: &str,
    #[case] key: &str,
    #[case] value: Option<&str>,
    #[case] expected: &[&str],
) {
    let instance = made(&desired(&manifest()));
    let mut pod = manifest();
    set(&mut pod, map, key, value);
    let desired = desired(&pod);
    let drift = plan(&desired, &instance, CnsTags::Here);
    assert_eq!(steps(&drift), expected);
    assert_eq!(plan(&desired, &written(instance, &drift), CnsTags::Here), Drift::default());
}

#[test]
fn metadata_of_an_annotation_that_goes_goes_with_it() {
    let mut pod = manifest();
    set(&mut pod, "annotations", "user-script", Some("#!"));
    let instance = made(&desired(&pod));
    let drift = plan(&desired(&manifest()), &instance, CnsTags::Here);
    assert_eq!(steps(&drift), ["-metadata user-script", "+metadata k8s:applied"]);
}

#[rstest]
#[case::unsaid(None, &[])]
#[case::lifted(Some("false"), &["disable_deletion_protection"])]
fn a_protection_of_somebody_else_is_lifted_only_by_word(
    #[case] said: Option<&str>,
    #[case] expected: &[&str],
) {
    let mut pod = manifest();
    set(&mut pod, "annotations", "delprotect", said);
    let desired = desired(&pod);
    let instance = Instance { deletion_protection: true, ..made(&desired) };
    assert_eq!(steps(&plan(&desired, &instance, CnsTags::Here)), expected);
}

#[test]
fn what_others_wrote_stays_and_what_they_took_away_comes_back() {
    let desired = desired(&manifest());
    let mut instance = made(&desired);
    instance.tags.insert("theirs".to_owned(), TagValue::from("kept"));
    instance.metadata.insert("theirs", "kept");
    instance.metadata.insert("root_authorized_keys", "ssh-ed25519 AAAA");
    assert_eq!(plan(&desired, &instance, CnsTags::Here), Drift::default());
    for key in ["k8s.uid", "app", "k8s.ports"] {
        instance.tags.remove(key);
    }
    instance.metadata.remove("user-data");
    instance.firewall_enabled = false;
    let drift = plan(&desired, &instance, CnsTags::Here);
    let ports = desired.request.tags.get("k8s.ports").unwrap();
    let tags = format!("+tags app=ubuntu k8s.ports={ports} k8s.uid=5f0c9a34-6f5d-4a2b-9a7e-0c3f8d1b2a10");
    assert_eq!(steps(&drift), ["enable_firewall", tags.as_str(), "+metadata user-data"]);
}

#[test]
fn cns_tags_are_left_to_whoever_merges_them() {
    let labelled = desired(&manifest());
    let mut instance = made(&labelled);
    instance.tags.insert("triton.cns.services".to_owned(), TagValue::from("ubuntu,lb:80"));
    instance.tags.insert("k8s.cns".to_owned(), TagValue::from("lb:80"));
    assert_eq!(plan(&labelled, &instance, CnsTags::Elsewhere), Drift::default());
    assert_eq!(steps(&plan(&labelled, &instance, CnsTags::Here)), ["+tags triton.cns.services=ubuntu"]);
    let mut pod = manifest();
    set(&mut pod, "labels", "triton.cns.services", None);
    let drift = plan(&desired(&pod), &instance, CnsTags::Elsewhere);
    assert_eq!(steps(&drift), ["+tags k8s.labels=app,pod-template-hash"]);
}

#[rstest]
#[case::forged_list("k8s.uid,k8s.other,theirs-not", &[])]
#[case::listed("theirs", &["-tag theirs"])]
fn a_list_that_people_edit_never_takes_ownership_away(#[case] list: &str, #[case] removed: &[&str]) {
    let desired = desired(&manifest());
    let mut instance = made(&desired);
    instance.tags.insert("theirs".to_owned(), TagValue::from("x"));
    instance.tags.insert("k8s.other".to_owned(), TagValue::from("x"));
    instance.tags.insert(tag::LABELS.to_owned(), TagValue::from(list));
    let drift = plan(&desired, &instance, CnsTags::Here);
    let steps = steps(&drift);
    assert_eq!(steps[..removed.len()], *removed);
    assert!(steps.iter().all(|step| !step.starts_with("-tag k8s.")), "{steps:?}");
}

#[rstest]
#[case("no json")]
#[case(
    r#"{"metadata":["triton.cns.status","credentials","root_authorized_keys","k8s:exit-code"],"env":"x"}"#
)]
#[case(r#"{"metadata":17}"#)]
fn a_record_that_a_guest_forged_takes_nothing_away_that_matters(#[case] record: &str) {
    let desired = desired(&container(&json!({"image": "base"})));
    let mut instance = made(&desired);
    for key in ["root_authorized_keys", "k8s:exit-code"] {
        instance.metadata.insert(key, "x");
    }
    instance.metadata.insert("k8s:applied", record);
    assert_eq!(steps(&plan(&desired, &instance, CnsTags::Here)), ["-metadata k8s:applied"]);
}

fn config(data: Value) -> Sources {
    let config_map = serde_json::from_value(json!({"data": data})).unwrap();
    let present = crate::pod::env::Source::Present(std::sync::Arc::new(config_map));
    Sources { config_maps: [("app".into(), present)].into(), ..Sources::default() }
}

#[rstest]
#[case::changed(json!({"a": "2", "b": "1"}), &["+metadata user-data"])]
#[case::added(json!({"a": "1", "b": "1", "c": "1"}), &["+metadata k8s:applied user-data"])]
#[case::removed(json!({"a": "1"}), &["+metadata k8s:applied user-data"])]
#[case::emptied(json!({}), &["-metadata k8s:applied", "-metadata user-data"])]
#[case::same(json!({"b": "1", "a": "1"}), &[])]
fn a_config_map_reaches_the_metadata(#[case] data: Value, #[case] expected: &[&str]) {
    let pod = container(&json!({"image": "base", "envFrom": [{"configMapRef": {"name": "app"}}]}));
    let instance = made(&desired_by(&pod, &config(json!({"a": "1", "b": "1"})), &Known::default()));
    let desired = desired_by(&pod, &config(data), &Known::default());
    let drift = plan(&desired, &instance, CnsTags::Here);
    assert_eq!(steps(&drift), expected);
    assert_eq!(plan(&desired, &written(instance, &drift), CnsTags::Here), Drift::default());
}

#[test]
fn an_address_that_is_known_later_is_one_write_and_forgetting_it_is_none() {
    let variable = json!({"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}});
    let pod = container(&json!({"image": "base", "env": [variable, {"name": "A", "value": "1"}]}));
    let early = desired(&pod);
    let known = Known { pod_ips: vec!["10.0.0.5".parse().unwrap()], ..Known::default() };
    let late = desired_by(&pod, &Sources::default(), &known);
    let instance = made(&early);
    let drift = plan(&late, &instance, CnsTags::Here);
    assert_eq!(steps(&drift), ["+metadata user-data"]);
    let instance = written(instance, &drift);
    assert_eq!(instance.metadata.get("user-data"), Some(r#"{"env_vars":{"A":"1","IP":"10.0.0.5"}}"#));
    assert_eq!(plan(&late, &instance, CnsTags::Here), Drift::default());
    assert_eq!(plan(&early, &instance, CnsTags::Here), Drift::default(), "as after a restart of the kubelet");
}

#[test]
fn a_service_that_comes_is_no_reason_to_write() {
    let service = json!({"metadata": {"namespace": "default", "name": "db"},
                         "spec": {"clusterIP": "10.1.0.7", "ports": [{"port": 80}]}});
    let service = std::sync::Arc::new(serde_json::from_value(service).unwrap());
    let with = Sources { services: Some(vec![service]), ..Sources::default() };
    let instance = made(&desired(&manifest()));
    let late = desired_by(&manifest(), &with, &Known::default());
    assert!(late.request.metadata.get("user-data").unwrap().contains("DB_SERVICE_HOST"));
    assert_eq!(plan(&late, &instance, CnsTags::Here), Drift::default());
}

#[test]
fn an_annotation_user_data_and_the_environment_take_turns() {
    let plain = manifest();
    let mut cloud = manifest();
    set(&mut cloud, "annotations", "user-data", Some("#cloud-config"));
    let (plain, cloud) = (desired(&plain), desired(&cloud));
    let drift = plan(&cloud, &made(&plain), CnsTags::Here);
    assert_eq!(steps(&drift), ["+metadata k8s:applied user-data"]);
    let instance = written(made(&plain), &drift);
    assert_eq!(instance.metadata.get("user-data"), Some("#cloud-config"));
    let drift = plan(&plain, &instance, CnsTags::Here);
    assert_eq!(steps(&drift), ["+metadata k8s:applied user-data"]);
    assert_eq!(written(instance, &drift).metadata, made(&plain).metadata);
}

fn sized(memory: &str) -> Pod {
    container(&json!({"image": "base", "resources": {"limits": {"memory": memory}}}))
}

#[test]
fn other_resources_of_the_pod_resize_a_zone() {
    let (small, large) = (desired(&sized("1Gi")), desired(&sized("4Gi")));
    assert_eq!((&*small.package.name, &*large.package.name), ("small", "large"));
    let drift = plan(&large, &made(&small), CnsTags::Here);
    assert_eq!(steps(&drift), ["resize large", "+tags k8s.resources=cpu=0m,memory=4294967296,storage=0"]);
    let instance = written(made(&small), &drift);
    assert_eq!(plan(&large, &instance, CnsTags::Here), Drift::default());
    let within = desired(&sized("1200Mi"));
    assert_eq!(
        steps(&plan(&within, &made(&small), CnsTags::Here)),
        ["+tags k8s.resources=cpu=0m,memory=1258291200,storage=0"]
    );
}

#[test]
fn a_machine_is_not_resized_while_it_runs_and_the_reminder_stays() {
    let (small, large) = (desired(&sized("1Gi")), desired(&sized("4Gi")));
    let machine = Instance { brand: Brand::Bhyve, ..made(&small) };
    let drift = plan(&large, &machine, CnsTags::Here);
    assert_eq!(drift.steps, []);
    assert!(drift.warnings[0].message.contains("cannot be resized while they run"), "{:?}", drift.warnings);
}

#[test]
fn another_package_in_the_catalogue_is_no_reason_to_resize() {
    let desired = desired(&sized("1Gi"));
    let instance = Instance { package: Some("bigger-than-needed".into()), ..made(&desired) };
    assert_eq!(plan(&desired, &instance, CnsTags::Here), Drift::default());
    let unknown = Instance { package: None, ..made(&desired) };
    assert_eq!(plan(&desired, &unknown, CnsTags::Here), Drift::default());
}

#[test]
fn a_change_that_a_running_instance_cannot_follow_is_told() {
    let desired = desired(&manifest());
    let instance = Instance { package: Some("other".into()), image: Some(id(99)), ..made(&desired) };
    let drift = plan(&desired, &instance, CnsTags::Here);
    assert_eq!(drift.steps, []);
    let reasons: Vec<_> = drift.warnings.iter().map(|warning| warning.reason).collect();
    assert_eq!(reasons, [Warning::CHANGE_IGNORED; 2]);
}

prop_compose! {
    fn any_pod()(
        labels in proptest::collection::btree_map("[a-d]", "[xy]", 0..4),
        annotations in proptest::collection::btree_map("[e-h]", "[xy]", 0..4),
        data in proptest::collection::btree_map("[A-C]", "[xy]", 0..3),
        switches in proptest::option::of((any::<bool>(), any::<bool>())),
        ports in proptest::collection::vec(1u16..4, 0..3),
        memory in 1u32..4000,
    ) -> (Pod, Sources) {
        let ports: Vec<Value> = ports.iter().map(|port| json!({"containerPort": port})).collect();
        let mut pod = container(&json!({
            "image": "base", "ports": ports, "envFrom": [{"configMapRef": {"name": "app"}}],
            "resources": {"requests": {"memory": format!("{memory}Mi")}},
        }));
        pod.metadata.labels = Some(labels);
        pod.metadata.annotations = Some(annotations);
        if let Some((firewall, protection)) = switches {
            set(&mut pod, "annotations", "fwenabled", Some(&firewall.to_string()));
            set(&mut pod, "annotations", "delprotect", Some(&protection.to_string()));
        }
        (pod, config(json!(data)))
    }
}

proptest! {
    #[test]
    fn writing_the_drift_leaves_none_and_touches_nothing_foreign(pods in proptest::collection::vec(any_pod(), 2..5)) {
        let all: Vec<Desired> =
            pods.iter().map(|(pod, sources)| desired_by(pod, sources, &Known::default())).collect();
        let mut instance = made(&all[0]);
        instance.tags.insert("theirs".to_owned(), TagValue::from("kept"));
        instance.metadata.insert("theirs", "kept");
        for desired in &all[1..] {
            let drift = plan(desired, &instance, CnsTags::Here);
            let adding = |step: &&Step| matches!(step, Step::AddTags { .. } | Step::AddMetadata { .. });
            prop_assert!(drift.steps.iter().filter(adding).count() <= 2);
            instance = written(instance, &drift);
            prop_assert_eq!(plan(desired, &instance, CnsTags::Here), Drift::default());

            let mut expected = made(desired);
            expected.tags.insert("theirs".to_owned(), TagValue::from("kept"));
            expected.metadata.insert("theirs", "kept");
            prop_assert_eq!(&instance.tags, &expected.tags);
            prop_assert_eq!(&instance.metadata, &expected.metadata);
            prop_assert_eq!(&instance.package, &expected.package);
        }
    }
}

#[rstest]
#[case::made_before_there_was_one(None, None, Some("k8s-kubernetes"), None)]
#[case::taken_away(Some("mine"), None, Some("mine,k8s-kubernetes"), None)]
#[case::of_others(Some("a,k8s-kubernetes,b"), None, None, None)]
#[case::a_label(Some("mine,k8s-kubernetes"), Some("api"), Some("mine,k8s-kubernetes,api"), Some("api"))]
fn an_instance_is_in_the_clusters_cmon_group_and_stays_in_those_of_others(
    #[case] present: Option<&str>,
    #[case] label: Option<&str>,
    #[case] groups: Option<&str>,
    #[case] record: Option<&str>,
) {
    let mut pod = manifest();
    let mut instance = made(&desired(&pod));
    instance.tags.remove("triton.cmon.groups");
    instance.tags.extend(present.map(|groups| ("triton.cmon.groups".to_owned(), TagValue::from(groups))));
    set(&mut pod, "labels", "triton.cmon.groups", label);
    let desired = desired(&pod);
    let drift = plan(&desired, &instance, CnsTags::Here);
    let instance = written(instance, &drift);
    let text = |key: &str| instance.tags.get(key).and_then(TagValue::as_str);
    assert_eq!((text("triton.cmon.groups"), text("k8s.cmon")), (groups.or(present), record));
    assert!(drift.steps.len() <= 1, "in one request: {drift:?}");
    assert_eq!(plan(&desired, &instance, CnsTags::Here), Drift::default());
}

#[test]
fn the_cmon_group_of_a_label_goes_with_it_and_its_record_after_it() {
    let mut pod = manifest();
    set(&mut pod, "labels", "triton.cmon.groups", Some("api"));
    let instance = made(&desired(&pod));
    set(&mut pod, "labels", "triton.cmon.groups", Some("web"));
    let drift = plan(&desired(&pod), &instance, CnsTags::Here);
    assert_eq!(steps(&drift), ["+tags k8s.cmon=web triton.cmon.groups=k8s-kubernetes,web"]);
    let instance = written(instance, &drift);
    set(&mut pod, "labels", "triton.cmon.groups", None);
    let drift = plan(&desired(&pod), &instance, CnsTags::Here);
    assert_eq!(
        steps(&drift).last().map(String::as_str),
        Some("+tags k8s.labels=app,pod-template-hash,triton.cns.services triton.cmon.groups=k8s-kubernetes")
    );
    let instance = written(instance, &drift);
    let drift = plan(&desired(&pod), &instance, CnsTags::Here);
    assert_eq!(steps(&drift), ["-tag k8s.cmon"]);
}

#[test]
fn cmon_groups_that_cannot_be_read_are_left_alone() {
    let pod = manifest();
    let mut instance = made(&desired(&pod));
    instance.tags.insert("triton.cmon.groups".to_owned(), "a,,b".into());
    let drift = plan(&desired(&pod), &instance, CnsTags::Here);
    assert_eq!((drift.steps.len(), drift.warnings.len()), (0, 1));
    assert_eq!(drift.warnings[0].reason, Warning::CMON);
}
