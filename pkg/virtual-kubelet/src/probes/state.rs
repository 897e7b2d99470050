//! From results to verdicts. Pure.

use super::{PodProbes, Role, Verdicts};

/// What one attempt showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// It is as it should be.
    Success,
    /// It is not, and how that shows.
    Failure(String),
    /// The attempt could not be made, and why. Nothing follows from it.
    Impossible(String),
}

/// The state of a pod's probes within one run of its container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodState {
    startup: Option<Row>,
    liveness: Option<Row>,
    readiness: Option<Row>,
    must_restart: bool,
}

/// Results of one probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Row {
    /// What holds: the last result that came often enough.
    holds: bool,
    /// The last result, and how often it came in a row.
    last: bool,
    times: u32,
    success_threshold: u32,
    failure_threshold: u32,
}

impl PodState {
    /// The state at the beginning: a container lives until the opposite is shown, and has started and is ready only
    /// as far as `before` says so.
    pub fn new(probes: &PodProbes, before: Verdicts) -> Self {
        let row = |role, holds| {
            probes.get(role).map(|probe| Row {
                holds,
                last: holds,
                times: 0,
                success_threshold: probe.success_threshold,
                failure_threshold: probe.failure_threshold,
            })
        };
        Self {
            startup: row(Role::Startup, before.started),
            liveness: row(Role::Liveness, true),
            readiness: row(Role::Readiness, before.ready),
            must_restart: false,
        }
    }

    /// Whether attempts of this probe are to be made now: the startup probe until it has succeeded, the others after
    /// that, and none once the container must restart.
    pub fn is_due(&self, role: Role) -> bool {
        !self.must_restart && (role == Role::Startup) != self.verdicts().started
    }

    /// Takes in a result. Says whether the verdicts changed.
    pub fn take(&mut self, role: Role, result: &Finding) -> bool {
        let success = match result {
            Finding::Success => true,
            Finding::Failure(_) => false,
            Finding::Impossible(_) => return false,
        };
        if !self.is_due(role) {
            return false;
        }
        let before = self.verdicts();
        let row = match role {
            Role::Startup => &mut self.startup,
            Role::Liveness => &mut self.liveness,
            Role::Readiness => &mut self.readiness,
        };
        let Some(row) = row else {
            return false;
        };
        if row.take(success) && !success && role != Role::Readiness {
            self.must_restart = true;
        }
        before != self.verdicts()
    }

    /// What the probes say now.
    pub fn verdicts(&self) -> Verdicts {
        let holds = |row: Option<Row>| row.is_none_or(|row| row.holds);
        let started = holds(self.startup);
        Verdicts { started, ready: started && holds(self.readiness), must_restart: self.must_restart }
    }
}

impl Row {
    /// Takes in a result. Says whether it came often enough to hold.
    fn take(&mut self, success: bool) -> bool {
        if self.times > 0 && self.last == success {
            self.times = self.times.saturating_add(1);
        } else {
            self.last = success;
            self.times = 1;
        }
        let threshold = if success { self.success_threshold } else { self.failure_threshold };
        let enough = self.times >= threshold;
        if enough {
            self.holds = success;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use rstest::rstest;

    use super::super::{Action, Probe};
    use super::*;

    fn probe(success_threshold: u32, failure_threshold: u32) -> Option<Probe> {
        Some(Probe {
            action: Action::Tcp { host: None, port: 1 },
            initial_delay: Duration::ZERO,
            period: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            success_threshold,
            failure_threshold,
        })
    }

    fn result(letter: char) -> Finding {
        match letter {
            'y' => Finding::Success,
            'n' => Finding::Failure("no".into()),
            _ => Finding::Impossible("how".into()),
        }
    }

    /// Takes in results `y`, `n` and `?`, and says after each whether `what` holds.
    fn history(probes: &PodProbes, role: Role, results: &str, what: impl Fn(Verdicts) -> bool) -> String {
        let mut state = PodState::new(probes, probes.before_results(None));
        let mut said = String::new();
        for letter in results.chars() {
            state.take(role, &result(letter));
            said.push(if what(state.verdicts()) { 'Y' } else { '.' });
        }
        said
    }

    #[rstest]
    #[case::default(1, 3, "ynnynnnny", "YYYYYY..Y")]
    #[case::slow_to_believe(2, 1, "yyynyyn", ".YY..Y.")]
    #[case::opposite_results_start_over(1, 3, "ynnynn", "YYYYYY")]
    #[case::no_result(1, 1, "?y?n?", ".YY..")]
    fn readiness_follows_its_thresholds(
        #[case] success: u32,
        #[case] failure: u32,
        #[case] results: &str,
        #[case] ready: &str,
    ) {
        let probes = PodProbes { readiness: probe(success, failure), ..PodProbes::default() };
        assert_eq!(history(&probes, Role::Readiness, results, |verdicts| verdicts.ready), ready);
    }

    #[rstest]
    #[case("nnynnnyy", ".....YYY")]
    #[case("nn?n", "...Y")]
    #[case("???????", ".......")]
    fn a_failed_liveness_probe_demands_a_restart_until_there_is_one(
        #[case] results: &str,
        #[case] demanded: &str,
    ) {
        let probes = PodProbes { liveness: probe(1, 3), ..PodProbes::default() };
        assert_eq!(history(&probes, Role::Liveness, results, |verdicts| verdicts.must_restart), demanded);
    }

    #[test]
    fn the_others_wait_for_the_startup_probe() {
        let probes = PodProbes { startup: probe(1, 2), liveness: probe(1, 1), readiness: probe(1, 1) };
        let mut state = PodState::new(&probes, probes.before_results(None));
        assert!(
            state.is_due(Role::Startup) && !state.is_due(Role::Liveness) && !state.is_due(Role::Readiness)
        );
        assert!(!state.take(Role::Liveness, &result('n')));
        assert!(!state.take(Role::Readiness, &result('y')));
        assert_eq!(state.verdicts(), Verdicts { started: false, ready: false, must_restart: false });
        assert!(!state.take(Role::Startup, &result('n')));
        assert!(state.take(Role::Startup, &result('y')));
        assert!(
            !state.is_due(Role::Startup) && state.is_due(Role::Liveness) && state.is_due(Role::Readiness)
        );
        assert!(state.take(Role::Readiness, &result('y')));
        assert_eq!(state.verdicts(), Verdicts::NONE);
        assert!(state.take(Role::Liveness, &result('n')));
        assert!(Role::ALL.iter().all(|role| !state.is_due(*role)), "nothing is tried until the restart");
    }

    #[test]
    fn a_startup_probe_that_fails_for_good_demands_a_restart() {
        let probes = PodProbes { startup: probe(1, 2), ..PodProbes::default() };
        assert_eq!(history(&probes, Role::Startup, "nn", |verdicts| verdicts.must_restart), ".Y");
        assert_eq!(history(&probes, Role::Startup, "nyn", |verdicts| verdicts.must_restart), "...");
    }

    #[test]
    fn what_was_ready_stays_so_in_a_new_process_until_the_probe_fails() {
        let probes = PodProbes { readiness: probe(1, 2), ..PodProbes::default() };
        let mut state = PodState::new(&probes, Verdicts::NONE);
        assert!(!state.take(Role::Readiness, &result('n')));
        assert!(state.verdicts().ready);
        assert!(state.take(Role::Readiness, &result('n')));
        assert!(!state.verdicts().ready);
    }

    proptest! {
        #[test]
        fn a_change_is_told_exactly_when_there_is_one(
            thresholds in prop::array::uniform6(1_u32..4),
            results in prop::collection::vec((0_usize..3, prop::sample::select(vec!['y', 'n', '?'])), 0..60),
        ) {
            let [a, b, c, d, e, f] = thresholds;
            let probes = PodProbes { startup: probe(a, b), liveness: probe(c, d), readiness: probe(e, f) };
            let mut state = PodState::new(&probes, probes.before_results(None));
            for (role, letter) in results {
                let before = state.verdicts();
                let told = state.take(Role::ALL[role], &result(letter));
                let after = state.verdicts();
                prop_assert_eq!(told, before != after);
                prop_assert!(!before.must_restart || before == after, "nothing changes before the restart");
                prop_assert!(!after.ready || after.started);
            }
        }
    }
}
