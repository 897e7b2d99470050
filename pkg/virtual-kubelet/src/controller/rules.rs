//! Keeps the firewall rules that this node's pods and the account's instances need.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use provider::names::tag;
use runtime::exit::one_line;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};
use triton::types::Tags;

use super::Controller;
use crate::firewall::{Keeper, Known, Wanted};
use crate::pod::{Demand, FirewallDemand, PodKey};

/// Changes that come together are looked at together.
const TOGETHER: Duration = Duration::from_millis(100);

/// The pause after a look at which nothing could be done.
const AGAIN: Duration = Duration::from_secs(10);

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
    needs: Mutex<HashMap<PodKey, Need>>,
    changed: Notify,
}

impl Rules {
    pub(super) fn new(keeper: Keeper) -> Self {
        Self { keeper, needs: Mutex::default(), changed: Notify::new() }
    }

    /// A pod needs what its demand says.
    pub(super) fn need(&self, key: &PodKey, demand: &Demand) {
        let mut tags = demand.tags.clone();
        tags.retain(|key, _| key == tag::PORTS || key == tag::GROUP);
        let need = Need { demand: demand.firewall.clone(), tags };
        let mut needs = self.needs();
        if needs.get(key) != Some(&need) {
            needs.insert(key.clone(), need);
            drop(needs);
            self.look();
        }
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

    fn needs(&self) -> MutexGuard<'_, HashMap<PodKey, Need>> {
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
                () = self.rules.changed.notified() => sleep(TOGETHER).await,
                () = sleep_until(again) => {}
            }
        }
    }

    async fn ensure_rules(&self) -> Instant {
        let whole = self.caches.missing().is_empty() && self.all_looked_at();
        let mut wanted =
            Wanted::new(&self.settings.cluster, if whole { Known::Everything } else { Known::InPart });
        for (key, need) in self.rules.needs().iter() {
            wanted.add_pod(&key.namespace, &need.demand, &need.tags);
        }
        for entry in self.instances.entries() {
            wanted.add_instance(&entry.expected().tags);
        }
        match self.rules.keeper.ensure(&wanted).await {
            Ok(ensured) => {
                for failure in &ensured.failures {
                    tracing::warn!(step = ?failure.step, error = %one_line(&failure.error), "a firewall rule is not as it should be");
                }
                ensured.again.unwrap_or_else(|| Instant::now() + AGAIN)
            }
            Err(error) => {
                tracing::warn!(error = %one_line(&error), "the firewall rules are not kept");
                Instant::now() + AGAIN
            }
        }
    }

    /// Whether the needs of all pods are known.
    fn all_looked_at(&self) -> bool {
        let needs = self.rules.needs();
        self.pods.state().iter().filter_map(|pod| PodKey::of(pod)).all(|key| needs.contains_key(&key))
    }
}
