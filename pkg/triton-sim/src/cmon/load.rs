//! How busy an instance is. Pure.
//!
//! The load is set from outside with [`super::Cmon::set_load`], or, with more weight, by whoever may write the
//! instance's tags or metadata, and so by the guest itself, with these keys; metadata counts before tags:
//!
//! | key | value |
//! |---|---|
//! | `sim.load-cpu` | percent of one CPU: `25` is a quarter of a CPU, `400` four CPUs |
//! | `sim.load-memory` | percent of the instance's memory |
//! | `sim.load-network` | bytes per second, in and out each |
//!
//! What is not a whole number is passed over, what is too large is cut.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::view::InstanceView;

/// 1024 CPUs.
const MOST_CPU: u32 = 102_400;
/// 100 Gbit/s.
const MOST_NETWORK: u64 = 12_500_000_000;

/// How busy an instance is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Load {
    /// CPU time, in percent of one CPU. At most 1024 CPUs.
    pub cpu_percent: u32,
    /// Memory in use, in percent of the instance's. At most 100.
    pub memory_percent: u8,
    /// Network traffic, in bytes per second, in and out each. At most 100 Gbit/s.
    pub network_bytes: u64,
}

/// What an instance does that nobody told anything: next to nothing, but its counters grow.
impl Default for Load {
    fn default() -> Self {
        Self { cpu_percent: 1, memory_percent: 20, network_bytes: 1000 }
    }
}

impl Load {
    /// This load, with nothing above its limit.
    #[must_use]
    pub fn limited(self) -> Self {
        Self {
            cpu_percent: self.cpu_percent.min(MOST_CPU),
            memory_percent: self.memory_percent.min(100),
            network_bytes: self.network_bytes.min(MOST_NETWORK),
        }
    }

    /// The load of an instance, of which this much has been set from outside.
    #[must_use]
    pub(super) fn of(view: &InstanceView, set: Option<Self>) -> Self {
        let set = set.unwrap_or_default();
        let limit = |number: Option<u64>, else_: u64, most: u64| number.unwrap_or(else_).min(most);
        let cpu = limit(number(view, "sim.load-cpu"), set.cpu_percent.into(), MOST_CPU.into());
        let memory = limit(number(view, "sim.load-memory"), set.memory_percent.into(), 100);
        Self {
            cpu_percent: u32::try_from(cpu).unwrap_or(MOST_CPU),
            memory_percent: u8::try_from(memory).unwrap_or(100),
            network_bytes: limit(number(view, "sim.load-network"), set.network_bytes, MOST_NETWORK),
        }
    }
}

fn number(view: &InstanceView, key: &str) -> Option<u64> {
    let in_metadata = view.metadata.get(key).and_then(|text| text.trim().parse().ok());
    in_metadata.or_else(|| match view.tags.get(key)? {
        Value::String(text) => text.trim().parse().ok(),
        Value::Number(number) => number.as_u64(),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::guests::fixture;

    #[test]
    fn metadata_counts_before_tags_and_tags_before_what_was_set() {
        let set = Load { cpu_percent: 10, memory_percent: 30, network_bytes: 50 };
        let mut view = fixture::view();
        let check = |view: &InstanceView, cpu, memory, network| {
            let expected = Load { cpu_percent: cpu, memory_percent: memory, network_bytes: network };
            assert_eq!(Load::of(view, Some(set)), expected);
        };
        assert_eq!(Load::of(&view, None), Load::default());
        check(&view, 10, 30, 50);
        view.tags.insert("sim.load-cpu".to_owned(), json!(20));
        view.tags.insert("sim.load-memory".to_owned(), json!("40"));
        check(&view, 20, 40, 50);
        view.metadata.insert("sim.load-cpu".to_owned(), "25\n".to_owned());
        view.metadata.insert("sim.load-network".to_owned(), "60".to_owned());
        check(&view, 25, 40, 60);
        view.metadata.insert("sim.load-cpu".to_owned(), "much".to_owned());
        view.tags.insert("sim.load-memory".to_owned(), json!("-1"));
        check(&view, 20, 30, 60);
    }

    #[test]
    fn too_much_is_cut() {
        let much = Load { cpu_percent: u32::MAX, memory_percent: u8::MAX, network_bytes: u64::MAX };
        let most = Load { cpu_percent: MOST_CPU, memory_percent: 100, network_bytes: MOST_NETWORK };
        assert_eq!(much.limited(), most);
        let mut view = fixture::view();
        for key in ["sim.load-cpu", "sim.load-memory", "sim.load-network"] {
            view.metadata.insert(key.to_owned(), u64::MAX.to_string());
        }
        assert_eq!(Load::of(&view, None), most);
    }
}
