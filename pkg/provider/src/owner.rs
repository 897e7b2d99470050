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

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn owner() -> Owner {
        let texts = ["kubernetes", "triton", "default", "web-0", "3f0b3c6e-7d2a-4b5e-9c1f-0a1b2c3d4e5f"];
        let [cluster, node, namespace, pod, uid] = texts.map(Box::from);
        Owner { cluster, node, namespace, pod, uid }
    }

    fn instance(tags: &serde_json::Value) -> Instance {
        let id = "8a5918c3-84a2-4122-9ed5-60d76d7a8525";
        serde_json::from_value(json!({"id": id, "name": "x", "state": "running", "tags": tags})).unwrap()
    }

    #[test]
    fn an_owner_is_read_from_the_tags_that_it_writes() {
        let mut tags = owner().tags();
        assert_eq!(tags.len(), 5);
        tags.insert("role".to_owned(), "web".into());
        assert_eq!(Owner::of(&instance(&serde_json::to_value(&tags).unwrap())), Some(owner()));
    }

    #[rstest]
    #[case(tag::CLUSTER)]
    #[case(tag::NODE)]
    #[case(tag::NAMESPACE)]
    #[case(tag::POD)]
    #[case(tag::UID)]
    fn an_instance_that_lacks_a_tag_is_not_ours(#[case] key: &str) {
        let mut tags = serde_json::to_value(owner().tags()).unwrap();
        tags[key] = json!(17);
        assert_eq!(Owner::of(&instance(&tags)), None, "not a text");
        tags.as_object_mut().unwrap().remove(key);
        assert_eq!(Owner::of(&instance(&tags)), None, "not there");
    }
}
