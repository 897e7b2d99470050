//! What users may do, which the API server says.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Method;
use k8s_openapi::api::authorization::v1::{
    NonResourceAttributes, ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use kube::Api;
use kube::api::PostParams;
use moka::Expiry;
use moka::future::Cache;

use super::User;
use crate::clients::ApiError;

/// Answers that are remembered at most.
const REMEMBERED: u64 = 1024;

/// What somebody wants to do, in the terms of RBAC.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Access {
    /// A path of a server that is no object of the API, such as `/metrics`.
    Path {
        /// The path.
        path: String,
        /// The verb, such as `get`.
        verb: String,
    },
    /// An object of the API that stands for what is served, as `nodes/proxy` does for a kubelet.
    Resource {
        /// The API group; empty for the core one.
        group: String,
        /// The resource in the plural.
        resource: String,
        /// The sub-resource; empty for none.
        subresource: String,
        /// The name of the object.
        name: String,
        /// The verb.
        verb: String,
    },
}

impl Access {
    /// A request for a path.
    pub fn path(method: &Method, path: &str) -> Self {
        Self::Path { path: path.to_owned(), verb: method.as_str().to_ascii_lowercase() }
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path { path, verb } => write!(f, "{verb} path {path:?}"),
            Self::Resource { resource, subresource, name, verb, .. } if subresource.is_empty() => {
                write!(f, "{verb} {resource} {name:?}")
            }
            Self::Resource { resource, subresource, name, verb, .. } => {
                write!(f, "{verb} {resource}/{subresource} of {name:?}")
            }
        }
    }
}

/// The API server has not answered a review.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReviewError {
    #[error("the API server cannot review the {review}")]
    Api { review: &'static str, source: ApiError },
    #[error("the API server did not review the {review} within {seconds} s")]
    Late { review: &'static str, seconds: u64 },
}

/// The API server's word on what users may do.
#[derive(Debug, Clone)]
pub(super) struct Rights {
    reviews: Api<SubjectAccessReview>,
    known: Cache<(User, Access), bool>,
    deadline: Duration,
}

/// How long answers are kept.
struct Lasting {
    allowed: Duration,
    denied: Duration,
}

impl<K> Expiry<K, bool> for Lasting {
    fn expire_after_create(&self, _: &K, allowed: &bool, _: Instant) -> Option<Duration> {
        Some(if *allowed { self.allowed } else { self.denied })
    }
}

impl Rights {
    /// Asks by `client`; keeps a yes and a no each for so long.
    pub(super) fn new(client: kube::Client, allowed: Duration, denied: Duration, deadline: Duration) -> Self {
        let known =
            Cache::builder().max_capacity(REMEMBERED).expire_after(Lasting { allowed, denied }).build();
        Self { reviews: Api::all(client), known, deadline }
    }

    /// Whether the user may.
    pub(super) async fn allow(&self, user: &User, access: &Access) -> Result<bool, Arc<ReviewError>> {
        self.known.try_get_with((user.clone(), access.clone()), self.review(user, access)).await
    }

    async fn review(&self, user: &User, access: &Access) -> Result<bool, ReviewError> {
        let review =
            SubjectAccessReview { spec: specification(user, access), ..SubjectAccessReview::default() };
        let params = PostParams::default();
        let asked = self.reviews.create(&params, &review);
        let answer = tokio::time::timeout(self.deadline, asked)
            .await
            .map_err(|_| ReviewError::Late { review: "access", seconds: self.deadline.as_secs() })?
            .map_err(|error| ReviewError::Api { review: "access", source: ApiError::from(error) })?;
        Ok(answer.status.is_some_and(|status| status.allowed))
    }
}

fn specification(user: &User, access: &Access) -> SubjectAccessReviewSpec {
    let mut specification = SubjectAccessReviewSpec {
        user: Some(user.name.clone()),
        uid: user.uid.clone(),
        groups: Some(user.groups.clone()),
        extra: (!user.extra.is_empty()).then(|| user.extra.clone()),
        ..SubjectAccessReviewSpec::default()
    };
    match access.clone() {
        Access::Path { path, verb } => {
            specification.non_resource_attributes =
                Some(NonResourceAttributes { path: Some(path), verb: Some(verb) });
        }
        Access::Resource { group, resource, subresource, name, verb } => {
            let given = |text: String| Some(text).filter(|text| !text.is_empty());
            specification.resource_attributes = Some(ResourceAttributes {
                group: given(group),
                version: Some("v1".to_owned()),
                resource: given(resource),
                subresource: given(subresource),
                name: given(name),
                verb: given(verb),
                ..ResourceAttributes::default()
            });
        }
    }
    specification
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::access::scripted::Scripted;

    fn user(name: &str) -> User {
        User { name: name.to_owned(), uid: None, groups: vec!["g".to_owned()], extra: Default::default() }
    }

    #[tokio::test]
    async fn a_yes_and_a_no_are_each_kept_for_their_time() {
        let server =
            Scripted::new(|review| json!({"status": {"allowed": review["spec"]["user"] == "friend"}}));
        let (long, short) = (Duration::from_secs(3600), Duration::from_millis(1));
        let rights = Rights::new(server.client(), long, short, Duration::from_secs(10));
        let metrics = Access::path(&Method::GET, "/metrics");
        for _ in 0..3 {
            assert!(rights.allow(&user("friend"), &metrics).await.unwrap());
        }
        assert_eq!(server.asked(), 1);
        let sent = server.last();
        assert_eq!(sent["spec"]["nonResourceAttributes"], json!({"path": "/metrics", "verb": "get"}));
        assert_eq!(sent["spec"]["groups"], json!(["g"]));
        while server.asked() < 4 {
            assert!(!rights.allow(&user("stranger"), &metrics).await.unwrap());
        }
    }

    #[tokio::test]
    async fn a_kubelets_rights_are_those_to_parts_of_its_node() {
        let server = Scripted::new(|_| json!({"status": {"allowed": true}}));
        let long = Duration::from_secs(3600);
        let rights = Rights::new(server.client(), long, long, Duration::from_secs(10));
        let access = Access::Resource {
            group: String::new(),
            resource: "nodes".to_owned(),
            subresource: "proxy".to_owned(),
            name: "vk-0".to_owned(),
            verb: "create".to_owned(),
        };
        assert!(rights.allow(&user("u"), &access).await.unwrap());
        let expected = json!({"version": "v1", "resource": "nodes", "subresource": "proxy", "name": "vk-0", "verb": "create"});
        assert_eq!(server.last()["spec"]["resourceAttributes"], expected);
        assert_eq!(access.to_string(), "create nodes/proxy of \"vk-0\"");
    }
}
