//! Finds and deletes instances of ours that no pod stands for.

use std::collections::HashSet;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use provider::names::tag;
use provider::owner::Owner;
use runtime::events::{Happening, Severity};
use runtime::exit::one_line;
use tokio::time::Instant;
use triton::id::InstanceId;
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
        let instances = self.own_instances();
        let live: HashSet<PodKey> = self.pods.state().iter().filter_map(|pod| PodKey::of(pod)).collect();
        let pods: HashSet<&str> = live.iter().map(|key| &*key.uid).collect();
        let trusted = self.sees_all(now);
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
            let node = owner.node.clone();
            let key = PodKey::of_owner(owner);
            match self.writer.is_absent(&key).await {
                Ok(true) => {
                    tracing::warn!(pod = %key, instance = %id, "deleting an instance whose pod is gone");
                    if self.discard(&entry).await {
                        self.events.record(orphan_deleted(&node, &key, id));
                    }
                }
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(pod = %key, error = %one_line(&error), "cannot confirm that the pod is gone");
                }
            }
        }
    }

    /// The instances of our nodes that are not being deleted, each with the UID of its pod.
    pub(super) fn own_instances(&self) -> Vec<(InstanceId, Box<str>)> {
        let of_node = |node: &str| self.instances.by_tag(tag::NODE, &TagValue::from(node));
        let entries = self.pools.names().flat_map(of_node).filter(|entry| !entry.is_deleting());
        let owned = entries.filter_map(|entry| Some((entry.id(), Owner::of(entry.expected())?)));
        owned.filter(|(_, owner)| self.pools.own(owner)).map(|(id, owner)| (id, owner.uid)).collect()
    }

    /// Whether both caches are complete and fresh, so that what is not in them is not there.
    pub(super) fn sees_all(&self, now: Instant) -> bool {
        let fresh = self.instances.health().last_clean_list;
        self.caches.missing().is_empty()
            && fresh.is_some_and(|begun| now.saturating_duration_since(begun) < FRESH)
    }
}

/// An event on the node, for there is no pod any more that could have one.
fn orphan_deleted(node: &str, pod: &PodKey, id: InstanceId) -> Happening {
    Happening {
        regarding: ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Node".to_owned()),
            name: Some(node.to_owned()),
            // As kubelets have it: `kubectl describe node` looks for this as well as for the object's own.
            uid: Some(node.to_owned()),
            ..ObjectReference::default()
        },
        severity: Severity::Warning,
        reason: "OrphanDeleted".to_owned(),
        action: "DeleteOrphan".to_owned(),
        note: format!("Deleting instance {id}: its pod {pod} is gone"),
    }
}
