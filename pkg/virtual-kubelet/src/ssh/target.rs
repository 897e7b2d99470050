//! Where to connect, and as whom.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use k8s_openapi::api::core::v1::Pod;
use provider::names::{PREFIX, annotation};
use triton::id::InstanceId;

use super::HostKey;

/// The port of SSH.
const PORT: u16 = 22;

/// Who there is on every instance.
const DEFAULT_USER: &str = "root";

/// The tag of images that names who has the account's keys.
const USER_TAG: &str = "default_user";

/// The way to an instance.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Route {
    /// The instance.
    pub instance: InstanceId,
    /// Where its SSH server is.
    pub address: SocketAddr,
    /// The user.
    pub user: Box<str>,
}

/// As `ssh` takes it, but for the port: `ubuntu@10.0.0.7`.
impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.user, self.address.ip())
    }
}

/// What to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The way there.
    pub route: Route,
    /// The key that its server must have; `None` when the pod does not know one yet.
    pub host_key: Option<HostKey>,
}

/// Why there is no connecting to a pod.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// It has no address (yet).
    #[error("the pod has no address")]
    NoAddress,
    /// The user's name is empty or odd.
    #[error("the annotation {PREFIX}{name} is not the name of a user; correct or remove it", name = annotation::SSH_USER)]
    User,
    /// The host key is none.
    #[error("the annotation {PREFIX}{name} is {0}; correct or remove it", name = annotation::SSH_HOST_KEY)]
    HostKey(#[from] super::ParseHostKeyError),
}

impl Target {
    /// Reads a pod: its address, and the user that its annotation names, or the tag `default_user` of the image of
    /// its instance, or `root`.
    ///
    /// # Errors
    /// [`TargetError`]
    pub fn of(pod: &Pod, instance: InstanceId, image_user: Option<&str>) -> Result<Self, TargetError> {
        let ip = pod.status.as_ref().and_then(|status| status.pod_ip.as_deref()?.parse::<IpAddr>().ok());
        let address = SocketAddr::new(ip.ok_or(TargetError::NoAddress)?, PORT);
        let annotation = |name| pod.metadata.annotations.as_ref()?.get(&format!("{PREFIX}{name}"));
        let user = match annotation(annotation::SSH_USER).map(|name| name.trim()) {
            Some(name) if is_name(name) => name,
            Some(_) => return Err(TargetError::User),
            None => image_user.filter(|name| is_name(name)).unwrap_or(DEFAULT_USER),
        };
        let host_key = match annotation(annotation::SSH_HOST_KEY) {
            Some(text) => HostKey::from_annotation(text, instance)?,
            None => None,
        };
        Ok(Self { route: Route { instance, address, user: user.into() }, host_key })
    }

    /// The user that an image's tags name.
    pub fn image_user(tags: &triton::types::Tags) -> Option<&str> {
        tags.get(USER_TAG)?.as_str()
    }
}

/// Whether a system can have a user of this name.
fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(|c| c.is_whitespace() || c.is_control() || c == ':')
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    fn read(annotations: serde_json::Value, image_user: Option<&str>) -> Result<Target, TargetError> {
        let pod = json!({"metadata": {"annotations": annotations}, "status": {"podIP": "10.0.0.7"}});
        Target::of(&serde_json::from_value(pod).unwrap(), instance(), image_user)
    }

    fn instance() -> InstanceId {
        Uuid::from_u128(1).to_string().parse().unwrap()
    }

    #[rstest]
    #[case::annotation_first(json!({"tritondatacenter.com/ssh-user": " joe "}), Some("ubuntu"), "joe@10.0.0.7")]
    #[case::then_the_image(json!({"ssh-user": "joe"}), Some("ubuntu"), "ubuntu@10.0.0.7")]
    #[case::then_root(json!({}), None, "root@10.0.0.7")]
    #[case::images_may_be_odd(json!({}), Some("a b"), "root@10.0.0.7")]
    fn the_user_is(
        #[case] annotations: serde_json::Value,
        #[case] image_user: Option<&str>,
        #[case] expected: &str,
    ) {
        let target = read(annotations, image_user).unwrap();
        assert_eq!(target.route.to_string(), expected);
        assert_eq!((target.route.address.port(), target.host_key), (22, None));
    }

    #[rstest]
    #[case(json!({"tritondatacenter.com/ssh-user": ""}), "ssh-user is not the name of a user")]
    #[case(json!({"tritondatacenter.com/ssh-user": "a\nb"}), "ssh-user is not the name of a user")]
    #[case(json!({"tritondatacenter.com/ssh-host-key": "x"}), "ssh-host-key is not a public key")]
    fn odd_annotations_are_named(#[case] annotations: serde_json::Value, #[case] expected: &str) {
        let message = read(annotations, None).unwrap_err().to_string();
        assert!(message.contains(expected) && message.ends_with("correct or remove it"), "{message}");
    }

    #[test]
    fn a_pod_without_an_address_has_no_target() {
        assert_eq!(Target::of(&Pod::default(), instance(), None), Err(TargetError::NoAddress));
    }
}
