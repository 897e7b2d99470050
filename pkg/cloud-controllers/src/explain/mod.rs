//! What operators are shown of a Service or a Node: the plan that the controllers would carry out, and what it is made of. Pure.
//!
//! No values of tags but those of CNS, which are public names.

mod balancer;
mod node;
mod service;
#[cfg(test)]
mod tests;

use std::time::Duration;

use diagnostics::Remark;
use tokio::time::Instant;

pub(crate) use self::balancer::{balancer_steps, explain_balancers};
pub use self::node::explain_node;
pub(crate) use self::node::{life_step, node_step};
pub use self::service::explain_service;
pub(crate) use self::service::{instance_step, status_steps};
use crate::node::Note;

fn remark(note: &Note) -> Remark {
    Remark::new(note.severity, note.reason, note.text.clone())
}

fn pause(again: Option<Instant>, now: Instant) -> Option<Duration> {
    again.map(|again| again.saturating_duration_since(now))
}
