use std::collections::BTreeSet;

use proptest::prelude::*;
use provider::names::tag;
use rstest::rstest;
use triton::types::Tags;
use uuid::Uuid;

use super::*;
use crate::firewall::Known;
use crate::pod::{FirewallDemand, Port, Protocol};

const KEY: &str = "k8s:kubernetes:ports:web:tcp 22, 80";
const TEXT: &str = r#"FROM any TO tag "k8s.ports" = "web" ALLOW tcp (PORT 22 AND PORT 80)"#;

fn id(number: u128) -> FirewallRuleId {
    Uuid::from_u128(number).into()
}

fn rule(number: u128, description: &str, text: &str) -> Observed {
    let description = Some(description).filter(|text| !text.is_empty()).map(Box::from);
    Observed { rule: text.into(), enabled: true, description, ..Observed::new(id(number)) }
}

fn ports_tags(value: &str) -> Tags {
    [(tag::CLUSTER, "kubernetes"), (tag::PORTS, value)].map(|(k, v)| (k.to_owned(), v.into())).into()
}

fn add(wanted: &mut Wanted, value: &str, ports: &[u16]) {
    let ports = ports.iter().map(|&number| Port { protocol: Protocol::Tcp, number }).collect();
    wanted.add_pod("default", &FirewallDemand { ports, ..FirewallDemand::default() }, &ports_tags(value));
}

/// A pod with the ports 22 and 80.
fn web() -> Wanted {
    let mut wanted = Wanted::new("kubernetes", Known::Everything);
    add(&mut wanted, "web", &[80, 22]);
    wanted
}

fn steps(wanted: &Wanted, rules: &[Observed]) -> Vec<RuleStep> {
    plan(wanted, rules, &Unneeded::new(), GRACE, Instant::now()).steps
}

fn meant() -> FirewallRule {
    TEXT.parse().unwrap()
}

#[test]
fn a_rule_that_is_missing_is_made() {
    let wanted = web();
    let [RuleStep::Create { key, rule }] = &steps(&wanted, &[])[..] else { panic!("one rule") };
    assert_eq!((key.as_str(), rule), (KEY, &meant()));
}

#[rstest]
#[case::canonical(TEXT)]
#[case::as_a_person_writes(r#"from any to tag "k8s.ports" = web allow tcp (port 80 and port 22)"#)]
fn a_rule_that_means_the_same_is_left_alone(#[case] text: &str) {
    assert_eq!(steps(&web(), &[rule(1, KEY, text)]), []);
}

#[rstest]
#[case::another_port(r#"FROM any TO tag "k8s.ports" = "web" ALLOW tcp PORT 22"#)]
#[case::another_action(r#"FROM any TO tag "k8s.ports" = "web" BLOCK tcp (PORT 22 AND PORT 80)"#)]
#[case::a_priority(r#"FROM any TO tag "k8s.ports" = "web" ALLOW tcp (PORT 22 AND PORT 80) PRIORITY 7"#)]
#[case::unreadable("FROM somewhere")]
#[case::nothing("")]
fn a_rule_that_was_edited_is_rewritten(#[case] text: &str) {
    for enabled in [true, false] {
        let edited = Observed { enabled, ..rule(1, KEY, text) };
        assert_eq!(steps(&web(), &[edited]), [RuleStep::Update { id: id(1), rule: meant() }]);
    }
}

#[test]
fn a_rule_that_was_disabled_is_enabled() {
    let disabled = Observed { enabled: false, ..rule(1, KEY, TEXT) };
    assert_eq!(steps(&web(), &[disabled]), [RuleStep::Enable(id(1))]);
}

#[test]
fn of_two_equal_rules_the_lowest_id_stays() {
    let rules = [rule(3, KEY, TEXT), rule(1, KEY, TEXT), rule(2, KEY, "bad")];
    assert_eq!(steps(&web(), &rules), [RuleStep::Delete(id(2)), RuleStep::Delete(id(3))]);
    let wrong = [rule(2, KEY, TEXT), rule(1, KEY, "bad")];
    let only_the_correction = [RuleStep::Update { id: id(1), rule: meant() }];
    assert_eq!(
        steps(&web(), &wrong),
        only_the_correction,
        "no gap: the other stays until the first is right"
    );
}

#[rstest]
#[case::a_person_s("", TEXT)]
#[case::described_by_a_person("web", TEXT)]
#[case::the_original_provider_s("Set by K8S for service: ssh", TEXT)]
#[case::another_cluster_s("k8s:prod:ports:old:tcp 22", TEXT)]
#[case::almost_ours("k8s:kubernetes:ports", TEXT)]
fn rules_of_others_are_not_there(#[case] description: &str, #[case] text: &str) {
    let nothing = Wanted::new("kubernetes", Known::Everything);
    let observed = Observed { enabled: false, ..rule(1, description, text) };
    assert_eq!(plan(&nothing, &[observed], &Unneeded::new(), GRACE, Instant::now()), RulePlan::default());
}

#[test]
fn a_global_rule_is_never_ours() {
    let global = Observed { global: true, ..rule(1, KEY, TEXT) };
    assert!(matches!(steps(&web(), &[global])[..], [RuleStep::Create { .. }]));
}

#[test]
fn an_unneeded_rule_goes_after_the_grace_without_a_break() {
    let nothing = Wanted::new("kubernetes", Known::Everything);
    let rules = [rule(1, KEY, TEXT)];
    let start = Instant::now();
    let first = plan(&nothing, &rules, &Unneeded::new(), GRACE, start);
    assert_eq!((first.steps.len(), first.again), (0, Some(start + GRACE)));

    let needed = plan(&web(), &rules, &first.unneeded, GRACE, start + GRACE / 2);
    assert_eq!(needed, RulePlan::default());
    let again = plan(&nothing, &rules, &needed.unneeded, GRACE, start + GRACE);
    assert_eq!((again.steps.len(), again.again), (0, Some(start + GRACE * 2)), "the wait begins anew");

    let over = plan(&nothing, &rules, &again.unneeded, GRACE, start + GRACE * 2);
    assert_eq!((over.steps, over.again), (vec![RuleStep::Delete(id(1))], None));
}

#[test]
fn nothing_goes_while_not_everything_is_known() {
    let nothing = Wanted::new("kubernetes", Known::InPart);
    let rules = [rule(1, KEY, TEXT)];
    let start = Instant::now();
    let long_unneeded = Unneeded::from([(id(1), start)]);
    let plan = plan(&nothing, &rules, &long_unneeded, GRACE, start + GRACE * 10);
    assert_eq!(plan, RulePlan::default(), "and the wait begins anew");
}

#[test]
fn what_an_instance_holds_stays_and_is_in_force() {
    let mut held = Wanted::new("kubernetes", Known::Everything);
    held.add_instance(&ports_tags("web"));
    let rules =
        [rule(1, KEY, TEXT), Observed { enabled: false, ..rule(2, "k8s:kubernetes:ports:web:udp 1", "x") }];
    let start = Instant::now();
    let long_unneeded = Unneeded::from([(id(1), start), (id(2), start)]);
    let plan = plan(&held, &rules, &long_unneeded, GRACE, start + GRACE * 10);
    assert_eq!(plan, RulePlan { steps: vec![RuleStep::Enable(id(2))], ..RulePlan::default() });
}

#[test]
fn a_rule_of_ours_under_another_description_gives_way() {
    // Somebody edited the readable part; the rule under the right key is made, and this one goes.
    let rules = [rule(1, "k8s:kubernetes:ports:web:tcp ssh and http", TEXT)];
    let planned = plan(&web(), &rules, &Unneeded::new(), GRACE, Instant::now());
    assert!(matches!(planned.steps[..], [RuleStep::Create { .. }]));
    assert!(planned.unneeded.contains_key(&id(1)));
}

/// Performs steps as CloudAPI would.
fn apply(rules: &mut Vec<Observed>, steps: Vec<RuleStep>) {
    for step in steps {
        match step {
            RuleStep::Create { key, rule: text } => {
                let number = rules.iter().map(|rule| rule.id.as_uuid().as_u128()).max().unwrap_or(0) + 1;
                rules.push(rule(number, key.as_str(), &text.to_string()));
            }
            RuleStep::Update { id, rule } => {
                let found = rules.iter_mut().find(|other| other.id == id).unwrap();
                (found.rule, found.enabled) = (rule.to_string().into(), true);
            }
            RuleStep::Enable(id) => rules.iter_mut().find(|rule| rule.id == id).unwrap().enabled = true,
            RuleStep::Delete(id) => rules.retain(|rule| rule.id != id),
        }
    }
}

fn pods() -> impl Strategy<Value = BTreeSet<u16>> {
    prop::collection::btree_set(1..6_u16, 0..4)
}

/// A few rules: right, wrong, doubled, disabled, of others.
fn observed() -> impl Strategy<Value = Vec<Observed>> {
    let description = prop_oneof![
        (1..8_u16).prop_map(|port| format!("k8s:kubernetes:ports:{port}:tcp {port}")),
        Just("k8s:kubernetes:group:x:tcp default/x".to_owned()),
        Just("k8s:prod:ports:1:tcp 1".to_owned()),
        "[a-z]{0,3}",
    ];
    let text = prop_oneof![
        (1..8_u16)
            .prop_map(|port| format!(r#"FROM any TO tag "k8s.ports" = "{port}" ALLOW tcp PORT {port}"#)),
        Just("nonsense".to_owned()),
    ];
    let one = (description, text, any::<bool>(), prop::bool::weighted(0.1));
    prop::collection::vec(one, 0..12).prop_map(|rules| {
        let rules = rules.into_iter().zip(1..);
        rules
            .map(|((description, text, enabled, global), number)| Observed {
                enabled,
                global,
                ..rule(number, &description, &text)
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn carrying_out_plans_ends_with_what_is_wanted_and_others_untouched(
        pods in pods(), instances in pods(), before in observed(),
    ) {
        let mut wanted = Wanted::new("kubernetes", Known::Everything);
        for port in &pods {
            add(&mut wanted, &port.to_string(), &[*port]);
        }
        for port in &instances {
            wanted.add_instance(&ports_tags(&port.to_string()));
        }
        let is_ours = |rule: &Observed| {
            !rule.global
                && membership_of(rule.description.as_deref().unwrap_or_default(), "kubernetes").is_some()
        };
        let others = |rules: &[Observed]| rules.iter().filter(|rule| !is_ours(rule)).cloned().collect::<Vec<_>>();

        let (mut rules, mut unneeded, mut now) = (before.clone(), Unneeded::new(), Instant::now());
        let mut rounds = 0;
        loop {
            let planned = plan(&wanted, &rules, &unneeded, GRACE, now);
            if planned.steps.is_empty() && planned.again.is_none() {
                break;
            }
            apply(&mut rules, planned.steps);
            (unneeded, now) = (planned.unneeded, now + GRACE);
            rounds += 1;
            prop_assert!(rounds <= 4, "no fixed point: {:?}", rules);
        }
        prop_assert_eq!(others(&rules), others(&before));
        for (key, meaning) in wanted.rules() {
            let found: Vec<_> = rules
                .iter()
                .filter(|rule| is_ours(rule) && rule.description.as_deref() == Some(key.as_str()))
                .collect();
            prop_assert_eq!(found.len(), 1);
            prop_assert!(found[0].enabled);
            prop_assert_eq!(found[0].rule.parse::<FirewallRule>(), Ok(meaning.clone()));
        }
        for rule in rules.iter().filter(|rule| is_ours(rule)) {
            let description = rule.description.as_deref().unwrap();
            let membership = membership_of(description, "kubernetes").unwrap();
            let is_wanted = wanted.rules().keys().any(|key| key.as_str() == description);
            prop_assert!(is_wanted || wanted.is_only_held(&membership), "{} is left over", description);
        }
    }
}
