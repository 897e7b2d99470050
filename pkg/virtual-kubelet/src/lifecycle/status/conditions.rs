//! The pod's conditions. Those of others are kept as they are.

use k8s_openapi::api::core::v1::{Pod, PodCondition, PodStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::Report;
use crate::lifecycle::draft::Draft;
use crate::lifecycle::was::Phase;

/// Whether the conditions that the pod's readiness gates name are all true.
pub(super) fn gates_are_open(pod: &Pod) -> bool {
    let gates = pod.spec.as_ref().and_then(|spec| spec.readiness_gates.as_ref());
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_ref());
    gates.into_iter().flatten().all(|gate| {
        conditions
            .into_iter()
            .flatten()
            .any(|condition| condition.type_ == gate.condition_type && condition.status == "True")
    })
}

/// Writes the conditions that are the kubelet's.
pub(super) fn write(status: &mut PodStatus, draft: &Draft<'_>, report: &Report<'_>) {
    let ready = report.is_container_ready();
    let ended = match report.phase {
        Phase::Succeeded => Some("PodCompleted"),
        Phase::Failed => Some("PodFailed"),
        Phase::Pending | Phase::Running => None,
    };
    let unready = ended.or(report.unready).unwrap_or("ContainersNotReady");
    let message = || format!("containers with unready status: [{}]", draft.was.container_name());
    let containers_ready = if ready { Verdict::yes() } else { Verdict::no(unready, message()) };
    let pod_ready = if ready && !gates_are_open(draft.observed.pod) {
        Verdict::no(
            "ReadinessGatesNotReady",
            "a condition that a readiness gate names is not true".to_owned(),
        )
    } else {
        containers_ready.clone()
    };
    let networked = status.pod_ip.is_some() && ended.is_none();
    let verdicts = [
        ("PodReadyToStartContainers", if networked { Verdict::yes() } else { Verdict::plain_no() }),
        (
            "Initialized",
            Verdict { reason: ended.filter(|_| report.phase == Phase::Succeeded), ..Verdict::yes() },
        ),
        ("Ready", pod_ready),
        ("ContainersReady", containers_ready),
        ("PodScheduled", Verdict::yes()),
    ];
    let now = draft.wall();
    let conditions = status.conditions.get_or_insert_default();
    for (type_, verdict) in verdicts {
        let value = if verdict.is_true { "True" } else { "False" };
        let reason = verdict.reason.map(str::to_owned);
        match conditions.iter_mut().find(|condition| condition.type_ == type_) {
            Some(condition) => {
                if condition.status != value {
                    condition.last_transition_time = Some(Time(now));
                    value.clone_into(&mut condition.status);
                }
                condition.reason = reason;
                condition.message = verdict.message;
            }
            None => conditions.push(PodCondition {
                type_: type_.to_owned(),
                status: value.to_owned(),
                reason,
                message: verdict.message,
                last_transition_time: Some(Time(now)),
                ..PodCondition::default()
            }),
        }
    }
}

#[derive(Debug, Clone)]
struct Verdict {
    is_true: bool,
    reason: Option<&'static str>,
    message: Option<String>,
}

impl Verdict {
    fn yes() -> Self {
        Self { is_true: true, reason: None, message: None }
    }

    fn plain_no() -> Self {
        Self { is_true: false, reason: None, message: None }
    }

    fn no(reason: &'static str, message: String) -> Self {
        Self { is_true: false, reason: Some(reason), message: Some(message) }
    }
}
