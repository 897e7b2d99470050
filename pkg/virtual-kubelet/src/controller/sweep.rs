//! Finds and deletes instances of ours that no pod stands for.

use std::collections::HashSet;
use std::time::Duration;

use provider::names::tag;
use provider::owner::Owner;
use runtime::exit::one_line;
use tokio::time::Instant;
use triton::reflector::Lookup;
use triton::types::TagValue;

use super::Controller;
use super::orphans::{Suspects, Sweep};
use crate::pod::PodKey;

/// The shortest and the longest pause between sweeps, which cost no request. In between it is a fifth of the grace, so
/// that an orphan is seen several times before it goes.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// A clean list of instances must not be older than this: three relists.
const FRESH: Duration = Duration::from_secs(900);

impl Controller {
    /// Sweeps for ever.
    pub(super) async fn sweep(&self) {
        let mut suspects = Suspects::default();
        let pause = (self.settings.orphan_grace / 5).clamp(PAUSE.0, PAUSE.1);
        loop {
            self.sweep_once(&mut suspects).await;
            tokio::time::sleep(pause).await;
        }
    }

    async fn sweep_once(&self, suspects: &mut Suspects) {
        let now = Instant::now();
        let entries = self.instances.by_tag(tag::NODE, &TagValue::from(self.settings.node.as_str()));
        let ours = entries.iter().filter(|entry| !entry.is_deleting());
        let ours = ours.filter_map(|entry| Some((entry.id(), Owner::of(entry.expected())?)));
        let instances: Vec<_> =
            ours.filter(|(_, owner)| self.owns(owner)).map(|(id, owner)| (id, owner.uid)).collect();
        let live: HashSet<PodKey> = self.pods.state().iter().filter_map(|pod| PodKey::of(pod)).collect();
        let pods: HashSet<Box<str>> = live.iter().map(|key| key.uid.clone()).collect();
        let fresh = self.instances.health().last_clean_list;
        let trusted = self.caches.missing().is_empty()
            && fresh.is_some_and(|begun| now.saturating_duration_since(begun) < FRESH);
        if trusted {
            // Deletions that happened while the watch was interrupted were not seen.
            self.rules.forget_all_but(&live);
            self.records.forget_all_but(&live);
            if let Some(ssh) = &self.ssh {
                ssh.forget_all_but(|id| matches!(self.instances.get(id), Lookup::Present(_)));
            }
        }
        let grace = self.settings.orphan_grace;
        let sweep = Sweep { instances: &instances, pods: &pods, trusted, grace, now };
        for id in suspects.sweep(&sweep) {
            let Lookup::Present(entry) = self.instances.get(id) else { continue };
            let Some(owner) = Owner::of(entry.expected()) else { continue };
            let key = PodKey { namespace: owner.namespace, name: owner.pod, uid: owner.uid };
            match self.writer.is_absent(&key).await {
                Ok(true) => {
                    tracing::warn!(pod = %key, instance = %id, "deleting an instance whose pod is gone");
                    self.discard(&entry).await;
                }
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(pod = %key, error = %one_line(&error), "cannot confirm that the pod is gone");
                }
            }
        }
    }
}
