//! Nodes that fail, a control plane that only believes so, and a data centre that does not answer.

use std::time::Duration;

use serde_json::json;
use triton::types::Instance;
use triton_sim::cloudapi::Operation;
use triton_sim::faults::FaultPlan;

use super::stage::Stage;

#[tokio::test]
async fn a_node_that_fails_leaves_but_not_all_of_them() {
    let mut stage = Stage::set().await;
    stage.start_controllers().await;
    let (m1, m2, m3) = (stage.join("m1").await, stage.join("m2").await, stage.join("m3").await);
    stage.balance("web", 30080, json!({})).await;
    // This one believes what it is told; that it still keeps its last nodes shows when others would have left.
    let credulous = json!({"metadata": {"annotations": {"tritondatacenter.com/panic-threshold": "100"}}});
    stage.balance("api", 30090, credulous).await;
    for service in ["web", "api"] {
        stage.endpoints(service, &[("m1", "ready", "10.1.0.1")]).await;
        stage.until_resolved(&format!("{service}-default"), &[&m1, &m2, &m3]).await;
    }

    stage.say_ready("m1", false).await;
    stage.until_resolved("web-default", &[&m2, &m3]).await;
    stage.until_resolved("api-default", &[&m2, &m3]).await;
    stage.say_ready("m1", true).await;
    stage.until_resolved("web-default", &[&m1, &m2, &m3]).await;
    stage.until_resolved("api-default", &[&m1, &m2, &m3]).await;

    // The control plane loses sight of all, as it does when its network breaks.
    for name in ["m1", "m2", "m3"] {
        stage.say_ready(name, false).await;
    }
    stage.until_condition("web", "MembersHeld", "nodes seem to fail at once").await;
    stage.until_noted("web", "CNSMembersHeld", "more likely the control plane's fault").await;
    stage.until_condition("api", "MembersHeld", "no node is fit to serve").await;
    let all = [&m1, &m2, &m3];
    let addresses = all.iter().flat_map(|it| it.ips.iter().copied()).collect();
    assert_eq!(stage.resolve("web-default").await, addresses);
    assert!(!stage.resolve("api-default").await.is_empty());

    // Even the Nodes may vanish, as when etcd is restored.
    for name in ["m1", "m2", "m3"] {
        stage.nodes.delete(name, &Default::default()).await.unwrap();
    }
    stage.kill_controllers().await;
    stage.start_controllers().await;
    stage.balance("late", 30070, json!({})).await;
    stage.endpoints("late", &[("m1", "ready", "10.1.0.1")]).await;
    stage.until_condition("late", "Pending", "no node or pod is fit to serve").await;
    stage.until_condition("api", "MembersHeld", "no node is fit to serve").await;
    assert_eq!(stage.resolve("web-default").await, addresses);

    // They come back.
    for (name, machine) in [("m1", &m1), ("m2", &m2), ("m3", &m3)] {
        stage.register(name, &machine.id.to_string(), json!({})).await;
        stage.until_initialised(name).await;
    }
    for service in ["web", "api", "late"] {
        stage.until_published(service).await;
        stage.until_resolved(&format!("{service}-default"), &all).await;
    }
}

#[tokio::test]
async fn an_outage_of_cloudapi_empties_nothing_and_what_is_wanted_meanwhile_is_done_after_it() {
    let mut stage = Stage::set().await;
    stage.start_controllers().await;
    let (m1, m2) = (stage.join("m1").await, stage.join("m2").await);
    let all: [&Instance; 2] = [&m1, &m2];
    for (service, port) in [("web", 30080), ("old", 30090)] {
        stage.balance(service, port, json!({})).await;
        stage.endpoints(service, &[("m1", "ready", "10.1.0.1")]).await;
        stage.until_published(service).await;
        stage.until_resolved(&format!("{service}-default"), &all).await;
    }
    let tag = stage.tag(&m1, "triton.cns.services").await;
    assert_eq!(tag, "web-default:30080,old-default:30090");

    // Nothing is answered, or every list is empty: a Service that goes waits, and no other is touched.
    for faults in ["requests.all.unavailable_rate=1", "requests.all.error_rate=1"] {
        let plan = FaultPlan::load(None, &[faults.to_owned()]).unwrap();
        stage.simulator.control().set_faults(plan).unwrap();
        if faults.contains("unavailable") {
            stage.delete_service("old").await;
        }
        stage.until_condition("old", "Leaving", "2 instances are still in CNS").await;
        let total = || stage.simulator.control().requests().read().total;
        let begun = total();
        stage.until("requests failed meanwhile", async || total() > begun + 3).await;
        assert!(stage.service("old").await["metadata"]["deletionTimestamp"].is_string());
        for service in ["old-default", "web-default"] {
            stage.until_resolved(service, &all).await;
        }
    }

    // Whoever comes next finishes it.
    stage.kill_controllers().await;
    stage.simulator.control().set_faults(FaultPlan::default()).unwrap();
    stage.start_controllers().await;
    stage.until_gone("old").await;
    stage.until_resolved("old-default", &[]).await;
    stage.until_resolved("web-default", &all).await;
    assert_eq!(stage.tag(&m1, "triton.cns.services").await, "web-default:30080");

    // Lists without rows take nobody out of anything.
    let empty = FaultPlan::load(None, &["requests.ListMachines.missing_row_rate=1".to_owned()]).unwrap();
    stage.simulator.control().set_faults(empty).unwrap();
    stage.balance("new", 30070, json!({})).await;
    stage.endpoints("new", &[("m1", "ready", "10.1.0.1")]).await;
    stage.until_resolved("new-default", &all).await;
    stage.until_resolved("web-default", &all).await;
}

/// Of calls of which nearly half fail, some fail so often in a row that their repeats come to the deadline, a minute; the next
/// attempt may do so as well. A wake-up that was lost would take ten minutes, until all Services are looked at.
const REPEATED: Duration = Duration::from_secs(300);

#[tokio::test]
async fn whatever_fails_once_in_a_while_ends_as_it_should() {
    let mut stage = Stage::set().await;
    stage.bound = REPEATED;
    stage.start_controllers().await;
    let (m1, m2) = (stage.join("m1").await, stage.join("m2").await);
    let faults = ["requests.all.error_rate=0.3", "requests.all.torn_rate=0.2", "requests.all.applied=true"];
    let plan = FaultPlan::load(None, &faults.map(str::to_owned)).unwrap();
    stage.simulator.control().set_faults(plan).unwrap();
    for (number, service) in ["a", "b", "c"].into_iter().enumerate() {
        stage.balance(service, 30080 + u16::try_from(number).unwrap(), json!({})).await;
        stage.endpoints(service, &[("m1", "ready", "10.1.0.1")]).await;
    }
    // One is killed wherever it happens to be, more than once.
    for port in 0..3 {
        let written = || stage.simulator.control().requests().of(Operation::AddMachineTags);
        let begun = written();
        stage.balance(&format!("more-{port}"), 30070 + port, json!({})).await;
        stage.endpoints(&format!("more-{port}"), &[("m1", "ready", "10.1.0.1")]).await;
        stage.until("something is written", async || written() > begun).await;
        stage.kill_controllers().await;
        stage.start_controllers().await;
    }
    for service in ["a-default", "b-default", "c-default"] {
        stage.until_resolved(service, &[&m1, &m2]).await;
    }
    let all = ["a", "b", "c", "more-0", "more-1", "more-2"];
    for service in all {
        stage.until_published(service).await;
    }
    for service in all {
        stage.delete_service(service).await;
    }
    stage.kill_controllers().await;
    stage.start_controllers().await;
    for service in all {
        stage.until_gone(service).await;
    }
    stage.simulator.control().set_faults(FaultPlan::default()).unwrap();
    for machine in [&m1, &m2] {
        assert_eq!(stage.tag(machine, "triton.cns.services").await, "");
    }
}
