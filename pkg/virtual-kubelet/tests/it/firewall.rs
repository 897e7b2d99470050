//! Firewall rules in a simulated data centre.

use std::time::Duration;

use provider::names::tag;
use runtime::leader::{Claim, ElectionClient, Elector, LeaderParams};
use tokio::time::{sleep, timeout};
use triton::client::Client;
use triton::id::FirewallRuleId;
use triton::types::{CreateFirewallRule, FirewallRule, Tags, UpdateFirewallRule};
use triton_sim::Simulator;
use triton_sim::cloudapi::Operation;
use triton_sim::faults::{FaultPlan, Rate, RequestFaults, Target};
use virtual_kubelet::firewall::{EnsureError, Ensured, Keeper, Known, Settings, Wanted};
use virtual_kubelet::pod::{FirewallDemand, Port, Protocol};

use crate::api_server::ApiServer;
use crate::data_center::{SOON, client, simulator};

/// Reads the list for every call, and removes what is unneeded at the second look.
const EAGER: Settings = Settings { relist: Duration::ZERO, grace: Duration::from_millis(20), deadline: SOON };

fn keeper(client: &Client, settings: Settings) -> Keeper {
    Keeper::new(client.clone(), Claim::without_election(), settings)
}

/// What pods need that listen on 22/tcp and 53/udp, and form a group.
fn web() -> Wanted {
    let mut wanted = nothing();
    wanted.add_pod("default", &demand(), &tags());
    wanted
}

fn nothing() -> Wanted {
    Wanted::new("kubernetes", Known::Everything)
}

fn demand() -> FirewallDemand {
    let ports = [(Protocol::Tcp, 22), (Protocol::Udp, 53)];
    FirewallDemand {
        enabled: Some(true),
        group: Some("web".into()),
        ports: ports.into_iter().map(|(protocol, number)| Port { protocol, number }).collect(),
    }
}

fn tags() -> Tags {
    [(tag::CLUSTER, "kubernetes"), (tag::PORTS, "1f0c"), (tag::GROUP, "web-2e1d")]
        .map(|(key, value)| (key.to_owned(), value.into()))
        .into()
}

const DESCRIPTIONS: [&str; 4] = [
    "k8s:kubernetes:group:web-2e1d:tcp default/web",
    "k8s:kubernetes:group:web-2e1d:udp default/web",
    "k8s:kubernetes:ports:1f0c:tcp 22",
    "k8s:kubernetes:ports:1f0c:udp 53",
];

async fn rules(client: &Client) -> Vec<FirewallRule> {
    client.list_firewall_rules().await.expect("a list").items
}

/// The descriptions of the enabled rules, sorted.
async fn descriptions(client: &Client) -> Vec<String> {
    let enabled = rules(client).await.into_iter().filter(|rule| rule.enabled);
    let mut all: Vec<String> =
        enabled.map(|rule| rule.description.unwrap_or_default().into_string()).collect();
    all.sort();
    all
}

async fn ensure(keeper: &Keeper, wanted: &Wanted) -> Ensured {
    let ensured = keeper.ensure(wanted).await.expect("ensured");
    assert!(ensured.failures.is_empty(), "{:?}", ensured.failures);
    ensured
}

async fn foreign_rule(client: &Client, description: Option<&str>) -> FirewallRule {
    let create = CreateFirewallRule {
        rule: r#"FROM any TO tag "k8s.ports" = "1f0c" ALLOW tcp PORT 22"#.to_owned(),
        enabled: false,
        log: None,
        description: description.map(str::to_owned),
    };
    client.create_firewall_rule(&create).await.expect("made")
}

async fn find(client: &Client, description: &str) -> FirewallRuleId {
    let all = rules(client).await;
    all.into_iter().find(|rule| rule.description.as_deref() == Some(description)).expect("there").id
}

fn begun(simulator: &Simulator, operation: Operation) -> u64 {
    simulator.control().begun(operation)
}

#[tokio::test]
async fn rules_come_and_cost_nothing_once_they_are_there() {
    let simulator = simulator().await;
    let client = client(&simulator).await;
    let keeper = keeper(&client, Settings::default());
    assert_eq!(ensure(&keeper, &web()).await.written, 4);
    assert_eq!(descriptions(&client).await, DESCRIPTIONS);
    let lists = begun(&simulator, Operation::ListFirewallRules);
    for _ in 0..5 {
        assert_eq!(ensure(&keeper, &web()).await.written, 0);
    }
    assert_eq!(begun(&simulator, Operation::ListFirewallRules), lists);
    assert_eq!(begun(&simulator, Operation::CreateFirewallRule), 4);
    // Another process of the same cluster finds them.
    let other = self::keeper(&client, Settings::default());
    assert_eq!(ensure(&other, &web()).await.written, 0);
}

#[tokio::test]
async fn what_people_do_to_rules_is_undone() {
    let simulator = simulator().await;
    let client = client(&simulator).await;
    let keeper = keeper(&client, EAGER);
    ensure(&keeper, &web()).await;
    let [deleted, disabled, edited, _] = DESCRIPTIONS;
    client.delete_firewall_rule(find(&client, deleted).await).await.expect("deleted");
    client.disable_firewall_rule(find(&client, disabled).await).await.expect("disabled");
    let block = UpdateFirewallRule {
        rule: Some(r#"FROM any TO tag "k8s.ports" = "1f0c" BLOCK tcp PORT 22"#.to_owned()),
        ..UpdateFirewallRule::default()
    };
    let edited = find(&client, edited).await;
    client.update_firewall_rule(edited, &block).await.expect("edited");

    assert_eq!(ensure(&keeper, &web()).await.written, 3);
    assert_eq!(descriptions(&client).await, DESCRIPTIONS);
    let text = client.get_firewall_rule(edited).await.expect("there").rule;
    assert_eq!(&*text, r#"FROM any TO tag "k8s.ports" = "1f0c" ALLOW tcp PORT 22"#);
}

#[tokio::test]
async fn rules_go_with_the_last_member_after_the_grace() {
    let simulator = simulator().await;
    let client = client(&simulator).await;
    let keeper = keeper(&client, EAGER);
    let strangers = [
        foreign_rule(&client, None).await,
        foreign_rule(&client, Some("Set by K8S for service: ssh")).await,
        foreign_rule(&client, Some("k8s:prod:ports:1f0c:tcp 22")).await,
    ];
    ensure(&keeper, &web()).await;

    // The pod is gone, its instance is not.
    let mut instance = nothing();
    instance.add_instance(&tags());
    for _ in 0..3 {
        ensure(&keeper, &instance).await;
        sleep(EAGER.grace).await;
    }
    assert_eq!(descriptions(&client).await, DESCRIPTIONS);

    // Nobody is left: not at once, but then.
    assert_eq!(ensure(&keeper, &nothing()).await.written, 0);
    let gone = async {
        while rules(&client).await.len() > strangers.len() {
            ensure(&keeper, &nothing()).await;
            sleep(EAGER.grace).await;
        }
    };
    timeout(SOON, gone).await.expect("the rules go");
    let mut left = rules(&client).await;
    left.sort_by_key(|rule| rule.id);
    let mut expected = strangers.to_vec();
    expected.sort_by_key(|rule| rule.id);
    assert_eq!(left, expected, "others' rules are as they were");
}

#[tokio::test]
async fn two_processes_that_raced_end_with_one_rule_each() {
    let simulator = simulator().await;
    let client = client(&simulator).await;
    let keepers = [keeper(&client, EAGER), keeper(&client, EAGER)];
    // Both read the empty list before either writes, as racing processes do.
    let slow = [keeper(&client, Settings::default()), keeper(&client, Settings::default())];
    for keeper in &slow {
        ensure(keeper, &nothing()).await;
    }
    for keeper in &slow {
        assert_eq!(ensure(keeper, &web()).await.written, 4);
    }
    assert_eq!(rules(&client).await.len(), 8);
    let wanted = web();
    let (first, second) = tokio::join!(keepers[0].ensure(&wanted), keepers[1].ensure(&wanted));
    assert!(first.is_ok() && second.is_ok());
    let settled = async {
        while rules(&client).await.len() > DESCRIPTIONS.len() {
            ensure(&keepers[0], &wanted).await;
        }
    };
    timeout(SOON, settled).await.expect("the doubles go");
    assert_eq!(descriptions(&client).await, DESCRIPTIONS);
}

#[tokio::test]
async fn a_create_whose_answer_was_lost_is_not_repeated() {
    let simulator = simulator().await;
    let client = client(&simulator).await;
    let keeper = keeper(&client, Settings::default());
    ensure(&keeper, &nothing()).await;
    let torn =
        RequestFaults { torn_rate: Some(Rate::ALWAYS), applied: Some(true), ..RequestFaults::default() };
    let requests = [(Target::Operation(Operation::CreateFirewallRule), torn)].into();
    simulator.control().set_faults(FaultPlan { requests, ..FaultPlan::default() }).expect("set");
    let ensured = keeper.ensure(&web()).await.expect("ensured");
    assert_eq!((ensured.failures.len(), ensured.written), (4, 0), "{ensured:?}");
    assert!(ensured.again.is_some());

    simulator.control().set_faults(FaultPlan::default()).expect("set");
    assert_eq!(ensure(&keeper, &web()).await.written, 0, "the list shows that they were made");
    assert_eq!(descriptions(&client).await, DESCRIPTIONS);
}

#[tokio::test]
async fn one_rule_that_fails_does_not_keep_others_back() {
    let simulator = simulator().await;
    let client = client(&simulator).await;
    let keeper = keeper(&client, EAGER);
    ensure(&keeper, &web()).await;
    let [deleted, disabled, ..] = DESCRIPTIONS;
    client.delete_firewall_rule(find(&client, deleted).await).await.expect("deleted");
    client.disable_firewall_rule(find(&client, disabled).await).await.expect("disabled");
    let refuse = RequestFaults { error_rate: Some(Rate::ALWAYS), ..RequestFaults::default() };
    let requests = [(Target::Operation(Operation::CreateFirewallRule), refuse)].into();
    simulator.control().set_faults(FaultPlan { requests, ..FaultPlan::default() }).expect("set");
    let ensured = keeper.ensure(&web()).await.expect("ensured");
    assert_eq!((ensured.failures.len(), ensured.written), (1, 1), "{ensured:?}");
    assert_eq!(descriptions(&client).await, DESCRIPTIONS[1..]);

    // It is not tried at every call, while others still are.
    let tries = begun(&simulator, Operation::CreateFirewallRule);
    client.disable_firewall_rule(find(&client, disabled).await).await.expect("disabled");
    let ensured = keeper.ensure(&web()).await.expect("ensured");
    assert_eq!((ensured.failures.len(), ensured.waiting, ensured.written), (0, 1, 1), "{ensured:?}");
    assert_eq!(begun(&simulator, Operation::CreateFirewallRule), tries);
}

#[tokio::test]
async fn a_list_that_fails_changes_nothing() {
    let simulator = simulator().await;
    let client = client(&simulator).await;
    let hasty = Settings { deadline: Duration::from_millis(200), ..EAGER };
    let fresh = keeper(&client, hasty);
    let refuse = RequestFaults { error_rate: Some(Rate::ALWAYS), ..RequestFaults::default() };
    let requests = [(Target::Operation(Operation::ListFirewallRules), refuse)].into();
    simulator.control().set_faults(FaultPlan { requests, ..FaultPlan::default() }).expect("set");
    let error = fresh.ensure(&web()).await.expect_err("nothing is known");
    assert!(matches!(error, EnsureError::List(_)), "{error}");
    assert_eq!(begun(&simulator, Operation::CreateFirewallRule), 0);
}

#[tokio::test]
async fn a_rule_that_somebody_deleted_meanwhile_is_made_again() {
    let simulator = simulator().await;
    let client = client(&simulator).await;
    let first = keeper(&client, EAGER);
    ensure(&first, &web()).await;
    // It knows the rules as disabled, and does not read them again.
    for rule in rules(&client).await {
        client.disable_firewall_rule(rule.id).await.expect("disabled");
    }
    let second = keeper(&client, Settings::default());
    let held_back = Wanted::new("kubernetes", Known::InPart);
    ensure(&second, &held_back).await;
    for rule in rules(&client).await {
        client.delete_firewall_rule(rule.id).await.expect("deleted");
    }
    ensure(&second, &web()).await;
    assert_eq!(descriptions(&client).await, DESCRIPTIONS);
}

#[tokio::test]
async fn a_process_that_does_not_lead_does_nothing() {
    let simulator = simulator().await;
    let client = client(&simulator).await;
    // A candidate that never asks for the lease.
    let kube = ElectionClient::from_client_without_retries(ApiServer::default().client());
    let params = LeaderParams::new("kube-system", "lease", "b", "manager");
    let (_elector, claim) =
        Elector::new(kube, params, jiff::Timestamp::now, fastrand::Rng::with_seed(1)).expect("an elector");
    let standby = Keeper::new(client.clone(), claim, EAGER);
    let error = standby.ensure(&web()).await.expect_err("it does not lead");
    assert!(matches!(error, EnsureError::NotLeading(_)), "{error}");
    assert_eq!(begun(&simulator, Operation::ListFirewallRules), 0);
    assert_eq!(rules(&client).await, []);
}
