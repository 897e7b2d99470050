//! Somebody who sees every state of every object of a kind.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt as _;
use kube::runtime::WatchStreamExt as _;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::task::JoinHandle;

/// All states of one object; `None` where it was gone.
type Sights<K> = Vec<Option<K>>;

/// Remembers every state of the objects of a kind, by name.
pub(super) struct Onlooker<K> {
    seen: Arc<Mutex<BTreeMap<String, Sights<K>>>>,
    task: JoinHandle<()>,
}

impl<K> Onlooker<K>
where
    K: Resource + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    K::DynamicType: Default,
{
    /// Watches from now on.
    pub(super) fn start(api: Api<K>) -> Self {
        let seen = Arc::<Mutex<BTreeMap<String, Sights<K>>>>::default();
        let noted = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            let mut events = watcher::watcher(api, watcher::Config::default()).default_backoff().boxed();
            while let Some(event) = events.next().await {
                let (object, is_there) = match event {
                    Ok(Event::Apply(object) | Event::InitApply(object)) => (object, true),
                    Ok(Event::Delete(object)) => (object, false),
                    Ok(Event::Init | Event::InitDone) | Err(_) => continue,
                };
                let name = object.meta().name.clone().unwrap_or_default();
                let mut noted = noted.lock().unwrap_or_else(PoisonError::into_inner);
                noted.entry(name).or_default().push(is_there.then_some(object));
            }
        });
        Self { seen, task }
    }

    /// The object as it is; `None` when there is none.
    pub(super) fn now(&self, name: &str) -> Option<K> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(name)?.last()?.clone()
    }

    /// All states in which the object was.
    pub(super) fn history(&self, name: &str) -> Sights<K> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(name).cloned().unwrap_or_default()
    }
}

impl<K> Drop for Onlooker<K> {
    fn drop(&mut self) {
        self.task.abort();
    }
}
