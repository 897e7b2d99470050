//! How a process ends, and that nothing is written after its claim has lapsed.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::channel::mpsc;
use http::{Request, Response};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{Patch, PatchParams};
use kube::client::Body;
use runtime::clients::{Bounds, DEADLINE};
use runtime::exit::Fatal;
use runtime::leader::{Claim, ElectionClient, Elector, LeaderParams};
use runtime::process;
use runtime::shutdown::Shutdown;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tower::BoxError;

use crate::api_server::ApiServer;

const BOUND: Duration = Duration::from_secs(20);

struct Process {
    server: ApiServer,
    signals: mpsc::UnboundedSender<()>,
    shutdown: Shutdown,
    claim: Claim,
    run: JoinHandle<Result<(), Fatal>>,
}

impl Process {
    /// A process that leads already.
    async fn start(work: impl FnOnce(&Shutdown, &Claim)) -> Self {
        let server = ApiServer::new(1);
        let params = LeaderParams::new("kube-system", "lease", "one", "manager");
        let client = ElectionClient::from_client_without_retries(server.client());
        let (elector, claim) =
            Elector::new(client, params, Timestamp::now, fastrand::Rng::with_seed(1)).unwrap();
        let (signals, received) = mpsc::unbounded();
        let shutdown = Shutdown::on(received);
        work(&shutdown, &claim);
        let handle = shutdown.clone();
        let run = tokio::spawn(async move { process::run(&handle, Some(elector), BOUND).await });
        claim.held().await.unwrap();
        Self { server, signals, shutdown, claim, run }
    }

    fn signal(&self) {
        self.signals.unbounded_send(()).unwrap();
    }

    /// How it ended: exit code 0 or the error's line, and after how many seconds.
    async fn end(self) -> (String, u64) {
        let start = Instant::now();
        let ended = tokio::time::timeout(Duration::from_secs(3600), self.run).await.expect("an end").unwrap();
        let line = ended.map_or_else(|fatal| format!("{}: {fatal}", fatal.code()), |()| "0".to_owned());
        (line, start.elapsed().as_secs())
    }
}

/// Work that ends this long after it was asked to.
fn slow(span: Duration) -> impl FnOnce(&Shutdown, &Claim) {
    move |shutdown, _| {
        shutdown.spawn(move |shutdown| async move {
            shutdown.begun().await;
            tokio::time::sleep(span).await;
        });
    }
}

#[tokio::test(start_paused = true)]
async fn a_signal_ends_work_then_releases_the_lease() {
    let process = Process::start(slow(Duration::from_secs(4))).await;
    let (server, claim) = (process.server.clone(), process.claim.clone());
    process.signal();
    process.shutdown.begun().await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(claim.is_valid(), "what ends may still need to write");
    assert_eq!(process.end().await, ("0".to_owned(), 1));
    assert!(!claim.is_valid());
    assert_eq!(server.spec()["holderIdentity"], "");
}

#[tokio::test(start_paused = true)]
async fn work_that_does_not_end_keeps_the_lease_from_others() {
    let process = Process::start(slow(Duration::from_secs(3600))).await;
    let server = process.server.clone();
    process.signal();
    let line = "1: 1 tasks did not end within 20 s of the signal to stop";
    assert_eq!(process.end().await, (line.to_owned(), 20));
    assert_eq!(server.spec()["holderIdentity"], "one");
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_ends_at_once() {
    let process = Process::start(slow(Duration::from_secs(3600))).await;
    let server = process.server.clone();
    process.signal();
    process.signal();
    let line = "1: a second signal to stop came while 1 tasks were still ending";
    assert_eq!(process.end().await, (line.to_owned(), 0));
    assert_eq!(server.spec()["holderIdentity"], "one");
}

#[tokio::test(start_paused = true)]
async fn a_frozen_api_server_does_not_hold_up_the_end() {
    let process = Process::start(slow(Duration::ZERO)).await;
    process.server.freeze(Duration::from_secs(3600));
    process.signal();
    let (line, seconds) = process.end().await;
    assert_eq!(line, "0");
    assert!(seconds <= 10, "{seconds} s");
}

#[tokio::test(start_paused = true)]
async fn no_write_is_begun_or_goes_on_after_the_claim_has_lapsed() {
    // What the written-to server saw: when a write came, whether the claim was valid, and when it was cut off.
    type Seen = Arc<Mutex<Vec<(Instant, bool)>>>;
    let seen: Seen = Arc::default();
    let cut: Arc<Mutex<Option<Instant>>> = Arc::default();
    let (writes, last_cut) = (seen.clone(), cut.clone());
    let process = Process::start(move |shutdown, claim| {
        let claim_then = claim.clone();
        let service = tower::service_fn(move |_: Request<Body>| {
            writes.lock().unwrap().push((Instant::now(), claim_then.is_valid()));
            async {
                tokio::time::sleep(Duration::from_millis(700)).await;
                let object = json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": {}});
                Ok::<_, BoxError>(Response::new(Body::from(object.to_string().into_bytes())))
            }
        });
        let bounds = Bounds { deadline: DEADLINE, turn: None, claim: Some(claim.clone()) };
        let api: Api<ConfigMap> =
            Api::namespaced(bounds.around(&kube::Client::new(service, "default")), "default");
        // A writer that is never told to stop, nor looks at its claim.
        shutdown.spawn(|_| async move {
            loop {
                let patch = Patch::Merge(json!({"data": {}}));
                if api.patch("x", &PatchParams::default(), &patch).await.is_err() {
                    *last_cut.lock().unwrap() = Some(Instant::now());
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        });
    })
    .await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    process.server.freeze(Duration::from_secs(3600));
    let claim = process.claim.clone();
    claim.lapsed().await;
    let lapsed = Instant::now();
    let (line, seconds) = process.end().await;
    let start = "1: lost lease kube-system/lease: cannot write lease kube-system/lease: the API server did not answer";
    assert!(line.starts_with(start), "{line}");
    assert_eq!(seconds, 0, "nothing is waited for");
    // The process would be gone now; even should it linger, nothing is written.
    tokio::time::sleep(Duration::from_secs(60)).await;
    let writes = seen.lock().unwrap().clone();
    let during: Vec<_> = writes.iter().filter(|(at, _)| *at < lapsed).collect();
    assert!(during.len() > 40 && during.iter().all(|(_, valid)| *valid), "{} writes", during.len());
    let in_vain: Vec<_> = writes.iter().filter(|(at, _)| *at >= lapsed).collect();
    assert!(in_vain.is_empty(), "{in_vain:?}");
    assert!(cut.lock().unwrap().is_some(), "the writer was refused");
}

#[tokio::test(start_paused = true)]
async fn a_process_without_an_election_ends_the_same_way() {
    let (signals, received) = mpsc::unbounded();
    let shutdown = Shutdown::on(received);
    slow(Duration::from_secs(2))(&shutdown, &Claim::without_election());
    signals.unbounded_send(()).unwrap();
    assert!(process::run(&shutdown, None, BOUND).await.is_ok());
    assert!(shutdown.has_begun());
}
