//! Two hundred changes of leadership on a real API server: five candidates with wrong wall clocks and slow requests
//! for each lease, while the API server freezes again and again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Request, Response};
use jiff::{SignedDuration, Timestamp};
use kube::client::Body;
use runtime::clients::{Clients, Limits, Priority, Source};
use runtime::leader::{Claim, ElectionClient, Elector, Farewell, LeaderError, LeaderParams};
use suites::control_plane::ControlPlane;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep};
use tower::BoxError;

use super::{BOUND, options, permit, user};

const ELECTIONS: usize = 20;
const ROUNDS: usize = 10;
const CANDIDATES: usize = 5;

/// Short, so that two hundred rounds fit into a test; as far apart, in proportion, as the defaults are.
const LEASE_DURATION: Duration = Duration::from_secs(3);
const RENEW_DEADLINE: Duration = Duration::from_secs(2);
const RETRY_PERIOD: Duration = Duration::from_millis(400);

/// Each request takes up to this long to arrive, and its answer as long to come back.
const DELAY: Duration = Duration::from_millis(200);

/// One candidate's way to the API server. What was sent arrives, however late, also when its sender has given up.
#[derive(Clone, Default)]
struct Link {
    /// While cut, requests and answers wait.
    cut: Arc<AtomicBool>,
}

impl Link {
    fn around(&self, client: &kube::Client, seed: u64) -> kube::Client {
        let (link, client) = (self.clone(), client.clone());
        let random = Arc::new(Mutex::new(fastrand::Rng::with_seed(seed)));
        let service = tower::service_fn(move |request: Request<Body>| {
            let (link, client, random) = (link.clone(), client.clone(), random.clone());
            let exchange = async move {
                link.pass(&random).await;
                let response = client.send(request).await?;
                link.pass(&random).await;
                Ok::<Response<Body>, BoxError>(response)
            };
            async { tokio::spawn(exchange).await? }
        });
        kube::Client::new(service, "default")
    }

    async fn pass(&self, random: &Mutex<fastrand::Rng>) {
        let share = random.lock().unwrap().f64();
        sleep(DELAY.mul_f64(share)).await;
        while self.cut.load(Ordering::Relaxed) {
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// What is known of one candidate's claim.
struct Watched {
    name: String,
    claim: Claim,
    /// Set before it is told to give its lease away, which ends its claim early.
    released: bool,
    /// When the first write that granted its claim was sent, and until when the claim lasts by the last.
    term: Option<(Instant, Instant)>,
}

/// Looks at all claims of one election, all the time.
#[derive(Clone, Default)]
struct Watcher(Arc<Mutex<Vec<Watched>>>);

impl Watcher {
    /// One look: fails when two claims are valid at one instant.
    fn look(&self) {
        let mut all = self.0.lock().unwrap();
        let valid: Vec<_> = all.iter().filter(|one| one.claim.is_valid()).collect();
        // A claim that has ended never begins again, because a lost candidate is replaced by one of another name: who
        // is still valid after another was seen to be valid, was so at the same time.
        if let [first, others @ ..] = valid.as_slice()
            && !others.is_empty()
        {
            let others: Vec<_> = others.iter().map(|one| &one.name).collect();
            assert!(!first.claim.is_valid(), "{} and {others:?} lead at the same time", first.name);
        }
        // By the claims' own account: a term lasts from the first write that granted it to the end of the last, and no
        // two terms overlap.
        for index in 0..all.len() {
            let Some(until) = all[index].claim.valid_until() else { continue };
            let began = all[index].term.is_none();
            let sent =
                all[index].term.map_or_else(|| until.checked_sub(RENEW_DEADLINE).unwrap(), |(sent, _)| sent);
            all[index].term = Some((sent, until));
            if !began {
                continue;
            }
            let name = &all[index].name;
            for other in all.iter().filter(|one| one.name != *name && !one.released) {
                let Some((other_sent, other_until)) = other.term else { continue };
                assert!(
                    other_until <= sent || until <= other_sent,
                    "{name} was granted the lease while {} had a claim to it",
                    other.name
                );
            }
        }
    }
}

struct Candidate {
    name: String,
    claim: Claim,
    link: Link,
    stop: Option<oneshot::Sender<Farewell>>,
    run: JoinHandle<Result<(), LeaderError>>,
}

impl Drop for Candidate {
    /// As a process that is killed.
    fn drop(&mut self) {
        self.run.abort();
    }
}

/// What the rounds came to.
#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    rounds: usize,
    released: usize,
    killed: usize,
    cut: usize,
    lost: usize,
}

struct Election {
    name: String,
    client: kube::Client,
    random: fastrand::Rng,
    candidates: Vec<Candidate>,
    /// Cut off or on their way out, and still watched.
    aside: Vec<Candidate>,
    watcher: Watcher,
    births: usize,
    tally: Tally,
}

impl Election {
    fn new(client: kube::Client, number: usize) -> Self {
        let mut election = Self {
            name: format!("election-{number}"),
            client,
            random: fastrand::Rng::with_seed(u64::try_from(number).unwrap()),
            candidates: Vec::new(),
            aside: Vec::new(),
            watcher: Watcher::default(),
            births: 0,
            tally: Tally::default(),
        };
        for _ in 0..CANDIDATES {
            let candidate = election.candidate();
            election.candidates.push(candidate);
        }
        election
    }

    fn candidate(&mut self) -> Candidate {
        self.births += 1;
        let name = format!("{}-candidate-{}", self.name, self.births);
        let link = Link::default();
        let client =
            ElectionClient::from_client_without_retries(link.around(&self.client, self.random.u64(..)));
        let params = LeaderParams {
            lease_duration: LEASE_DURATION,
            renew_deadline: RENEW_DEADLINE,
            retry_period: RETRY_PERIOD,
            ..LeaderParams::new("default", &self.name, &name, "elections")
        };
        let skew = SignedDuration::from_secs(self.random.i64(-7200..7200));
        let clock = move || Timestamp::now() + skew;
        let (elector, claim) = Elector::new(client, params, clock, self.random.fork()).unwrap();
        let (stop, stopped) = oneshot::channel();
        let run = tokio::spawn(elector.run(async move {
            match stopped.await {
                Ok(farewell) => farewell,
                Err(_) => std::future::pending().await,
            }
        }));
        let watched = Watched { name: name.clone(), claim: claim.clone(), released: false, term: None };
        self.watcher.0.lock().unwrap().push(watched);
        Candidate { name, claim, link, stop: Some(stop), run }
    }

    /// Replaces those that have ended, as their kubelets would, until somebody other than `before` leads.
    async fn until_led(&mut self, before: Option<&str>) -> usize {
        let deadline = Instant::now() + BOUND;
        loop {
            for index in 0..CANDIDATES {
                if self.candidates[index].run.is_finished() {
                    self.tally.lost += 1;
                    self.candidates[index] = self.candidate();
                }
            }
            let led = |one: &Candidate| one.claim.is_valid() && before != Some(&one.name);
            if let Some(leader) = self.candidates.iter().position(led) {
                return leader;
            }
            assert!(Instant::now() < deadline, "{}: nobody leads", self.name);
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// One leader's term ends, by itself while the API server is frozen or in one of three other ways, and another
    /// begins its own.
    async fn round(&mut self) {
        let leader = self.until_led(None).await;
        let claim = self.candidates[leader].claim.clone();
        let name = self.candidates[leader].name.clone();
        let a_while = Duration::from_millis(self.random.u64(0..2500));
        if tokio::time::timeout(a_while, claim.lapsed()).await.is_err() {
            self.end_term(leader);
        }
        self.until_led(Some(&name)).await;
        // What was cut off comes back: the writes that it had sent arrive now.
        for one in &self.aside {
            one.link.cut.store(false, Ordering::Relaxed);
        }
        self.tally.rounds += 1;
    }

    fn end_term(&mut self, leader: usize) {
        let next = self.candidate();
        let mut old = std::mem::replace(&mut self.candidates[leader], next);
        let name = old.name.clone();
        match self.random.u8(0..3) {
            0 => {
                self.tally.released += 1;
                for one in self.watcher.0.lock().unwrap().iter_mut().filter(|one| one.name == name) {
                    one.released = true;
                }
                // Nobody listens when it has just lost its lease.
                let _ = old.stop.take().map(|stop| stop.send(Farewell::Release));
                self.aside.push(old);
            }
            1 => {
                self.tally.killed += 1;
                drop(old);
            }
            _ => {
                self.tally.cut += 1;
                old.link.cut.store(true, Ordering::Relaxed);
                self.aside.push(old);
            }
        }
    }

    async fn run(mut self) -> Tally {
        for _ in 0..ROUNDS {
            self.round().await;
        }
        self.tally
    }
}

/// Freezes the API server again and again, sometimes for longer than a claim lasts.
async fn freeze(plane: &ControlPlane) {
    let mut random = fastrand::Rng::with_seed(1);
    loop {
        sleep(Duration::from_millis(random.u64(1000..5000))).await;
        plane.freeze_apiserver(true).unwrap();
        sleep(Duration::from_millis(random.u64(500..3500))).await;
        plane.freeze_apiserver(false).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_no_instant_do_two_hold_a_valid_claim_in_two_hundred_rounds() {
    let plane = ControlPlane::start(&options()).await.unwrap();
    permit(&plane).await;
    let source = Source::from_flag(Some(user(&plane, "elections").await));
    let plenty = Limits { rate: 1e6, burst: 1_000_000 };
    let clients = Clients::new(&source, "elections/1", plenty).await.unwrap();

    let mut elections = JoinSet::new();
    let mut watchers = Vec::new();
    for number in 0..ELECTIONS {
        let client = clients.client("elections", Priority::Normal).unwrap();
        let election = Election::new(client, number);
        watchers.push(election.watcher.clone());
        elections.spawn(election.run());
    }
    // A thread and a runtime of its own, so that it looks also while the other is busy.
    let over = Arc::new(AtomicBool::new(false));
    let end = over.clone();
    let look = async move {
        let mut looks = 0_u64;
        while !end.load(Ordering::Relaxed) {
            watchers.iter().for_each(Watcher::look);
            looks += 1;
            sleep(Duration::from_millis(2)).await;
        }
        looks
    };
    let own = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let looking = std::thread::spawn(move || own.block_on(look));
    let mut total = Tally::default();
    let all = async {
        while let Some(tally) = elections.join_next().await {
            let tally = tally.unwrap();
            total.rounds += tally.rounds;
            total.released += tally.released;
            total.killed += tally.killed;
            total.cut += tally.cut;
            total.lost += tally.lost;
        }
    };
    tokio::select! {
        () = all => {}
        () = freeze(&plane) => {}
    }
    over.store(true, Ordering::Relaxed);
    let looks = looking.join().expect("at no instant do two lead");
    eprintln!("{total:?}, {looks} looks at all claims");
    assert_eq!(total.rounds, ELECTIONS * ROUNDS);
    // The rounds are worth something only when terms end in all of these ways.
    let least = [total.released, total.killed, total.cut].into_iter().min();
    assert!(least >= Some(20) && total.lost > 0, "{total:?}");
}
