//! The meters of instances: which there are, and what changes their load.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::broadcast::{Receiver, error::RecvError};
use triton::id::InstanceId;

use super::counters::{Meter, Reading};
use super::load::Load;
use crate::view::{DataCenter, InstanceView, VmState};

/// Meters are made when they are first read. So an instance that nobody looked at has had the load that it has
/// then since it booted.
pub(super) struct Meters {
    data_center: Arc<dyn DataCenter>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    meters: HashMap<InstanceId, Meter>,
    /// What has been set from outside.
    loads: HashMap<InstanceId, Load>,
}

impl Meters {
    pub(super) fn new(data_center: Arc<dyn DataCenter>) -> Self {
        Self { data_center, state: Mutex::default() }
    }

    /// What was measured last; `None` when the instance does not run.
    pub(super) fn read(&self, view: &InstanceView) -> Option<Reading> {
        self.state().read(view, &*self.data_center)
    }

    /// `false` when there is no such instance.
    pub(super) fn set_load(&self, id: InstanceId, load: Load) -> bool {
        let Some(view) = self.data_center.instance(id).filter(|view| !is_gone(view)) else { return false };
        let mut state = self.state();
        // What was until now is measured with the load that there was.
        state.read(&view, &*self.data_center);
        state.loads.insert(id, load.limited());
        state.read(&view, &*self.data_center);
        true
    }

    /// Takes note of loads that change by tags and metadata, and of instances that go.
    pub(super) async fn follow(self: Arc<Self>, mut changes: Receiver<InstanceId>) {
        loop {
            match changes.recv().await {
                Ok(id) => self.look_at(id),
                Err(RecvError::Lagged(_)) => {
                    let known: Vec<_> = {
                        let state = self.state();
                        state.meters.keys().chain(state.loads.keys()).copied().collect()
                    };
                    known.into_iter().for_each(|id| self.look_at(id));
                }
                Err(RecvError::Closed) => return,
            }
        }
    }

    fn look_at(&self, id: InstanceId) {
        let view = self.data_center.instance(id);
        let mut state = self.state();
        match view {
            Some(view) if !is_gone(&view) => {
                if state.meters.contains_key(&id) {
                    state.read(&view, &*self.data_center);
                }
            }
            _ => {
                state.meters.remove(&id);
                state.loads.remove(&id);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn read(&mut self, view: &InstanceView, data_center: &dyn DataCenter) -> Option<Reading> {
        let booted = view.booted.filter(|_| view.state == VmState::Running)?;
        let now = data_center.now();
        let load = Load::of(view, self.loads.get(&view.id).copied());
        let meter = self.meters.entry(view.id).or_insert_with(|| Meter::new(booted, load));
        // Another boot starts from nothing.
        if meter.booted() != booted {
            *meter = Meter::new(booted, load);
        }
        meter.set_load(now, load);
        Some(meter.read(now))
    }
}

fn is_gone(view: &InstanceView) -> bool {
    matches!(view.state, VmState::Destroyed | VmState::Failed)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use jiff::{SignedDuration, Timestamp};

    use super::*;
    use crate::guests::fixture::{self, OneInstance};

    fn at(seconds: i64) -> Timestamp {
        fixture::view().booted.unwrap() + SignedDuration::from_secs(seconds)
    }

    #[test]
    fn a_load_that_the_guest_sets_counts_from_then_on() {
        for events in [1, 10] {
            let data_center = OneInstance::new(fixture::view());
            let meters = Arc::new(Meters::new(data_center.clone()));
            let read = |seconds| {
                data_center.set_now(at(seconds));
                meters.read(&data_center.now_view()).unwrap().cpu
            };
            let before = read(60);
            let changes = data_center.changes();
            for _ in 0..events {
                data_center
                    .change(|view| drop(view.metadata.insert("sim.load-cpu".to_owned(), "100".to_owned())));
            }
            // It follows what there is to follow, also when it lags behind, and would then wait for more.
            assert_eq!(Arc::clone(&meters).follow(changes).now_or_never(), None);
            assert_eq!(read(70), before + 10_000_000_000);
        }
    }

    #[test]
    fn nothing_is_kept_of_instances_that_are_gone() {
        let data_center = OneInstance::new(fixture::view());
        let meters = Arc::new(Meters::new(data_center.clone()));
        let id = fixture::view().id;
        assert!(meters.set_load(id, Load::default()));
        let changes = data_center.changes();
        data_center.change(|view| view.state = VmState::Destroyed);
        assert_eq!(Arc::clone(&meters).follow(changes).now_or_never(), None);
        let state = meters.state();
        assert!(state.meters.is_empty() && state.loads.is_empty());
        drop(state);
        assert!(!meters.set_load(id, Load::default()));
    }
}
