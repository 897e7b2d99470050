//! What the watches of Services and of their endpoints tell.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::runtime::watcher::Event;
use provider::cns::{Directory, ServiceKey, name_of};
use runtime::queue::Queue;
use tokio::sync::Notify;

use crate::names::SERVICE_NAME;

/// As many names that were given up are kept before all are forgotten.
const RELEASED: usize = 10_000;

/// What the watches tell, from the moment on when they begin.
#[derive(Debug, Clone, Default)]
pub(super) struct News {
    /// Asks for looks.
    pub(super) queue: Queue<ServiceKey>,
    /// Rung when a Node changed.
    pub(super) nodes: Arc<Notify>,
    told: Arc<Mutex<Told>>,
}

#[derive(Debug, Default)]
pub(super) struct Told {
    /// The names of the slices of each Service; perhaps of some more that are gone.
    pub(super) slices: HashMap<ServiceKey, BTreeSet<Box<str>>>,
    /// The names in CNS of Services that were seen to be deleted, or to give up their name.
    pub(super) released: HashSet<String>,
    /// Made when it is needed.
    pub(super) directory: Arc<Directory>,
    /// Whether it is as the Services and the instances are.
    pub(super) is_current: bool,
    /// A whole list came: whatever was missed meanwhile is in the stores.
    pub(super) relisted: bool,
}

impl Told {
    pub(super) fn release(&mut self, names: impl IntoIterator<Item = String>) {
        if self.released.len() >= RELEASED {
            self.released.clear();
        }
        self.released.extend(names);
    }
}

impl News {
    /// What to do about each event of the watch of Services.
    pub(super) fn of_services(&self, cluster: &str) -> impl FnMut(&Event<Service>) + Send + 'static {
        let (news, cluster) = (self.clone(), cluster.to_owned());
        move |event| {
            let mut told = news.told();
            match event {
                Event::Apply(service) | Event::InitApply(service) | Event::Delete(service) => {
                    let Some(key) = ServiceKey::of(service) else { return };
                    told.is_current = false;
                    if matches!(event, Event::Delete(_)) {
                        told.release(name_of(service, &cluster).ok());
                    }
                    drop(told);
                    news.queue.ask(&key);
                }
                Event::InitDone => {
                    told.is_current = false;
                    told.relisted = true;
                    drop(told);
                    news.nodes.notify_one();
                }
                Event::Init => {}
            }
        }
    }

    /// What to do about each event of the watch of EndpointSlices.
    pub(super) fn of_slices(&self) -> impl FnMut(&Event<EndpointSlice>) + Send + 'static {
        let news = self.clone();
        move |event| {
            let mut told = news.told();
            match event {
                Event::Apply(slice) | Event::InitApply(slice) | Event::Delete(slice) => {
                    let Some((key, name)) = owner_of(slice) else { return };
                    let names = told.slices.entry(key.clone()).or_default();
                    if matches!(event, Event::Delete(_)) {
                        names.remove(&name);
                    } else {
                        names.insert(name);
                    }
                    if names.is_empty() {
                        told.slices.remove(&key);
                    }
                    drop(told);
                    news.queue.ask(&key);
                }
                Event::InitDone => {
                    told.relisted = true;
                    drop(told);
                    news.nodes.notify_one();
                }
                Event::Init => {}
            }
        }
    }

    pub(super) fn told(&self) -> MutexGuard<'_, Told> {
        // Nothing panics while holding the lock; should it ever, what was told is still usable.
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn owner_of(slice: &EndpointSlice) -> Option<(ServiceKey, Box<str>)> {
    let metadata = &slice.metadata;
    let service = metadata.labels.as_ref()?.get(SERVICE_NAME)?;
    let key = ServiceKey { namespace: metadata.namespace.as_deref()?.into(), name: service.as_str().into() };
    Some((key, metadata.name.as_deref()?.into()))
}
