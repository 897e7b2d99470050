//! One look at one pod: observe, plan, act.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::Resource as _;
use provider::names::tag;
use provider::owner::Owner;
use runtime::events::Happening;
use runtime::exit::one_line;
use tokio::sync::SemaphorePermit;
use tokio::time::Instant;
use triton::reflector::Entry;
use triton::types::{InstanceAction, TagValue};

use super::Controller;
use super::records::Record;
use super::wish::Wish;
use crate::lifecycle::{Note, Now, Observed, Outcome, Recorded, Step, Trust, plan, recorded_instance};
use crate::pod::PodKey;
use crate::probes::Verdicts;

impl Controller {
    /// Looks at a pod: makes the plan and carries it out. The place is free for another look when only steps at CloudAPI
    /// remain, which may wait for long, and by the thousand: what is in memory meanwhile is small.
    pub(super) async fn look(self: &Arc<Self>, key: &PodKey, place: SemaphorePermit<'_>) {
        let mut record = self.records.take(key);
        if let Some((step, outcome)) = self.hooks.take(key) {
            record.memory.record(&step, &outcome, now());
        }
        let keep = match self.pod(key) {
            Some(pod) => {
                if let Some(steps) = Box::pin(self.plan_for(key, &pod, &mut record)).await {
                    let _place = matches!(*steps, [Step::RemovePod]).then_some(place);
                    self.take_steps(key, &pod, &steps, &mut record).await;
                }
                true
            }
            None => {
                drop(place);
                Box::pin(self.look_at_departed(key, &mut record)).await
            }
        };
        if keep {
            self.records.put(key, record);
        }
    }

    /// Makes the plan for a pod and writes its status: the steps that remain. None while the API server does not take the
    /// status, or the watch does not show it.
    async fn plan_for(
        self: &Arc<Self>,
        key: &PodKey,
        pod: &Arc<Pod>,
        record: &mut Record,
    ) -> Option<Vec<Step>> {
        if let Some(until) = record.awaits(pod, Instant::now()) {
            self.queue.ask_at(key, until);
            return None;
        }
        let (instances, wish) = self.see(key, pod);
        let verdicts = self.probe(key, pod);
        let plan = plan(&self.observe(pod, &wish, &instances, record, verdicts));
        if let Some(status) = &plan.status {
            let written = self.writer.write_status(pod, key, status).await;
            if let Err(error) = &written {
                tracing::warn!(pod = %key, error = %one_line(error), "the status could not be written");
            }
            if !written.unwrap_or(false) {
                // When it has changed, the watch brings what it has become, and with it another look.
                self.queue.ask_at(key, record.failed(Instant::now()));
                return None;
            }
            record.wrote(pod, Instant::now());
        }
        // Before any step: one that is interrupted is remembered as one that may have taken effect.
        record.memory = plan.memory;
        for note in &plan.notes {
            self.say(pod, note);
        }
        if let Some(at) = plan.again {
            self.queue.ask_at(key, at);
        }
        Some(plan.steps)
    }

    async fn take_steps(self: &Arc<Self>, key: &PodKey, pod: &Arc<Pod>, steps: &[Step], record: &mut Record) {
        for step in steps {
            if let Step::PreStop(id) = step {
                self.start_hook(key, pod, *id);
                continue;
            }
            let outcome = self.perform(key, step, record).await;
            record.memory.record(step, &outcome, now());
            self.meters.took(step, &outcome);
            // What follows from how it ended is for the next plan to say.
            self.queue.ask(key);
            if matches!(outcome, Outcome::Failed { .. }) {
                return;
            }
        }
    }
}

impl Controller {
    /// The instances of a pod, and what they should be.
    pub(super) fn see(&self, key: &PodKey, pod: &Pod) -> (Vec<Arc<Entry>>, Wish) {
        let instances = self.instances_of(key);
        // Of duplicates the one that the status names stays, so it is the one to keep true.
        let named = recorded_instance(pod);
        let main = instances.iter().find(|entry| Some(entry.id()) == named).or(instances.first());
        let wish = self.wish(key, pod, main.map(|entry| &**entry));
        (instances, wish)
    }

    /// Everything that is known of a pod.
    pub(super) fn observe<'a>(
        &'a self,
        pod: &'a Pod,
        wish: &'a Wish,
        instances: &'a [Arc<Entry>],
        record: &'a Record,
        verdicts: Verdicts,
    ) -> Observed<'a> {
        let health = self.instances.health();
        let recorded = recorded_instance(pod).or_else(|| record.memory.instance());
        let trust = match health.is_synced() {
            true => Trust::Synced { clean_list: health.last_clean_list },
            false => Trust::Unsynced,
        };
        Observed {
            pod,
            desired: wish.desired.as_ref().map(Result::as_ref),
            instances,
            recorded: recorded.map(|id| Recorded { id, lookup: self.instances.get(id) }),
            memory: &record.memory,
            verdicts,
            drift: &wish.drift,
            notes: &wish.notes,
            trust,
            host_ip: self.settings.host_ip,
            now: now(),
        }
    }

    /// The pod of this key, if there is one.
    pub(super) fn pod(&self, key: &PodKey) -> Option<Arc<Pod>> {
        self.pods.get(key)
    }

    /// The instances that stand for this pod.
    pub(super) fn instances_of(&self, key: &PodKey) -> Vec<Arc<Entry>> {
        let mut instances = self.instances.by_tag(tag::UID, &TagValue::from(&*key.uid));
        instances.retain(|entry| Owner::of(entry.expected()).is_some_and(|owner| self.pools.own(&owner)));
        instances
    }

    async fn perform(&self, key: &PodKey, step: &Step, record: &mut Record) -> Outcome {
        if let Some(outcome) = self.actor.perform(step).await {
            return outcome;
        }
        match step {
            Step::RemovePod => match Box::pin(self.writer.remove(key)).await {
                Ok(()) => Outcome::Done,
                Err(error) => {
                    self.queue.ask_at(key, record.failed(Instant::now()));
                    let message = one_line(&error);
                    tracing::warn!(pod = %key, error = %message, "the pod could not be removed");
                    Outcome::Failed { kind: None, message, may_have_taken_effect: true }
                }
            },
            _ => Outcome::Done,
        }
    }

    /// Looks at a pod that is not there: when it was seen to be deleted and the API server confirms it, its
    /// instances go. Says whether there is anything left to remember.
    async fn look_at_departed(&self, key: &PodKey, record: &mut Record) -> bool {
        self.rules.forget(key);
        self.references.forget(key);
        self.probes.forget(key);
        let instances = self.instances_of(key);
        if instances.is_empty() || !self.departed.contains(key) {
            return false;
        }
        match self.writer.is_absent(key).await {
            Ok(true) => {}
            Ok(false) => return true,
            Err(error) => {
                tracing::warn!(pod = %key, error = %one_line(&error), "cannot confirm that the pod is gone");
                self.queue.ask_at(key, record.failed(Instant::now()));
                return true;
            }
        }
        for entry in instances {
            if !self.discard(&entry).await {
                self.queue.ask_at(key, record.failed(Instant::now()));
            }
        }
        true
    }

    /// Deletes an instance that no pod stands for. Says whether that was accepted.
    pub(super) async fn discard(&self, entry: &Entry) -> bool {
        if entry.is_deleting() {
            return true;
        }
        let id = entry.id();
        if entry.expected().deletion_protection {
            let lift = Step::Act { id, action: InstanceAction::DisableDeletionProtection };
            self.actor.perform(&lift).await;
        }
        match self.actor.perform(&Step::Delete(id)).await {
            Some(Outcome::Failed { message, .. }) => {
                tracing::warn!(instance = %id, error = %message, "an instance without a pod could not be deleted");
                false
            }
            _ => true,
        }
    }

    /// Tells the user, as an event on the pod.
    pub(super) fn say(&self, pod: &Pod, note: &Note) {
        self.events.record(Happening {
            regarding: pod.object_ref(&()),
            severity: note.severity,
            reason: note.reason.to_owned(),
            action: note.reason.to_owned(),
            note: note.message.clone(),
        });
    }
}

pub(super) fn now() -> Now {
    Now { wall: Timestamp::now(), monotonic: Instant::now() }
}
