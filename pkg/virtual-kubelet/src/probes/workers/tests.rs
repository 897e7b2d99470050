//! Workers against real servers on the loopback interface, with periods of milliseconds.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering};

use rstest::rstest;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use uuid::Uuid;

use super::super::{Action, Probe};
use super::*;

const SOON: Duration = Duration::from_secs(30);

/// Remembers what it is told.
#[derive(Default)]
struct Told {
    changed: Mutex<Vec<PodKey>>,
    failed: Mutex<Vec<(PodKey, Role, Finding)>>,
    bell: Notify,
}

impl Listener for Told {
    fn changed(&self, pod: &PodKey) {
        self.changed.lock().unwrap().push(pod.clone());
        self.bell.notify_waiters();
    }

    fn failed(&self, pod: &PodKey, role: Role, finding: &Finding) {
        self.failed.lock().unwrap().push((pod.clone(), role, finding.clone()));
        self.bell.notify_waiters();
    }
}

impl Told {
    /// Waits until what is told, or what the workers say, is as it should be.
    async fn until(&self, mut so: impl FnMut() -> bool) {
        let wait = async {
            loop {
                let rung = self.bell.notified();
                tokio::pin!(rung);
                rung.as_mut().enable();
                if so() {
                    return;
                }
                rung.await;
            }
        };
        tokio::time::timeout(SOON, wait).await.expect("it becomes so");
    }

    fn failures(&self, role: Role) -> usize {
        self.failed.lock().unwrap().iter().filter(|(_, failed, _)| *failed == role).count()
    }
}

/// A loopback address of the test's own, so that no other test takes a port that this one has closed.
fn loopback() -> IpAddr {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    thread_local! {
        static ADDRESS: IpAddr = {
            let [high, low] = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
            IpAddr::from([127, 72, high, low])
        };
    }
    ADDRESS.with(|address| *address)
}

fn pod(name: &str) -> PodKey {
    PodKey { namespace: "default".into(), name: name.into(), uid: name.into() }
}

fn run(restarts: i32) -> Run {
    Run { instance: Uuid::from_u128(1).into(), restarts }
}

fn tcp(port: u16, failure_threshold: u32) -> Option<Probe> {
    Some(Probe {
        action: Action::Tcp { host: None, port },
        initial_delay: Duration::ZERO,
        period: Duration::from_millis(10),
        timeout: Duration::from_secs(5),
        success_threshold: 1,
        failure_threshold,
    })
}

fn target(restarts: i32, probes: &PodProbes) -> Target {
    Target { run: run(restarts), address: loopback(), probes: Arc::new(probes.clone()) }
}

async fn listen(port: u16) -> (TcpListener, u16) {
    let listener = TcpListener::bind(SocketAddr::new(loopback(), port)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

fn workers() -> (Workers, Arc<Told>) {
    let told = Arc::new(Told::default());
    (Workers::new(Arc::clone(&told) as Arc<dyn Listener>, None, 16), told)
}

fn watch(workers: &Workers, target: Target) {
    let before = target.probes.before_results(None);
    workers.watch(&pod("web"), target, Duration::ZERO, before);
}

#[tokio::test]
async fn readiness_comes_goes_and_comes_again_with_the_server() {
    let (listener, port) = listen(0).await;
    let probes = PodProbes { readiness: tcp(port, 2), ..PodProbes::default() };
    let (workers, told) = workers();
    watch(&workers, target(0, &probes));
    let ready = || workers.verdicts(&pod("web"), run(0)).unwrap().ready;
    assert!(!ready());
    told.until(ready).await;
    drop(listener);
    told.until(|| !ready()).await;
    assert!(told.failures(Role::Readiness) >= 2);
    let _listener = listen(port).await;
    told.until(ready).await;
    assert_eq!(told.changed.lock().unwrap().len(), 3, "only changes are told");
}

#[tokio::test]
async fn a_failed_liveness_probe_demands_a_restart_and_then_rests() {
    let port = listen(0).await.1;
    let probes = PodProbes { liveness: tcp(port, 3), ..PodProbes::default() };
    let (workers, told) = workers();
    watch(&workers, target(0, &probes));
    told.until(|| workers.verdicts(&pod("web"), run(0)).unwrap().must_restart).await;
    assert_eq!(told.failures(Role::Liveness), 3);
    // The task has ended, which is the last that can be heard of it.
    let ended = || workers.pods()[&pod("web")].tasks.iter().all(AbortHandle::is_finished);
    let wait = async {
        while !ended() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, wait).await.unwrap();
    assert_eq!(told.failures(Role::Liveness), 3);
}

#[tokio::test]
async fn the_next_run_begins_anew() {
    let port = listen(0).await.1;
    let probes = PodProbes { liveness: tcp(port, 1), ..PodProbes::default() };
    let (workers, told) = workers();
    watch(&workers, target(0, &probes));
    told.until(|| workers.verdicts(&pod("web"), run(0)).unwrap().must_restart).await;
    assert_eq!(workers.verdicts(&pod("web"), run(1)), None, "of another run nothing is known");
    let _listener = listen(port).await;
    watch(&workers, target(1, &probes));
    assert_eq!(workers.verdicts(&pod("web"), run(1)), Some(Verdicts::NONE));
    assert_eq!(workers.verdicts(&pod("web"), run(0)), None);
}

#[tokio::test]
async fn the_other_probes_wait_for_the_startup_probe() {
    let port = listen(0).await.1;
    let probes = PodProbes { startup: tcp(port, 1000), liveness: tcp(port, 1), readiness: tcp(port, 1) };
    let (workers, told) = workers();
    watch(&workers, target(0, &probes));
    told.until(|| told.failures(Role::Startup) >= 3).await;
    assert_eq!((told.failures(Role::Liveness), told.failures(Role::Readiness)), (0, 0));
    let _listener = listen(port).await;
    told.until(|| workers.verdicts(&pod("web"), run(0)) == Some(Verdicts::NONE)).await;
}

#[tokio::test]
async fn the_same_watch_goes_on_and_another_begins() {
    let (_listener, port) = listen(0).await;
    let probes = PodProbes { readiness: tcp(port, 1), ..PodProbes::default() };
    let (workers, told) = workers();
    watch(&workers, target(0, &probes));
    told.until(|| workers.verdicts(&pod("web"), run(0)).unwrap().ready).await;
    watch(&workers, target(0, &probes));
    assert!(workers.verdicts(&pod("web"), run(0)).unwrap().ready);
    watch(
        &workers,
        Target { run: Run { instance: Uuid::from_u128(2).into(), restarts: 0 }, ..target(0, &probes) },
    );
    assert_eq!(workers.verdicts(&pod("web"), run(0)), None);
    assert_eq!(workers.len(), 1);
    workers.forget(&pod("web"));
    assert!(workers.is_empty());
}

#[tokio::test]
async fn a_pod_without_probes_is_not_watched() {
    let (workers, _) = workers();
    watch(&workers, target(0, &PodProbes::default()));
    assert!(workers.is_empty());
}

#[tokio::test]
async fn a_probe_that_cannot_be_run_is_told_and_has_no_result() {
    let action = Action::Impossible { why: "no such port".into() };
    let impossible = tcp(1, 1).map(|probe| Probe { action, ..probe });
    let probes = PodProbes { liveness: impossible.clone(), readiness: impossible, ..PodProbes::default() };
    let (workers, told) = workers();
    watch(&workers, target(0, &probes));
    told.until(|| told.failures(Role::Liveness) >= 3 && told.failures(Role::Readiness) >= 3).await;
    let verdicts = workers.verdicts(&pod("web"), run(0)).unwrap();
    assert_eq!(verdicts, Verdicts { started: true, ready: false, must_restart: false });
}

#[tokio::test]
async fn what_a_probe_finds_in_one_pod_says_nothing_of_another() {
    let (_listener, open) = listen(0).await;
    let closed = listen(0).await.1;
    let (workers, told) = workers();
    for (name, port) in [("good", open), ("bad", closed)] {
        let probes = PodProbes { readiness: tcp(port, 1), ..PodProbes::default() };
        workers.watch(&pod(name), target(0, &probes), Duration::ZERO, probes.before_results(None));
    }
    told.until(|| {
        workers.verdicts(&pod("good"), run(0)).unwrap().ready && told.failures(Role::Readiness) > 0
    })
    .await;
    assert!(!workers.verdicts(&pod("bad"), run(0)).unwrap().ready);
    assert!(told.failed.lock().unwrap().iter().all(|(failed, ..)| *failed == pod("bad")));
}

#[tokio::test]
async fn ten_thousand_pods_are_watched_and_forgotten() {
    let probes = PodProbes { readiness: tcp(1, 1), ..PodProbes::default() };
    let probes = PodProbes {
        readiness: probes.readiness.map(|probe| Probe { initial_delay: Duration::from_secs(3600), ..probe }),
        ..PodProbes::default()
    };
    let (workers, _) = workers();
    let target = target(0, &probes);
    for number in 0..10_000 {
        workers.watch(&pod(&number.to_string()), target.clone(), Duration::ZERO, Verdicts::NONE);
    }
    assert_eq!(workers.len(), 10_000);
    let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    assert_eq!(tasks, 10_000);
    drop(workers);
    let wait = async {
        while tokio::runtime::Handle::current().metrics().num_alive_tasks() > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(SOON, wait).await.unwrap();
}

#[rstest]
#[case::new(0, 0..=0)]
#[case::within_its_initial_delay(4, 6..=6)]
#[case::just_over(11, 0..=0)]
#[case::long_since(3600, 0..=20)]
fn the_first_attempt_counts_from_the_start_of_the_container(
    #[case] age: u64,
    #[case] expected: std::ops::RangeInclusive<u64>,
) {
    let initial = Duration::from_secs(if age == 0 { 0 } else { 10 });
    let delay = first_delay(initial, Duration::from_secs(20), Duration::from_secs(age));
    assert!(expected.contains(&delay.as_secs()), "{delay:?}");
}
