//! What the process says of itself: named checks behind `/livez`, `/readyz` and `/healthz`.
//!
//! A check is a cheap function that looks at what others keep up to date; it never makes a call. The words and their
//! layout are those of Kubernetes' own components.

use std::fmt::Write as _;
use std::sync::{Arc, PoisonError, RwLock};

use crate::leader::{Claim, Standing};
use crate::shutdown::Shutdown;

/// Which question a check answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// Should this process be killed and started again? Asked by `/livez` and `/healthz`.
    Live,
    /// Does this process do its work, or stand by to do it? Asked by `/readyz`.
    Ready,
}

/// What a check finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// All is well.
    Ok,
    /// All is well, and another process does the work.
    Standby,
    /// Something is wrong: one line that names it.
    Failed(String),
}

type Check = Box<dyn Fn() -> Finding + Send + Sync>;

struct Named {
    probe: Probe,
    name: String,
    check: Check,
}

/// All checks of a process. Cloning gives another handle on the same.
#[derive(Clone, Default)]
pub struct Health(Arc<RwLock<Vec<Named>>>);

/// An answer to a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Whether no check failed.
    pub healthy: bool,
    /// The answer's text: `ok`, `standby`, or a line for each check.
    pub text: String,
}

impl Health {
    /// No checks: everything is well.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a check. It is called for every probe, so it must be cheap.
    pub fn add(
        &self,
        probe: Probe,
        name: impl Into<String>,
        check: impl Fn() -> Finding + Send + Sync + 'static,
    ) {
        let named = Named { probe, name: name.into(), check: Box::new(check) };
        self.0.write().unwrap_or_else(PoisonError::into_inner).push(named);
    }

    /// Adds what leadership has to say: ready as the leader and as a standby, not ready when the lease cannot be
    /// had for lack of an answer.
    pub fn add_claim(&self, claim: &Claim) {
        let claim = claim.clone();
        self.add(Probe::Ready, "leader-election", move || match claim.standing() {
            Standing::Leading => Finding::Ok,
            Standing::Standby { .. } => Finding::Standby,
            Standing::Trouble { error } => Finding::Failed(error),
        });
    }

    /// Has `/readyz` fail from the signal to stop on.
    pub fn add_shutdown(&self, shutdown: &Shutdown) {
        let shutdown = shutdown.clone();
        self.add(Probe::Ready, "shutdown", move || {
            if shutdown.has_begun() { Finding::Failed("stopping".to_owned()) } else { Finding::Ok }
        });
    }

    /// Asks all checks of a probe. `path` is the name that the closing line has, such as `readyz`.
    pub fn report(&self, probe: Probe, path: &str, verbose: bool) -> Report {
        let checks = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let asked = checks.iter().filter(|named| named.probe == probe);
        let findings: Vec<_> = asked.map(|named| (named.name.as_str(), (named.check)())).collect();
        render(path, &findings, verbose)
    }
}

impl std::fmt::Debug for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Health").finish_non_exhaustive()
    }
}

fn render(path: &str, findings: &[(&str, Finding)], verbose: bool) -> Report {
    let healthy = !findings.iter().any(|(_, finding)| matches!(finding, Finding::Failed(_)));
    let standby = findings.iter().any(|(_, finding)| *finding == Finding::Standby);
    if healthy && !verbose {
        return Report { healthy, text: if standby { "standby" } else { "ok" }.to_owned() };
    }
    let mut text = String::new();
    for (name, finding) in findings {
        // Writing to a String cannot fail.
        let _ = match finding {
            Finding::Ok => writeln!(text, "[+]{name} ok"),
            Finding::Standby => writeln!(text, "[+]{name} standby"),
            Finding::Failed(reason) => writeln!(text, "[-]{name} failed: {reason}"),
        };
    }
    let outcome = if healthy { "passed" } else { "failed" };
    let _ = writeln!(text, "{path} check {outcome}");
    Report { healthy, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_read_as_those_of_kubernetes() {
        let failed = || Finding::Failed("nodes not listed yet".to_owned());
        for (findings, verbose, healthy, text) in [
            (vec![], false, true, "ok"),
            (vec![("a", Finding::Ok)], false, true, "ok"),
            (vec![("a", Finding::Ok), ("b", Finding::Standby)], false, true, "standby"),
            (vec![], true, true, "readyz check passed\n"),
            (
                vec![("a", Finding::Ok), ("b", Finding::Standby)],
                true,
                true,
                "[+]a ok\n[+]b standby\nreadyz check passed\n",
            ),
            (
                vec![("a", Finding::Standby), ("b", failed())],
                false,
                false,
                "[+]a standby\n[-]b failed: nodes not listed yet\nreadyz check failed\n",
            ),
        ] {
            let report = render("readyz", &findings, verbose);
            assert_eq!((report.healthy, report.text.as_str()), (healthy, text));
        }
    }

    #[test]
    fn each_probe_asks_its_own_checks_every_time() {
        let health = Health::new();
        let well = Arc::new(std::sync::atomic::AtomicBool::new(true));
        let seen = well.clone();
        health.add(Probe::Ready, "work", move || {
            if seen.load(std::sync::atomic::Ordering::Relaxed) {
                Finding::Ok
            } else {
                Finding::Failed("x".into())
            }
        });
        assert!(health.report(Probe::Ready, "readyz", false).healthy);
        well.store(false, std::sync::atomic::Ordering::Relaxed);
        assert!(!health.report(Probe::Ready, "readyz", false).healthy);
        assert_eq!(health.report(Probe::Live, "livez", false).text, "ok");
    }

    #[tokio::test]
    async fn a_process_that_stops_is_not_ready_but_alive() {
        let health = Health::new();
        let shutdown = Shutdown::on(futures::stream::pending());
        health.add_shutdown(&shutdown);
        assert_eq!(health.report(Probe::Ready, "readyz", false).text, "ok");
        shutdown.begin();
        let expected = "[-]shutdown failed: stopping\nreadyz check failed\n";
        assert_eq!(health.report(Probe::Ready, "readyz", false).text, expected);
        assert!(health.report(Probe::Live, "livez", false).healthy);
    }

    #[test]
    fn a_process_without_an_election_is_no_standby() {
        let health = Health::new();
        health.add_claim(&Claim::without_election());
        assert_eq!(health.report(Probe::Ready, "readyz", false).text, "ok");
    }
}
