//! What happens instead of writes in a process that only looks: plans are logged and counted.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::IntCounterVec;
use runtime::metrics::{Metrics, MetricsError};

/// The steps that were told last of each object, by controller and name.
type Told = HashMap<(&'static str, String), Vec<String>>;

/// Tells of steps that would be taken. Cloning gives another handle on the same.
#[derive(Debug, Clone)]
pub(super) struct Rehearsal {
    told: Arc<Mutex<Told>>,
    steps: IntCounterVec,
}

impl Rehearsal {
    pub(super) fn new(metrics: &Metrics) -> Result<Self, MetricsError> {
        let steps = metrics.counters(
            "triton_ccm_dry_run_steps_total",
            "Steps that a dry run would have taken, by controller: each is counted when its plan comes up, and again only after \
             a different one for the same object.",
            &["controller"],
        )?;
        Ok(Self { told: Arc::default(), steps })
    }

    /// Tells what a controller would do about an object, unless it has just been told.
    pub(super) fn tell(&self, controller: &'static str, object: &str, steps: Vec<String>) {
        // Nothing panics while holding the lock; should it ever, what was told is still usable.
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (controller, object.to_owned());
        if steps.is_empty() {
            told.remove(&key);
            return;
        }
        if told.get(&key) == Some(&steps) {
            return;
        }
        for step in &steps {
            tracing::info!(controller, object, "dry run: would {step}");
            self.steps.with_label_values(&[controller]).inc();
        }
        told.insert(key, steps);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_counted_once_while_it_stays_the_same() {
        let rehearsal = Rehearsal::new(&Metrics::new().unwrap()).unwrap();
        let count = || rehearsal.steps.with_label_values(&["node"]).get();
        let steps = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        rehearsal.tell("node", "a", steps(&["x", "y"]));
        rehearsal.tell("node", "a", steps(&["x", "y"]));
        assert_eq!(count(), 2);
        rehearsal.tell("node", "b", steps(&["x"]));
        rehearsal.tell("node", "a", steps(&["x"]));
        assert_eq!(count(), 4);
        rehearsal.tell("node", "a", steps(&[]));
        rehearsal.tell("node", "a", steps(&["x"]));
        assert_eq!(count(), 5);
        assert_eq!(rehearsal.steps.with_label_values(&["service"]).get(), 0);
    }
}
