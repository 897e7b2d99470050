//! How a pod is named within a process.

use std::fmt;
use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use provider::owner::Owner;

/// One pod, for its whole life: a pod of the same name that comes later has another UID. Clones share their text: a process
/// with thousands of pods has each key in a dozen places.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodKey {
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
    /// Its UID.
    pub uid: Arc<str>,
}

impl PodKey {
    /// The key of a pod as the API server gives it; `None` when it lacks a namespace, name or UID.
    pub fn of(pod: &Pod) -> Option<Self> {
        let metadata = &pod.metadata;
        Some(Self {
            namespace: metadata.namespace.as_deref()?.into(),
            name: metadata.name.as_deref()?.into(),
            uid: metadata.uid.as_deref()?.into(),
        })
    }

    /// The pod that an instance says it is.
    pub fn of_owner(owner: Owner) -> Self {
        Self { namespace: owner.namespace.into(), name: owner.pod.into(), uid: owner.uid.into() }
    }
}

impl fmt::Display for PodKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}
