use rstest::rstest;
use serde_json::{Value, json};

use super::*;

fn service(name: &str, ports: &Value) -> Value {
    json!({
        "metadata": {"namespace": "default", "name": name, "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"type": "LoadBalancer", "selector": {"app": "web"}, "ports": ports},
    })
}

fn pod(labels: &Value) -> Pod {
    serde_json::from_value(json!({
        "metadata": {"namespace": "default", "name": "web-0", "labels": labels},
        "spec": {"containers": [{"name": "web", "ports": [
            {"name": "http", "containerPort": 8080},
            {"name": "dns", "containerPort": 5353, "protocol": "UDP"},
        ]}]},
    }))
    .unwrap()
}

fn read(services: &[Value]) -> Directory {
    let services: Vec<Service> =
        services.iter().map(|service| serde_json::from_value(service.clone()).unwrap()).collect();
    Directory::read(&services, "kubernetes", DefaultLoadBalancer::Cns, |name| name == "foreign-default")
}

fn texts(membership: &Membership) -> Vec<&str> {
    membership.entries.iter().map(CnsService::text).collect()
}

fn reasons(notes: &[Note]) -> Vec<NoteReason> {
    notes.iter().map(|note| note.reason).collect()
}

#[rstest]
#[case::the_same_port(json!([{"port": 8080, "targetPort": 8080}]), &["web-default:8080"], &[])]
#[case::no_target(json!([{"port": 8080}]), &["web-default:8080"], &[])]
#[case::another_port(json!([{"port": 80, "targetPort": 8080}]), &["web-default:8080"], &[NoteReason::PortDiffers])]
#[case::a_named_port(json!([{"port": 8080, "targetPort": "http"}]), &["web-default:8080"], &[])]
#[case::a_name_of_another_protocol(
    json!([{"port": 5353, "targetPort": "dns"}]), &[], &[NoteReason::UnknownTargetPort]
)]
#[case::an_unknown_name_beside_a_known_one(
    json!([{"port": 1, "targetPort": "x"}, {"port": 8080, "targetPort": "http"}]),
    &["web-default:8080"], &[NoteReason::UnknownTargetPort]
)]
#[case::two_ports(json!([{"port": 80}, {"port": 443}]), &["web-default:80", "web-default:443"], &[])]
#[case::two_ways_to_one_port(
    json!([{"port": 8080}, {"port": 80, "targetPort": 8080}]), &["web-default:8080"], &[NoteReason::PortDiffers]
)]
#[case::udp(json!([{"port": 5353, "targetPort": "dns", "protocol": "UDP"}]), &["web-default"], &[])]
#[case::udp_on_another_port(
    json!([{"port": 53, "targetPort": "dns", "protocol": "UDP"}]), &["web-default"], &[NoteReason::PortDiffers]
)]
#[case::sctp(json!([{"port": 9, "protocol": "SCTP"}]), &["web-default"], &[])]
#[case::tcp_and_udp(json!([{"port": 53, "protocol": "UDP"}, {"port": 53}]), &["web-default:53"], &[])]
#[case::no_ports(json!([]), &[], &[])]
fn ports_become_entries(#[case] ports: Value, #[case] entries: &[&str], #[case] notes: &[NoteReason]) {
    let pod = pod(&json!({"app": "web"}));
    let membership = read(&[service("web", &ports)]).membership(&Member::of(&pod));
    assert_eq!(texts(&membership), entries);
    assert_eq!(reasons(&membership.notes), notes);
}

#[test]
fn a_port_that_differs_is_told_with_both_numbers() {
    let pod = pod(&json!({"app": "web"}));
    let directory = read(&[service("web", &json!([{"port": 80, "targetPort": 8080}]))]);
    let membership = directory.membership(&Member::of(&pod));
    let expected =
        "DNS cannot change ports: clients of CNS service web-default must use port 8080 instead of 80";
    assert_eq!(membership.notes[0].message, expected);
}

#[rstest]
#[case::all_labels(json!({"app": "web", "tier": "front"}), true)]
#[case::another_value(json!({"app": "api"}), false)]
#[case::no_label(json!({}), false)]
fn a_selector_selects_pods_that_have_all_its_labels(#[case] labels: Value, #[case] selected: bool) {
    let pod = pod(&labels);
    let directory = read(&[service("web", &json!([{"port": 80}]))]);
    assert_eq!(!directory.membership(&Member::of(&pod)).entries.is_empty(), selected);
}

#[rstest]
#[case::not_a_load_balancer("/spec/type", json!("ClusterIP"), false)]
#[case::our_class("/spec/loadBalancerClass", json!("tritondatacenter.com/cns"), true)]
#[case::our_other_class("/spec/loadBalancerClass", json!("tritondatacenter.com/moirai"), true)]
#[case::another_class("/spec/loadBalancerClass", json!("example.com/lb"), false)]
#[case::being_deleted("/metadata/deletionTimestamp", json!("2026-01-02T00:00:00Z"), false)]
#[case::no_selector("/spec/selector", json!({}), false)]
#[case::another_namespace("/metadata/namespace", json!("prod"), false)]
fn only_load_balancers_of_our_class_are_in_cns(
    #[case] field: &str,
    #[case] value: Value,
    #[case] published: bool,
) {
    let mut service = service("web", &json!([{"port": 80}]));
    let (parent, name) = field.rsplit_once('/').unwrap();
    service.pointer_mut(parent).unwrap()[name] = value;
    let pod = pod(&json!({"app": "web"}));
    assert_eq!(!read(&[service]).membership(&Member::of(&pod)).entries.is_empty(), published);
}

#[test]
fn all_services_that_select_a_pod_are_one_list_in_order_of_their_names() {
    let services = ["b", "c", "a"].map(|name| service(name, &json!([{"port": 80}])));
    let pod = pod(&json!({"app": "web"}));
    let membership = read(&services).membership(&Member::of(&pod));
    assert_eq!(texts(&membership), ["a-default:80", "b-default:80", "c-default:80"]);
}

#[test]
fn the_older_of_two_services_keeps_a_name() {
    let mut younger = service("web", &json!([{"port": 81}]));
    younger["metadata"]["creationTimestamp"] = json!("2026-01-02T00:00:00Z");
    let mut older = service("shop", &json!([{"port": 80}]));
    older["metadata"]["annotations"] = json!({"tritondatacenter.com/cns-service": "web-default"});
    let directory = read(&[younger, older]);
    let pod = pod(&json!({"app": "web"}));
    assert_eq!(texts(&directory.membership(&Member::of(&pod))), ["web-default:80"]);
    assert_eq!(reasons(directory.notes()), [NoteReason::NameConflict]);
    assert_eq!(directory.notes()[0].service.to_string(), "default/web");
    assert!(directory.notes()[0].message.contains("Service default/shop"), "{:?}", directory.notes());
    let names: Vec<_> = directory.names().map(|(key, name)| (key.to_string(), name)).collect();
    assert_eq!(names, [("default/shop".to_owned(), "web-default")]);
    let key = |name: &str| ServiceKey { namespace: "default".into(), name: name.into() };
    assert_eq!(directory.holder("web-default"), Some(&key("shop")));
    assert_eq!((directory.name(&key("shop")), directory.name(&key("web"))), (Some("web-default"), None));
}

#[test]
fn a_name_that_foreign_instances_carry_is_not_taken() {
    let directory = read(&[service("foreign", &json!([{"port": 80}]))]);
    assert_eq!(reasons(directory.notes()), [NoteReason::NameConflict]);
    assert_eq!(directory.names().count(), 0);
}

#[test]
fn a_bad_annotation_keeps_one_service_out_of_cns() {
    let mut bad = service("web", &json!([{"port": 80}]));
    bad["metadata"]["annotations"] = json!({"tritondatacenter.com/cns-service": "a.b"});
    let directory = read(&[bad, service("api", &json!([{"port": 80}]))]);
    assert_eq!(reasons(directory.notes()), [NoteReason::InvalidName]);
    assert_eq!(directory.names().map(|(_, name)| name).collect::<Vec<_>>(), ["api-default"]);
}
