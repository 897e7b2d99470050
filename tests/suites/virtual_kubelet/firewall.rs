//! Firewall rules: what people do to ours is undone, and theirs are left alone.

use triton::types::{CreateFirewallRule, FirewallRule, UpdateFirewallRule};

use super::stage::Stage;

/// A Deployment whose pods have the port 8081 open, in a group.
fn deployment(name: &str, group: &str) -> String {
    format!(
        r#"
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, namespace: fire}}
spec:
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata:
      labels: {{app: {name}}}
      annotations: {{fwenabled: "true", fwgroup: {group}}}
    spec:
      nodeSelector: {{type: virtual-kubelet}}
      tolerations: [{{key: virtual-kubelet.io/provider, operator: Exists}}]
      containers: [{{name: main, image: base-64-lts, ports: [{{containerPort: 8081}}]}}]
---
"#
    )
}

/// A pod that gets no instance, because it asks for two containers.
const REFUSED: &str = "
apiVersion: v1
kind: Pod
metadata: {name: refused, namespace: fire}
spec:
  nodeSelector: {type: virtual-kubelet}
  tolerations: [{key: virtual-kubelet.io/provider, operator: Exists}]
  containers:
  - {name: main, image: base-64-lts, ports: [{containerPort: 8081}]}
  - {name: second, image: base-64-lts}
";

/// Rules are shared by pods of the same ports and of the same group; one that is deleted, disabled or edited by hand is
/// put right; rules of others stay as they are; and none of ours is left when the last pod is gone. A pod that is refused
/// changes none of that.
///
/// The kubelet must read the rules often.
pub(super) async fn rules_are_kept(stage: &Stage) {
    stage.kubectl(&["create", "namespace", "fire"]).await;
    let foreign = [
        create(stage, "FROM any TO tag \"mine\" ALLOW tcp PORT 1", "for me", true).await,
        create(
            stage,
            "FROM any TO tag \"k8s.ports\" = \"zz\" ALLOW tcp PORT 2",
            "k8s:other:ports:zz:tcp 2",
            false,
        )
        .await,
    ];
    stage.apply(REFUSED).await;
    stage
        .apply(&[deployment("one", "red"), deployment("two", "red"), deployment("three", "blue")].concat())
        .await;
    for name in ["one", "two", "three"] {
        stage.until_field_in("fire", &format!("deployment/{name}"), "{.status.readyReplicas}", "1").await;
    }
    let expected = ["tcp 8081", "tcp fire/blue", "tcp fire/red", "udp fire/blue", "udp fire/red"];
    let rules = until_rules(stage, &expected).await;
    for rule in &rules[1..] {
        let (_, value) = rule.rule.split_once("FROM tag \"k8s.group\" = \"").unwrap();
        let (value, _) = value.split_once('"').unwrap();
        assert_eq!(rule.rule.matches(value).count(), 2, "from the group to the same group: {}", rule.rule);
        let group = if what(rule).ends_with("red") { "red" } else { "blue" };
        let members = stage.account.list_firewall_rule_instances(rule.id).await.unwrap().items.len();
        assert_eq!(members, if group == "red" { 2 } else { 1 }, "{}", rule.rule);
    }

    stage.account.delete_firewall_rule(rules[0].id).await.unwrap();
    stage.account.disable_firewall_rule(rules[1].id).await.unwrap();
    let edited = UpdateFirewallRule {
        rule: Some("FROM any TO tag \"k8s.ports\" = \"zz\" BLOCK tcp PORT 3".to_owned()),
        ..UpdateFirewallRule::default()
    };
    stage.account.update_firewall_rule(rules[2].id, &edited).await.unwrap();
    let texts = |rules: &[FirewallRule]| -> Vec<_> { rules.iter().map(|rule| rule.rule.clone()).collect() };
    stage
        .until("what was done to the rules is undone", async || {
            let now = ours(stage).await;
            texts(&now) == texts(&rules) && now.iter().all(|rule| rule.enabled)
        })
        .await;

    // The last member of a group takes its rules along, and no other.
    stage.kubectl(&["delete", "deployment", "three", "--namespace=fire"]).await;
    until_rules(stage, &["tcp 8081", "tcp fire/red", "udp fire/red"]).await;
    stage.kubectl(&["delete", "namespace", "fire", "--wait=false"]).await;
    until_rules(stage, &[]).await;
    assert!(stage.instances_of("fire").await.is_empty(), "rules go after the instances");
    for rule in foreign {
        let now = stage.account.get_firewall_rule(rule.id).await.unwrap();
        assert_eq!((now.rule, now.enabled, now.description), (rule.rule, rule.enabled, rule.description));
    }
}

async fn create(stage: &Stage, rule: &str, description: &str, enabled: bool) -> FirewallRule {
    let create = CreateFirewallRule {
        rule: rule.to_owned(),
        enabled,
        log: None,
        description: Some(description.to_owned()),
    };
    stage.account.create_firewall_rule(&create).await.unwrap()
}

/// What a rule is for: the end of its description.
fn what(rule: &FirewallRule) -> &str {
    rule.description.as_deref().and_then(|text| text.rsplit_once(':')).unwrap_or_default().1
}

/// The rules of this scenario, by what they are for.
async fn ours(stage: &Stage) -> Vec<FirewallRule> {
    let mut rules = stage.rules().await;
    rules.retain(|rule| {
        let is_ours = rule.description.as_deref().is_some_and(|text| text.starts_with("k8s:kubernetes:"));
        is_ours && (what(rule).contains(" fire/") || what(rule) == "tcp 8081")
    });
    rules.sort_by(|a, b| what(a).cmp(what(b)));
    rules
}

async fn until_rules(stage: &Stage, expected: &[&str]) -> Vec<FirewallRule> {
    stage
        .until(&format!("the rules are {expected:?}"), async || {
            ours(stage).await.iter().map(what).collect::<Vec<_>>() == expected
        })
        .await;
    ours(stage).await
}
