//! What is shown of a Service that load-balancer instances serve.

use diagnostics::Explanation;
use tokio::time::Instant;

use super::{pause, remark};
use crate::moirai::status::Change;
use crate::moirai::{Plan, Step};

/// Adds what would be done about a Service's load balancers.
pub(crate) fn explain_balancers(shown: &mut Explanation, plan: &Plan, now: Instant) {
    shown.plan.extend(balancer_steps(plan));
    shown.notes.extend(plan.notes.iter().map(remark));
    let again = pause(plan.again, now).map(|pause| pause.as_secs());
    shown.again_in_seconds = [shown.again_in_seconds, again].into_iter().flatten().min();
}

/// What is written for the load balancers of a Service.
pub(crate) fn balancer_steps(plan: &Plan) -> Vec<String> {
    let mut steps = status_steps(&plan.status);
    steps.extend(plan.steps.iter().filter_map(step));
    steps
}

fn status_steps(change: &Change) -> Vec<String> {
    let finalizer = change.finalizer.map(|wanted| match wanted {
        true => "add the finalizer of load balancers".to_owned(),
        false => "remove the finalizer of load balancers".to_owned(),
    });
    let ingress = change.ingress.as_ref().map(|ingress| match ingress.addresses.as_slice() {
        [] => "remove the load balancers from the status".to_owned(),
        addresses => {
            let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
            format!("write {} ({}) into the status", addresses.join(", "), ingress.hostname)
        }
    });
    let condition = change.condition.as_ref().map(|condition| match condition {
        Some(it) => format!("write condition {}={} ({}): {}", it.type_, it.status, it.reason, it.message),
        None => "remove the condition of load balancers".to_owned(),
    });
    [finalizer, ingress, condition].into_iter().flatten().collect()
}

/// `None` for what is only read.
fn step(step: &Step) -> Option<String> {
    Some(match step {
        Step::Learn | Step::Find(_) | Step::Read(_) | Step::Prove(_) | Step::Confirm => return None,
        Step::Create(request) => {
            let name = request.name.as_deref().unwrap_or_default();
            format!("make load balancer {name}: package {}, image {}", request.package, request.image)
        }
        Step::SetTags(id, tags) => {
            let tags: Vec<String> = tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
            format!("tag load balancer {id}: {}", tags.join("; "))
        }
        Step::SetMetadata(id, metadata) => {
            let keys: Vec<&str> = metadata.keys().collect();
            format!("write metadata of load balancer {id}: {}", keys.join(", "))
        }
        Step::RemoveMetadata(id, key) => format!("remove metadata of load balancer {id}: {key}"),
        Step::Start(id) => format!("start load balancer {id}"),
        Step::Delete(id) => format!("delete load balancer {id}"),
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use triton::id::InstanceId;
    use triton::types::{CreateInstance, Metadata};

    use super::*;

    const ID: &str = "8a5918c3-84a2-4122-9ed5-60d76d7a8525";

    fn id() -> InstanceId {
        ID.parse().unwrap()
    }

    #[rstest]
    #[case::what_is_read(Step::Read(id()), None)]
    #[case::what_is_proved(Step::Prove(id()), None)]
    #[case::what_is_deleted(Step::Delete(id()), Some("delete load balancer"))]
    #[case::what_is_set(
        Step::SetMetadata(id(), Metadata::from_iter([("cloud.tritoncompute:portmap", "tcp://80:x:80")])),
        Some("write metadata of load balancer")
    )]
    fn steps_that_write_are_shown(#[case] of: Step, #[case] shown: Option<&str>) {
        let begins = |text: &str, start| text.starts_with(&format!("{start} {ID}"));
        assert_eq!(step(&of).is_some(), shown.is_some());
        assert!(step(&of).zip(shown).is_none_or(|(text, start)| begins(&text, start)));
    }

    #[test]
    fn what_is_made_is_named() {
        let request = CreateInstance {
            name: Some("web-0".to_owned()),
            ..CreateInstance::new("g1.small", ID.parse().unwrap())
        };
        let plan = Plan { steps: vec![Step::Create(Box::new(request))], ..Plan::default() };
        let mut shown = Explanation::of("service", "default/web");
        explain_balancers(&mut shown, &plan, Instant::now());
        assert_eq!(shown.plan, [format!("make load balancer web-0: package g1.small, image {ID}")]);
    }
}
