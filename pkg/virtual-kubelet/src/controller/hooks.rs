//! Runs the preStop hooks of pods, beside the looks.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use runtime::events::Severity;
use triton::id::InstanceId;

use super::Controller;
use crate::lifecycle::{Note, Outcome, Step};
use crate::pod::PodKey;
use crate::probes::run::{Exec, Subject, attempt};
use crate::probes::{Action, Finding};

/// The hooks that have ended and that nobody has asked about since.
#[derive(Debug, Default)]
pub(super) struct Hooks(Mutex<HashMap<PodKey, (InstanceId, Outcome)>>);

impl Hooks {
    /// How a pod's hook ended, once.
    pub(super) fn take(&self, key: &PodKey) -> Option<(Step, Outcome)> {
        let (id, outcome) = self.lock().remove(key)?;
        Some((Step::PreStop(id), outcome))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PodKey, (InstanceId, Outcome)>> {
        // Nothing panics while holding the lock; should it ever, the outcomes are still usable.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Controller {
    /// Starts a pod's hook. When it has ended, another look is asked for, which finds its outcome. How long it may
    /// take is for the plan to say, which goes on without it.
    pub(super) fn start_hook(self: &Arc<Self>, key: &PodKey, pod: &Arc<Pod>, id: InstanceId) {
        let (this, key, pod) = (Arc::clone(self), key.clone(), Arc::clone(pod));
        tokio::spawn(async move {
            let grace =
                pod.metadata.deletion_grace_period_seconds.and_then(|grace| u64::try_from(grace).ok());
            let limit = Duration::from_secs(grace.unwrap_or(30));
            let finding = tokio::time::timeout(limit, run(&key, &pod, this.exec.as_deref(), limit)).await;
            let finding = finding.unwrap_or_else(|_| Finding::Failure(format!("no end after {limit:?}")));
            let outcome = match finding {
                Finding::Success => Outcome::Done,
                Finding::Failure(message) | Finding::Impossible(message) => {
                    this.say(
                        &pod,
                        &Note {
                            severity: Severity::Warning,
                            reason: "FailedPreStopHook",
                            message: format!("PreStop hook failed: {message}"),
                        },
                    );
                    Outcome::Failed { kind: None, message, may_have_taken_effect: true }
                }
            };
            this.hooks.lock().insert(key.clone(), (id, outcome));
            this.queue.ask(&key);
        });
    }
}

async fn run(key: &PodKey, pod: &Pod, exec: Option<&dyn Exec>, limit: Duration) -> Finding {
    let container = pod.spec.as_ref().and_then(|spec| spec.containers.first());
    let hook = container.and_then(|it| Some((it, it.lifecycle.as_ref()?.pre_stop.as_ref()?)));
    let Some((container, hook)) = hook else { return Finding::Success };
    if let Some(sleep) = &hook.sleep {
        let seconds = u64::try_from(sleep.seconds).unwrap_or_default();
        tokio::time::sleep(Duration::from_secs(seconds).min(limit)).await;
        return Finding::Success;
    }
    let address = pod.status.as_ref().and_then(|status| status.pod_ip.as_deref()?.parse::<IpAddr>().ok());
    let Some(address) = address else {
        return Finding::Impossible("the pod has no address".to_owned());
    };
    attempt(&Action::of_hook(hook, container), Subject { pod: key, address, exec }, limit).await
}
