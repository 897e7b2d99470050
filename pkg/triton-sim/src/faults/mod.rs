//! What goes wrong on purpose.
//!
//! A [`FaultPlan`] says how often; it comes from a file, from flags and from the admin API. [`Faults`] holds the
//! plan that is in force and decides about each request and each event, by counting them: the decision itself is
//! a pure function of the seed and the count, so that a run can be repeated. [`Counters`] tell afterwards
//! what was asked and answered.

mod counters;
mod decide;
mod file;
mod plan;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

pub use counters::{Counted, Counters, Counts, NO_ANSWER};
pub(crate) use decide::{Decision, Delivery, Outcome};
pub use file::FaultPlanError;
pub use plan::{FaultPlan, FeedFaults, InstanceFaults, NotARate, Rate, RequestFaults, Target};

use crate::cloudapi::Operation;

/// The plan in force and how far it has come.
#[derive(Debug)]
pub(crate) struct Faults {
    default_seed: u64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    plan: Arc<FaultPlan>,
    requests: HashMap<Operation, u64>,
    events: u64,
}

impl Faults {
    /// A plan that uses `seed` unless it has its own.
    pub(crate) fn new(seed: u64, plan: FaultPlan) -> Self {
        Self { default_seed: seed, state: Mutex::new(State::new(plan)) }
    }

    /// The plan in force.
    pub(crate) fn plan(&self) -> Arc<FaultPlan> {
        Arc::clone(&self.lock().plan)
    }

    /// Puts another plan in force and begins to count anew.
    pub(crate) fn set(&self, plan: FaultPlan) {
        *self.lock() = State::new(plan);
    }

    /// Decides about the next request of an operation.
    pub(crate) fn request(&self, operation: Operation) -> Decision {
        let mut state = self.lock();
        let count = state.requests.entry(operation).or_default();
        let n = *count;
        *count += 1;
        let seed = state.plan.seed.unwrap_or(self.default_seed);
        decide::request(seed, operation, n, &state.plan.of(operation))
    }

    /// How many requests of an operation were decided about.
    pub(crate) fn begun(&self, operation: Operation) -> u64 {
        self.lock().requests.get(&operation).copied().unwrap_or(0)
    }

    /// Decides about the next event of the changefeed.
    pub(crate) fn event(&self) -> Delivery {
        let mut state = self.lock();
        let n = state.events;
        state.events += 1;
        decide::event(state.plan.seed.unwrap_or(self.default_seed), n, &state.plan.feed)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn new(plan: FaultPlan) -> Self {
        Self { plan: Arc::new(plan), requests: HashMap::new(), events: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setting_a_plan_again_repeats_its_decisions() {
        let plan = FaultPlan::load(None, &["requests.all.error_rate=0.5".to_owned()]).expect("a plan");
        let faults = Faults::new(9, plan.clone());
        let run = || (0..50).map(|_| faults.request(Operation::GetMachine)).collect::<Vec<_>>();
        let (first, second) = (run(), run());
        assert_ne!(first, second);
        faults.set(plan.clone());
        // Requests of other operations do not disturb it.
        faults.request(Operation::ListMachines);
        assert_eq!(run(), first);
        faults.set(FaultPlan { seed: Some(10), ..plan });
        assert_ne!(run(), first);
    }
}
