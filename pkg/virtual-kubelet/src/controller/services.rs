//! The Services of the cluster: what environments and memberships in CNS are made of.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::api::core::v1::{ObjectReference, Service};
use kube::runtime::reflector::{ObjectRef, Store};
use provider::cns::{DefaultLoadBalancer, Directory, Note, NoteReason, exposure, foreign_names, own_names};
use runtime::events::{EventRecorder, Happening, Severity};

/// The namespace and name of the Service that every environment has.
const KUBERNETES: (&str, &str) = ("default", "kubernetes");

/// As many hashes of what was said are kept before all are forgotten.
const SAID: usize = 10_000;

/// The Services in memory.
pub(super) struct Services {
    store: Store<Service>,
    stale: Stale,
    said: Mutex<HashSet<u64>>,
    /// Whether the directory made last left a Service out because its name was taken.
    is_name_missing: AtomicBool,
}

/// Where whoever sees a Service change says so.
#[derive(Debug, Clone, Default)]
pub(super) struct Stale(Arc<Mutex<Option<Arc<Directory>>>>);

impl Stale {
    /// A Service changed: the directory is made anew when it is needed next.
    pub(super) fn mark(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Services {
    pub(super) fn new(store: Store<Service>, stale: Stale) -> Self {
        Self { store, stale, said: Mutex::default(), is_name_missing: AtomicBool::new(false) }
    }

    /// An instance that is not the cluster's changed, and with it perhaps which names are free. Says whether a Service
    /// waits for its name.
    pub(super) fn others_changed(&self) -> bool {
        self.stale.mark();
        self.is_name_missing.load(Ordering::Relaxed)
    }

    /// Those of a namespace, and `default/kubernetes`.
    pub(super) fn of_namespace(&self, namespace: &str) -> Vec<Arc<Service>> {
        let mut services = self.store.state();
        services.retain(|service| service.metadata.namespace.as_deref() == Some(namespace));
        if namespace != KUBERNETES.0 {
            services.extend(self.store.get(&ObjectRef::new(KUBERNETES.1).within(KUBERNETES.0)));
        }
        services
    }

    /// Which Services are CNS services. Names that instances of others carry are not taken, but for those that the
    /// cluster's instances carry already: somebody who takes such a name must not end a service.
    pub(super) fn directory(
        &self,
        instances: &triton::reflector::Store,
        cluster: &str,
        default: DefaultLoadBalancer,
    ) -> Arc<Directory> {
        let mut known = self.stale.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(directory) = &*known {
            return Arc::clone(directory);
        }
        let services = self.store.state();
        let entries = match services.iter().any(|service| exposure(service, default).is_some()) {
            true => instances.entries(),
            false => Vec::new(),
        };
        let mut foreign: HashSet<String> =
            entries.iter().flat_map(|entry| foreign_names(&entry.observed().tags, cluster)).collect();
        if !foreign.is_empty() {
            for name in entries.iter().flat_map(|entry| own_names(&entry.expected().tags, cluster)) {
                foreign.remove(&name);
            }
        }
        let services = services.iter().map(|service| &**service);
        let directory = Arc::new(Directory::read(services, cluster, default, |name| foreign.contains(name)));
        let is_name_missing = directory.notes().iter().any(|note| note.reason == NoteReason::NameConflict);
        self.is_name_missing.store(is_name_missing, Ordering::Relaxed);
        *known = Some(Arc::clone(&directory));
        directory
    }

    /// Tells the authors of Services what they should know, once.
    pub(super) fn tell<'a>(&self, events: &EventRecorder, notes: impl Iterator<Item = &'a Note>) {
        for note in notes {
            let mut hasher = DefaultHasher::new();
            (&note.service, note.reason, &note.message).hash(&mut hasher);
            let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
            if said.len() >= SAID {
                said.clear();
            }
            if !said.insert(hasher.finish()) {
                continue;
            }
            drop(said);
            let reference = ObjectRef::new(&note.service.name).within(&note.service.namespace);
            let known: Option<Arc<Service>> = self.store.get(&reference);
            events.record(Happening {
                regarding: ObjectReference {
                    api_version: Some("v1".to_owned()),
                    kind: Some("Service".to_owned()),
                    name: Some(note.service.name.to_string()),
                    namespace: Some(note.service.namespace.to_string()),
                    uid: known.and_then(|service| service.metadata.uid.clone()),
                    ..ObjectReference::default()
                },
                severity: Severity::Warning,
                reason: note.reason.as_str().to_owned(),
                action: "PublishService".to_owned(),
                note: note.message.clone(),
            });
        }
    }
}
