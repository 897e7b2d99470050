//! Whose instance an instance is: the tags that say so.

use triton::types::{Instance, TagValue, Tags};

use crate::names::tag;

/// The pod that an instance stands for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Owner {
    /// The cluster's name.
    pub cluster: Box<str>,
    /// The node's name.
    pub node: Box<str>,
    /// The pod's namespace.
    pub namespace: Box<str>,
    /// The pod's name.
    pub pod: Box<str>,
    /// The pod's UID.
    pub uid: Box<str>,
}

impl Owner {
    /// The tags that say so.
    pub fn tags(&self) -> Tags {
        let pairs = [
            (tag::CLUSTER, &self.cluster),
            (tag::NODE, &self.node),
            (tag::NAMESPACE, &self.namespace),
            (tag::POD, &self.pod),
            (tag::UID, &self.uid),
        ];
        pairs.into_iter().map(|(key, value)| (key.to_owned(), TagValue::from(value.as_ref()))).collect()
    }

    /// Whose an instance is; `None` when it lacks one of the tags, and so is not ours.
    pub fn of(instance: &Instance) -> Option<Self> {
        let text = |key| Some(Box::from(instance.tags.get(key)?.as_str()?));
        Some(Self {
            cluster: text(tag::CLUSTER)?,
            node: text(tag::NODE)?,
            namespace: text(tag::NAMESPACE)?,
            pod: text(tag::POD)?,
            uid: text(tag::UID)?,
        })
    }
}
