//! What an environment is made of.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use k8s_openapi::api::core::v1::{ConfigMap, Secret, Service};

use crate::pod::Resources;

/// An object that may not have been read yet.
#[derive(Clone, Default)]
pub enum Source<T> {
    /// It is there.
    Present(Arc<T>),
    /// It is not there.
    Absent,
    /// Nobody has looked yet.
    #[default]
    Unknown,
}

/// The objects that an environment is made of. `Debug` shows names only: the values are secret.
#[derive(Clone, Default)]
pub struct Sources {
    /// ConfigMaps of the pod's namespace by name; one that is missing here is [`Source::Unknown`].
    pub config_maps: BTreeMap<Box<str>, Source<ConfigMap>>,
    /// Secrets of the pod's namespace by name; one that is missing here is [`Source::Unknown`].
    pub secrets: BTreeMap<Box<str>, Source<Secret>>,
    /// Services, at least those of the pod's namespace and `default/kubernetes`. `None`: not read yet.
    pub services: Option<Vec<Arc<Service>>>,
}

/// What a pod can refer to that is known of its instance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// The addresses of the instance, the pod's own first; empty until they are known.
    pub pod_ips: Vec<IpAddr>,
    /// The address of the node.
    pub host_ip: Option<IpAddr>,
    /// What the instance has by its package: the value of limits that the container does not set.
    pub capacity: Resources,
}

impl<T> Source<T> {
    /// What `make` makes of it: `None` where nobody has looked, `Some(None)` where it is not there.
    pub(super) fn read<U>(self, make: impl FnOnce(&T) -> U) -> Option<Option<U>> {
        match self {
            Self::Present(object) => Some(Some(make(&object))),
            Self::Absent => Some(None),
            Self::Unknown => None,
        }
    }
}

impl Sources {
    pub(super) fn config_map(&self, name: &str) -> Source<ConfigMap> {
        self.config_maps.get(name).cloned().unwrap_or_default()
    }

    pub(super) fn secret(&self, name: &str) -> Source<Secret> {
        self.secrets.get(name).cloned().unwrap_or_default()
    }
}

impl<T> fmt::Debug for Source<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Present(_) => "Present",
            Self::Absent => "Absent",
            Self::Unknown => "Unknown",
        })
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources")
            .field("config_maps", &self.config_maps)
            .field("secrets", &self.secrets)
            .field("services", &self.services.as_ref().map(Vec::len))
            .finish()
    }
}
