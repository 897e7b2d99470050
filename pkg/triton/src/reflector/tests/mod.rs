//! Tests of the reflector's rules without a server: a table of histories, and a model.

mod histories;
mod model;

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use uuid::Uuid;

use crate::id::InstanceId;
use crate::types::{Instance, InstanceSummary};

fn id(slot: u128) -> InstanceId {
    InstanceId::from(Uuid::from_u128(slot))
}

/// An instance in this state, last changed at this millisecond, with one tag.
fn instance(slot: u128, state: &str, updated_ms: i64, tag: u32) -> Instance {
    let updated = jiff::Timestamp::from_millisecond(1_770_000_000_000 + updated_ms).expect("a time");
    serde_json::from_value(json!({
        "id": id(slot), "name": format!("web-{slot}"), "state": state, "package": "g1.small", "memory": 1024,
        "updated": updated, "tags": {"rev": tag, "app": "web"},
    }))
    .expect("an instance")
}

/// The same instance as an event carries it.
fn as_in_event(instance: &Instance) -> Instance {
    Instance { package: None, ..instance.clone() }
}

/// An instance as a list of the destroyed shows it.
fn summary(slot: u128, state: &str) -> InstanceSummary {
    InstanceSummary { id: id(slot), state: state.into() }
}

fn seconds(start: Instant, n: u64) -> Instant {
    start + Duration::from_secs(n)
}
