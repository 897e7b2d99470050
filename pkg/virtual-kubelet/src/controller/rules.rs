//! Keeps the firewall rules that this node's pods and the account's instances need.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use provider::names::tag;
use runtime::events::Severity;
use runtime::exit::one_line;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};
use triton::reflector::Entry;
use triton::types::{Instance, TagValue, Tags};

use super::Controller;
use crate::firewall::{EnsureError, Failure, Keeper, Known, RuleStep, Wanted};
use crate::lifecycle::Note;
use crate::pod::{Demand, FirewallDemand, PodKey};

/// Changes that come together are looked at together: within this time, and so much more for each pod and instance, for a
/// look goes through all of them. That takes about a microsecond for each, so it is never more than a hundredth of a
/// processor; with 5,000 pods a rule comes 1.1 s after the pod that needs it.
const TOGETHER: (Duration, Duration) = (Duration::from_millis(100), Duration::from_micros(100));

/// The pause after a look at which nothing could be done.
const AGAIN: Duration = Duration::from_secs(10);

/// So many pods are told of a rule that could not be made: those of a Deployment all need it.
const MOST_TOLD: usize = 10;

/// What the firewall needs to know of a pod.
#[derive(Debug, Clone, PartialEq)]
struct Need {
    demand: FirewallDemand,
    /// Those by which rules find the instance.
    tags: Tags,
}

/// What pods need of the firewall, and the keeper of the rules.
#[derive(Debug)]
pub(super) struct Rules {
    keeper: Keeper,
    /// By pod; `None` for one whose wishes make no sense, which gets no instance.
    needs: Mutex<HashMap<PodKey, Option<Need>>>,
    changed: Notify,
}

impl Rules {
    pub(super) fn new(keeper: Keeper) -> Self {
        Self { keeper, needs: Mutex::default(), changed: Notify::new() }
    }

    /// A pod needs what its demand says.
    pub(super) fn need(&self, key: &PodKey, demand: &Demand) {
        let of_rules = demand.tags.iter().filter(|(key, _)| [tag::PORTS, tag::GROUP].contains(&key.as_str()));
        let tags = of_rules.map(|(key, value)| (key.clone(), value.clone())).collect();
        self.set(key, Some(Need { demand: demand.firewall.clone(), tags }));
    }

    /// A pod needs nothing, because it is refused. What its instance needs, should there be one, its tags tell.
    pub(super) fn need_nothing(&self, key: &PodKey) {
        self.set(key, None);
    }

    fn set(&self, key: &PodKey, need: Option<Need>) {
        let mut needs = self.needs();
        if needs.get(key) != Some(&need) {
            needs.insert(key.clone(), need);
            drop(needs);
            self.look();
        }
    }

    /// The pods that need a rule which has this in its description.
    fn concerned(&self, rule: &str) -> Vec<PodKey> {
        let is_concerned = |need: &Need| {
            let mut values = need.tags.values().filter_map(TagValue::as_str);
            values.any(|value| rule.contains(value))
        };
        let needs = self.needs();
        let concerned = needs.iter().filter(|(_, need)| need.as_ref().is_some_and(is_concerned));
        concerned.map(|(key, _)| key.clone()).take(MOST_TOLD).collect()
    }

    /// A pod is gone.
    pub(super) fn forget(&self, key: &PodKey) {
        if self.needs().remove(key).is_some() {
            self.look();
        }
    }

    /// All pods but these are gone.
    pub(super) fn forget_all_but(&self, live: &HashSet<PodKey>) {
        let mut needs = self.needs();
        let before = needs.len();
        needs.retain(|key, _| live.contains(key));
        if needs.len() < before {
            drop(needs);
            self.look();
        }
    }

    /// Something changed that may concern the rules.
    pub(super) fn look(&self) {
        self.changed.notify_one();
    }

    fn needs(&self) -> MutexGuard<'_, HashMap<PodKey, Option<Need>>> {
        // Nothing panics while holding the lock; should it ever, the needs are still usable.
        self.needs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Controller {
    /// Keeps the rules for ever.
    pub(super) async fn keep_rules(&self) {
        loop {
            let again = self.ensure_rules().await;
            tokio::select! {
                () = self.rules.changed.notified() => sleep(self.together()).await,
                () = sleep_until(again) => {}
            }
        }
    }

    /// How long changes of the rules are collected.
    fn together(&self) -> Duration {
        let many = self.rules.needs().len() + self.instances.len();
        TOGETHER.0 + TOGETHER.1 * u32::try_from(many).unwrap_or(u32::MAX)
    }

    /// The rules that all pods and instances need together.
    fn wanted_rules(&self, known: Known) -> Wanted {
        wanted(&self.settings.cluster, known, &self.rules.needs(), &self.instances.entries())
    }

    /// The steps by which the rules would be as they should be. Only reads.
    pub(super) async fn preview_rules(&self) -> Result<Vec<RuleStep>, EnsureError> {
        self.rules.keeper.preview(&self.wanted_rules(self.known())).await
    }

    async fn ensure_rules(&self) -> Instant {
        let known = self.known();
        match self.rules.keeper.ensure(&self.wanted_rules(known)).await {
            Ok(ensured) => {
                for failure in &ensured.failures {
                    self.tell_of_rule(failure);
                }
                let soon = Instant::now() + AGAIN;
                match ensured.again {
                    // Nobody tells when everything is known again, and until then no rule is removed.
                    Some(again) if known == Known::InPart => again.min(soon),
                    again => again.unwrap_or(soon),
                }
            }
            Err(error) => {
                tracing::warn!(error = %one_line(&error), "the firewall rules are not kept");
                Instant::now() + AGAIN
            }
        }
    }

    /// Tells of a rule that is not as it should be: in the log, and to some of the pods that need it.
    fn tell_of_rule(&self, failure: &Failure) {
        let error = one_line(&failure.error);
        tracing::warn!(step = ?failure.step, %error, "a firewall rule is not as it should be");
        let Some(RuleStep::Create { key, .. }) = &failure.step else { return };
        let message = format!("Firewall rule {} could not be made: {error}", key.as_str());
        for key in self.rules.concerned(key.as_str()) {
            if let Some(pod) = self.pod(&key) {
                let reason = "FailedFirewallRule";
                self.say(&pod, &Note { severity: Severity::Warning, reason, message: message.clone() });
            }
        }
    }

    /// Whether the needs of all pods are known.
    fn known(&self) -> Known {
        let needs = self.rules.needs();
        let mut keys = self.pods.state().into_iter().filter_map(|pod| PodKey::of(&pod));
        match self.caches.missing().is_empty() && keys.all(|key| needs.contains_key(&key)) {
            true => Known::Everything,
            false => Known::InPart,
        }
    }
}

/// Whether rules find an instance, so that a change of it may concern them.
pub(super) fn finds(instance: &Instance) -> bool {
    [tag::PORTS, tag::GROUP].iter().any(|key| instance.tags.contains_key(*key))
}

/// What there must be, and what must stay: an instance holds its rules as long as it may run. One that failed to come to
/// life never does, and its row stays in the store.
fn wanted(
    cluster: &str,
    known: Known,
    needs: &HashMap<PodKey, Option<Need>>,
    instances: &[Arc<Entry>],
) -> Wanted {
    let mut wanted = Wanted::new(cluster, known);
    for (key, need) in needs {
        if let Some(need) = need {
            wanted.add_pod(&key.namespace, &need.demand, &need.tags);
        }
    }
    for entry in instances.iter().filter(|entry| entry.observed().state.is_active()) {
        wanted.add_instance(&entry.expected().tags);
    }
    wanted
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;
    use triton::grammar::firewall::FirewallRule;
    use triton::types::FirewallRule as Observed;

    use super::*;
    use crate::firewall::{Unneeded, plan};

    #[rstest]
    #[case::runs("running", 0)]
    #[case::is_stopped("stopped", 0)]
    #[case::is_out_of_sight("unknown", 0)]
    #[case::never_came_to_life("failed", 1)]
    #[tokio::test]
    async fn an_instance_holds_its_rules_as_long_as_it_may_run(#[case] state: &str, #[case] steps: usize) {
        let now = Instant::now();
        let tags = json!({"k8s.cluster": "kubernetes", "k8s.ports": "1f0c"});
        let id = "00000000-0000-4000-8000-000000000001";
        let instance = json!({"id": id, "name": "web", "state": state, "tags": tags});
        let entry = Arc::new(Entry::detached(serde_json::from_value(instance).unwrap(), now));
        let wanted = wanted("kubernetes", Known::Everything, &HashMap::new(), &[entry]);
        let text: FirewallRule = r#"FROM any TO tag "k8s.ports" = "1f0c" ALLOW tcp PORT 80"#.parse().unwrap();
        let rule = json!({
            "id": id, "rule": text.to_string(), "enabled": true, "description": "k8s:kubernetes:ports:1f0c:tcp 80",
        });
        let rule: Observed = serde_json::from_value(rule).unwrap();
        assert_eq!(plan(&wanted, &[rule], &Unneeded::new(), Duration::ZERO, now).steps.len(), steps);
    }
}
