//! How many requests were answered, by operation and status.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use crate::cloudapi::Operation;

/// The status that requests without an answer are counted under.
pub const NO_ANSWER: u16 = 0;

/// The counts: by operation, then by status. Requests that matched no operation are under `none`.
pub type Counts = BTreeMap<&'static str, BTreeMap<u16, u64>>;

/// Counts requests since the start, or since they were last reset.
#[derive(Debug, Default)]
pub struct Counters {
    counts: Mutex<Counts>,
}

/// The counters as they are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counted {
    /// All requests.
    pub total: u64,
    /// By operation, such as `GetMachine`, and then by status; 0 stands for no answer.
    pub operations: Counts,
}

impl Counted {
    fn of(operations: Counts) -> Self {
        Self { total: operations.values().flat_map(BTreeMap::values).sum(), operations }
    }
}

impl Counters {
    /// Counts one request.
    pub(crate) fn count(&self, operation: Option<Operation>, status: u16) {
        let name = operation.map_or("none", Operation::name);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(name).or_default().entry(status).or_default() += 1;
    }

    /// What was counted.
    #[must_use]
    pub fn read(&self) -> Counted {
        Counted::of(self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    /// What was counted, and begins anew.
    pub fn take(&self) -> Counted {
        Counted::of(std::mem::take(&mut *self.counts.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// How many requests of an operation were counted.
    #[must_use]
    pub fn of(&self, operation: Operation) -> u64 {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.get(operation.name()).map_or(0, |statuses| statuses.values().sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_operation_and_status() {
        let counters = Counters::default();
        for status in [200, 200, 404, NO_ANSWER] {
            counters.count(Some(Operation::GetMachine), status);
        }
        counters.count(None, 404);
        assert_eq!(
            serde_json::to_string(&counters.read()).expect("JSON"),
            r#"{"total":5,"operations":{"GetMachine":{"0":1,"200":2,"404":1},"none":{"404":1}}}"#
        );
        assert_eq!((counters.of(Operation::GetMachine), counters.of(Operation::Ping)), (4, 0));
        assert_eq!(counters.take().total, 5);
        assert_eq!(counters.read(), Counted::default());
    }
}
