//! Tests of the plan: tables per rule, and a small world that is driven by plans alone.

mod creating;
mod deleting;
mod restarting;
mod statuses;
mod world;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodStatus};
use serde_json::{Value, json};
use tokio::time::Instant;
use triton::Kind;
use triton::id::InstanceId;
use triton::reflector::{Entry, Expectation, Lookup, PENDING_FOR, Proof, Tombstone};
use triton::types::{CreateInstance, Instance, InstanceAction, InstanceState};
use uuid::Uuid;

use super::{
    Memory, Now, Observed, Outcome, Plan, Recorded, Step, Trust, container_id, plan, recorded_instance,
};
use crate::pod::{Demand, Desired, Refusal, RefusalReason};
use crate::probes::Verdicts;

const UID: &str = "0c2bd4a8-6a3c-4f7b-9f8e-2f2b8b6f1d11";
const NETWORK: &str = "17d7aa50-6ad9-4e56-93b7-12dc868fac2a";
const OTHER_NETWORK: &str = "a0ae9499-b476-4fef-9861-d0c25029378d";
const UNHEALTHY: Verdicts = Verdicts { started: true, ready: true, must_restart: true };
const UNREADY: Verdicts = Verdicts { started: true, ready: false, must_restart: false };

fn id(slot: u128) -> InstanceId {
    InstanceId::from(Uuid::from_u128(slot))
}

/// An instance with the tags of the pod, and with `more` in place of its own fields.
fn instance(slot: u128, state: &str, more: Value) -> Instance {
    let mut fields = json!({
        "id": id(slot), "name": "default-web-1", "state": state, "image": Uuid::from_u128(7),
        "primaryIp": "192.168.128.5", "ips": ["192.168.128.5", "10.0.0.5"],
        "nics": [
            {"mac": "90:b8:d0:00:00:01", "ip": "192.168.128.5", "primary": true, "network": NETWORK},
            {"mac": "90:b8:d0:00:00:02", "ip": "10.0.0.5", "primary": false, "network": OTHER_NETWORK},
        ],
        "metadata": {"triton.cns.status": "down"},
        "tags": {"k8s.cluster": "kubernetes", "k8s.node": "triton", "k8s.namespace": "default", "k8s.pod": "web",
                 "k8s.uid": UID},
    });
    for (key, value) in more.as_object().cloned().unwrap_or_default() {
        fields[key] = value;
    }
    serde_json::from_value(fields).unwrap()
}

fn desired() -> Desired {
    let demand: Demand = Demand {
        owner: provider::owner::Owner {
            cluster: "kubernetes".into(),
            node: "triton".into(),
            namespace: "default".into(),
            pod: "web".into(),
            uid: UID.into(),
        },
        instance_name: "default-web-1".into(),
        image: crate::pod::ImageName::Id(Uuid::from_u128(7).into()),
        package: crate::pod::PackageDemand::Name("g1.small".into()),
        networks: Vec::new(),
        pod_network: None,
        affinity: Vec::new(),
        firewall: crate::pod::FirewallDemand::default(),
        deletion_protection: false,
        deletion_protection_stated: false,
        tags: triton::types::Tags::new(),
        labels: BTreeSet::new(),
        metadata: triton::types::Metadata::new(),
        resources: crate::pod::Resources::default(),
        earns_readiness: true,
        warnings: Vec::new(),
    };
    let image = json!({"id": Uuid::from_u128(7), "name": "ubuntu", "version": "1"});
    let package = json!({"id": Uuid::from_u128(8), "name": "g1.small", "memory": 1024});
    let mut request = CreateInstance::new("g1.small", Uuid::from_u128(7).into());
    request.name = Some("default-web-1".into());
    Desired {
        demand,
        image: Arc::new(serde_json::from_value(image).unwrap()),
        package: Arc::new(serde_json::from_value(package).unwrap()),
        networks: Vec::new(),
        pod_network: None,
        environment: crate::pod::env::Environment::default(),
        request,
        warnings: Vec::new(),
    }
}

fn refusal(reason: RefusalReason) -> Refusal {
    Refusal { field: "spec.containers".into(), reason, message: "one container is possible".into() }
}

/// Everything that a plan looks at.
#[derive(Clone)]
struct Scene {
    pod: Pod,
    desired: Result<Desired, Refusal>,
    instances: Vec<Entry>,
    gone: BTreeSet<InstanceId>,
    memory: Memory,
    verdicts: Verdicts,
    drift: Vec<Step>,
    trust: Trust,
    begin: Instant,
    elapsed: Duration,
}

impl Scene {
    /// A pod that was just bound to the node.
    fn new() -> Self {
        let pod = json!({
            "metadata": {"name": "web", "namespace": "default", "uid": UID, "generation": 1},
            "spec": {"nodeName": "triton", "restartPolicy": "Always",
                     "containers": [{"name": "main", "image": "ubuntu"}]},
            "status": {"phase": "Pending", "qosClass": "BestEffort"},
        });
        Self {
            pod: serde_json::from_value(pod).unwrap(),
            desired: Ok(desired()),
            instances: Vec::new(),
            gone: BTreeSet::new(),
            memory: Memory::default(),
            verdicts: Verdicts::NONE,
            drift: Vec::new(),
            trust: Trust::Synced { clean_list: None },
            begin: Instant::now(),
            elapsed: Duration::ZERO,
        }
    }

    /// A pod whose instance 1 runs and that says so, an hour after its start.
    fn running() -> Self {
        let mut scene = Self::new().with(instance(1, "running", json!({}))).accepted().after(3600);
        scene.instances = vec![scene.entry(instance(1, "running", json!({"metadata": {}})))];
        scene
    }

    /// Merges this JSON into the pod.
    fn pod(mut self, more: Value) -> Self {
        let mut pod = serde_json::to_value(&self.pod).unwrap();
        merge(&mut pod, more);
        self.pod = serde_json::from_value(pod).unwrap();
        self
    }

    fn policy(self, policy: &str) -> Self {
        self.pod(json!({"spec": {"restartPolicy": policy}}))
    }

    /// With a deletion that leaves so many seconds of grace from now on.
    fn deleted(self, grace: i64) -> Self {
        let at = self.now().wall.checked_add(SignedDuration::from_secs(grace)).unwrap();
        self.pod(json!({"metadata": {"deletionTimestamp": at, "deletionGracePeriodSeconds": grace}}))
    }

    fn entry(&self, instance: Instance) -> Entry {
        Entry::detached(instance, self.now().monotonic)
    }

    /// With this instance, read now, in place of any other of its id.
    fn with(mut self, instance: Instance) -> Self {
        self.instances.retain(|entry| entry.id() != instance.id);
        self.instances.push(self.entry(instance));
        self
    }

    /// With a write to the instance that is not seen yet.
    fn expecting(mut self, slot: u128, expectation: Expectation) -> Self {
        let expires = self.now().monotonic + PENDING_FOR;
        let index = self.instances.iter().position(|entry| entry.id() == id(slot)).unwrap();
        let entry = self.instances.remove(index);
        self.instances.push(entry.expecting(expectation, expires));
        self
    }

    /// Without any instance in the store; these are proved gone.
    fn gone(mut self, slots: &[u128]) -> Self {
        self.instances.clear();
        self.gone = slots.iter().map(|slot| id(*slot)).collect();
        self
    }

    fn after(mut self, seconds: u64) -> Self {
        self.elapsed += Duration::from_secs(seconds);
        self
    }

    fn verdicts(self, verdicts: Verdicts) -> Self {
        Self { verdicts, ..self }
    }

    fn now(&self) -> Now {
        let wall = Timestamp::from_second(1_770_000_000).unwrap();
        Now { wall: wall.checked_add(self.elapsed).unwrap(), monotonic: self.begin + self.elapsed }
    }

    fn plan(&self) -> Plan {
        let entries: Vec<Arc<Entry>> = self.instances.iter().cloned().map(Arc::new).collect();
        let known = recorded_instance(&self.pod).or(self.memory.instance());
        let recorded = known.map(|id| Recorded { id, lookup: self.lookup(id) });
        let tagged: Vec<Arc<Entry>> = entries
            .iter()
            .filter(|entry| entry.observed().tags.get("k8s.uid").is_some_and(|uid| uid.as_str() == Some(UID)))
            .cloned()
            .collect();
        plan(&Observed {
            pod: &self.pod,
            desired: Some(self.desired.as_ref()),
            instances: &tagged,
            recorded,
            memory: &self.memory,
            verdicts: self.verdicts,
            drift: &self.drift,
            trust: self.trust,
            notes: &[],
            host_ip: "10.1.1.1".parse().ok(),
            now: self.now(),
        })
    }

    fn lookup(&self, wanted: InstanceId) -> Lookup {
        if self.gone.contains(&wanted) {
            let instance = Arc::new(instance(wanted.as_uuid().as_u128(), "deleted", json!({})));
            return Lookup::Gone(Tombstone { instance, proof: Proof::Destroyed, at: self.now().monotonic });
        }
        let entry = self.instances.iter().find(|entry| entry.id() == wanted);
        entry.map_or(Lookup::Unknown, |entry| Lookup::Present(Arc::new(entry.clone())))
    }

    /// Writes what a plan says about the pod, remembers what it says to remember, and takes no step.
    fn accepted(mut self) -> Self {
        let plan = self.plan();
        if let Some(status) = plan.status {
            self.pod.status = Some(*status);
        }
        self.memory = plan.memory;
        self
    }

    /// The same, and each step ends as `outcome` says.
    fn acted(self, outcome: impl Fn(&Self, &Step) -> Outcome) -> Self {
        let steps = self.plan().steps;
        let mut scene = self.accepted();
        for step in steps {
            let outcome = outcome(&scene, &step);
            let now = scene.now();
            scene.memory.record(&step, &outcome, now);
        }
        scene
    }

    fn failed(self, kind: Option<Kind>, may_have_taken_effect: bool) -> Self {
        self.acted(|_, _| Outcome::Failed { kind, message: "no".into(), may_have_taken_effect })
    }

    fn done(self) -> Self {
        self.acted(|_, _| Outcome::Done)
    }

    /// Forgets what only the process knew.
    fn restarted(mut self) -> Self {
        self.memory = Memory::default();
        self
    }

    fn status(&self) -> PodStatus {
        self.pod.status.clone().unwrap()
    }

    fn container(&self) -> ContainerStatus {
        self.status().container_statuses.unwrap().remove(0)
    }

    fn condition(&self, type_: &str) -> (String, Option<String>) {
        let conditions = self.status().conditions.unwrap();
        let condition = conditions.into_iter().find(|condition| condition.type_ == type_).unwrap();
        (condition.status, condition.reason)
    }

    /// In how many seconds the plan wants to be made again.
    fn again(&self) -> Option<u64> {
        self.plan().again.map(|at| at.saturating_duration_since(self.now().monotonic).as_secs())
    }

    /// The steps of the plan in words: `start 1, cns up 1`.
    fn steps(&self) -> String {
        words(&self.plan().steps)
    }
}

fn merge(into: &mut Value, more: Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (key, value) in more {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, more) => *into = more,
    }
}

fn words(steps: &[Step]) -> String {
    let slot = |id: &InstanceId| id.as_uuid().as_u128();
    let word = |step: &Step| match step {
        Step::Create(_) => "create".to_owned(),
        Step::FindByName(name) => format!("find {name}"),
        Step::Act { id, action: InstanceAction::DisableDeletionProtection } => {
            format!("unprotect {}", slot(id))
        }
        Step::Act { id, action } => format!("{} {}", action.as_str(), slot(id)),
        Step::AddTags { id, .. } => format!("tag {}", slot(id)),
        Step::RemoveTag { id, .. } => format!("untag {}", slot(id)),
        Step::AddMetadata { id, metadata } => match metadata.get("triton.cns.status") {
            Some(value) => format!("cns {value} {}", slot(id)),
            None => format!("metadata {}", slot(id)),
        },
        Step::RemoveMetadata { id, key } => format!("remove {key} {}", slot(id)),
        Step::Delete(id) => format!("delete {}", slot(id)),
        Step::Recheck(id) => format!("recheck {}", slot(id)),
        Step::PreStop(id) => format!("prestop {}", slot(id)),
        Step::RemovePod => "remove pod".to_owned(),
    };
    steps.iter().map(word).collect::<Vec<_>>().join(", ")
}

fn reasons(plan: &Plan) -> Vec<&'static str> {
    plan.notes.iter().map(|note| note.reason).collect()
}

#[test]
fn a_container_id_is_read_as_it_is_written_and_with_a_data_centre() {
    let named = |text: String| {
        let scene = Scene::new().pod(json!({"status": {"containerStatuses": [{
            "name": "main", "image": "", "imageID": "", "ready": false, "restartCount": 0, "containerID": text,
        }]}}));
        recorded_instance(&scene.pod)
    };
    assert_eq!(named(container_id(id(5))), Some(id(5)));
    assert_eq!(named(format!("triton://dc1/{}", id(5))), Some(id(5)));
    assert_eq!(named("docker://abc".into()), None);
    assert_eq!(named("triton://abc".into()), None);
}

fn running(slot: u128) -> Instance {
    instance(slot, "running", json!({"metadata": {}}))
}

fn stopped(slot: u128) -> Instance {
    instance(slot, "stopped", json!({"metadata": {}}))
}

fn reporting(slot: u128, code: &str) -> Instance {
    instance(slot, "stopped", json!({"metadata": {"k8s:exit-code": code}}))
}

fn is_state(state: &str) -> Expectation {
    Expectation::State(InstanceState::from(state))
}
