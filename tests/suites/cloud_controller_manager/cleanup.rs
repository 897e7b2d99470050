//! `cleanup`: what a cluster left goes, and nothing else. It needs no cluster, so there is none.

use std::collections::BTreeMap;
use std::process::Stdio;

use serde_json::{Value, json};
use suites::process::Program;
use tokio::process::Command;
use tokio::time::{Duration, Instant, sleep};
use triton::Client;
use triton::config::{Config, Environment};
use triton::id::InstanceId;
use triton::types::{
    CreateFirewallRule, CreateInstance, Instance, InstanceAction, InstanceState, ListInstances, TagValue,
    UpdateFabricNetwork,
};
use triton_sim::{Preset, Settings, Simulator};

use super::stage::{Ended, has_line};

/// The VLAN of the fixture's fabric network.
const VLAN: u16 = 2;

/// An account with things of several clusters.
struct Account {
    simulator: Simulator,
    client: Client,
}

impl Account {
    async fn instance(&self, name: &str, tags: &[(&str, &str)]) -> Instance {
        let ids = self.simulator.ids();
        let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), TagValue::from(*value))).collect();
        let request = CreateInstance {
            name: Some(name.to_owned()),
            networks: vec![ids.fabric.into()],
            tags,
            ..CreateInstance::new("g1.micro", ids.base_64)
        };
        let id = self.client.create_instance(&request).await.unwrap().id;
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let instance = self.client.get_instance(id).await.unwrap().into_instance();
            if instance.state == InstanceState::Running {
                return instance;
            }
            assert!(Instant::now() < deadline, "{name} does not run");
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn rule(&self, port: u16, description: &str) {
        let rule = CreateFirewallRule {
            rule: format!("FROM any TO all vms ALLOW tcp PORT {port}"),
            enabled: true,
            log: None,
            description: Some(description.to_owned()),
        };
        self.client.create_firewall_rule(&rule).await.unwrap();
    }

    /// All instances with their tags, rules and routes.
    async fn all(&self) -> Value {
        let instances = self.client.list_all_instances(&ListInstances::default()).await.unwrap();
        let instances: BTreeMap<String, BTreeMap<String, String>> = instances
            .items
            .iter()
            .map(|it| {
                let tags = it.tags.iter().map(|(key, value)| (key.clone(), value.to_string())).collect();
                (it.name.to_string(), tags)
            })
            .collect();
        let rules = self.client.list_firewall_rules().await.unwrap();
        let mut rules: Vec<_> = rules.items.into_iter().filter_map(|rule| rule.description).collect();
        rules.sort();
        let network = self.client.get_fabric_network(VLAN, self.simulator.ids().fabric).await.unwrap();
        json!({"instances": instances, "rules": rules, "routes": network.routes})
    }

    async fn cleanup(&self, arguments: &[&str]) -> Ended {
        let mut command = Command::new(Program::CloudControllerManager.binary().unwrap());
        command.env_clear().envs(self.simulator.environment()).arg("cleanup").args(arguments);
        let ended = command.stdin(Stdio::null()).kill_on_drop(true).output().await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ended { code: ended.status.code().unwrap(), out: text(ended.stdout), err: text(ended.stderr) }
    }

    /// The writes that CloudAPI got since the last time.
    fn writes(&self) -> Vec<String> {
        let asked = self.simulator.control().requests().take();
        let is_read = |name: &str| name.starts_with("Get") || name.starts_with("List");
        asked.operations.keys().filter(|name| !is_read(name)).map(ToString::to_string).collect()
    }
}

fn pod(cluster: &str) -> Vec<(&str, &str)> {
    let pod = [("k8s.node", "vk"), ("k8s.namespace", "default"), ("k8s.pod", "web"), ("k8s.uid", "u1")];
    [("k8s.cluster", cluster)].into_iter().chain(pod).collect()
}

#[tokio::test]
async fn what_a_cluster_left_goes_and_nothing_else() {
    let simulator = Simulator::start(Settings::preset(Preset::Instant)).await.unwrap();
    let environment: Environment = simulator.environment().into_iter().collect();
    let config = Config::load(&environment, None).unwrap();
    let client = Client::configured(&config).await.unwrap().build().unwrap();
    let account = Account { simulator, client };

    // What is somebody else's.
    let stranger = account.instance("stranger", &[("role", "db"), ("triton.cns.services", "db:5432")]).await;
    account.instance("pod-of-another", &pod("test")).await;
    let other = [
        ("k8s.cluster", "test"),
        ("k8s.cns", "web:80"),
        ("triton.cns.services", "web:80"),
        ("triton.cmon.groups", "k8s-test"),
    ];
    account.instance("machine-of-another", &other).await;
    account.instance("half-a-pod", &[("k8s.cluster", "prod"), ("k8s.pod", "web")]).await;
    account.rule(22, "mine").await;
    account.rule(80, "k8s:test:ports:1f0c:tcp 80").await;
    let foreign = account.all().await;

    // What is the cluster's.
    let protected: InstanceId = account.instance("pod", &pod("prod")).await.id;
    account.client.act_on_instance(protected, &InstanceAction::EnableDeletionProtection).await.unwrap();
    let balancer =
        [("k8s.cluster", "prod"), ("k8s.namespace", "default"), ("k8s.service", "web"), ("k8s.uid", "u2")];
    account.instance("balancer", &balancer).await;
    let machine = [
        ("k8s.cluster", "prod"),
        ("k8s.cns", "web:80"),
        ("triton.cns.services", "db:5432,web:80"),
        ("triton.cmon.groups", "mine,k8s-prod"),
        ("role", "worker"),
    ];
    let machine = account.instance("machine", &machine).await;
    account.rule(81, "k8s:prod:ports:1f0c:tcp 81").await;
    let via = |instance: &Instance| Box::<str>::from(instance.primary_ip.unwrap().to_string());
    let routes = [
        ("10.244.1.0/24", via(&machine)),
        ("10.244.2.0/24", via(&stranger)),
        ("192.168.7.0/24", via(&machine)),
    ];
    let routes = routes.into_iter().map(|(to, via)| (to.to_owned(), via)).collect();
    let update = UpdateFabricNetwork { routes: Some(routes), ..UpdateFabricNetwork::default() };
    account.client.update_fabric_network(VLAN, account.simulator.ids().fabric, &update).await.unwrap();
    let all = account.all().await;
    let _ = account.writes();

    // Shown, and not done; and not done without a word either.
    let flags = ["--cluster-name=prod", "--cluster-cidr=10.244.0.0/16"];
    let shown = account.cleanup(&[flags[0], flags[1], "--dry-run"]).await;
    assert_eq!(shown.code, 1, "{}{}", shown.out, shown.err);
    for part in
        ["10.244.1.0/24", "untag machine", "pod default/web, and lift", "service default/web", "PORT 81"]
    {
        assert!(has_line(&shown.out, "would", part), "{part}\n{}", shown.out);
    }
    assert_eq!(shown.out.lines().filter(|line| line.starts_with("would")).count(), 5, "{}", shown.out);
    for part in ["10.244.2.0/24", "not all that say what it stands for"] {
        assert!(has_line(&shown.out, "kept", part), "{part}\n{}", shown.out);
    }
    let unconfirmed = account.cleanup(&flags).await;
    assert_eq!(unconfirmed.code, 2, "{}{}", unconfirmed.out, unconfirmed.err);
    assert!(unconfirmed.err.contains("say --yes"), "{}", unconfirmed.err);
    assert_eq!((account.writes(), account.all().await), (vec![], all));

    // Done.
    let done = account.cleanup(&[flags[0], flags[1], "--yes", "--output=json"]).await;
    assert_eq!((done.code, done.err.as_str()), (0, ""), "{}", done.out);
    let told: Value = serde_json::from_str(&done.out).unwrap();
    let steps = told["steps"].as_array().unwrap();
    assert!(steps.len() == 5 && steps.iter().all(|step| step["outcome"] == "done"), "{told}");
    let mut expected = foreign;
    expected["instances"]["machine"] =
        json!({"role": "worker", "triton.cns.services": "db:5432", "triton.cmon.groups": "mine"});
    expected["routes"] = json!({"10.244.2.0/24": via(&stranger), "192.168.7.0/24": via(&machine)});
    assert_eq!(account.all().await, expected);

    // Once more, there is nothing to do.
    let _ = account.writes();
    let again = account.cleanup(&[flags[0], flags[1], "--yes"]).await;
    assert_eq!(again.code, 0, "{}{}", again.out, again.err);
    assert!(again.out.contains("nothing in the account is cluster prod's"), "{}", again.out);
    assert_eq!(account.writes(), Vec::<String>::new());
    assert_eq!(account.cleanup(&[]).await.code, 2);
}
