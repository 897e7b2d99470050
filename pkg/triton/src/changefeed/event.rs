//! The two text frames of the changefeed: our registration and the server's events.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::id::InstanceId;
use crate::types::Instance;

/// The largest event that is read. An instance's tags and metadata enter CloudAPI in bodies of at most
/// 100,000 bytes each (reference 2.2), so a real event stays far below.
pub const MAX_EVENT_BYTES: usize = 4 << 20;

/// The sub-resources that can be registered for; the server knows exactly these eight.
const SUB_RESOURCES: [&str; 8] =
    ["alias", "customer_metadata", "destroyed", "nics", "owner_uuid", "server_uuid", "state", "tags"];

/// What a client asks to be told about.
#[derive(Debug, Clone, Serialize)]
pub struct Registration {
    resource: &'static str,
    #[serde(rename = "subResources")]
    sub_resources: [&'static str; 8],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    vms: Vec<InstanceId>,
}

impl Registration {
    /// Every change of every instance of the account.
    pub fn everything() -> Self {
        Self { resource: "vm", sub_resources: SUB_RESOURCES, vms: Vec::new() }
    }

    /// Every change of these instances only.
    pub fn instances(ids: impl IntoIterator<Item = InstanceId>) -> Self {
        Self { vms: ids.into_iter().collect(), ..Self::everything() }
    }
}

/// One change, as the server tells it.
#[derive(Debug, Clone)]
pub struct Event {
    /// The instance that changed.
    pub id: InstanceId,
    /// When the change was published, in milliseconds since 1970 UTC.
    pub published: Option<i64>,
    /// The properties that changed, in VMAPI's names. Open-ended, may repeat.
    pub sub_resources: Vec<Box<str>>,
    /// VMAPI's own state, such as `stopping` or `destroyed`.
    pub vm_state: Option<Box<str>>,
    /// The instance after the change, without its package name and DNS names. `None` when the event had no
    /// object that could be decoded; then the event still says that this instance changed.
    pub instance: Option<Box<Instance>>,
}

/// Why a frame is not an event.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EventError {
    /// The frame is not JSON of the expected shape.
    #[error("a frame of the changefeed is not an event")]
    Decode(#[source] serde_json::Error),
    /// The event does not say which instance changed.
    #[error("an event of the changefeed names no instance")]
    NoInstance,
}

/// The frame's outer shape; the parts that may be malformed on their own stay raw.
#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow, default)]
    published: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "changeKind")]
    change_kind: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "changedResourceId")]
    changed_resource_id: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "resourceState")]
    resource_state: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "resourceObject")]
    resource_object: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ChangeKind {
    #[serde(default, rename = "subResources")]
    sub_resources: Vec<Box<str>>,
}

impl Event {
    /// Decodes a text frame. Only the instance's id is needed; the rest is taken where it is well-formed.
    ///
    /// # Errors
    /// [`EventError`] when the frame does not name an instance. Something may have changed all the same.
    pub fn decode(frame: &str) -> Result<Self, EventError> {
        let frame: Frame<'_> = serde_json::from_str(frame).map_err(EventError::Decode)?;
        let instance: Option<Box<Instance>> = part(frame.resource_object);
        let named: Option<Uuid> = part(frame.changed_resource_id);
        let id = match (named.map(InstanceId::from), &instance) {
            (Some(id), _) => id,
            (None, Some(instance)) => instance.id,
            (None, None) => return Err(EventError::NoInstance),
        };
        Ok(Self {
            id,
            published: frame.published.and_then(milliseconds),
            sub_resources: part::<ChangeKind>(frame.change_kind)
                .map(|kind| kind.sub_resources)
                .unwrap_or_default(),
            vm_state: part(frame.resource_state),
            // An object of another instance is no news about this one.
            instance: instance.filter(|instance| instance.id == id),
        })
    }

    /// Whether the event says that the instance was destroyed. A hint: only a 410 proves it.
    pub fn claims_destroyed(&self) -> bool {
        self.vm_state.as_deref() == Some("destroyed")
            || self.instance.as_ref().is_some_and(|instance| instance.state.is_deleted())
    }
}

fn part<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>) -> Option<T> {
    serde_json::from_str(raw?.get()).ok()
}

/// Milliseconds are sent as a string; a number is understood too.
fn milliseconds(raw: &RawValue) -> Option<i64> {
    raw.get().trim_matches('"').parse().ok()
}
