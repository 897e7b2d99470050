//! `--dry-run`: it shows what would be done, and does none of it.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use suites::control_plane::Options;
use triton::id::InstanceId;
use triton::types::{CreateFirewallRule, InstanceState};
use triton_sim::{Preset, Settings};

use super::stage::{NODE, Stage};

/// The account that the kubelet is, as the audit log names it.
const ACCOUNT: &str = "system:serviceaccount:kube-system:triton-virtual-kubelet";

/// The name under which the kubelet writes.
const PROGRAM: &str = "triton-virtual-kubelet";

/// A pod of this name, with these annotations.
fn pod(name: &str, annotations: &str) -> String {
    format!(
        r"
apiVersion: v1
kind: Pod
metadata: {{name: {name}, annotations: {{{annotations}}}}}
spec:
  nodeSelector: {{type: virtual-kubelet}}
  tolerations: [{{key: virtual-kubelet.io/provider, operator: Exists}}]
  containers: [{{name: main, image: base-64-lts, ports: [{{containerPort: 8081}}]}}]
---
"
    )
}

/// Everything that the API server was asked for is noted, with whose request it was.
fn audited() -> Options {
    let policy = json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [{"level": "Metadata", "users": [ACCOUNT]}, {"level": "None"}],
    });
    Options { audit_policy: Some(policy), ..Options::default() }
}

/// The requests of the kubelet so far: verb and resource.
fn requests(stage: &Stage) -> Vec<(String, String)> {
    let log = std::fs::read_to_string(stage.plane.folder().join("audit.log")).unwrap_or_default();
    // The last line may be half written.
    let events = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    events.map(|event| (text(&event["verb"]), text(&event["objectRef"]["resource"]))).collect()
}

/// What the kubelet has written so far: of every pod the version of its part, as the API server notes who wrote what
/// and when; every event of its own with its resource version. Others go on to write meanwhile, to the same pods too.
async fn written(stage: &Stage) -> BTreeSet<String> {
    let list = async |kinds: &str| -> Vec<Value> {
        let get = ["get", kinds, "--all-namespaces", "--output=json", "--show-managed-fields"];
        let mut list: Value = serde_json::from_str(&stage.kubectl(&get).await).unwrap();
        serde_json::from_value(list["items"].take()).unwrap()
    };
    let mut all = BTreeSet::new();
    for object in list("pods,nodes,leases").await {
        let metadata = &object["metadata"];
        let parts = metadata["managedFields"].as_array().cloned().unwrap_or_default();
        let own: Vec<Value> = parts.into_iter().filter(|part| part["manager"] == PROGRAM).collect();
        all.insert(format!("{} {} {} {own:?}", object["kind"], metadata["name"], metadata["uid"]));
    }
    for event in list("events.events.k8s.io").await {
        if event["reportingController"] == PROGRAM {
            all.insert(format!("{} {}", event["metadata"]["name"], event["metadata"]["resourceVersion"]));
        }
    }
    all
}

/// The instance of a pod.
async fn id_of(stage: &Stage, pod: &str) -> InstanceId {
    stage.instance_of("default", pod).await.id
}

#[tokio::test]
async fn a_dry_run_shows_what_would_be_done_and_does_none_of_it() {
    let mut stage = Stage::empty(Settings::preset(Preset::Development), &audited(), &[NODE]).await;

    // Of a node that is not there.
    let shown = stage.dry_run(&[]).await;
    assert!(shown.contains("node  create  virtual-kubelet  -         the node and its lease"), "{shown}");
    assert!(stage.kubectl(&["get", "nodes", "--output=name"]).await.is_empty());
    let verbs: BTreeSet<String> = requests(&stage).into_iter().map(|(verb, _)| verb).collect();
    assert!(verbs.iter().all(|verb| ["get", "list", "watch"].contains(&verb.as_str())), "{verbs:?}");

    stage.start_kubelet(&["--firewall-relist=1s"]).await;
    stage.until_ready(NODE).await;
    let names = ["stays", "halted", "leaving", "orphan", "unknown", "changed"];
    for name in names {
        stage.apply(&pod(name, "fwenabled: 'true'")).await;
    }
    for name in names {
        stage.until_field(&format!("pod/{name}"), "{.status.phase}", "Running").await;
    }
    stage.until("the rule is there", async || stage.rules().await.len() == 1).await;
    // A running kubelet and one that only looks do not mind each other, and there is nothing to do.
    stage
        .until("there is nothing to do", async || {
            stage.dry_run(&[]).await == "7 of 7 nodes and pods stay as they are; nothing was written.\n"
        })
        .await;
    let (code, shown) = stage.sub_command(&["explain", "pod/default/stays"]).await;
    assert_eq!(code, 0, "{shown}");
    let id = id_of(&stage, "stays").await;
    for part in ["package:", &format!("instance {id}:"), "phase:", "Running", "nothing to do"] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    assert!(stage.kubelets[0].stop("TERM").await.unwrap().success());

    // While nobody looks, all that can happen to a pod happens to one.
    let mut expected = Vec::new();
    stage.apply(&pod("new", "fwenabled: 'true'")).await;
    stage.apply(&pod("bad", "package: giant")).await;
    stage
        .until("the pods are placed", async || {
            let path = "{.spec.nodeName}";
            stage.field("pod/new", path).await == NODE && stage.field("pod/bad", path).await == NODE
        })
        .await;
    expected.push("pod     create   default/new      -".to_owned());
    expected.push("pod     refuse   default/bad      -".to_owned());
    let halted = id_of(&stage, "halted").await;
    stage.account.stop_instance(halted).await.unwrap();
    stage
        .until("it has stopped", async || {
            stage.account.get_instance(halted).await.unwrap().into_instance().state == InstanceState::Stopped
        })
        .await;
    expected.push(format!("pod     restart  default/halted   {halted}  it has stopped by itself"));
    let leaving = id_of(&stage, "leaving").await;
    stage.kubectl(&["delete", "pod", "leaving", "--wait=false"]).await;
    expected.push(format!("pod     delete   default/leaving  {leaving}  after a stop"));
    let orphan = id_of(&stage, "orphan").await;
    stage.kubectl(&["delete", "pod", "orphan", "--force", "--grace-period=0"]).await;
    expected.push(format!("orphan  delete   default/orphan   {orphan}  there is no such pod; it goes when"));
    let unknown = id_of(&stage, "unknown").await;
    let forget = r#"{"status": {"containerStatuses": null, "phase": "Pending"}}"#;
    stage
        .kubectl(&["patch", "pod", "unknown", "--subresource=status", "--type=merge", "--patch", forget])
        .await;
    expected.push(format!("pod     adopt    default/unknown  {unknown}  it has the pod's tags"));
    let changed = id_of(&stage, "changed").await;
    stage.kubectl(&["label", "pod", "changed", "role=hidden-value"]).await;
    expected.push(format!("pod     update   default/changed  {changed}  tags "));
    let rule = stage.rules().await.remove(0);
    stage.account.delete_firewall_rule(rule.id).await.unwrap();
    expected.push(format!("rule    create   {}", rule.description.unwrap()));
    let unneeded = CreateFirewallRule {
        rule: "FROM any TO tag \"k8s.ports\" = \"zz\" ALLOW tcp PORT 9".to_owned(),
        enabled: true,
        log: None,
        description: Some("k8s:kubernetes:ports:zz:tcp 9".to_owned()),
    };
    let unneeded = stage.account.create_firewall_rule(&unneeded).await.unwrap();
    expected.push(format!("rule    delete   {}", unneeded.id));

    let (before, asked) = (written(&stage).await, requests(&stage).len());
    let _ = stage.simulator.control().requests().take();
    // One pod is shown with what its plan is made of.
    for (pod, parts) in [
        ("halted", [format!("restart instance {halted}: it has stopped by itself"), "stopped".to_owned()]),
        ("changed", [format!("update instance {changed}: tags "), "Running".to_owned()]),
        ("bad", ["Warning  Refused: ".to_owned(), "instance:  none: ".to_owned()]),
        ("new", ["1. create: ".to_owned(), "recorded instance:  none".to_owned()]),
    ] {
        let (code, shown) = stage.sub_command(&["explain", &format!("pod/{pod}"), "-n=default"]).await;
        assert!(code == 1 && !shown.contains("hidden-value"), "{code}\n{shown}");
        for part in &parts {
            assert!(shown.contains(part), "{part}\n{shown}");
        }
    }
    let (code, shown) = stage.sub_command(&["explain", "pod/none", "--output=json"]).await;
    assert!(code == 2 && shown.contains("there is no pod default/none"), "{code}\n{shown}");
    let shown = stage.dry_run(&["--orphan-grace=7m"]).await;

    // Columns are as wide as their widest cell: a rule's name is wider than a pod's.
    let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let lines: Vec<String> = shown.lines().map(squeezed).collect();
    for line in &expected {
        let line = squeezed(line);
        assert_eq!(
            lines.iter().filter(|it| it.starts_with(&line)).count(),
            1,
            "{line} is not once in:\n{shown}"
        );
    }
    assert!(!shown.contains("default/stays") && !shown.contains("hidden-value"), "{shown}");
    assert!(shown.ends_with("nothing was written.\n") && !shown.contains("unknown:"), "{shown}");
    assert!(shown.contains("it goes when that stays so for 420s"), "{shown}");

    // The same for programs.
    let report: Value = serde_json::from_str(&stage.dry_run(&["--output=json"]).await).unwrap();
    let intents = report["intents"].as_array().unwrap();
    // What is said of the node changes while its kubelet is away.
    let told = intents.iter().filter(|it| it["kind"] != "node").count();
    let rows =
        shown.lines().filter(|line| ["pod ", "rule ", "orphan "].iter().any(|it| line.starts_with(it)));
    assert_eq!(told, rows.count(), "{report}\n{shown}");
    let is_orphan = |it: &&Value| it["kind"] == "orphan" && it["action"] == "delete";
    assert_eq!(intents.iter().find(is_orphan).unwrap()["instance"], orphan.to_string());

    let cloudapi = stage.simulator.control().requests().take();

    // Nothing was written: neither by what the API server and CloudAPI were asked, nor by what they have.
    assert_eq!(written(&stage).await, before);
    stage.until("the dry run is in the audit log", async || requests(&stage).len() > asked).await;
    let verbs: BTreeSet<String> =
        requests(&stage).split_off(asked).into_iter().map(|(verb, _)| verb).collect();
    assert!(verbs.iter().all(|verb| ["get", "list", "watch"].contains(&verb.as_str())), "{verbs:?}");
    let is_read = |name: &str| name.starts_with("Get") || name.starts_with("List") || name == "Changefeed";
    assert!(cloudapi.total > 0 && cloudapi.operations.keys().all(|name| is_read(name)), "{cloudapi:?}");

    // And it was the truth: the kubelet does just that.
    stage.start_kubelet(&["--orphan-grace=5s", "--firewall-relist=1s"]).await;
    for name in ["stays", "halted", "unknown", "changed", "new"] {
        stage.until_field(&format!("pod/{name}"), "{.status.phase}", "Running").await;
    }
    stage
        .until("the orphan and the pod that was leaving are gone", async || {
            let instances = stage.instances().await;
            instances.len() == 5 && instances.iter().all(|it| it.id != orphan && it.id != leaving)
        })
        .await;
    let said = async || {
        let get =
            ["get", "events.events.k8s.io", "--field-selector=regarding.kind=Node,reason=OrphanDeleted"];
        let note = "--output=jsonpath={.items[*].note}";
        stage.kubectl(&[&get[..], &[note]].concat()).await.contains(&orphan.to_string())
    };
    stage.until("the node has an event of the orphan", said).await;
    assert_eq!(
        (id_of(&stage, "unknown").await, id_of(&stage, "halted").await),
        (unknown, halted),
        "adopted and restarted"
    );
}
