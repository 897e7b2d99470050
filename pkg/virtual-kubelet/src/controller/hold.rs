//! Keeps pods on the node while CloudAPI is silent.
//!
//! The node is then not ready, and Kubernetes taints it: after 300 s it would evict every pod, although all instances
//! may well be running, and their replacements could not be made anywhere on this node. So before that time is up the
//! default tolerations of these taints, which the API server put there, lose their end. A toleration that a user chose
//! with another time stays as it is.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Pod, Toleration};
use runtime::exit::one_line;
use tokio::time::{Instant, sleep};

use super::Controller;
use crate::node::contact::{Contact, Voice};
use crate::pod::PodKey;

/// How often it is looked whether CloudAPI answers; that costs no call.
const EVERY: Duration = Duration::from_secs(5);

/// The taints of a node that is not ready or not heard of.
const TAINTS: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];

/// What the admission plugin DefaultTolerationSeconds gives every pod.
const DEFAULT_SECONDS: i64 = 300;

impl Controller {
    /// Watches over CloudAPI's silence for ever.
    pub(super) async fn hold_pods(&self) {
        let mut contact = Contact::new(Instant::now());
        loop {
            let now = Instant::now();
            contact = contact.observe(&self.instances.health(), now);
            if matches!(contact.voice(self.settings.cloudapi_grace, now), Voice::Silent(_)) {
                self.hold_all().await;
            }
            sleep(EVERY).await;
        }
    }

    async fn hold_all(&self) {
        for pod in self.pods.state() {
            let Some(key) = PodKey::of(&pod) else { continue };
            let Some(tolerations) = held(&pod) else { continue };
            if let Err(error) = self.writer.write_tolerations(&pod, &key, &tolerations).await {
                // The next round tries again.
                tracing::warn!(pod = %key, error = %one_line(&error), "the pod may be evicted while CloudAPI is silent");
            }
        }
    }
}

/// The pod's tolerations without the end that they have by default; `None` when they have none to lose.
fn held(pod: &Pod) -> Option<Vec<Toleration>> {
    if pod.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let tolerations = pod.spec.as_ref()?.tolerations.as_ref()?;
    let held: Vec<Toleration> = tolerations.iter().map(without_end).collect();
    (held != *tolerations).then_some(held)
}

fn without_end(toleration: &Toleration) -> Toleration {
    let is_ours = toleration.key.as_deref().is_some_and(|key| TAINTS.contains(&key))
        && toleration.effect.as_deref() == Some("NoExecute")
        && toleration.toleration_seconds == Some(DEFAULT_SECONDS);
    let seconds = toleration.toleration_seconds.filter(|_| !is_ours);
    Toleration { toleration_seconds: seconds, ..toleration.clone() }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    const NOT_READY: &str = "node.kubernetes.io/not-ready";

    #[rstest]
    #[case::by_default(
        json!([{"key": NOT_READY, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}]),
        Some(json!([{"key": NOT_READY, "operator": "Exists", "effect": "NoExecute"}]))
    )]
    #[case::by_choice(
        json!([{"key": NOT_READY, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 30}]), None
    )]
    #[case::for_ever(json!([{"key": NOT_READY, "operator": "Exists", "effect": "NoExecute"}]), None)]
    #[case::another_taint(
        json!([{"key": "maintenance", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}]), None
    )]
    #[case::none(json!([]), None)]
    fn only_the_default_tolerations_lose_their_end(
        #[case] tolerations: Value,
        #[case] expected: Option<Value>,
    ) {
        let pod = json!({"metadata": {}, "spec": {"containers": [], "tolerations": tolerations}});
        let held = held(&serde_json::from_value(pod).unwrap());
        assert_eq!(held.map(|held| serde_json::to_value(held).unwrap()), expected);
    }
}
