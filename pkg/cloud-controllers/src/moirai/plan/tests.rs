use rstest::rstest;
use serde_json::{Value, json};
use triton::Kind;
use triton::reflector::Expectation;
use triton::types::{Instance, InstanceState};
use uuid::Uuid;

use super::super::balancer::is_own;
use super::*;

const SETTLE: Duration = Duration::from_secs(90);
const DRAIN: Duration = Duration::from_secs(60);
const UID: &str = "3f0b3c6e-7d2a-4b5e-9c1f-0a1b2c3d4e5f";
const HOSTNAME: &str = "web-default-lb.svc.a.zone";
const PORTMAP: &str = "cloud.tritoncompute:portmap";

fn merge(value: &mut Value, difference: &Value) {
    for (key, new) in difference.as_object().unwrap() {
        match (value.get_mut(key), new) {
            (Some(old @ Value::Object(_)), Value::Object(_)) => merge(old, new),
            _ => value[key] = new.clone(),
        }
    }
}

fn id(number: u128) -> InstanceId {
    Uuid::from_u128(number).into()
}

/// A Service with the finalizer, its surroundings, and a data centre that does at once what it is told.
struct Scene {
    service: Value,
    is_wanted: bool,
    name: Result<&'static str, Note>,
    is_taken: bool,
    behind: Behind,
    defaults: Defaults,
    catalog: Option<Catalog>,
    instances: Vec<Entry>,
    memory: Memory,
    now: Instant,
    next: u128,
}

impl Scene {
    fn new() -> Self {
        let image = json!({"id": Uuid::from_u128(90), "name": "cloud-load-balancer", "state": "active"});
        let network = json!({
            "id": Uuid::from_u128(91), "name": "external", "public": true, "suffixes": ["svc.a.zone", "inst.a.zone"],
        });
        let catalog = Catalog {
            images: vec![serde_json::from_value(image).unwrap()],
            networks: vec![serde_json::from_value(network).unwrap()],
        };
        Self {
            service: json!({
                "metadata": {
                    "namespace": "default", "name": "web", "uid": UID, "annotations": {},
                    "finalizers": ["tritondatacenter.com/load-balancer-instances"],
                },
                "spec": {"type": "LoadBalancer", "ports": [{"port": 80, "nodePort": 30080}]},
            }),
            is_wanted: true,
            name: Ok("web-default"),
            is_taken: false,
            behind: Behind { nodes: true, ..Behind::default() },
            defaults: Defaults {
                package: Some("small".to_owned()),
                networks: vec!["external".to_owned()],
                ..Defaults::default()
            },
            catalog: Some(catalog),
            instances: Vec::new(),
            memory: Memory::default(),
            now: Instant::now(),
            next: 1,
        }
    }

    fn service(&self) -> Service {
        serde_json::from_value(self.service.clone()).unwrap()
    }

    fn change(mut self, difference: &Value) -> Self {
        merge(&mut self.service, difference);
        self
    }

    fn annotate(&mut self, name: &str, text: &str) {
        let key = format!("tritondatacenter.com/{name}");
        merge(&mut self.service, &json!({"metadata": {"annotations": {key: text}}}));
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    fn plan(&mut self) -> Plan {
        let instances: Vec<Arc<Entry>> = self.instances.iter().cloned().map(Arc::new).collect();
        let plan = plan(&Observed {
            service: &self.service(),
            key: &ServiceKey { namespace: "default".into(), name: "web".into() },
            cluster: "kubernetes",
            is_wanted: self.is_wanted,
            name: self.name.clone(),
            is_taken: self.is_taken,
            behind: &self.behind,
            defaults: &self.defaults,
            rules: Rules { settle: SETTLE, drain: DRAIN },
            catalog: self.catalog.as_ref().map(|catalog| (catalog, self.now)),
            instances: &instances,
            memory: &self.memory,
            now: self.now,
            wall: Timestamp::UNIX_EPOCH,
        });
        self.memory = plan.memory.clone();
        plan
    }

    /// Does what a plan says, as a data centre without delays and without failures does.
    fn perform(&mut self, plan: &Plan) {
        for step in &plan.steps {
            let outcome = self.step(step);
            self.memory.tell(step, &outcome, self.now);
        }
        if let Some(ingress) = &plan.status.ingress {
            let entry = |ip| json!({"ip": ip, "hostname": ingress.hostname});
            let all: Vec<Value> = ingress.addresses.iter().map(entry).collect();
            merge(&mut self.service, &json!({"status": {"loadBalancer": {"ingress": all}}}));
        }
        if let Some(Some(condition)) = &plan.status.condition {
            merge(&mut self.service, &json!({"status": {"conditions": [condition]}}));
        }
    }

    fn step(&mut self, step: &Step) -> Outcome {
        match step {
            Step::Create(request) => {
                let number = self.next;
                self.next += 1;
                let tags = serde_json::to_value(&request.tags).unwrap();
                let metadata = serde_json::to_value(&request.metadata).unwrap();
                self.add(json!({
                    "id": Uuid::from_u128(number), "name": request.name, "state": "running", "tags": tags,
                    "metadata": metadata, "ips": [format!("203.0.113.{number}")],
                    "primaryIp": format!("203.0.113.{number}"), "dns_names": [HOSTNAME],
                }));
            }
            Step::SetMetadata(id, set) => self.edit(*id, |instance| {
                set.iter().for_each(|(key, value)| instance.metadata.insert(key, value));
            }),
            Step::RemoveMetadata(id, key) => self.edit(*id, |instance| {
                instance.metadata.remove(key);
            }),
            Step::SetTags(id, set) => self.edit(*id, |instance| instance.tags.extend(set.clone())),
            Step::Start(id) => self.edit(*id, |instance| instance.state = InstanceState::Running),
            Step::Delete(id) => self.instances.retain(|entry| entry.id() != *id),
            Step::Confirm if self.instances.is_empty() => return Outcome::NotFound,
            Step::Find(name) if !self.instances.iter().any(|entry| *entry.observed().name == **name) => {
                return Outcome::NotFound;
            }
            Step::Confirm | Step::Find(_) | Step::Learn | Step::Read(_) | Step::Prove(_) => {}
        }
        Outcome::Done
    }

    fn add(&mut self, instance: Value) {
        self.instances.push(Entry::detached(serde_json::from_value(instance).unwrap(), self.now));
    }

    fn edit(&mut self, id: InstanceId, edit: impl FnOnce(&mut Instance)) {
        let entry = self.instances.iter_mut().find(|entry| entry.id() == id).unwrap();
        let mut instance = Instance::clone(entry.observed());
        edit(&mut instance);
        *entry = Entry::detached(instance, self.now);
    }

    /// Plans and performs until nothing is to be done but to wait.
    fn settle(&mut self) -> Plan {
        for _ in 0..20 {
            let plan = self.plan();
            self.perform(&plan);
            if plan.steps.is_empty() && plan.status.is_empty() {
                return plan;
            }
        }
        panic!("it never ends: {:?}", self.plan());
    }

    fn ids(&self) -> Vec<InstanceId> {
        self.instances.iter().map(Entry::id).collect()
    }

    fn ingress(&self) -> Ingress {
        Ingress::of(&self.service())
    }

    fn metadata(&self, number: u128, key: &str) -> Option<String> {
        let entry = self.instances.iter().find(|entry| entry.id() == id(number)).unwrap();
        entry.observed().metadata.get(key).map(str::to_owned)
    }
}

/// The words that say which steps these are.
fn words(plan: &Plan) -> Vec<String> {
    let word = |step: &Step| match step {
        Step::Learn => "learn".to_owned(),
        Step::Create(_) => "create".to_owned(),
        Step::Find(_) => "find".to_owned(),
        Step::SetTags(id, _) => format!("tag {}", id.as_uuid().as_u128()),
        Step::SetMetadata(id, set) => {
            let pairs: Vec<String> = set.iter().map(|(key, value)| format!("{key}={value}")).collect();
            format!("set {} {}", id.as_uuid().as_u128(), pairs.join(" "))
        }
        Step::RemoveMetadata(id, key) => format!("unset {} {key}", id.as_uuid().as_u128()),
        Step::Start(id) => format!("start {}", id.as_uuid().as_u128()),
        Step::Read(id) => format!("read {}", id.as_uuid().as_u128()),
        Step::Delete(id) => format!("delete {}", id.as_uuid().as_u128()),
        Step::Prove(id) => format!("prove {}", id.as_uuid().as_u128()),
        Step::Confirm => "confirm".to_owned(),
    };
    plan.steps.iter().map(word).collect()
}

fn reason(plan: &Plan) -> &str {
    let condition = plan.status.condition.as_ref().and_then(Option::as_ref);
    condition.map(|condition| condition.reason.as_str()).unwrap_or_default()
}

#[tokio::test]
async fn nothing_is_made_before_the_finalizer() {
    let mut scene = Scene::new().change(&json!({"metadata": {"finalizers": ["other"]}}));
    let plan = scene.plan();
    assert_eq!((plan.status.finalizer, words(&plan)), (Some(true), vec![]));
    scene.is_wanted = false;
    assert_eq!(scene.plan(), Plan::default());
}

#[tokio::test]
async fn load_balancers_are_made_one_at_a_time_and_then_named_in_the_status() {
    let mut scene = Scene::new();
    let plan = scene.plan();
    let [Step::Create(request)] = plan.steps.as_slice() else { panic!("{plan:?}") };
    assert_eq!((request.package.as_str(), reason(&plan)), ("small", "Pending"));
    assert!(request.name.as_ref().unwrap().starts_with("default-web-lb0-"), "{:?}", request.name);
    assert_eq!(request.affinity, [format!("k8s.uid!=~{UID}")]);
    assert_eq!(request.metadata.get("cloud.tritoncompute:loadbalancer"), Some("true"));
    assert_eq!(request.metadata.get(PORTMAP), Some("tcp://80:web-default.svc.a.zone:30080"));
    assert_eq!(request.tags["triton.cns.services"], "web-default-lb".into());
    scene.perform(&plan);
    assert!(is_own(scene.instances[0].observed(), "kubernetes", &scene.service()));
    assert!(!is_own(scene.instances[0].observed(), "other", &scene.service()));

    // The second one comes into DNS when it carries traffic.
    scene.settle();
    assert_eq!(scene.ids(), [id(1), id(2)]);
    assert_eq!(scene.metadata(1, "triton.cns.status"), None);
    assert_eq!(scene.metadata(2, "triton.cns.status").as_deref(), Some("down"));
    assert_eq!(scene.ingress().addresses.len(), 1);
    scene.pass(SETTLE);
    let plan = scene.plan();
    assert_eq!(words(&plan), ["unset 2 triton.cns.status"]);
    scene.perform(&plan);
    scene.settle();
    let ingress = scene.ingress();
    assert_eq!((ingress.hostname.as_str(), ingress.addresses.len()), (HOSTNAME, 2));
    assert_eq!(words(&scene.plan()), [""; 0]);
}

#[rstest]
#[case::nothing_may_have_been_made(Kind::QuotaExceeded, false, &["create"])]
#[case::the_answer_was_lost(Kind::Timeout, true, &["find"])]
#[case::the_name_is_there(Kind::Duplicate, false, &["find"])]
#[tokio::test]
async fn what_may_have_been_made_is_looked_for_before_another_attempt(
    #[case] kind: Kind,
    #[case] may_have_taken_effect: bool,
    #[case] expected: &[&str],
) {
    let mut scene = Scene::new();
    let plan = scene.plan();
    let outcome = Outcome::Failed { kind: Some(kind), message: "no".to_owned(), may_have_taken_effect };
    scene.memory.tell(&plan.steps[0], &outcome, scene.now);
    scene.pass(Duration::from_secs(5));
    let plan = scene.plan();
    assert_eq!(words(&plan), expected);
    if expected == ["find"] {
        // It is not there: another attempt, by the same name, after a pause.
        scene.memory.tell(&plan.steps[0], &Outcome::NotFound, scene.now);
        assert_eq!(words(&scene.plan()), [""; 0]);
        scene.pass(Duration::from_secs(1));
        assert_eq!(words(&scene.plan()), ["create"]);
    }
}

#[tokio::test]
async fn a_name_that_others_have_is_said_and_never_taken() {
    let mut scene = Scene::new();
    let plan = scene.plan();
    let duplicate = Outcome::Failed {
        kind: Some(Kind::Duplicate),
        message: "no".to_owned(),
        may_have_taken_effect: false,
    };
    scene.memory.tell(&plan.steps[0], &duplicate, scene.now);
    let plan = scene.plan();
    scene.memory.tell(&plan.steps[0], &Outcome::Anothers(id(7)), scene.now);
    let plan = scene.plan();
    assert!(plan.steps.is_empty() && plan.again.is_some(), "{plan:?}");
    assert!(plan.notes.iter().any(|note| note.reason == "InstanceNameTaken"), "{:?}", plan.notes);
}

#[tokio::test]
async fn what_a_new_process_finds_by_its_tags_is_not_made_again() {
    let mut scene = Scene::new();
    scene.defaults.replicas = 1;
    scene.settle();
    scene.memory = Memory::default();
    assert_eq!(words(&scene.plan()), [""; 0]);
}

#[tokio::test]
async fn a_port_that_changes_is_told_to_all_at_once_and_nobody_is_replaced() {
    let mut scene = Scene::new();
    scene.settle();
    scene.pass(SETTLE);
    scene.settle();
    let scene = &mut scene.change(&json!({"spec": {"ports": [{"port": 81, "nodePort": 30081}]}}));
    let plan = scene.plan();
    let set = |number| format!("set {number} {PORTMAP}=tcp://81:web-default.svc.a.zone:30081");
    assert_eq!(words(&plan), [set(1), set(2)]);
    scene.perform(&plan);
    scene.annotate("metrics-acl", "10.0.0.0/8");
    scene.settle();
    assert_eq!(scene.metadata(1, "cloud.tritoncompute:metrics_acl").as_deref(), Some("10.0.0.0/8"));
    scene.service["metadata"]["annotations"] = json!({});
    assert_eq!(
        words(&scene.plan()),
        [1, 2].map(|number| format!("unset {number} cloud.tritoncompute:metrics_acl"))
    );
    assert_eq!(scene.ids(), [id(1), id(2)]);
}

#[tokio::test]
async fn another_package_replaces_one_at_a_time_and_never_the_last_that_carry_traffic() {
    let mut scene = Scene::new();
    scene.settle();
    scene.pass(SETTLE);
    scene.settle();
    scene.annotate("package", "large");
    scene.settle();
    assert_eq!(scene.ids(), [1, 2, 3, 4].map(id), "new ones beside the old ones");
    assert_eq!(scene.ingress().addresses.len(), 2, "which carry the traffic");
    scene.pass(SETTLE);
    scene.settle();
    assert_eq!(scene.ids(), [1, 2, 3, 4].map(id));
    assert_eq!(scene.metadata(1, "triton.cns.status").as_deref(), Some("down"));
    assert_eq!(scene.metadata(2, "triton.cns.status"), None);
    scene.pass(DRAIN);
    scene.settle();
    assert_eq!(scene.ids(), [2, 3, 4].map(id));
    scene.pass(DRAIN);
    scene.settle();
    assert_eq!(scene.ids(), [3, 4].map(id));
    assert_eq!(scene.ingress().addresses.len(), 2);
}

#[tokio::test]
async fn fewer_replicas_leave_dns_before_they_go_and_not_while_others_do_not_run() {
    let mut scene = Scene::new();
    scene.settle();
    scene.pass(SETTLE);
    scene.settle();
    scene.annotate("load-balancer-replicas", "1");
    scene.edit(id(1), |instance| instance.state = InstanceState::from("unknown"));
    assert_eq!(words(&scene.plan()), [""; 0], "the one that stays is out of sight");
    scene.edit(id(1), |instance| instance.state = InstanceState::Running);
    scene.pass(Duration::from_secs(1));
    scene.plan();
    scene.pass(SETTLE);
    let plan = scene.plan();
    assert_eq!(words(&plan), ["set 2 triton.cns.status=down"]);
    scene.perform(&plan);
    scene.settle();
    scene.pass(DRAIN);
    let plan = scene.plan();
    assert_eq!(words(&plan), ["delete 2"]);
}

#[tokio::test]
async fn one_that_stopped_is_started_and_one_that_failed_is_made_anew() {
    let mut scene = Scene::new();
    scene.defaults.replicas = 1;
    scene.settle();
    scene.edit(id(1), |instance| instance.state = InstanceState::Stopped);
    assert_eq!(words(&scene.plan()), ["start 1"]);
    let starts = Expectation::State(InstanceState::Running);
    scene.instances[0] = scene.instances[0].clone().expecting(starts, scene.now + DRAIN);
    assert_eq!(words(&scene.plan()), [""; 0], "once");
    scene.edit(id(1), |instance| instance.state = InstanceState::Failed);
    let plan = scene.plan();
    assert!(plan.notes.iter().any(|note| note.reason == "ProvisioningFailed"), "{:?}", plan.notes);
    assert_eq!(words(&plan), [""; 0], "after a pause");
    scene.pass(Duration::from_secs(1));
    assert_eq!(words(&scene.plan()), ["create"]);
    assert_eq!(scene.ingress().addresses.len(), 1, "the status stays");
}

#[tokio::test]
async fn the_finalizer_goes_when_a_list_shows_nothing() {
    let mut scene = Scene::new();
    scene.settle();
    scene.is_wanted = false;
    let plan = scene.plan();
    assert_eq!(
        (words(&plan), reason(&plan)),
        (vec!["delete 1".to_owned(), "delete 2".to_owned()], "Leaving")
    );
    // Deletions that are accepted are not yet done.
    scene.instances = scene
        .instances
        .iter()
        .cloned()
        .map(|it| it.expecting(Expectation::Gone, scene.now + DRAIN))
        .collect();
    let plan = scene.plan();
    assert_eq!(
        (words(&plan), plan.status.finalizer),
        (vec!["prove 1".to_owned(), "prove 2".to_owned()], None)
    );
    scene.instances.clear();
    let plan = scene.plan();
    assert_eq!((words(&plan), plan.status.finalizer), (vec!["confirm".to_owned()], None));
    scene.perform(&plan);
    let plan = scene.plan();
    assert_eq!((words(&plan), plan.status.finalizer), (vec![], Some(false)));
    assert_eq!(plan.status.ingress, Some(Ingress::default()));
}

#[tokio::test]
async fn a_service_that_goes_waits_for_what_may_have_been_made() {
    let mut scene = Scene::new();
    let plan = scene.plan();
    let lost =
        Outcome::Failed { kind: Some(Kind::Timeout), message: "no".to_owned(), may_have_taken_effect: true };
    scene.memory.tell(&plan.steps[0], &lost, scene.now);
    scene.is_wanted = false;
    let plan = scene.plan();
    assert!(plan.steps.is_empty() && plan.again.is_some() && plan.status.finalizer.is_none(), "{plan:?}");
    scene.pass(Duration::from_secs(5));
    assert_eq!(words(&scene.plan()), ["find"]);
}

#[rstest]
#[case::no_package(|scene: &mut Scene| scene.defaults.package = None, "NoPackage")]
#[case::no_name(|scene: &mut Scene| scene.name = Err(Note::warning("CNSNameConflict", String::new())), "CNSNameConflict")]
#[case::a_name_of_others(|scene: &mut Scene| scene.is_taken = true, "CNSNameConflict")]
#[case::only_udp(
    |scene: &mut Scene| scene.service["spec"]["ports"] = json!([{"port": 53, "protocol": "UDP"}]), "NoPort"
)]
#[tokio::test]
async fn what_cannot_be_decided_changes_nothing_that_is_there(
    #[case] break_it: fn(&mut Scene),
    #[case] expected: &str,
) {
    let mut scene = Scene::new();
    scene.settle();
    break_it(&mut scene);
    let plan = scene.plan();
    assert_eq!((words(&plan), reason(&plan)), (vec![], expected));
    assert!(plan.again.is_some());
}

#[tokio::test]
async fn images_and_networks_are_read_first() {
    let mut scene = Scene::new();
    scene.catalog = None;
    assert_eq!(words(&scene.plan()), ["learn"]);
}
