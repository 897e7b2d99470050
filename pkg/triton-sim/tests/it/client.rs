//! The client library against a simulator: what works when nothing goes wrong.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use tokio::time::timeout;
use triton::budget::{Budget, Limits};
use triton::changefeed::{Changefeed, Event, FeedError, Registration};
use triton::client::{AddedNic, Client, Deletion, Found};
use triton::config::{Config, Environment};
use triton::error::Kind;
use triton::id::InstanceId;
use triton::types::*;
use triton_sim::cloudapi::Tls;
use triton_sim::{Preset, Settings, Simulator};

/// How long anything may take that takes no time.
pub const SOON: Duration = Duration::from_secs(30);

/// A simulator in which jobs take no time.
pub async fn simulator() -> Simulator {
    Simulator::start(Settings::preset(Preset::Instant)).await.expect("a simulator")
}

/// A client that knows of the simulator what its environment says, and that does not hold back.
pub async fn client(simulator: &Simulator) -> Client {
    let environment: Environment = simulator.environment().into_iter().collect();
    let config = Config::load(&environment, None).expect("a configuration");
    let budget = Budget::new(Limits { rate: 10_000.0, burst: 10_000 });
    Client::configured(&config).await.expect("a client").budget(budget).build().expect("a client")
}

pub async fn settle(simulator: &Simulator) {
    assert!(simulator.control().settle(SOON).await, "it settles");
}

pub fn new_instance(simulator: &Simulator, name: &str) -> CreateInstance {
    let ids = simulator.ids();
    CreateInstance {
        name: Some(name.to_owned()),
        networks: vec![NetworkRequest::Any(ids.external)],
        ..CreateInstance::new("g1.nano", ids.ubuntu_lx)
    }
}

#[tokio::test]
async fn an_instance_lives_and_dies() {
    let simulator = simulator().await;
    let client = client(&simulator).await;
    let create = CreateInstance {
        tags: [("role".into(), "web".into())].into(),
        metadata: [("user-data", "{}")].into_iter().collect(),
        ..new_instance(&simulator, "web-1")
    };
    let made = client.create_instance(&create).await.expect("created");
    assert_eq!((&*made.name, made.state.as_str(), made.ips.len()), ("web-1", "provisioning", 0));
    settle(&simulator).await;
    let id = made.id;
    let running = match client.get_instance(id).await.expect("found") {
        Found::Present(instance) => instance,
        Found::Gone(gone) => panic!("{gone:?}"),
    };
    assert!(running.state.is_running());
    assert_eq!(running.primary_ip.map(|ip| ip.to_string()).as_deref(), Some("203.0.113.2"));
    assert_eq!((running.package.as_deref(), running.nics.len()), (Some("g1.nano"), 1));
    assert!(running.compute_node.is_some());
    let duplicate = client.create_instance(&create).await.expect_err("the name is taken");
    assert_eq!((duplicate.kind(), duplicate.code()), (Kind::Duplicate, Some("ValidationFailed")));

    for (action, check) in [
        (InstanceAction::Stop, (|it: &Instance| it.state.is_stopped()) as fn(&Instance) -> bool),
        (InstanceAction::Start, |it| it.state.is_running()),
        (InstanceAction::Rename { name: "web-2".into() }, |it| &*it.name == "web-2"),
        (InstanceAction::Resize { package: "g1.micro".into() }, |it| it.memory_mib == Some(1024)),
        (InstanceAction::EnableFirewall, |it| it.firewall_enabled),
        (InstanceAction::DisableFirewall, |it| !it.firewall_enabled),
        (InstanceAction::EnableDeletionProtection, |it| it.deletion_protection),
    ] {
        client.act_on_instance(id, &action).await.expect("accepted");
        settle(&simulator).await;
        let found = client.get_instance(id).await.expect("found").into_instance();
        assert!(check(&found), "{action:?}: {found:?}");
    }
    let accepted = client.reboot_instance(id).await.expect("accepted");
    settle(&simulator).await;
    let audit = client.list_audit(id).await.expect("an audit").items;
    assert_eq!(audit.first().map(|it| &*it.action), Some("reboot"));
    assert!(accepted.at.is_some() && audit[0].time > accepted.at, "the reboot is later than its answer");

    assert_eq!(client.delete_instance(id).await.expect_err("protected").kind(), Kind::Conflict);
    client.act_on_instance(id, &InstanceAction::DisableDeletionProtection).await.expect("accepted");
    settle(&simulator).await;
    assert_eq!(client.delete_instance(id).await.expect("accepted"), Deletion::Accepted);
    settle(&simulator).await;
    assert!(matches!(client.get_instance(id).await.expect("gone"), Found::Gone(it) if it.state.is_deleted()));
    assert!(matches!(client.delete_instance(id).await.expect("gone"), Deletion::Gone(_)));
    assert_eq!(client.list_all_instances(&ListInstances::default()).await.expect("a list").items, []);
}

#[tokio::test]
async fn tags_and_metadata_are_written_and_read() {
    let simulator = simulator().await;
    let client = client(&simulator).await;
    let id = client.create_instance(&new_instance(&simulator, "tags")).await.expect("created").id;
    settle(&simulator).await;
    let tags: Tags = [("a".into(), "1".into()), ("b".into(), true.into())].into();
    assert_eq!(client.add_tags(id, &tags).await.expect("added"), tags);
    settle(&simulator).await;
    assert_eq!(client.list_tags(id).await.expect("tags"), tags);
    let filter = ListInstances { tags: [("a".into(), "*".into())].into(), ..ListInstances::default() };
    assert_eq!(client.list_instances(&filter).await.expect("a list").items.len(), 1);
    client.replace_tags(id, &[("c".into(), "2".into())].into()).await.expect("replaced");
    settle(&simulator).await;
    client.delete_tag(id, "c").await.expect("deleted");
    settle(&simulator).await;
    assert_eq!(client.list_tags(id).await.expect("tags"), Tags::new());
    assert_eq!(client.delete_tag(id, "c").await.expect_err("not there").kind(), Kind::NotFound);
    let special: Tags = [("triton.x".into(), "1".into())].into();
    assert_eq!(client.add_tags(id, &special).await.expect_err("closed").kind(), Kind::Invalid);

    client.add_metadata(id, &[("k", "v"), ("l", "w")].into_iter().collect()).await.expect("added");
    settle(&simulator).await;
    assert_eq!(client.get_metadata(id, "k").await.expect("a value"), "v");
    client.delete_metadata(id, "k").await.expect("deleted");
    client.delete_all_metadata(id).await.expect("deleted");
    settle(&simulator).await;
    let left = client.list_metadata(id, false).await.expect("metadata");
    assert_eq!(left.keys().collect::<Vec<_>>(), ["root_authorized_keys"]);
}

#[tokio::test]
async fn everything_around_instances_is_there() {
    let simulator = simulator().await;
    let client = client(&simulator).await;
    let ids = simulator.ids();
    let account = client.get_account().await.expect("an account");
    assert_eq!((&*account.login, account.triton_cns_enabled), ("acme", Some(true)));
    client
        .update_account(&UpdateAccount { phone: Some("1".into()), ..Default::default() })
        .await
        .expect("updated");
    assert!(client.get_limits().await.expect("limits").items.is_empty());
    assert_eq!(client.get_config().await.expect("a configuration").default_network, Some(ids.fabric));
    assert_eq!(client.get_datacenter_name().await.expect("a name").as_deref(), Some("dc1"));
    assert_eq!(client.get_datacenter("dc1").await.expect("a URL"), simulator.url());
    assert_eq!(client.list_services().await.expect("services").get("cloudapi"), Some(simulator.url()));
    assert_eq!(client.list_keys().await.expect("keys").items.len(), 1);
    assert_eq!(client.list_packages(&ListPackages::default()).await.expect("packages").items.len(), 7);
    assert_eq!(&*client.get_package("g1.nano").await.expect("a package").name, "g1.nano");
    let images = client.list_images(&ListImages::default()).await.expect("images");
    assert!(images.is_clean() && images.items.len() == 6, "{images:?}");
    let networks = client.list_networks(&ListNetworks::default()).await.expect("networks");
    assert!(networks.is_clean() && networks.items.iter().any(|it| it.id == ids.pool));

    client
        .create_fabric_vlan(&CreateFabricVlan { vlan_id: 7, name: "seven".into(), description: None })
        .await
        .expect("a VLAN");
    let create = CreateFabricNetwork {
        name: "net7".into(),
        subnet: "10.7.0.0/24".parse().unwrap(),
        provision_start_ip: [10, 7, 0, 10].into(),
        provision_end_ip: [10, 7, 0, 20].into(),
        gateway: Some([10, 7, 0, 1].into()),
        resolvers: vec![],
        routes: Routes::new(),
        internet_nat: Some(false),
        description: None,
    };
    let network = client.create_fabric_network(7, &create).await.expect("a network");
    assert_eq!((network.vlan_id, network.fabric), (Some(7), true));
    assert_eq!(client.list_fabric_networks(7).await.expect("networks").items.len(), 1);

    let create = CreateInstance {
        networks: vec![NetworkRequest::Any(ids.external), NetworkRequest::Any(network.id)],
        ..new_instance(&simulator, "parts")
    };
    let id = client.create_instance(&create).await.expect("created").id;
    settle(&simulator).await;
    let used = client.list_network_ips(network.id).await.expect("addresses");
    assert!(used.is_clean() && used.items.iter().any(|it| it.belongs_to == Some(*id.as_uuid())), "{used:?}");
    assert_eq!(client.delete_fabric_network(7, network.id).await.expect_err("in use").kind(), Kind::Invalid);

    assert_eq!(client.list_nics(id).await.expect("NICs").items.len(), 2);
    let add = AddNic { network: NetworkRequest::Any(ids.fabric), primary: None };
    let AddedNic::Added(nic) = client.add_nic(id, &add).await.expect("a NIC") else { panic!("it is new") };
    settle(&simulator).await;
    assert!(matches!(client.add_nic(id, &add).await.expect("a NIC"), AddedNic::AlreadyThere(_)));
    client.remove_nic(id, nic.mac).await.expect("removed");
    settle(&simulator).await;
    assert_eq!(client.get_nic(id, nic.mac).await.expect_err("removed").kind(), Kind::NotFound);

    let rule = client
        .create_firewall_rule(&CreateFirewallRule {
            rule: "from any to all vms allow tcp port 22".into(),
            enabled: true,
            log: None,
            description: None,
        })
        .await
        .expect("a rule");
    assert_eq!(&*rule.rule, "FROM any TO all vms ALLOW tcp PORT 22");
    assert_eq!(client.list_instance_firewall_rules(id).await.expect("rules").items.len(), 1);
    assert_eq!(client.list_firewall_rule_instances(rule.id).await.expect("instances").items.len(), 1);
    client.delete_firewall_rule(rule.id).await.expect("deleted");

    client.create_snapshot(id, &CreateSnapshot { name: Some("s1".into()) }).await.expect("a snapshot");
    settle(&simulator).await;
    assert_eq!(client.get_snapshot(id, "s1").await.expect("a snapshot").state.as_str(), "created");
    client.start_from_snapshot(id, "s1").await.expect("accepted");
    settle(&simulator).await;
    client.delete_snapshot(id, "s1").await.expect("deleted");

    let volume = client
        .create_volume(&CreateVolume {
            volume_type: Some(VolumeType::TritonNfs),
            name: Some("data".into()),
            size_mib: Some(10_240),
            networks: vec![ids.fabric],
            tags: Tags::new(),
            affinity: vec![],
        })
        .await
        .expect("a volume");
    settle(&simulator).await;
    assert_eq!(client.get_volume(volume.id).await.expect("a volume").state.as_str(), "ready");
    client.delete_volume(volume.id).await.expect("deleted");
    settle(&simulator).await;
    assert_eq!(client.get_volume(volume.id).await.expect_err("deleted").code(), Some("VolumeNotFound"));
    assert!(client.list_migrations().await.expect("migrations").items.is_empty());
}

#[tokio::test]
async fn thousands_of_instances_are_listed_page_by_page() {
    let simulator = simulator().await;
    let made = simulator.control().write(|world, now| {
        let ids = simulator.ids();
        let params = json!({"image": ids.ubuntu_lx, "package": "g1.nano", "networks": [ids.fabric]});
        let params = params.as_object().unwrap();
        // More do not fit in the fabric network.
        (0..1010).map(|_| world.create_running_machine(now, ids.acme, params).expect("created")).count()
    });
    let client = client(&simulator).await;
    let list = client.list_all_instances(&ListInstances::default()).await.expect("a list");
    assert!(list.is_clean());
    assert_eq!(list.items.len(), made);
    assert!(list.items.iter().all(|it| it.state.is_running()));
}

#[tokio::test]
async fn the_library_trusts_the_simulator_over_tls() {
    let settings = Settings { tls: Some(Tls::SelfSigned), ..Settings::preset(Preset::Instant) };
    let simulator = Simulator::start(settings).await.expect("a simulator");
    assert!(simulator.url().starts_with("https://"));
    assert!(client(&simulator).await.get_account().await.is_ok());
}

/// The next event, which has to come.
async fn next(feed: &mut Changefeed) -> Event {
    timeout(SOON, feed.next()).await.expect("in time").expect("open").expect("an event")
}

#[tokio::test]
async fn the_changefeed_tells_of_the_instances_that_were_registered() {
    let simulator = simulator().await;
    let client = client(&simulator).await;
    let mut all = Changefeed::open(&client, &Registration::everything()).await.expect("a feed");
    let first = client.create_instance(&new_instance(&simulator, "one")).await.expect("created").id;
    let mut states: BTreeMap<InstanceId, String> = BTreeMap::new();
    while states.get(&first).map(String::as_str) != Some("running") {
        let event = next(&mut all).await;
        assert!(event.published.is_some() && !event.sub_resources.is_empty());
        let instance = event.instance.expect("an instance");
        assert_eq!((&instance.package, &instance.dns_names), (&None, &None));
        states.insert(event.id, event.vm_state.expect("a state").into());
    }
    let second = client.create_instance(&new_instance(&simulator, "two")).await.expect("created").id;
    settle(&simulator).await;
    let mut one = Changefeed::open(&client, &Registration::instances([first])).await.expect("a feed");
    assert_eq!(simulator.control().feed_clients(), 2);
    client.stop_instance(second).await.expect("accepted");
    settle(&simulator).await;
    client.stop_instance(first).await.expect("accepted");
    let event = next(&mut one).await;
    assert_eq!(event.id, first);
    simulator.control().cut_feeds();
    let ended = loop {
        match timeout(SOON, one.next()).await.expect("in time") {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert!(matches!(ended, FeedError::Closed), "{ended:?}");
}
