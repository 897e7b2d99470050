//! The ConfigMaps and Secrets that pods refer to, in memory.
//!
//! Each is watched by itself, by its name, from the first pod that refers to it until the last such pod is gone: nothing
//! is read that no pod of this node needs, as a kubelet does it. No lists of Secrets are needed, and what is
//! not referred to is never held.

mod registry;

use std::fmt;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};

use self::registry::Registry;
use crate::pod::PodKey;

/// How many objects of a kind are watched at most at once, each with a request that stays open. Those beyond wait
/// for others to end. The bound is ours: a node's pods mostly share a few.
pub const MOST_WATCHES: usize = 2000;

/// What is known of an object. `Debug` does not show it: it may be secret.
#[derive(Clone)]
pub enum Known<K> {
    /// It is there. While its watch fails, this is what it was before.
    Known(Arc<K>),
    /// It is not there.
    Absent,
    /// Nothing is known yet. With the reason, if reading it has failed.
    NotReadYet(Option<Arc<str>>),
}

impl<K> fmt::Debug for Known<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(_) => f.write_str("Known"),
            Self::Absent => f.write_str("Absent"),
            Self::NotReadYet(reason) => f.debug_tuple("NotReadYet").field(reason).finish(),
        }
    }
}

/// Keeps the ConfigMaps and Secrets that pods refer to. When it is dropped, all watches end.
pub struct References {
    config_maps: Registry<ConfigMap>,
    secrets: Registry<Secret>,
}

impl References {
    /// Follows nothing yet. `changed` is told which pods to look at when an object that they refer to is read for the
    /// first time, appears, changes or goes; it must not block. `most` is the number of watches of a kind,
    /// [`MOST_WATCHES`] as a rule.
    pub fn new(
        client: &kube::Client,
        most: usize,
        mut random: fastrand::Rng,
        changed: impl Fn(&PodKey) + Send + Sync + 'static,
    ) -> Self {
        let changed: Arc<registry::Changed> = Arc::new(changed);
        Self {
            config_maps: Registry::new(client.clone(), most, random.fork(), Arc::clone(&changed)),
            secrets: Registry::new(client.clone(), most, random, changed),
        }
    }

    /// Says to which objects of its namespace a pod refers, optional ones included. It replaces what was said of the
    /// pod before. Call it whenever a pod is looked at: it does nothing when nothing changes. Needs a tokio runtime.
    pub fn follow<'a>(
        &self,
        pod: &PodKey,
        config_maps: impl IntoIterator<Item = &'a str>,
        secrets: impl IntoIterator<Item = &'a str>,
    ) {
        self.config_maps.follow(pod, config_maps);
        self.secrets.follow(pod, secrets);
    }

    /// A pod is gone.
    pub fn forget(&self, pod: &PodKey) {
        self.follow(pod, [], []);
    }

    /// A ConfigMap that some pod refers to. It has no annotations and no managed fields.
    pub fn config_map(&self, namespace: &str, name: &str) -> Known<ConfigMap> {
        self.config_maps.get(namespace, name)
    }

    /// A Secret that some pod refers to. It has no annotations and no managed fields.
    pub fn secret(&self, namespace: &str, name: &str) -> Known<Secret> {
        self.secrets.get(namespace, name)
    }

    /// How many objects are followed, for metrics.
    pub fn len(&self) -> usize {
        self.config_maps.len() + self.secrets.len()
    }

    /// Whether no pod refers to any object.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl fmt::Debug for References {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("References")
            .field("config_maps", &self.config_maps.len())
            .field("secrets", &self.secrets.len())
            .finish()
    }
}
