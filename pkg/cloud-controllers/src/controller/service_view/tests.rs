use kube::runtime::{reflector, watcher};
use rstest::rstest;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio::time::timeout;
use triton::Client;
use triton::config::{Config, Environment};
use triton::reflector::{Reflector, Settings};
use triton::types::Instance;
use triton_sim::keys::KeyPair;
use uuid::Uuid;

use super::*;
use crate::networks::Networks;
use crate::node::labels::Place;

/// A view of one Service and of no Node.
struct Scene {
    view: View,
    instances: triton::reflector::Store,
}

fn key() -> ServiceKey {
    ServiceKey { namespace: "default".into(), name: "web".into() }
}

fn id() -> InstanceId {
    Uuid::from_u128(1).into()
}

/// The instance, which carries this name by us or none.
fn instance(name: &str) -> Instance {
    let tags = match name {
        "" => json!({"k8s.cluster": "kubernetes"}),
        _ => json!({"triton.cns.services": name, "k8s.cns": name, "k8s.cluster": "kubernetes"}),
    };
    serde_json::from_value(json!({"id": id(), "name": "m", "state": "running", "tags": tags})).unwrap()
}

/// A Service that is being deleted.
fn leaving() -> Value {
    json!({
        "metadata": {
            "namespace": "default", "name": "web", "deletionTimestamp": "2026-01-01T00:00:00Z",
            "finalizers": ["service.kubernetes.io/load-balancer-cleanup"],
        },
        "spec": {"type": "LoadBalancer", "loadBalancerClass": "tritondatacenter.com/cns"},
    })
}

/// A Service that has had the name `web-default`, as its status says, and is to have another one.
fn renamed() -> Value {
    json!({
        "metadata": {
            "namespace": "default", "name": "web", "annotations": {"tritondatacenter.com/cns-service": "new"},
            "finalizers": ["service.kubernetes.io/load-balancer-cleanup"],
        },
        "spec": {"type": "LoadBalancer", "loadBalancerClass": "tritondatacenter.com/cns"},
        "status": {"loadBalancer": {"ingress": [{"hostname": "web-default.svc.a.dc.triton.zone"}]}},
    })
}

async fn scene(service: Value) -> Scene {
    let key = KeyPair::generate().unwrap();
    let variables = [
        ("TRITON_URL", "http://127.0.0.1:1"),
        ("TRITON_ACCOUNT", "acme"),
        ("TRITON_KEY_MATERIAL", key.private.expose_secret()),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let config = Config::load(&Environment::from_iter(variables), None).unwrap();
    let triton = Client::configured(&config).await.unwrap().build().unwrap();
    let instances = Reflector::new(triton.clone(), Settings::default()).store();
    let place = Place { zone: "dc".to_owned(), region: "dc".to_owned(), datacenter: "dc".to_owned() };
    let (nodes, _) = reflector::store();
    let cluster = Cluster::new(nodes, instances.clone(), Networks::new(&triton), place);
    let (services, mut writer) = reflector::store();
    let service: Service = serde_json::from_value(service).unwrap();
    writer.apply_watcher_event(&watcher::Event::Apply(service));
    let (slices, _) = reflector::store();
    let conventions = ("kubernetes".to_owned(), DefaultLoadBalancer::Cns);
    let view = View::new(Arc::new(cluster), conventions, services, slices, News::default());
    Scene { view, instances }
}

impl Scene {
    /// Whether somebody asked for a look at the Service since the last time.
    async fn is_asked_for(&self) -> bool {
        let queue = &self.view.news().queue;
        let asked = timeout(Duration::from_millis(1), queue.next()).await;
        asked.iter().for_each(|key| queue.done(key));
        asked.is_ok_and(|asked| asked == key())
    }
}

/// An instance that leaves is seen by whoever comes first: the change that the reflector tells of, or the write that
/// ended. Whichever it is, the Service whose finalizer waits is looked at.
#[rstest]
#[case::by_the_change(|view: &View| view.notice(id()))]
#[case::by_the_end_of_a_write(|view: &View| view.settle(id()))]
#[tokio::test(start_paused = true)]
async fn a_service_that_waits_is_looked_at_when_an_instance_has_left(#[case] sees: fn(&View)) {
    let scene = scene(leaving()).await;
    scene.instances.created(instance("web-default"));
    scene.view.notice(id());
    assert!(scene.is_asked_for().await, "it carries the name");
    assert!(!scene.is_asked_for().await);
    scene.instances.found(instance(""), Instant::now());
    sees(&scene.view);
    assert!(scene.is_asked_for().await, "it has left");
    scene.view.notice(id());
    assert!(!scene.is_asked_for().await, "there is no more to tell");
}

/// A process that has just started knows from the status which name an instance still carries. It must not be taken away
/// before the instance gets the new one: until then the Service would be in DNS under neither.
#[tokio::test]
async fn a_name_that_was_changed_while_nobody_looked_stays_until_the_new_one_is_decided() {
    let scene = scene(renamed()).await;
    scene.instances.created(instance("web-default"));
    scene.view.see_all();
    let fates = |fate| BTreeMap::from([("web-default".to_owned(), fate)]);
    assert_eq!(scene.view.fates(id()), fates(Fate::Undecided));
    let entries = vec![CnsService::new("new").unwrap()];
    scene.view.state().board.decide(&key(), [(id(), entries)].into());
    assert_eq!(scene.view.fates(id()), fates(Fate::Released));
}
