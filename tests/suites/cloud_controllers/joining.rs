//! Machines that join as Nodes, and change.

use std::sync::{Arc, Mutex};

use futures::StreamExt as _;
use kube::runtime::watcher::{self, Event};
use serde_json::{Value, json};
use triton::types::InstanceAction;
use triton_sim::world::Caller;

use super::stage::Stage;

/// Labels that say what kind of machine a Node is.
const TYPES: [&str; 3] =
    ["node.kubernetes.io/instance-type", "beta.kubernetes.io/instance-type", "tritondatacenter.com/package"];

#[tokio::test]
async fn a_machine_joins_and_what_changes_about_it_shows() {
    let mut stage = Stage::set().await;
    let machine = stage.machine("m1").await;
    let seen = follow(&stage);
    stage.start_controllers().await;
    stage.register("m1", &machine.id.to_string(), json!({})).await;
    stage.until_initialised("m1").await;
    stage.until_noted("m1", "Synced", "Node synced successfully").await;

    // All there is to know of it.
    let datacenter = stage.account.get_datacenter_name().await.unwrap().unwrap();
    let label =
        async |key: &str| stage.value("m1", &format!("/metadata/labels/{}", key.replace('/', "~1"))).await;
    assert_eq!(stage.value("m1", "/spec/providerID").await, format!("triton://{datacenter}/{}", machine.id));
    for key in TYPES {
        assert_eq!(label(key).await, "g1.micro", "{key}");
    }
    for key in ["topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone"] {
        assert_eq!(label(key).await, datacenter, "{key}");
    }
    for key in ["topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/region"] {
        assert_eq!(label(key).await, "region-1", "{key}");
    }
    let compute_node = machine.compute_node.unwrap().to_string();
    assert_eq!(label("tritondatacenter.com/compute-node").await, compute_node);
    assert_eq!(label("tritondatacenter.com/brand").await, machine.brand.as_str());
    assert_eq!(label("tritondatacenter.com/image").await, machine.image.unwrap().to_string());
    let address = |network| {
        let nic = machine.nics.iter().find(|nic| nic.network == Some(network)).unwrap();
        nic.ip.unwrap().to_string()
    };
    let ids = stage.simulator.ids();
    let expected = json!([
        {"type": "InternalIP", "address": address(ids.fabric)},
        {"type": "ExternalIP", "address": address(ids.external)},
        {"type": "Hostname", "address": "m1"},
    ]);
    assert_eq!(stage.value("m1", "/status/addresses").await, expected);

    // Nobody ever saw it without the taint and without addresses.
    stage.until("the onlooker has seen it", async || seen.lock().unwrap().iter().any(|it| !it.tainted)).await;
    let early = seen.lock().unwrap().iter().any(|it| !it.tainted && it.addresses < 3);
    assert!(!early, "untainted without addresses: {:?}", seen.lock().unwrap());

    // It is resized, and moves.
    let resize = InstanceAction::Resize { package: "g1.small".into() };
    stage.account.act_on_instance(machine.id, &resize).await.unwrap();
    for key in TYPES {
        let pointer = format!("/metadata/labels/{}", key.replace('/', "~1"));
        stage.until_value("m1", &pointer, "g1.small").await;
    }
    let (account, id) = (ids.acme, machine.id);
    stage.simulator.control().write(|world, now| {
        let params = json!({"action": "automatic"});
        world.migrate(now, account, id, params.as_object().unwrap(), &Caller::default()).unwrap();
    });
    stage
        .until("it has another compute node", async || {
            label("tritondatacenter.com/compute-node").await != compute_node
        })
        .await;

    // What somebody does to our labels does not last.
    let patch = json!({"metadata": {"labels": {"topology.kubernetes.io/zone": "elsewhere", "mine": "1"}}});
    let patch = kube::api::Patch::Merge(patch);
    stage.nodes.patch("m1", &Default::default(), &patch).await.unwrap();
    stage.until_value("m1", "/metadata/labels/topology.kubernetes.io~1zone", datacenter).await;
    assert_eq!(label("mine").await, "1");
}

#[tokio::test]
async fn a_machine_is_known_by_its_provider_id_or_by_name_and_address_and_a_wrong_node_ip_blocks_nothing() {
    let mut stage = Stage::set().await;
    let (by_id, by_name) = (stage.machine("a").await, stage.machine("b").await);
    stage.start_controllers().await;
    let provider_id = format!("triton:///{}", by_id.id);
    stage.register("n1", "", json!({"spec": {"providerID": provider_id}})).await;
    let annotation = "alpha.kubernetes.io/provided-node-ip";
    let own = by_name.nics.iter().find(|nic| nic.primary).unwrap().ip.unwrap().to_string();
    let wrong = format!("{own},10.255.255.1");
    stage.register("b", "not a UUID", json!({"metadata": {"annotations": {annotation: wrong}}})).await;
    stage.until_initialised("n1").await;
    stage.until_initialised("b").await;
    assert_eq!(stage.value("n1", "/spec/providerID").await, provider_id, "never changed");
    assert_eq!(stage.value("b", "/status/addresses/0/address").await, own);
    stage.until_noted("b", "ProvidedNodeIPMismatch", "10.255.255.1").await;
    let conditions = stage.value("b", "/status/conditions").await;
    let mismatch = |it: &&Value| it["type"] == "ProvidedNodeIPMismatch";
    let condition = conditions.as_array().unwrap().iter().find(mismatch).unwrap().clone();
    assert_eq!(condition["status"], "True", "{condition}");
}

/// A state of a Node, as an onlooker saw it.
#[derive(Debug)]
struct Sight {
    tainted: bool,
    addresses: usize,
}

/// Follows all states of all Nodes.
fn follow(stage: &Stage) -> Arc<Mutex<Vec<Sight>>> {
    let seen: Arc<Mutex<Vec<Sight>>> = Arc::default();
    let sights = Arc::clone(&seen);
    let mut events = Box::pin(watcher::watcher(stage.nodes.clone(), watcher::Config::default()));
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            let (Ok(Event::Apply(node)) | Ok(Event::InitApply(node))) = event else { continue };
            let taints = node.spec.and_then(|spec| spec.taints).unwrap_or_default();
            let tainted = taints.iter().any(|taint| taint.key.ends_with("/uninitialized"));
            let addresses = node.status.and_then(|status| status.addresses).map_or(0, |all| all.len());
            sights.lock().unwrap().push(Sight { tainted, addresses });
        }
    });
    seen
}
