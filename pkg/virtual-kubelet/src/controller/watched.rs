//! The pods of all nodes of this process, in memory.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use kube::runtime::reflector::{ObjectRef, Store};

use crate::pod::PodKey;

/// The pods of all nodes. One watch for each node: the API server sends to each no more than its pods, for which it keeps
/// an index, while one watch of all pods would bring those of every other node of the cluster too.
#[derive(Clone)]
pub(super) struct Pods(Arc<[Store<Pod>]>);

impl Pods {
    /// `stores` has one for each node.
    pub(super) fn new(stores: Vec<Store<Pod>>) -> Self {
        Self(stores.into())
    }

    /// The pod of this key, if there is one.
    pub(super) fn get(&self, key: &PodKey) -> Option<Arc<Pod>> {
        let reference = ObjectRef::new(&key.name).within(&key.namespace);
        let mut of_name = self.0.iter().filter_map(|store| store.get(&reference));
        // A pod of the same name may come to another node before its predecessor is seen to go.
        of_name.find(|pod| pod.metadata.uid.as_deref() == Some(&*key.uid))
    }

    /// All of them.
    pub(super) fn state(&self) -> Vec<Arc<Pod>> {
        self.0.iter().flat_map(Store::state).collect()
    }
}
