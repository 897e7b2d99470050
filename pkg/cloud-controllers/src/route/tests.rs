use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Node;
use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};
use tokio::time::Instant;
use triton::id::NetworkId;
use triton::types::{Instance, Network};
use uuid::Uuid;

use super::*;
use crate::instances::{Known, Seen};

/// The addresses of the cluster's pods.
const CLUSTER: &str = "10.244.0.0/16";

fn network_id(number: u128) -> NetworkId {
    Uuid::from_u128(number).into()
}

/// Fabric network 1, 192.168.1.0/24.
fn network(routes: &[(&str, &str)]) -> Network {
    let routes: BTreeMap<_, _> = routes.iter().copied().collect();
    serde_json::from_value(json!({
        "id": network_id(1).to_string(), "name": "fabric", "public": false, "fabric": true, "vlan_id": 2,
        "subnet": "192.168.1.0/24", "gateway": "192.168.1.1", "routes": routes,
    }))
    .unwrap()
}

fn wish(destination: &str, via: Via) -> Wish {
    Wish { destination: destination.parse().unwrap(), via }
}

/// A wish for a route on network 1.
fn through(destination: &str, gateway: &str) -> Wish {
    wish(destination, Via::Gateway(network_id(1), gateway.parse().unwrap()))
}

/// `.11` and `.12` are Nodes, `.50` is somebody's instance.
fn addresses() -> Addresses {
    let set = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
    Addresses { nodes: set(&["192.168.1.11", "192.168.1.12"]), others: set(&["192.168.1.50"]) }
}

fn change(routes: &[(&str, &str)], wishes: &[Wish]) -> Change {
    plan(&network(routes), wishes, &[CLUSTER.parse().unwrap()], &addresses())
}

/// The routes as they become, one a word, or `same`.
fn becomes(routes: &[(&str, &str)], wishes: &[Wish]) -> String {
    let Some(routes) = change(routes, wishes).routes else { return "same".to_owned() };
    let words: Vec<String> = routes.iter().map(|(to, via)| format!("{to}>{via}")).collect();
    words.join(" ")
}

const A: (&str, &str) = ("10.244.1.0/24", "192.168.1.11");

#[rstest]
#[case::new(&[], "10.244.1.0/24>192.168.1.11")]
#[case::there(&[A], "same")]
#[case::written_in_another_way(&[("10.244.1.7/24", "192.168.1.11")], "same")]
#[case::twice(&[("10.244.1.0/24", "192.168.1.11"), ("10.244.1.7/24", "192.168.1.11")], "10.244.1.0/24>192.168.1.11")]
#[case::another_gateway(&[("10.244.1.0/24", "192.168.1.12")], "10.244.1.0/24>192.168.1.11")]
// Kubernetes has allotted it, whoever else uses it.
#[case::somebodys_gateway(&[("10.244.1.0/24", "192.168.1.50")], "10.244.1.0/24>192.168.1.11")]
#[case::link_local(&[("10.244.1.0/24", "linklocal")], "10.244.1.0/24>192.168.1.11")]
fn a_wish_comes_true(#[case] routes: &[(&str, &str)], #[case] expected: &str) {
    assert_eq!(becomes(routes, &[through(A.0, A.1)]), expected);
}

#[rstest]
#[case::outside("172.16.0.0/12", "192.168.1.11", true)]
#[case::one_address_outside("8.8.8.8", "192.168.1.11", true)]
#[case::the_whole_cluster("10.244.0.0/16", "192.168.1.11", true)]
#[case::larger("10.0.0.0/8", "192.168.1.11", true)]
#[case::of_another_family("fd00::/64", "fe80::1", true)]
#[case::unreadable("default", "linklocal", true)]
#[case::inside_but_off_the_network("10.244.9.0/24", "172.16.0.1", true)]
#[case::inside_and_of_the_gateway("10.244.9.0/28", "192.168.1.1", true)]
#[case::inside_and_of_an_instance("10.244.9.0/28", "192.168.1.50", true)]
// A Node that is there, and one that is gone.
#[case::of_a_node("10.244.9.0/28", "192.168.1.12", false)]
#[case::of_nobody("10.244.9.0/28", "192.168.1.77", false)]
// A Node was deleted and its machine was not: as large as the others'.
#[case::of_a_former_node("10.244.9.0/24", "192.168.1.50", false)]
fn others_keep_their_routes_and_the_clusters_own_go(
    #[case] destination: &str,
    #[case] gateway: &str,
    #[case] stays: bool,
) {
    let expected = if stays { "same" } else { "10.244.1.0/24>192.168.1.11" };
    assert_eq!(becomes(&[A, (destination, gateway)], &[through(A.0, A.1)]), expected);
}

#[rstest]
#[case::nothing_is_known(wish(A.0, Via::Unknown), "same")]
#[case::on_another_network(wish(A.0, Via::Gateway(network_id(2), "10.1.1.1".parse().unwrap())), "")]
#[case::on_none(wish(A.0, Via::Nothing(Obstacle::NotOnFabric(A.0.parse().unwrap()))), "")]
fn a_node_that_moves_takes_its_route_along(#[case] wish: Wish, #[case] expected: &str) {
    assert_eq!(becomes(&[A], &[wish]), expected);
}

#[test]
fn without_any_pod_cidr_nothing_is_removed() {
    assert_eq!(becomes(&[A, ("10.244.9.0/24", "192.168.1.77")], &[]), "same");
}

#[test]
fn of_two_wishes_for_one_destination_the_first_counts() {
    assert_eq!(becomes(&[A], &[through(A.0, A.1), through(A.0, "192.168.1.12")]), "same");
}

#[test]
fn a_change_says_what_it_does() {
    let change = change(&[("10.244.9.0/28", "192.168.1.77")], &[through(A.0, A.1)]);
    let texts = |set: &BTreeSet<ipnet::IpNet>| set.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        (texts(&change.set), texts(&change.removed)),
        (vec![A.0.to_owned()], vec!["10.244.9.0/28".to_owned()])
    );
}

fn node(change: &Value) -> Node {
    let mut node = json!({
        "metadata": {"name": "m1", "annotations": {}},
        "spec": {"podCIDRs": ["10.244.1.0/24"], "podCIDR": "10.244.1.0/24"},
        "status": {"addresses": [
            {"type": "ExternalIP", "address": "192.0.2.1"}, {"type": "InternalIP", "address": "192.168.1.11"},
        ]},
    });
    for (pointer, value) in change.as_object().unwrap() {
        *node.pointer_mut(pointer).unwrap() = value.clone();
    }
    serde_json::from_value(node).unwrap()
}

fn machine() -> Known {
    let nic = |network: u128, ip: &str, mac: &str| json!({"mac": mac, "ip": ip, "network": network_id(network).to_string()});
    let instance: Instance = serde_json::from_value(json!({
        "id": Uuid::from_u128(9).to_string(), "name": "m1", "state": "running",
        "nics": [nic(7, "192.0.2.1", "90:b8:d0:00:00:01"), nic(1, "192.168.1.11", "90:b8:d0:00:00:02")],
    }))
    .unwrap();
    Known::Present(Seen { instance: Arc::new(instance), doubted: false, as_of: Instant::now() })
}

#[rstest]
#[case::as_it_should_be(json!({}), through("10.244.1.0/24", "192.168.1.11").via)]
#[case::external_only(
    json!({"/status/addresses": [{"type": "ExternalIP", "address": "192.0.2.1"}]}),
    Via::Nothing(Obstacle::NotOnFabric("10.244.1.0/24".parse().unwrap()))
)]
#[case::of_no_nic(
    json!({"/status/addresses": [{"type": "InternalIP", "address": "192.168.1.99"}]}),
    Via::Nothing(Obstacle::NotOnFabric("10.244.1.0/24".parse().unwrap()))
)]
#[case::off_the_fabric(
    json!({"/status/addresses": [{"type": "InternalIP", "address": "192.0.2.1"}]}),
    Via::Nothing(Obstacle::NotOnFabric("10.244.1.0/24".parse().unwrap()))
)]
#[tokio::test]
async fn the_gateway_is_the_first_internal_address_on_a_fabric(#[case] change: Value, #[case] expected: Via) {
    let fabrics = BTreeSet::from([network_id(1)]);
    let found = wishes(&node(&change), &machine(), &[CLUSTER.parse().unwrap()], &fabrics);
    assert_eq!(found, [Wish { destination: "10.244.1.0/24".parse().unwrap(), via: expected }]);
}

#[tokio::test]
async fn a_wish_needs_a_pod_cidr_inside_the_cluster_and_a_machine() {
    let fabrics = BTreeSet::from([network_id(1)]);
    let cluster = [CLUSTER.parse().unwrap()];
    let none = node(&json!({"/spec": {}}));
    assert_eq!(wishes(&none, &machine(), &cluster, &fabrics), []);
    let outside = node(&json!({"/spec/podCIDRs": ["10.99.0.0/24"], "/spec/podCIDR": "10.99.0.0/24"}));
    let found = wishes(&outside, &machine(), &cluster, &fabrics);
    assert!(
        matches!(&found[..], [Wish { via: Via::Nothing(Obstacle::OutsideClusterCidr(_)), .. }]),
        "{found:?}"
    );
    let found = wishes(&node(&json!({})), &Known::Unknown, &cluster, &fabrics);
    assert_eq!(found, [wish("10.244.1.0/24", Via::Unknown)]);
}

/// Each condition that changes, as `type=status/reason`.
fn said(conditions: &Value, annotation: Option<&str>, standing: &Standing, all: bool) -> Vec<String> {
    let mut node = node(&json!({}));
    node.status.as_mut().unwrap().conditions = serde_json::from_value(conditions.clone()).unwrap();
    if let Some(annotation) = annotation {
        node.metadata.annotations = Some([(EFFECTIVE.to_owned(), annotation.to_owned())].into());
    }
    let effective = is_effective(&node, all);
    let changed = super::conditions(&node, standing, effective, Timestamp::UNIX_EPOCH);
    changed.iter().map(|it| format!("{}={}/{}", it.type_, it.status, it.reason.as_deref().unwrap())).collect()
}

fn unavailable(status: &str, reason: &str, message: &str) -> Value {
    json!([{"type": "NetworkUnavailable", "status": status, "reason": reason, "message": message}])
}

#[rstest]
#[case::promised(None, true, &["NetworkUnavailable=False/RouteCreated"])]
#[case::promised_for_this_one(Some("true"), false, &["NetworkUnavailable=False/RouteCreated"])]
#[case::not_promised(None, false, &["NetworkUnavailable=True/RoutesNotEffective", "RoutesNotEffective=True/RoutesNotEffective"])]
#[case::denied_for_this_one(Some("false"), true, &["NetworkUnavailable=True/RoutesNotEffective", "RoutesNotEffective=True/RoutesNotEffective"])]
#[case::malformed(Some("perhaps"), false, &["NetworkUnavailable=True/RoutesNotEffective", "RoutesNotEffective=True/RoutesNotEffective"])]
fn a_network_is_available_only_where_routes_are_said_to_help(
    #[case] annotation: Option<&str>,
    #[case] all: bool,
    #[case] expected: &[&str],
) {
    for before in [json!([]), unavailable("True", "NoRouteCreated", "Node created without a route")] {
        assert_eq!(said(&before, annotation, &Standing::There, all), expected, "{before}");
    }
}

#[test]
fn what_we_said_is_taken_back_and_what_others_say_is_not() {
    let ours = unavailable("False", "RouteCreated", "RouteController created a route");
    let overlay = unavailable("False", "FlannelIsUp", "Flannel is running on this node");
    let missing = Standing::Missing("why".to_owned());
    assert_eq!(said(&ours, None, &Standing::There, true), Vec::<String>::new());
    assert_eq!(said(&ours, None, &missing, true), ["NetworkUnavailable=True/NoRouteCreated"]);
    assert_eq!(said(&ours, None, &Standing::There, false)[0], "NetworkUnavailable=True/RoutesNotEffective");
    assert_eq!(said(&overlay, None, &missing, true), Vec::<String>::new());
    assert_eq!(said(&overlay, None, &Standing::There, false), ["RoutesNotEffective=True/RoutesNotEffective"]);
    for nothing in [Standing::None, Standing::Unknown] {
        assert_eq!(said(&ours, None, &nothing, true), Vec::<String>::new());
    }
    // What was said of their effect is taken back as well.
    let not_effective =
        json!([{"type": "RoutesNotEffective", "status": "True", "reason": "RoutesNotEffective"}]);
    let expected = ["NetworkUnavailable=False/RouteCreated", "RoutesNotEffective=False/RoutesEffective"];
    assert_eq!(said(&not_effective, None, &Standing::There, true), expected);
}

#[test]
fn one_obstacle_is_enough_and_ignorance_says_nothing() {
    let obstacle = wish("fd00::/64", Via::Nothing(Obstacle::NotOnFabric("fd00::/64".parse().unwrap())));
    let there = through(A.0, A.1);
    let none = |_: &Wish| None;
    assert_eq!(standing(&[], none), Standing::None);
    assert_eq!(standing(std::slice::from_ref(&there), none), Standing::There);
    assert_eq!(standing(&[there.clone(), wish("10.244.2.0/24", Via::Unknown)], none), Standing::Unknown);
    assert!(
        matches!(standing(&[there.clone(), obstacle], none), Standing::Missing(why) if why.contains("fd00::/64"))
    );
    assert_eq!(standing(&[there], |_| Some("x".to_owned())), Standing::Missing("x".to_owned()));
}

proptest! {
    /// Whatever is there and whatever is wished: a second plan has nothing to do, wishes come true, and what is outside
    /// the cluster's addresses stays as it was.
    #[test]
    fn a_plan_is_done_at_once_and_spares_what_is_outside(
        routes in prop::collection::btree_map(
            prop_oneof![
                (0_u8..6, 0_u8..3).prop_map(|(net, host)| format!("10.244.{net}.{host}/24")),
                (0_u8..4).prop_map(|net| format!("172.16.{net}.0/24")),
                "[a-z0-9./]{1,8}",
            ],
            (9_u8..14).prop_map(|host| format!("192.168.1.{host}")),
            0..8,
        ),
        wished in prop::collection::btree_map(0_u8..6, 9_u8..14, 0..5),
    ) {
        let list: Vec<(&str, &str)> = routes.iter().map(|(to, via)| (to.as_str(), via.as_str())).collect();
        let wishes: Vec<Wish> = wished
            .iter()
            .map(|(net, host)| through(&format!("10.244.{net}.0/24"), &format!("192.168.1.{host}")))
            .collect();
        let before = network(&list);
        let mut after = before.clone();
        if let Some(routes) = change(&list, &wishes).routes {
            after.routes = routes;
        }
        let cluster = [CLUSTER.parse().unwrap()];
        prop_assert_eq!(plan(&after, &wishes, &cluster, &addresses()), Change::default());
        for (to, via) in before.routes.iter().filter(|(to, _)| !to.starts_with("10.244.")) {
            prop_assert_eq!(after.routes.get(to), Some(via));
        }
        for (net, host) in wished {
            let destination: ipnet::IpNet = format!("10.244.{net}.0/24").parse().unwrap();
            let found: Vec<_> = after
                .routes
                .iter()
                .filter(|(to, _)| to.parse::<ipnet::IpNet>().is_ok_and(|to| to.trunc() == destination))
                .collect();
            prop_assert_eq!(found.len(), 1);
            prop_assert_eq!(found[0].1.to_string(), format!("192.168.1.{host}"));
        }
    }
}
