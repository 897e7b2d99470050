//! What goes wrong: the shape of the fault file, of `--fault`, and of the admin API's `faults`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use triton::id::{ComputeNodeId, InstanceId};

use crate::cloudapi::Operation;

/// How often something happens, from 0 (never) to 1 (always).
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Rate(f64);

/// A number that is no rate.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{0} is not a rate: give a number from 0 (never) to 1 (always)")]
pub struct NotARate(f64);

impl Rate {
    /// It never happens.
    pub const NEVER: Self = Self(0.0);
    /// It always happens.
    pub const ALWAYS: Self = Self(1.0);

    /// A rate of a number.
    ///
    /// # Errors
    ///
    /// [`NotARate`] when it is not between 0 and 1.
    pub fn new(rate: f64) -> Result<Self, NotARate> {
        if (0.0..=1.0).contains(&rate) { Ok(Self(rate)) } else { Err(NotARate(rate)) }
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }

    /// Whether it happens, given a number that is spread evenly from 0 up to but not including 1.
    pub(crate) fn hits(self, draw: f64) -> bool {
        draw < self.0
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        f64::deserialize(deserializer).and_then(|rate| Self::new(rate).map_err(de::Error::custom))
    }
}

/// Which requests a row of [`FaultPlan::requests`] is about: one operation, or `all` of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// Every operation.
    All,
    /// One.
    Operation(Operation),
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::All => "all",
            Self::Operation(operation) => operation.name(),
        })
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        if name == "all" {
            return Ok(Self::All);
        }
        let found = Operation::ALL.iter().find(|operation| operation.name() == name);
        found.copied().map(Self::Operation).ok_or_else(|| {
            de::Error::custom(format!(
                "unknown operation {name:?}: give \"all\" or a name such as \"GetMachine\""
            ))
        })
    }
}

/// What goes wrong with requests. Fields that are not given are as under `all`, or as if nothing went wrong.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RequestFaults {
    /// Milliseconds that every answer takes longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<u32>,
    /// Up to so many milliseconds more, chosen by the seed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jitter_ms: Option<u32>,
    /// How many requests get 500 `InternalError`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_rate: Option<Rate>,
    /// How many requests get no answer; what a proxy would do after two minutes is done then: 504.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_rate: Option<Rate>,
    /// How many requests get 429 as if the account had sent too many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throttle_rate: Option<Rate>,
    /// How many requests get 503 as in maintenance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unavailable_rate: Option<Rate>,
    /// Seconds to put in `Retry-After` of such 429 and 503; without it there is no such header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u32>,
    /// How many answers break off in the middle of their body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub torn_rate: Option<Rate>,
    /// Whether a request that gets 500, 503 or no answer has been carried out all the same. Torn answers are
    /// always those of requests that have been carried out, and 429 never is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applied: Option<bool>,
    /// How many rows are missing from lists. Each request misses others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing_row_rate: Option<Rate>,
}

impl RequestFaults {
    /// These, and those of `general` where these say nothing.
    #[must_use]
    pub fn or(&self, general: &Self) -> Self {
        Self {
            latency_ms: self.latency_ms.or(general.latency_ms),
            jitter_ms: self.jitter_ms.or(general.jitter_ms),
            error_rate: self.error_rate.or(general.error_rate),
            timeout_rate: self.timeout_rate.or(general.timeout_rate),
            throttle_rate: self.throttle_rate.or(general.throttle_rate),
            unavailable_rate: self.unavailable_rate.or(general.unavailable_rate),
            retry_after_seconds: self.retry_after_seconds.or(general.retry_after_seconds),
            torn_rate: self.torn_rate.or(general.torn_rate),
            applied: self.applied.or(general.applied),
            missing_row_rate: self.missing_row_rate.or(general.missing_row_rate),
        }
    }
}

/// What goes wrong with the changefeed. An event that goes wrong does so for all clients alike.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FeedFaults {
    /// How many events are lost.
    pub lose_rate: Rate,
    /// How many events come twice.
    pub duplicate_rate: Rate,
    /// How many events come late, and so in another order.
    pub delay_rate: Rate,
    /// How many milliseconds late.
    pub delay_ms: u32,
    /// How many events cut the feed: it closes all sockets, and the event is lost.
    pub cut_rate: Rate,
}

impl FeedFaults {
    pub(crate) fn delay(&self) -> Duration {
        Duration::from_millis(self.delay_ms.into())
    }
}

/// What goes wrong with instances.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InstanceFaults {
    /// How many instances end as `failed` instead of `running`.
    pub provision_failure_rate: Rate,
    /// How much memory each compute node has, in MiB. Instances that fit on none end as `failed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compute_node_memory_mib: Option<u64>,
    /// How many other jobs fail.
    pub job_failure_rate: Rate,
    /// Milliseconds that jobs on tags and metadata take longer.
    pub tag_delay_ms: u32,
    /// Compute nodes that do not answer.
    pub compute_nodes_down: Vec<ComputeNodeId>,
    /// Instances that are answered with 404 when they are read, whether they are there, destroyed or were never.
    pub not_found: Vec<InstanceId>,
    /// Instances that lists leave out.
    pub unlisted: Vec<InstanceId>,
}

/// Everything that goes wrong. The default is that nothing does.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FaultPlan {
    /// Every decision follows from this and from how many requests of the same operation, or events, came
    /// before: the same seed and the same requests repeat a run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Requests to CloudAPI.
    pub requests: BTreeMap<Target, RequestFaults>,
    /// The changefeed.
    pub feed: FeedFaults,
    /// Instances.
    pub instances: InstanceFaults,
    /// Whether the data centre is in maintenance: every write gets 503 (reference 2.5).
    pub maintenance: bool,
    /// When it will be over, in seconds from each request on, for `Retry-After`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maintenance_seconds: Option<u32>,
}

impl FaultPlan {
    /// What goes wrong with requests of one operation.
    #[must_use]
    pub fn of(&self, operation: Operation) -> RequestFaults {
        let nothing = RequestFaults::default();
        let general = self.requests.get(&Target::All).unwrap_or(&nothing);
        self.requests.get(&Target::Operation(operation)).unwrap_or(&nothing).or(general)
    }
}
