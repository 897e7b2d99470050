use rstest::rstest;
use serde_json::{Value, json};
use uuid::Uuid;

use super::plan::routes_without;
use super::*;
use triton::types::{FirewallRule, Instance, Network};

fn read<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn instance(number: u128, tags: &Value, difference: &Value) -> Instance {
    let mut value = json!({
        "id": Uuid::from_u128(number), "name": format!("i{number}"), "state": "running", "tags": tags,
        "nics": [{"mac": "90:b8:d0:00:00:01", "ip": format!("10.0.0.{number}")}],
    });
    value.as_object_mut().unwrap().extend(difference.as_object().unwrap().clone());
    read(value)
}

/// What would be done to an instance with these tags.
fn shown(tags: &Value) -> Vec<String> {
    let instances = [instance(1, tags, &json!({}))];
    let plan = plan(&Observed { cluster: "c", instances: &instances, rules: &[], networks: &[], pods: &[] });
    let id = Uuid::from_u128(1).to_string();
    let steps = plan.steps.iter().map(ToString::to_string);
    steps
        .chain(plan.kept.iter().map(|kept| format!("kept: {kept}")))
        .map(|it| it.replace(&id, "ID"))
        .collect()
}

#[rstest]
#[case::a_stranger(json!({"role": "db"}), &[])]
#[case::another_clusters_pod(
    json!({"k8s.cluster": "d", "k8s.namespace": "n", "k8s.pod": "p", "k8s.node": "v", "k8s.uid": "u"}), &[]
)]
#[case::a_pod(
    json!({"k8s.cluster": "c", "k8s.namespace": "n", "k8s.pod": "p", "k8s.node": "v", "k8s.uid": "u"}),
    &["delete instance ID of pod n/p"]
)]
#[case::a_load_balancer(
    json!({"k8s.cluster": "c", "k8s.namespace": "n", "k8s.service": "s", "k8s.uid": "u"}),
    &["delete instance ID of service n/s"]
)]
#[case::half_of_a_pod(
    json!({"k8s.cluster": "c", "k8s.pod": "p"}),
    &["kept: instance ID has tags k8s.cluster and k8s.pod, but not all that say what it stands for; delete it by hand"]
)]
#[case::a_machine(
    json!({"k8s.cluster": "c", "k8s.cns": "web:80", "triton.cns.services": "web:80"}),
    &["untag machine ID (i1): remove triton.cns.services, remove k8s.cns, remove k8s.cluster"]
)]
#[case::a_machine_with_others_services(
    json!({"k8s.cluster": "c", "k8s.cns": "web:80", "triton.cns.services": "db:5432,web:80"}),
    &["untag machine ID (i1): shorten triton.cns.services, remove k8s.cns, remove k8s.cluster"]
)]
#[case::another_clusters_machine(
    json!({"k8s.cluster": "d", "k8s.cns": "web:80", "triton.cns.services": "web:80"}), &[]
)]
#[case::a_machine_in_the_group(
    json!({"triton.cmon.groups": "k8s-c,mine"}), &["untag machine ID (i1): shorten triton.cmon.groups"]
)]
#[case::a_machine_in_the_group_alone(
    json!({"triton.cmon.groups": "k8s-c"}), &["untag machine ID (i1): remove triton.cmon.groups"]
)]
#[case::a_machine_in_others_groups(json!({"triton.cmon.groups": "k8s-d,mine"}), &[])]
fn only_the_clusters_marks_make_something_the_clusters(#[case] tags: Value, #[case] expected: &[&str]) {
    assert_eq!(shown(&tags), expected);
}

#[test]
fn others_entries_stay_byte_for_byte() {
    let tags = json!({"k8s.cluster": "c", "k8s.cns": "web:80", "triton.cns.services": "db:5432,web:80"});
    let instances = [instance(1, &tags, &json!({}))];
    let plan = plan(&Observed { cluster: "c", instances: &instances, rules: &[], networks: &[], pods: &[] });
    let [Step::Untag { set, .. }] = plan.steps.as_slice() else { panic!("{plan:?}") };
    assert_eq!(set.get("triton.cns.services").unwrap().to_string(), "db:5432");
}

#[test]
fn what_goes_already_is_waited_for_and_protection_is_lifted() {
    let pod =
        json!({"k8s.cluster": "c", "k8s.namespace": "n", "k8s.pod": "p", "k8s.node": "v", "k8s.uid": "u"});
    let instances = [
        instance(1, &pod, &json!({"state": "deleted"})),
        instance(2, &pod, &json!({"deletion_protection": true})),
    ];
    let plan = plan(&Observed { cluster: "c", instances: &instances, rules: &[], networks: &[], pods: &[] });
    assert_eq!(plan.going, 1);
    assert!(matches!(plan.steps.as_slice(), [Step::Delete { protected: true, .. }]), "{plan:?}");
}

#[rstest]
#[case("k8s:c:ports:1f0c:tcp 22", false, true)]
#[case("k8s:c:ports:1f0c:tcp 22", true, false)]
#[case("k8s:cc:ports:1f0c:tcp 22", false, false)]
#[case("web", false, false)]
fn rules_are_told_by_their_mark(#[case] description: &str, #[case] global: bool, #[case] goes: bool) {
    let rule: FirewallRule = read(json!({
        "id": Uuid::from_u128(9), "rule": "FROM any TO all vms ALLOW tcp PORT 22", "enabled": true,
        "global": global, "description": description,
    }));
    let plan = plan(&Observed { cluster: "c", instances: &[], rules: &[rule], networks: &[], pods: &[] });
    assert_eq!(plan.steps.len(), usize::from(goes));
}

/// Machine 1 is the cluster's, machine 2 is not; 10.0.0.3 is nobody's.
#[rstest]
#[case("10.244.0.0/24", "10.0.0.1", true, true, 0)]
#[case("10.244.0.0/24", "10.0.0.3", true, true, 0)]
#[case("10.244.0.0/24", "10.0.0.2", true, false, 1)]
#[case("10.244.0.0/24", "10.0.0.254", true, false, 1)]
#[case("10.244.0.0/24", "192.168.0.1", true, false, 1)]
#[case("10.99.0.0/24", "10.0.0.1", true, false, 0)]
#[case("10.0.0.0/8", "10.0.0.1", true, false, 0)]
#[case("nonsense", "10.0.0.1", true, false, 0)]
#[case("10.244.0.0/24", "10.0.0.1", false, false, 0)]
fn routes_go_where_they_can_only_have_been_the_clusters(
    #[case] destination: &str,
    #[case] gateway: &str,
    #[case] said: bool,
    #[case] goes: bool,
    #[case] kept: usize,
) {
    let network: Network = read(json!({
        "id": Uuid::from_u128(7), "name": "n", "fabric": true, "vlan_id": 2, "subnet": "10.0.0.0/24",
        "gateway": "10.0.0.254", "routes": {destination: gateway, "172.16.0.0/16": "10.0.0.1"},
    }));
    let own = json!({"k8s.cluster": "c", "k8s.cns": "web", "triton.cns.services": "web"});
    let instances = [instance(1, &own, &json!({})), instance(2, &json!({}), &json!({}))];
    let pods = if said { vec!["10.244.0.0/16".parse().unwrap()] } else { vec![] };
    let networks = [network];
    let observed =
        Observed { cluster: "c", instances: &instances, rules: &[], networks: &networks, pods: &pods };
    let plan = plan(&observed);
    // The machine's tags come after the routes by which it is known.
    assert!(matches!(plan.steps.last(), Some(Step::Untag { .. })), "{plan:?}");
    assert_eq!((plan.steps.len(), plan.kept.len()), (1 + usize::from(goes), kept), "{plan:?}");
    let left = routes_without(&networks[0], &observed);
    assert_eq!(left.is_some(), goes);
    if let Some(left) = left {
        assert_eq!(left.keys().collect::<Vec<_>>(), ["172.16.0.0/16"]);
    }
}
