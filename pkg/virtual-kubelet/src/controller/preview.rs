//! Makes all plans and carries none out: `--dry-run`.

use std::time::Duration;

use provider::owner::Owner;
use runtime::exit::one_line;
use tokio::time::{Instant, sleep};
use triton::reflector::Lookup;

use super::Controller;
use super::orphans::{Suspects, Sweep};
use super::probing::before_results;
use super::records::Record;
use crate::dry_run::{self, Intent, Report};
use crate::lifecycle::plan;
use crate::pod::PodKey;

/// How often it is looked whether what pods refer to has been read.
const AGAIN: Duration = Duration::from_millis(100);

impl Controller {
    /// What would be done now to pods, instances and firewall rules, added to `report`. The caches must be complete; for
    /// what single pods refer to, and for the catalogue, it waits not longer than `patience`. Writes nothing, and runs
    /// neither probes nor hooks.
    pub async fn preview(&self, patience: Duration, report: &mut Report) {
        let deadline = Instant::now() + patience;
        // Whoever is seen for the first time has what it refers to read from then on.
        while !self.all_read() && Instant::now() < deadline {
            sleep(AGAIN).await;
        }
        let mut pods = self.pods.state();
        pods.sort_by_cached_key(|pod| (pod.metadata.namespace.clone(), pod.metadata.name.clone()));
        for pod in pods {
            let Some(key) = PodKey::of(&pod) else { continue };
            let (instances, wish) = self.see(&key, &pod);
            let record = Record::default();
            let plan = plan(&self.observe(&pod, &wish, &instances, &record, before_results(&pod)));
            let refusal = wish.desired.as_ref().and_then(|desired| desired.as_ref().err());
            report.add(dry_run::of_pod(&key, &pod, &plan, refusal, wish.desired.is_some()));
        }
        self.preview_orphans(report);
        match self.preview_rules().await {
            Ok(steps) => report.intents.extend(steps.iter().map(dry_run::of_rule)),
            Err(error) => report.unknown.push(one_line(&error)),
        }
    }

    /// Whether all is known that decides about pods without an instance.
    fn all_read(&self) -> bool {
        let pods = self.pods.state();
        let keyed = pods.iter().filter_map(|pod| Some((PodKey::of(pod)?, pod)));
        // All are looked at, also after one that lacks something: that has the rest read as well.
        keyed.filter(|(key, pod)| self.see(key, pod).1.desired.is_none()).count() == 0
    }

    fn preview_orphans(&self, report: &mut Report) {
        let now = Instant::now();
        if !self.sees_all(now) {
            report
                .unknown
                .push("which instances are orphans: the caches are not complete and fresh".to_owned());
            return;
        }
        let (instances, pods) = (self.own_instances(), self.pods.state());
        let pods = pods.iter().filter_map(|pod| pod.metadata.uid.as_deref()).collect();
        let grace = self.settings.orphan_grace;
        let mut suspects = Suspects::default();
        suspects.sweep(&Sweep { instances: &instances, pods: &pods, trusted: true, grace, now });
        let owned = suspects.all().filter_map(|id| match self.instances.get(id) {
            Lookup::Present(entry) => Some((id, Owner::of(entry.expected())?)),
            Lookup::Gone(_) | Lookup::Unknown => None,
        });
        let mut orphans: Vec<Intent> =
            owned.map(|(id, owner)| dry_run::of_orphan(id, &owner, grace)).collect();
        orphans.sort();
        report.intents.extend(orphans);
    }
}
