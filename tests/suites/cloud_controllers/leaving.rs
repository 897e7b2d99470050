//! Machines that stop and go, and a data centre that cannot be trusted.

use serde_json::json;
use triton_sim::cloudapi::Operation;
use triton_sim::faults::FaultPlan;

use super::stage::Stage;

const SHUTDOWN: &str = "node.cloudprovider.kubernetes.io/shutdown";

#[tokio::test]
async fn a_machine_stops_starts_and_is_destroyed() {
    let mut stage = Stage::set().await;
    let (first, second) = (stage.machine("m1").await, stage.machine("m2").await);
    stage.start_controllers().await;
    stage.register("m1", &first.id.to_string(), json!({})).await;
    stage.register("m2", &second.id.to_string(), json!({})).await;
    stage.until_initialised("m1").await;
    stage.until_initialised("m2").await;

    stage.account.stop_instance(first.id).await.unwrap();
    stage.until("m1 is tainted", async || stage.taints("m1").await == [SHUTDOWN]).await;
    stage.say_ready("m1", false).await;
    stage.account.start_instance(first.id).await.unwrap();
    stage.until("m1 is not tainted", async || stage.taints("m1").await.is_empty()).await;

    stage.account.delete_instance(first.id).await.unwrap();
    stage.until("m1 is gone", async || stage.node("m1").await.is_none()).await;
    let text = "Deleting node m1 because it does not exist in the cloud provider";
    stage.until_noted("m1", "DeletingNode", text).await;
    assert!(stage.node("m2").await.is_some());
    assert_eq!(stage.taints("m2").await, Vec::<String>::new());

    // It goes while nobody watches, and so nobody remembers it.
    stage.kill_controllers().await;
    stage.account.delete_instance(second.id).await.unwrap();
    let destroyed = async || stage.instance(second.id).await.state.is_deleted();
    stage.until("m2's machine is destroyed", destroyed).await;
    // An account without instances proves nothing, so there is another one.
    let third = stage.machine("m3").await;
    stage.start_controllers().await;
    stage.register("m3", &third.id.to_string(), json!({})).await;
    stage.until("m2 is gone", async || stage.node("m2").await.is_none()).await;
    stage.until_initialised("m3").await;
}

#[tokio::test]
async fn nothing_is_deleted_because_cloudapi_fails_or_shows_nothing() {
    let mut stage = Stage::set().await;
    let mut machines = Vec::new();
    for name in ["m1", "m2", "m3"] {
        let machine = stage.machine(name).await;
        stage.register(name, &machine.id.to_string(), json!({})).await;
        machines.push(machine.id);
    }
    stage.start_controllers().await;
    for name in ["m1", "m2", "m3"] {
        stage.until_initialised(name).await;
        stage.say_ready(name, false).await;
    }
    for (fault, operation) in [
        ("requests.all.error_rate=1.0", Operation::ListMachines),
        ("requests.all.unavailable_rate=1.0", Operation::ListMachines),
        // All rows are missing: a clean and empty list.
        ("requests.ListMachines.missing_row_rate=1.0", Operation::ListMachines),
        // Every list is short by other rows, which makes the reflector read what it misses.
        ("requests.ListMachines.missing_row_rate=0.5", Operation::GetMachine),
    ] {
        let control = stage.simulator.control();
        control.set_faults(FaultPlan::load(None, &[fault.to_owned()]).unwrap()).unwrap();
        control.cut_feeds();
        stage.until(&format!("{fault} was met"), async || control.begun(operation) >= 4).await;
        for name in ["m1", "m2", "m3"] {
            assert!(stage.node(name).await.is_some(), "{name} was deleted: {fault}");
            assert_eq!(stage.taints(name).await, Vec::<String>::new(), "{name}: {fault}");
        }
    }
    // A process that is started in the midst of it knows nothing, and so does nothing.
    let control = stage.simulator.control().clone();
    let empty = ["requests.ListMachines.missing_row_rate=1.0".to_owned()];
    control.set_faults(FaultPlan::load(None, &empty).unwrap()).unwrap();
    stage.kill_controllers().await;
    stage.start_controllers().await;
    stage.until("it lists", async || control.begun(Operation::ListMachines) >= 4).await;
    assert_eq!(stage.nodes.list(&Default::default()).await.unwrap().items.len(), 3);

    // When all is well again, what is gone goes, and nothing else.
    control.set_faults(FaultPlan::default()).unwrap();
    stage.account.delete_instance(machines[0]).await.unwrap();
    stage.until("m1 is gone", async || stage.node("m1").await.is_none()).await;
    let left: Vec<_> = stage.nodes.list(&Default::default()).await.unwrap().items;
    let left: Vec<_> = left.into_iter().filter_map(|node| node.metadata.name).collect();
    assert_eq!(left, ["m2", "m3"]);
}
