//! Tables: pods and what is read from them.

use k8s_openapi::api::core::v1::Pod;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::pod::testing::{container, manifest, plain};

fn read(pod: &Pod) -> Result<Demand, Refusal> {
    Demand::read(pod, "kubernetes", "triton")
}

fn demand(pod: &Pod) -> Demand {
    read(pod).unwrap()
}

fn annotated(key: &str, value: &str) -> Pod {
    plain(&[json!({"metadata": {"annotations": {key: value}}})])
}

fn labelled(key: &str, value: &str) -> Pod {
    plain(&[json!({"metadata": {"labels": {key: value}}})])
}

fn texts(demand: &Demand) -> Vec<&str> {
    demand.warnings.iter().map(|warning| warning.message.as_str()).collect()
}

#[test]
fn the_manifest_is_read_as_it_is_meant() {
    let demand = demand(&manifest());
    assert_eq!(demand.image, ImageName::Id("7b5981c4-1889-11e7-b4c5-3f3bdfc9b88b".parse().unwrap()));
    assert_eq!(demand.package, PackageDemand::Id("b87c2a29-6b6a-6d19-ea65-aa81e680002c".parse().unwrap()));
    let networks = ["17d7aa50-6ad9-4e56-93b7-12dc868fac2a", "a0ae9499-b476-4fef-9861-d0c25029378d"];
    assert_eq!(demand.networks, networks.map(|id| NetworkName::Id(id.parse().unwrap())));
    assert_eq!(demand.firewall.enabled, Some(true));
    assert_eq!(demand.firewall.group.as_deref(), Some("ubuntu"));
    assert_eq!(demand.firewall.ports, BTreeSet::from([Port { protocol: Protocol::Tcp, number: 22 }]));
    assert!(!demand.deletion_protection && demand.affinity.is_empty() && demand.metadata.is_empty());
    assert_eq!(demand.warnings, []);
}

#[test]
fn a_pod_without_wishes_gets_what_fits() {
    let demand = demand(&plain(&[]));
    assert_eq!(demand.image, ImageName::Name { name: "base-64-lts".into(), version: None });
    assert_eq!(demand.package, PackageDemand::Fit(Resources::default()));
    assert_eq!((demand.networks, demand.pod_network), (Vec::new(), None));
    assert_eq!(demand.firewall, FirewallDemand::default());
    let keys: Vec<&str> = demand.tags.keys().map(String::as_str).collect();
    let owner = ["k8s.cluster", "k8s.namespace", "k8s.node", "k8s.pod", "k8s.resources", "k8s.uid"];
    assert_eq!(keys, [&owner[..], &["triton.cmon.groups"]].concat());
    assert_eq!(demand.warnings, []);
}

#[rstest]
#[case::containers(json!({"containers": [{"name": "a", "image": "i"}, {"name": "b", "image": "i"}]}), "spec.containers")]
#[case::no_container(json!({"containers": []}), "spec.containers")]
#[case::init(json!({"initContainers": [{"name": "init"}]}), "spec.initContainers")]
#[case::sidecar(json!({"initContainers": [{"name": "proxy", "restartPolicy": "Always"}]}), "spec.initContainers")]
#[case::host_network(json!({"hostNetwork": true}), "spec.hostNetwork")]
#[case::host_pid(json!({"hostPID": true}), "spec.hostPID")]
#[case::host_ipc(json!({"hostIPC": true}), "spec.hostIPC")]
#[case::empty_dir(json!({"volumes": [{"name": "tmp", "emptyDir": {}}]}), "spec.volumes")]
#[case::named_like_the_token(json!({"volumes": [{"name": "kube-api-access-1", "hostPath": {"path": "/"}}]}), "spec.volumes")]
#[case::claims(json!({"resourceClaims": [{"name": "gpu"}]}), "spec.resourceClaims")]
fn what_no_instance_can_be_is_refused_for_good(#[case] spec: Value, #[case] field: &str) {
    let refusal = read(&plain(&[json!({"spec": spec})])).unwrap_err();
    assert_eq!((refusal.field.as_str(), refusal.reason), (field, RefusalReason::Unsupported), "{refusal}");
}

#[rstest]
#[case::block_device(json!({"volumeDevices": [{"name": "d", "devicePath": "/dev/x"}]}), "spec.containers[0].volumeDevices")]
#[case::gpu(json!({"resources": {"limits": {"nvidia.com/gpu": "1"}}}), "spec.containers[0].resources.limits[nvidia.com/gpu]")]
fn what_no_container_can_have_is_refused_for_good(#[case] patch: Value, #[case] field: &str) {
    let refusal = read(&container(&patch)).unwrap_err();
    assert_eq!((refusal.field.as_str(), refusal.reason), (field, RefusalReason::Unsupported), "{refusal}");
}

#[test]
fn an_unsupported_volume_is_named_whatever_mounts_it() {
    let volumes = json!({"spec": {"volumes": [{"name": "scratch", "emptyDir": {}}]}});
    let refusal = read(&plain(&[volumes])).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        r#"spec.volumes: volumes are not supported; remove "scratch" and what mounts it"#
    );
}

#[test]
fn what_has_no_effect_is_one_warning_that_lists_it() {
    let pod = container(&json!({
        "command": ["sh"], "args": ["-c"], "tty": true,
        "securityContext": {"privileged": true, "runAsUser": 0},
    }));
    assert_eq!(
        texts(&demand(&pod)),
        ["an instance starts its image as it is; without effect: spec.containers[0].command, \
          spec.containers[0].args, spec.containers[0].tty, spec.containers[0].securityContext.privileged, \
          spec.containers[0].securityContext.runAsUser"]
    );
}

#[test]
fn a_debug_container_does_not_end_a_pod_that_runs() {
    let debug = json!({"spec": {"ephemeralContainers": [{"name": "debugger", "image": "busybox"}]}});
    assert!(texts(&demand(&plain(&[debug])))[0].contains("spec.ephemeralContainers"));
}

#[rstest]
#[case("7b5981c4-1889-11e7-b4c5-3f3bdfc9b88b", Ok("7b5981c4-1889-11e7-b4c5-3f3bdfc9b88b"))]
#[case("base-64-lts", Ok("base-64-lts"))]
#[case("base-64-lts@23.4.0", Ok("base-64-lts@23.4.0"))]
#[case("odd@name@1", Ok("odd@name@1"))]
#[case("", Err("names no image"))]
#[case("base@", Err("lacks a name or a version"))]
#[case("@1", Err("lacks a name or a version"))]
fn images_are_named_by_id_name_or_version(#[case] text: &str, #[case] expected: Result<&str, &str>) {
    match (image(text), expected) {
        (Ok(image), Ok(printed)) => assert_eq!(image.to_string(), printed),
        (Err(refusal), Err(part)) => assert!(refusal.message.contains(part), "{refusal}"),
        (other, _) => panic!("{other:?}"),
    }
}

#[rstest]
#[case::long_wins(json!({"package": "a", "tritondatacenter.com/package": "b"}), "b")]
#[case::blanks(json!({"package": " g1.nano "}), "g1.nano")]
#[case::prefixed(json!({"tritondatacenter.com/package": "g1.nano"}), "g1.nano")]
fn the_long_name_of_an_annotation_wins(#[case] annotations: Value, #[case] package: &str) {
    let demand = demand(&plain(&[json!({"metadata": {"annotations": annotations}})]));
    assert_eq!(demand.package, PackageDemand::Name(package.into()));
    assert_eq!(demand.metadata.len(), 0);
}

#[rstest]
#[case("fwenabled")]
#[case("tritondatacenter.com/fwenabled")]
#[case("tritondatacenter.com/firewall-enabled")]
fn the_firewall_is_switched_by_any_name(#[case] key: &str) {
    assert_eq!(demand(&annotated(key, "true")).firewall.enabled, Some(true));
    assert_eq!(demand(&annotated(key, "false")).firewall.enabled, Some(false));
}

#[test]
fn protection_that_is_not_spoken_of_is_not_stated() {
    for (pod, protection, stated) in [
        (annotated("delprotect", "true"), true, true),
        (annotated("tritondatacenter.com/deletion-protection", "false"), false, true),
        (plain(&[]), false, false),
    ] {
        let demand = demand(&pod);
        assert_eq!((demand.deletion_protection, demand.deletion_protection_stated), (protection, stated));
    }
}

#[rstest]
#[case("fwenabled", "yes", "write \"true\" or \"false\"")]
#[case("delprotect", "1", "write \"true\" or \"false\"")]
#[case("package", "", "is empty")]
#[case("networks", " ", "is empty")]
#[case("networks", "a,,b", "empty element")]
#[case("networks", "a,", "empty element")]
#[case("fwgroup", "", "is empty")]
#[case("affinity", "role=db", "invalid affinity rule")]
#[case("affinity", "role!=\"", "invalid affinity rule")]
#[case("affinity", "a==b,", "empty element")]
#[case("tritondatacenter.com/metadata", "{\"a\": 1}", "no JSON object")]
#[case("tritondatacenter.com/metadata", "hunter2", "no JSON object")]
fn a_bad_annotation_is_named(#[case] key: &str, #[case] value: &str, #[case] part: &str) {
    let refusal = read(&annotated(key, value)).unwrap_err();
    assert_eq!(refusal.reason, RefusalReason::Invalid);
    assert_eq!(refusal.field, format!("metadata.annotations[{key}]"));
    assert!(refusal.message.contains(part) && !refusal.message.contains("hunter2"), "{refusal}");
}

#[test]
fn a_docker_pod_of_the_original_is_refused() {
    assert_eq!(read(&annotated("type", "docker")).unwrap_err().reason, RefusalReason::Unsupported);
    assert_eq!(demand(&annotated("type", "web")).metadata.get("type"), Some("web"));
}

#[test]
fn other_annotations_without_a_slash_are_metadata() {
    let pod = plain(&[json!({"metadata": {"annotations": {
        "user-script": "#!/bin/sh\n",
        "kubectl.kubernetes.io/restartedAt": "now",
        "fwenabled": "true",
        "tritondatacenter.com/metadata": "{\"cloud-init:user-data\": \"#cloud-config\"}",
        "image": "x", "root_pw": "x", "triton.cns.status": "up",
        "tritondatacenter.com/pakcage": "g1.nano",
    }}})]);
    let demand = demand(&pod);
    let metadata: Vec<_> = demand.metadata.iter().collect();
    assert_eq!(metadata, [("cloud-init:user-data", "#cloud-config"), ("user-script", "#!/bin/sh\n")]);
    assert_eq!(
        texts(&demand),
        [
            r#"metadata.annotations[image]: "image" does not become metadata, CloudAPI does not take it"#,
            r#"metadata.annotations[root_pw]: "root_pw" does not become metadata, CloudAPI does not take it"#,
            r#"metadata.annotations[triton.cns.status]: "triton.cns.status" does not become metadata, it is kept by the virtual kubelet"#,
            "the annotation tritondatacenter.com/pakcage has no meaning for pods; check its spelling",
        ]
    );
}

#[rstest]
#[case("app", "web", TagValue::from("web"))]
#[case("app.kubernetes.io/name", "web", TagValue::from("web"))]
#[case("empty", "", TagValue::from(""))]
#[case("answer", "42", TagValue::from("42"))]
#[case("triton.cns.services", "web", TagValue::from("web"))]
#[case("triton.cns.disable", "true", TagValue::from(true))]
#[case("triton.placement.exclude_virtual_servers", "false", TagValue::from(false))]
#[case("triton.cns.reverse_ptr", "web.example.com", TagValue::from("web.example.com"))]
#[case("triton._test.any", "x", TagValue::from("x"))]
fn labels_become_tags_of_the_same_key(#[case] key: &str, #[case] label: &str, #[case] value: TagValue) {
    let demand = demand(&labelled(key, label));
    assert_eq!(demand.tags.get(key), Some(&value));
    assert_eq!(demand.tags.get("k8s.labels"), Some(&TagValue::from(key)));
    assert_eq!(demand.warnings, []);
}

#[rstest]
#[case::none("app", "web", "k8s-kubernetes", None)]
#[case::another("triton.cmon.groups", "api", "api,k8s-kubernetes", Some("api"))]
#[case::the_clusters("triton.cmon.groups", "k8s-kubernetes", "k8s-kubernetes", Some("k8s-kubernetes"))]
fn a_pod_is_in_the_clusters_cmon_group_and_in_that_of_its_label(
    #[case] key: &str,
    #[case] label: &str,
    #[case] groups: &str,
    #[case] record: Option<&str>,
) {
    let demand = demand(&labelled(key, label));
    assert_eq!(demand.tags.get("triton.cmon.groups"), Some(&TagValue::from(groups)));
    assert_eq!(demand.tags.get("k8s.cmon"), record.map(TagValue::from).as_ref());
    assert_eq!(demand.warnings, []);
}

#[rstest]
#[case("triton.cns.disable", "yes")]
#[case("triton.cns.services", "")]
#[case("triton.cns.service", "web")]
#[case("triton.cns.reverse_ptr", "")]
#[case("k8s.uid", "forged")]
#[case("k8s.other", "x")]
#[case("sdc_docker", "true")]
fn a_label_that_cloudapi_would_refuse_is_named(#[case] key: &str, #[case] label: &str) {
    let refusal = read(&labelled(key, label)).unwrap_err();
    assert_eq!((refusal.reason, refusal.field), (RefusalReason::Invalid, format!("metadata.labels[{key}]")));
}

#[test]
fn a_label_that_is_a_parameter_of_the_request_is_no_tag() {
    let demand = demand(&labelled("image", "x"));
    assert!(!demand.tags.contains_key("image") && !demand.tags.contains_key("k8s.labels"));
    assert_eq!(demand.warnings.len(), 1);
}

#[rstest]
#[case::nothing(json!(null), json!(null), (0, 0, 0))]
#[case::requests(json!({"requests": {"cpu": "250m", "memory": "1Gi"}}), json!(null), (250, 1 << 30, 0))]
#[case::limits_win(json!({"requests": {"cpu": "4"}, "limits": {"cpu": "1"}}), json!(null), (1000, 0, 0))]
#[case::disk(json!({"limits": {"ephemeral-storage": "10G"}}), json!(null), (0, 0, 10_000_000_000))]
#[case::the_pod_wins(json!({"limits": {"cpu": "1", "memory": "1k"}}), json!({"requests": {"cpu": "3"}}), (3000, 1000, 0))]
#[case::nothing_of_a_foreign_resource(json!({"limits": {"nvidia.com/gpu": "0"}}), json!(null), (0, 0, 0))]
fn resources_are_limits_before_requests(
    #[case] of_container: Value,
    #[case] of_pod: Value,
    #[case] (cpu_millis, memory_bytes, storage_bytes): (u64, u64, u64),
) {
    let mut pod = container(&json!({"resources": of_container}));
    pod.spec.as_mut().unwrap().resources = serde_json::from_value(of_pod).unwrap();
    assert_eq!(demand(&pod).resources, Resources { cpu_millis, memory_bytes, storage_bytes });
}

#[rstest]
#[case("-1")]
#[case("lots")]
fn a_bad_quantity_is_named(#[case] quantity: &str) {
    let refusal = read(&container(&json!({"resources": {"limits": {"cpu": quantity}}}))).unwrap_err();
    assert_eq!(
        (refusal.reason, refusal.field.as_str()),
        (RefusalReason::Invalid, "spec.containers[0].resources.limits[cpu]")
    );
}

#[rstest]
#[case(json!([{"containerPort": 80}, {"containerPort": 53, "protocol": "UDP"}]), &["tcp/80", "udp/53"], 0)]
#[case(json!([{"containerPort": 80, "name": "a"}, {"containerPort": 80, "name": "b"}]), &["tcp/80"], 0)]
#[case(json!([{"containerPort": 80, "hostPort": 80}]), &["tcp/80"], 1)]
#[case(json!([{"containerPort": 80, "protocol": "SCTP"}]), &[], 1)]
fn ports_are_a_set(#[case] ports: Value, #[case] expected: &[&str], #[case] warnings: usize) {
    let demand = demand(&container(&json!({"ports": ports})));
    let ports: Vec<String> = demand.firewall.ports.iter().map(ToString::to_string).collect();
    assert_eq!(ports, expected);
    assert_eq!(demand.warnings.len(), warnings);
    assert_eq!(demand.tags.contains_key("k8s.ports"), !expected.is_empty());
}

#[rstest]
#[case(json!({"containerPort": 0}), "spec.containers[0].ports[0].containerPort")]
#[case(json!({"containerPort": 65536}), "spec.containers[0].ports[0].containerPort")]
#[case(json!({"containerPort": 1, "protocol": "ICMP"}), "spec.containers[0].ports[0].protocol")]
fn a_bad_port_is_named(#[case] port: Value, #[case] field: &str) {
    assert_eq!(read(&container(&json!({"ports": [port]}))).unwrap_err().field, field);
}

#[test]
fn pods_with_the_same_ports_share_their_tag_and_no_others_do() {
    let ports = |numbers: &[u16]| -> BTreeSet<Port> {
        numbers.iter().map(|number| Port { protocol: Protocol::Tcp, number: *number }).collect()
    };
    assert_eq!(ports_tag("kubernetes", &ports(&[80, 22])), ports_tag("kubernetes", &ports(&[22, 80])));
    assert_ne!(ports_tag("kubernetes", &ports(&[80])), ports_tag("kubernetes", &ports(&[22])));
    assert_ne!(ports_tag("kubernetes", &ports(&[80])), ports_tag("other", &ports(&[80])));
    assert_eq!(ports_tag("kubernetes", &ports(&[])), None);
}

#[test]
fn groups_are_those_of_one_namespace_and_cluster() {
    let tag = group_tag("kubernetes", "default", "web \"a\"");
    assert!(tag.starts_with("web--a--"), "{tag}");
    for (cluster, namespace, group) in [
        ("kubernetes", "other", "web \"a\""),
        ("b", "default", "web \"a\""),
        ("kubernetes", "default", "web"),
    ] {
        assert_ne!(group_tag(cluster, namespace, group), tag);
    }
    let demand = demand(&annotated("fwgroup", "web"));
    assert!(texts(&demand)[0].contains("no effect while the firewall is off"));
}

fn anti(kind: &str, term: &Value) -> Value {
    match kind {
        "required" => json!({"affinity": {"podAntiAffinity":
            {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}}),
        _ => json!({"affinity": {"podAntiAffinity":
            {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": term}]}}}),
    }
}

fn by_host(selector: Value) -> Value {
    json!({"topologyKey": "kubernetes.io/hostname", "labelSelector": selector})
}

fn spread(when: &str) -> Value {
    json!({"topologySpreadConstraints": [{
        "maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": when,
        "labelSelector": {"matchLabels": {"app": "web"}},
    }]})
}

#[rstest]
#[case::required(anti("required", &by_host(json!({"matchLabels": {"app": "web"}}))), &["app!=web"], 0)]
#[case::preferred(anti("preferred", &by_host(json!({"matchLabels": {"app": "web"}}))), &["app!=~web"], 0)]
#[case::one_of(
    anti("preferred", &by_host(json!({"matchExpressions": [{"key": "app", "operator": "In", "values": ["a.b", "c"]}]}))),
    &[r"app!=~/^(a\.b|c)$/"], 0
)]
#[case::any(
    anti("required", &by_host(json!({"matchExpressions": [{"key": "app", "operator": "Exists"}]}))), &["app!=*"], 0
)]
#[case::not_in(
    anti("required", &by_host(json!({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["a"]}]}))),
    &[], 1
)]
#[case::two_labels(anti("required", &by_host(json!({"matchLabels": {"app": "web", "tier": "db"}}))), &[], 1)]
#[case::slash(anti("required", &by_host(json!({"matchLabels": {"app.kubernetes.io/name": "web"}}))), &[], 1)]
#[case::everything(anti("required", &by_host(json!({}))), &[], 1)]
#[case::zone(anti("required", &json!({"topologyKey": "topology.kubernetes.io/zone"})), &[], 0)]
#[case::spread_if_possible(spread("ScheduleAnyway"), &["app!=~web"], 0)]
#[case::spread_or_wait(spread("DoNotSchedule"), &["app!=~web"], 1)]
#[case::near(json!({"affinity": {"podAffinity": {}}}), &[], 1)]
fn wishes_about_hosts_become_rules(#[case] spec: Value, #[case] rules: &[&str], #[case] warnings: usize) {
    let demand = demand(&plain(&[json!({"spec": spec})]));
    assert_eq!(demand.affinity, rules);
    assert_eq!(demand.warnings.len(), warnings, "{:?}", demand.warnings);
}

#[test]
fn rules_of_the_annotation_come_first_and_soft_ones_beside_strict_ones_are_told() {
    let wish = anti("preferred", &by_host(json!({"matchLabels": {"app": "web"}})));
    let annotation = json!({"annotations": {"affinity": "inst!=db0, role==/^web/, role==/^web/"}});
    let demand = demand(&plain(&[json!({"spec": wish, "metadata": annotation})]));
    assert_eq!(demand.affinity, ["instance!=db0", "role==/^web/", "app!=~web"]);
    assert_eq!(texts(&demand), ["Triton drops the soft rules app!=~web beside strict ones"]);
}

#[test]
fn a_pod_without_an_identity_is_refused() {
    let mut pod = plain(&[]);
    pod.metadata.uid = None;
    assert_eq!(read(&pod).unwrap_err().field, "metadata");
}
