//! One look at one pod that writes nothing: what operators are shown.

use std::time::Duration;

use diagnostics::Explanation;
use tokio::time::{Instant, sleep};

use super::Controller;
use super::probing::before_results;
use super::records::Record;
use crate::lifecycle::plan;
use crate::pod::PodKey;
use crate::{dry_run, explain};

/// How often it is looked whether what the pod refers to has been read.
const AGAIN: Duration = Duration::from_millis(100);

impl Controller {
    /// What would be done about a pod now; `None` when no pod of our nodes has this name. The caches must be complete; for
    /// what the pod refers to, it waits not longer than `patience`. Writes nothing, and runs neither probes nor hooks.
    pub async fn explain(&self, namespace: &str, name: &str, patience: Duration) -> Option<Explanation> {
        let deadline = Instant::now() + patience;
        let pods = self.pods.state();
        let is_it = |key: &PodKey| &*key.namespace == namespace && &*key.name == name;
        let (key, pod) = pods.iter().find_map(|pod| PodKey::of(pod).filter(is_it).map(|key| (key, pod)))?;
        loop {
            // Whoever is seen for the first time has what it refers to read from then on.
            let (instances, wish) = self.see(&key, pod);
            if wish.desired.is_none() && Instant::now() < deadline {
                sleep(AGAIN).await;
                continue;
            }
            let record = Record::default();
            let plan = plan(&self.observe(pod, &wish, &instances, &record, before_results(pod)));
            let refusal = wish.desired.as_ref().and_then(|desired| desired.as_ref().err());
            let intents = dry_run::of_pod(&key, pod, &plan, refusal, wish.desired.is_some());
            return Some(explain::of_pod(&key, pod, wish.desired.as_ref(), &instances, &plan, &intents));
        }
    }
}
