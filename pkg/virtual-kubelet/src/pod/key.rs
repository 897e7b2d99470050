//! How a pod is named within a process.

use std::fmt;

use k8s_openapi::api::core::v1::Pod;

/// One pod, for its whole life: a pod of the same name that comes later has another UID.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PodKey {
    /// Its namespace.
    pub namespace: Box<str>,
    /// Its name.
    pub name: Box<str>,
    /// Its UID.
    pub uid: Box<str>,
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
}

impl fmt::Display for PodKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}
