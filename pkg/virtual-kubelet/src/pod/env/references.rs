//! Which ConfigMaps and Secrets a pod's environment is made of.

use std::fmt;

use k8s_openapi::api::core::v1::Pod;

/// A ConfigMap or Secret in the pod's namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// Which of the two.
    pub kind: ReferenceKind,
    /// Its name.
    pub name: Box<str>,
}

/// What a reference is to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReferenceKind {
    /// A ConfigMap.
    ConfigMap,
    /// A Secret.
    Secret,
}

impl Reference {
    /// A reference to a ConfigMap.
    pub fn config_map(name: &str) -> Self {
        Self { kind: ReferenceKind::ConfigMap, name: name.into() }
    }

    /// A reference to a Secret.
    pub fn secret(name: &str) -> Self {
        Self { kind: ReferenceKind::Secret, name: name.into() }
    }
}

impl ReferenceKind {
    /// As users know it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.as_str(), self.name)
    }
}

/// The ConfigMaps and Secrets that a pod's environment refers to, optional ones included; sorted, each once.
pub fn references(pod: &Pod) -> Vec<Reference> {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let mut references = Vec::new();
    for container in containers {
        for from in container.env_from.iter().flatten() {
            references.extend(from.config_map_ref.as_ref().map(|source| Reference::config_map(&source.name)));
            references.extend(from.secret_ref.as_ref().map(|source| Reference::secret(&source.name)));
        }
        for source in container.env.iter().flatten().filter_map(|variable| variable.value_from.as_ref()) {
            references.extend(source.config_map_key_ref.as_ref().map(|key| Reference::config_map(&key.name)));
            references.extend(source.secret_key_ref.as_ref().map(|key| Reference::secret(&key.name)));
        }
    }
    references.sort_unstable();
    references.dedup();
    references
}
