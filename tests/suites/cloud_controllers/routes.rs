//! Routes of a fabric network to the pods of Nodes.

use std::time::Duration;

use cloud_controllers::controller::{Kind, MetricsSettings, RouteSettings};
use serde_json::{Value, json};
use triton::types::{Instance, Routes, UpdateFabricNetwork};
use triton_sim::cloudapi::Operation;
use triton_sim::faults::FaultPlan;

use super::stage::Stage;

const KINDS: [Kind; 3] = [Kind::Node, Kind::NodeLifecycle, Kind::Route];

/// The VLAN of the fixture's fabric network.
const VLAN: u16 = 2;

fn settings(effective: bool) -> RouteSettings {
    RouteSettings {
        cluster: vec!["10.244.0.0/16".parse().unwrap()],
        period: Duration::from_secs(1),
        reread: Duration::from_secs(1),
        effective,
    }
}

/// The routes of the fabric network, one a word.
async fn routes(stage: &Stage) -> String {
    let network = stage.account.get_fabric_network(VLAN, stage.simulator.ids().fabric).await.unwrap();
    let words: Vec<String> = network.routes.iter().map(|(to, via)| format!("{to}>{via}")).collect();
    words.join(" ")
}

async fn until_routes(stage: &Stage, expected: &str) {
    stage.until(&format!("the routes are {expected}"), async || routes(stage).await == expected).await;
}

/// Writes all routes of the network, as its owner does.
async fn write(stage: &Stage, all: &[(&str, &str)]) {
    let all: Routes = all.iter().map(|(to, via)| ((*to).to_owned(), Box::from(*via))).collect();
    let update = UpdateFabricNetwork { routes: Some(all), ..UpdateFabricNetwork::default() };
    stage.account.update_fabric_network(VLAN, stage.simulator.ids().fabric, &update).await.unwrap();
}

/// The address of a machine on the fabric network.
fn on_fabric(stage: &Stage, machine: &Instance) -> String {
    let fabric = stage.simulator.ids().fabric;
    machine.nics.iter().find(|nic| nic.network == Some(fabric)).unwrap().ip.unwrap().to_string()
}

/// Registers a Node to whose pods these addresses are allotted.
async fn join(stage: &Stage, name: &str, machine: &Instance, cidr: &str) {
    let spec = json!({"spec": {"podCIDR": cidr, "podCIDRs": [cidr]}});
    stage.register(name, &machine.id.to_string(), spec).await;
}

/// A condition of a Node, as `status/reason`.
async fn condition(stage: &Stage, name: &str, kind: &str) -> String {
    let conditions = stage.value(name, "/status/conditions").await;
    let all = conditions.as_array().cloned().unwrap_or_default();
    let found = all.iter().find(|it| it["type"] == kind).cloned().unwrap_or(Value::Null);
    format!(
        "{}/{}",
        found["status"].as_str().unwrap_or_default(),
        found["reason"].as_str().unwrap_or_default()
    )
}

async fn until_condition(stage: &Stage, name: &str, kind: &str, expected: &str) {
    let what = format!("{kind} of {name} is {expected}");
    stage.until(&what, async || condition(stage, name, kind).await == expected).await;
}

#[tokio::test]
async fn routes_follow_the_nodes_and_spare_those_of_others() {
    let mut stage = Stage::set().await;
    let (first, second) = (stage.machine("m1").await, stage.machine("m2").await);
    let (a, b) = (on_fabric(&stage, &first), on_fabric(&stage, &second));
    // Somebody's own, one of which is even inside the cluster's addresses.
    let appliance = on_fabric(&stage, &stage.machine("vpn").await);
    let foreign = format!("10.244.200.0/28>{appliance} 172.31.0.0/16>{appliance}");
    write(&stage, &[("172.31.0.0/16", &appliance), ("10.244.200.0/28", &appliance), ("10.244.77.0/24", &a)])
        .await;
    stage.start(KINDS, settings(true), MetricsSettings::default()).await;
    join(&stage, "m1", &first, "10.244.1.0/24").await;
    // What a Node of long ago left behind goes with the first one that comes.
    until_routes(&stage, &format!("10.244.1.0/24>{a} {foreign}")).await;
    join(&stage, "m2", &second, "10.244.2.0/24").await;
    until_routes(&stage, &format!("10.244.1.0/24>{a} 10.244.2.0/24>{b} {foreign}")).await;
    for name in ["m1", "m2"] {
        until_condition(&stage, name, "NetworkUnavailable", "False/RouteCreated").await;
    }

    // Somebody writes the whole map, and forgets ours.
    write(&stage, &[("172.31.0.0/16", &appliance), ("10.244.200.0/28", &appliance)]).await;
    until_routes(&stage, &format!("10.244.1.0/24>{a} 10.244.2.0/24>{b} {foreign}")).await;

    // A Node goes with its machine, and its route goes with it.
    stage.account.delete_instance(second.id).await.unwrap();
    until_routes(&stage, &format!("10.244.1.0/24>{a} {foreign}")).await;
    stage.until("m2 is gone", async || stage.node("m2").await.is_none()).await;

    // A Node goes and its machine does not.
    let third = stage.machine("m3").await;
    let c = on_fabric(&stage, &third);
    join(&stage, "m3", &third, "10.244.3.0/24").await;
    let (inside, outside) = foreign.split_once(' ').unwrap();
    until_routes(&stage, &format!("10.244.1.0/24>{a} {inside} 10.244.3.0/24>{c} {outside}")).await;
    stage.nodes.delete("m3", &Default::default()).await.unwrap();
    until_routes(&stage, &format!("10.244.1.0/24>{a} {foreign}")).await;
}

#[tokio::test]
async fn what_is_not_known_to_help_makes_no_network_available() {
    let mut stage = Stage::set().await;
    let (first, second) = (stage.machine("m1").await, stage.machine("m2").await);
    stage.start(KINDS, settings(false), MetricsSettings::default()).await;
    join(&stage, "m1", &first, "10.244.1.0/24").await;
    until_routes(&stage, &format!("10.244.1.0/24>{}", on_fabric(&stage, &first))).await;
    until_condition(&stage, "m1", "NetworkUnavailable", "True/RoutesNotEffective").await;
    until_condition(&stage, "m1", "RoutesNotEffective", "True/RoutesNotEffective").await;
    // Somebody who knows says so.
    let annotation =
        json!({"metadata": {"annotations": {"tritondatacenter.com/fabric-routes-effective": "true"}}});
    stage.nodes.patch("m1", &Default::default(), &kube::api::Patch::Merge(annotation)).await.unwrap();
    until_condition(&stage, "m1", "NetworkUnavailable", "False/RouteCreated").await;
    until_condition(&stage, "m1", "RoutesNotEffective", "False/RoutesEffective").await;
    // An address that the cluster does not have can have no route.
    join(&stage, "m2", &second, "10.99.0.0/24").await;
    until_condition(&stage, "m2", "NetworkUnavailable", "True/NoRouteCreated").await;
    stage.until_noted("m2", "FailedToCreateRoute", "10.99.0.0/24 is not inside --cluster-cidr").await;
}

#[tokio::test]
async fn a_write_that_fails_is_told_and_made_again() {
    let mut stage = Stage::set().await;
    let machine = stage.machine("m1").await;
    let control = stage.simulator.control().clone();
    let fault = ["requests.UpdateFabricNetwork.error_rate=1.0".to_owned()];
    control.set_faults(FaultPlan::load(None, &fault).unwrap()).unwrap();
    stage.start(KINDS, settings(true), MetricsSettings::default()).await;
    join(&stage, "m1", &machine, "10.244.1.0/24").await;
    until_condition(&stage, "m1", "NetworkUnavailable", "True/NoRouteCreated").await;
    stage.until_noted("m1", "FailedToCreateRoute", "Could not create route").await;
    assert!(control.begun(Operation::UpdateFabricNetwork) > 0);
    control.set_faults(FaultPlan::default()).unwrap();
    until_condition(&stage, "m1", "NetworkUnavailable", "False/RouteCreated").await;
    until_routes(&stage, &format!("10.244.1.0/24>{}", on_fabric(&stage, &machine))).await;
}
