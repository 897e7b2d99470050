//! All that a process keeps in memory, and whether it is complete and fresh.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _};
use kube::runtime::reflector::{self, Store};
use kube::runtime::watcher::{self, Event};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::freshness::Freshness;
use super::stream::watch;
use crate::exit::one_line;
use crate::health::{Finding, Health, Probe};

/// How a cache does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CacheState {
    /// Its first list is not complete yet. With the last failure, if there was one.
    Waiting(Option<String>),
    /// It is complete, and follows changes.
    Synced,
    /// It was complete, but cannot follow changes now: what it holds may be old.
    Stale(String),
}

/// Something that is kept in memory: a reflector of Kubernetes objects, or of Triton instances.
pub trait Cache: Send + Sync {
    /// A name for people, such as `nodes`.
    fn name(&self) -> &str;

    /// How it does, cheaply.
    fn state(&self) -> CacheState;

    /// Ends when it is complete for the first time, at once when it is already.
    fn synced(&self) -> BoxFuture<'_, ()>;
}

/// The caches of a process. Cloning gives another handle; reflectors end with the last one.
#[derive(Clone, Default)]
pub struct Caches(Arc<Inner>);

#[derive(Default)]
struct Inner {
    held: RwLock<Vec<Arc<dyn Cache>>>,
    tasks: Mutex<JoinSet<()>>,
}

impl Caches {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a cache that fills itself.
    pub fn add(&self, cache: Arc<dyn Cache>) {
        self.0.held.write().unwrap_or_else(PoisonError::into_inner).push(cache);
    }

    /// Begins to watch objects of the Kubernetes API and keeps them in the returned store, without what nobody reads and
    /// what may be most of their size: their `managedFields` and the manifest that `kubectl apply` notes. `seen` is called with each event after
    /// the store has it; it must not block. Needs a tokio runtime.
    pub fn reflect<K>(
        &self,
        name: impl Into<String>,
        api: Api<K>,
        config: watcher::Config,
        random: fastrand::Rng,
        seen: impl FnMut(&Event<K>) + Send + 'static,
    ) -> Store<K>
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
        K::DynamicType: Eq + Hash + Clone,
    {
        self.reflect_lean(name, api, config, random, |_| {}, seen)
    }

    /// As [`Caches::reflect`]; `lean` takes off each object what nobody reads, before it is kept and seen.
    pub fn reflect_lean<K>(
        &self,
        name: impl Into<String>,
        api: Api<K>,
        config: watcher::Config,
        random: fastrand::Rng,
        lean: impl Fn(&mut K) + Send + 'static,
        mut seen: impl FnMut(&Event<K>) + Send + 'static,
    ) -> Store<K>
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
        K::DynamicType: Eq + Hash + Clone,
    {
        let (store, mut writer) = reflector::store();
        let (freshness, follow) = watch::channel(Freshness::default());
        let name = name.into();
        self.add(Arc::new(Reflected { name: name.clone(), freshness: follow }));
        self.tasks().spawn(async move {
            let mut events = Box::pin(watch(api, config, random));
            while let Some(event) = events.next().await {
                match event {
                    Ok(event) => {
                        let event = event.modify(|object| {
                            without_what_nobody_reads(object);
                            lean(object);
                        });
                        writer.apply_watcher_event(&event);
                        freshness.send_if_modified(|freshness| freshness.heard(&event));
                        seen(&event);
                    }
                    Err(error) => {
                        let (retry, error) = (error.retry(), one_line(&error));
                        tracing::warn!(cache = %name, %error, "watch failed");
                        freshness.send_modify(|freshness| freshness.failed(error, retry, Instant::now()));
                    }
                }
            }
        });
        store
    }

    /// The caches that are not complete, or not fresh, each with its reason when there is one.
    pub fn missing(&self) -> Vec<String> {
        let missing = self.held().into_iter().filter_map(|cache| match cache.state() {
            CacheState::Synced => None,
            CacheState::Waiting(None) => Some(format!("{} is not complete yet", cache.name())),
            CacheState::Waiting(Some(error)) => Some(format!("{} is not complete: {error}", cache.name())),
            CacheState::Stale(error) => Some(format!("{} may be old: {error}", cache.name())),
        });
        missing.collect()
    }

    /// Waits until all caches have been complete once. Those that are added while waiting are not waited for.
    pub async fn synced(&self) {
        for cache in self.held() {
            cache.synced().await;
        }
    }

    /// Has `/readyz` fail, and name what is missing, until all caches are complete and fresh.
    pub fn report_to(&self, health: &Health) {
        let caches = self.clone();
        health.add(Probe::Ready, "caches", move || {
            let missing = caches.missing();
            if missing.is_empty() { Finding::Ok } else { Finding::Failed(missing.join("; ")) }
        });
    }

    fn held(&self) -> Vec<Arc<dyn Cache>> {
        self.0.held.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn tasks(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Debug for Caches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Caches").field("missing", &self.missing()).finish_non_exhaustive()
    }
}

/// The annotation in which `kubectl apply` keeps the whole manifest.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

fn without_what_nobody_reads<K: Resource>(object: &mut K) {
    let metadata = object.meta_mut();
    metadata.managed_fields = None;
    if let Some(annotations) = &mut metadata.annotations {
        annotations.remove(LAST_APPLIED);
    }
}

struct Reflected {
    name: String,
    freshness: watch::Receiver<Freshness>,
}

impl Cache for Reflected {
    fn name(&self) -> &str {
        &self.name
    }

    fn state(&self) -> CacheState {
        self.freshness.borrow().state(Instant::now())
    }

    fn synced(&self) -> BoxFuture<'_, ()> {
        let mut freshness = self.freshness.clone();
        async move {
            // The reflector has ended with the process's caches: it will never be complete.
            if freshness.wait_for(Freshness::complete).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
        .boxed()
    }
}
