use rstest::rstest;
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::hostname::Names;
use super::super::hosts::{Host, HostState};
use super::*;

const NETWORK: u128 = 1000;

fn id(number: u128) -> InstanceId {
    Uuid::from_u128(number).into()
}

fn merge(value: &mut Value, difference: &Value) {
    for (key, new) in difference.as_object().unwrap() {
        match (value.get_mut(key), new) {
            (Some(old @ Value::Object(_)), Value::Object(_)) => merge(old, new),
            _ => value[key] = new.clone(),
        }
    }
}

/// A load balancer of ours with its finalizer, that differs by this.
fn service(difference: &Value) -> Service {
    let mut service = json!({
        "metadata": {"namespace": "default", "name": "web", "finalizers": [LOAD_BALANCER_CLEANUP]},
        "spec": {"type": "LoadBalancer", "ports": [{"port": 80, "nodePort": 30080}]},
    });
    merge(&mut service, difference);
    serde_json::from_value(service).unwrap()
}

/// What is seen; two machines are ready, one endpoint is.
struct Scene {
    service: Service,
    exposure: Option<Exposure>,
    name: Result<&'static str, Note>,
    hosts: Hosts,
    backends: Backends,
    carriers: BTreeMap<InstanceId, Carrier>,
    leftovers: BTreeSet<InstanceId>,
    networks: hostname::Known,
    memory: Memory,
    now: Instant,
}

impl Scene {
    fn of(difference: &Value) -> Self {
        let host =
            |number| Host { kind: HostKind::Machine(id(number)), state: HostState::Ready, addresses: vec![] };
        let slice =
            json!({"addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.1"], "nodeName": "m1"}]});
        let names = Names {
            network: "external".into(),
            is_public: true,
            is_fabric: false,
            suffix: Some("svc.a.zone".into()),
        };
        Self {
            service: service(difference),
            exposure: Some(Exposure::LoadBalancer),
            name: Ok("web-default"),
            hosts: [("m1".into(), host(1)), ("m2".into(), host(2))].into(),
            backends: Backends::read(&[serde_json::from_value(slice).unwrap()]),
            carriers: BTreeMap::new(),
            leftovers: BTreeSet::new(),
            networks: [(Uuid::from_u128(NETWORK).into(), names)].into(),
            memory: Memory::default(),
            now: Instant::now(),
        }
    }

    /// This machine carries the name, and these are its names in DNS.
    fn carried(mut self, number: u128, dns_names: &[&str]) -> Self {
        let instance = serde_json::from_value(json!({
            "id": id(number), "name": "m", "state": "running", "dns_names": dns_names,
            "networks": [Uuid::from_u128(NETWORK)],
        }));
        let entries = vec![CnsService::new("web-default").unwrap().with_port(30080).unwrap()];
        let instance = Arc::new(instance.unwrap());
        self.carriers.insert(id(number), Carrier { instance, entries, is_seen: true, is_pod: false });
        self
    }

    fn plan(&self) -> Plan {
        plan(&Observed {
            service: &self.service,
            exposure: self.exposure,
            name: self.name.clone(),
            hosts: &self.hosts,
            backends: &self.backends,
            carriers: &self.carriers,
            leftovers: &self.leftovers,
            stopped: &BTreeSet::new(),
            networks: &self.networks,
            memory: &self.memory,
            now: self.now,
            wall: Timestamp::UNIX_EPOCH,
        })
    }
}

/// The members of a publication, and what they all have.
fn members(publication: &Publication) -> Vec<String> {
    let Publication::Members(members) = publication else { panic!("{publication:?}") };
    let text = |(id, entries): (&InstanceId, &Vec<CnsService>)| {
        let entries: Vec<&str> = entries.iter().map(CnsService::text).collect();
        format!("{} {}", Uuid::from(*id).as_u128(), entries.join(","))
    };
    members.iter().map(text).collect()
}

fn reasons(notes: &[Note]) -> Vec<&str> {
    notes.iter().map(|note| note.reason).collect()
}

fn condition_of(plan: &Plan) -> (&str, &str) {
    let condition = plan.status.as_ref().and_then(|status| status.condition.as_ref());
    condition.map_or(("", ""), |condition| (&condition.status, &condition.reason))
}

#[test]
fn the_finalizer_comes_before_anything_is_written() {
    let plan = Scene::of(&json!({"metadata": {"finalizers": ["other"]}})).plan();
    assert_eq!(plan.publication, Publication::AsItIs);
    assert_eq!(plan.status.as_ref().unwrap().finalizer, Some(true));
    assert_eq!(
        (condition_of(&plan), reasons(&plan.done)),
        (("False", "Pending"), vec!["EnsuringLoadBalancer"])
    );
}

#[test]
fn nodes_are_given_the_name_and_then_dns_is_asked_whether_it_has_it() {
    let scene = Scene::of(&json!({}));
    let plan = scene.plan();
    assert_eq!(members(&plan.publication), ["1 web-default:30080", "2 web-default:30080"]);
    assert_eq!((condition_of(&plan), plan.read), (("False", "Pending"), None));

    let mut scene = scene.carried(1, &[]);
    let plan = scene.plan();
    assert_eq!((plan.read, plan.again), (Some(id(1)), Some(scene.now + Duration::from_secs(1))));
    scene.memory = plan.memory;
    assert_eq!(scene.plan().again, Some(scene.now + Duration::from_secs(2)));

    let plan = scene.carried(1, &["web-default.svc.a.zone"]).plan();
    let status = plan.status.as_ref().unwrap();
    assert_eq!(status.hostname.as_deref(), Some("web-default.svc.a.zone"));
    assert_eq!((condition_of(&plan), plan.read), (("True", "Published"), None));
    assert_eq!(reasons(&plan.done), ["EnsuredLoadBalancer"]);
}

#[test]
fn nothing_is_left_to_do_for_a_service_that_is_in_cns() {
    let since = "2026-01-01T00:00:00Z";
    let message = "clients find the Service as web-default.svc.a.zone";
    let condition = json!({
        "type": CONDITION_PUBLISHED, "status": "True", "reason": "Published", "message": message,
        "lastTransitionTime": since,
    });
    let ingress = json!([{"hostname": "web-default.svc.a.zone"}]);
    let status = json!({"status": {"loadBalancer": {"ingress": ingress}, "conditions": [condition]}});
    // Reads do not show its names, as those of lists do not.
    let plan = Scene::of(&status).carried(1, &[]).carried(2, &[]).plan();
    assert_eq!((plan.status, plan.read, plan.again), (None, None, None));
    assert_eq!(members(&plan.publication).len(), 2);
    assert_eq!(reasons(&plan.notes), ["CNSNodePorts"]);
}

#[rstest]
#[case::it_has_no_name(
    |scene: &mut Scene| scene.name = Err(Note::warning("CNSNameConflict", "taken".to_owned())),
    Publication::Withdrawn, "CNSNameConflict"
)]
#[case::networks_are_not_known(|scene: &mut Scene| scene.networks.clear(), Publication::AsItIs, "Pending")]
#[case::no_network_has_names(
    |scene: &mut Scene| { scene.networks.clear(); scene.memory.nameless = Some(scene.now + NAMELESS); },
    Publication::AsItIs, "CNSDisabled"
)]
#[case::there_are_no_nodes(
    |scene: &mut Scene| { scene.hosts.clear(); scene.carriers.clear(); }, Publication::AsItIs, "Pending"
)]
fn the_condition_says_why_a_service_is_not_in_cns(
    #[case] change: fn(&mut Scene),
    #[case] publication: Publication,
    #[case] reason: &str,
) {
    let mut scene = Scene::of(&json!({})).carried(1, &[]);
    change(&mut scene);
    let plan = scene.plan();
    assert_eq!(condition_of(&plan), ("False", reason));
    if publication == Publication::Withdrawn {
        assert_eq!(plan.publication, publication);
    }
}

#[rstest]
#[case::deleted(
    json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}), Some(Exposure::LoadBalancer), true
)]
#[case::another_type(
    json!({"spec": {"type": "ClusterIP"}, "status": {"conditions": [{
        "type": CONDITION_PUBLISHED, "status": "True", "reason": "Published", "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }]}}), None, true
)]
#[case::the_finalizer_of_others(json!({"spec": {"loadBalancerClass": "example.com/a"}}), None, false)]
fn the_finalizer_goes_when_nothing_is_left_and_only_ours(
    #[case] difference: Value,
    #[case] exposure: Option<Exposure>,
    #[case] ours: bool,
) {
    let mut scene = Scene::of(&difference).carried(1, &[]);
    scene.exposure = exposure;
    scene.leftovers = [id(1)].into();
    let plan = scene.plan();
    assert_eq!(plan.publication, Publication::Withdrawn);
    assert_eq!(condition_of(&plan).1, if ours { "Leaving" } else { "" });
    assert_eq!(plan.status.as_ref().and_then(|status| status.finalizer), None);
    scene.leftovers.clear();
    let plan = scene.plan();
    assert_eq!(plan.status.as_ref().and_then(|status| status.finalizer), ours.then_some(false));
    assert_eq!(reasons(&plan.done), if ours { vec!["DeletedLoadBalancer"] } else { vec![] });
}

#[test]
fn a_service_that_only_changes_its_type_stays_in_cns_by_its_annotation() {
    let marked = json!({"spec": {"type": "NodePort"}, "status": {"conditions": [{
        "type": CONDITION_PUBLISHED, "status": "True", "reason": "Published", "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }]}});
    let mut scene = Scene::of(&marked).carried(1, &[]);
    scene.exposure = Some(Exposure::Annotated);
    let plan = scene.plan();
    assert_eq!(members(&plan.publication), ["1 web-default:30080", "2 web-default:30080"]);
    let status = plan.status.unwrap();
    assert_eq!((status.finalizer, status.removes_condition, status.condition), (Some(false), true, None));
}

#[test]
fn an_annotated_service_has_members_and_nothing_is_written_on_it() {
    let mut scene = Scene::of(&json!({"metadata": {"finalizers": []}, "spec": {"type": "NodePort"}}));
    scene.exposure = Some(Exposure::Annotated);
    let plan = scene.plan();
    assert_eq!((members(&plan.publication).len(), plan.status), (2, None));
    scene.service = service(&json!({"metadata": {"finalizers": []}, "spec": {"ports": [{"port": 80}]}}));
    let plan = scene.plan();
    assert_eq!(members(&plan.publication), Vec::<String>::new());
    assert_eq!(reasons(&plan.notes), ["CNSUnreachable"]);
}

#[test]
fn mass_failure_is_told_and_holds() {
    let mut scene = Scene::of(&json!({})).carried(1, &[]).carried(2, &["web-default.svc.a.zone"]);
    for host in scene.hosts.values_mut() {
        host.state = HostState::NotReady;
    }
    let plan = scene.plan();
    assert_eq!(members(&plan.publication).len(), 2);
    assert_eq!(condition_of(&plan), ("True", "MembersHeld"));
    assert!(reasons(&plan.notes).contains(&"CNSMembersHeld"));
}

#[test]
fn members_that_change_are_told_once_clients_use_the_name() {
    let status = json!({"status": {"loadBalancer": {"ingress": [{"hostname": "web-default.svc.a.zone"}]}}});
    let plan = Scene::of(&status).carried(1, &[]).plan();
    let updated: Vec<&Note> = plan.notes.iter().filter(|note| note.reason == "UpdatedLoadBalancer").collect();
    assert!(updated[0].text.ends_with("1 added, 0 removed"), "{updated:?}");
}

#[test]
fn networks_that_could_not_be_asked_are_asked_again_before_anything_is_said_of_them() {
    let mut scene = Scene::of(&json!({})).carried(1, &[]);
    scene.networks.clear();
    let plan = scene.plan();
    assert_eq!(plan.learn, [NetworkId::from(Uuid::from_u128(NETWORK))]);
    scene.memory = plan.memory;
    scene.memory.learnt_nothing();
    let says_so = |plan: &Plan| plan.notes.iter().any(|note| note.reason == "CNSDisabled");
    let plan = scene.plan();
    assert_eq!((plan.learn.len(), says_so(&plan)), (1, false));
    // They were asked, and have no names.
    scene.memory = plan.memory;
    let plan = scene.plan();
    assert_eq!((plan.learn.len(), says_so(&plan)), (0, true));
}
