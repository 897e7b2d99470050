//! The reflector's loop: feeds the store from the changefeed, lists and reads.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use futures::StreamExt as _;
use futures::future::{Fuse, FusedFuture as _, FutureExt as _};
use futures::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tracing::{debug, info, warn};

use super::checks::Reason;
use super::index::{Changed, Index, List};
use super::proofs::{Proofs, Proving};
use super::relist::Relist;
use super::store::{Feed, Store};
use crate::budget::Priority;
use crate::changefeed::{Changefeed, Event, EventError, Registration};
use crate::client::{Client, Found};
use crate::error::{Error, Kind};
use crate::id::InstanceId;
use crate::types::{InstanceStateFilter, InstanceSummary, ListInstances, MAX_PAGE, TagValue};

/// How many instances are read at once.
const READS_AT_ONCE: usize = 4;

/// Beyond this many unclear instances, one list is cheaper than reads: a list of an account of the largest
/// common size, 10,000 instances, is ten requests.
const READS_BEFORE_LIST: usize = 10;

/// The events between the feed and the store; when the store is slower, the socket waits.
const FEED_QUEUE: usize = 1024;

/// The first and the longest delay before the feed is opened again.
const FEED_RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// A feed that stood this long was a good one: the next delay is the first again.
const GOOD_FEED: Duration = Duration::from_secs(60);

/// At the start, the first list waits this long for the feed, so that it need not be made twice.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often the truth is fetched whole.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Between lists while the changefeed stands.
    pub relist_every: Duration,
    /// Between lists while it does not.
    pub relist_every_without_feed: Duration,
}

impl Default for Settings {
    /// Every 5 minutes (reference 2.26), and every minute without the changefeed.
    fn default() -> Self {
        Self { relist_every: Duration::from_secs(300), relist_every_without_feed: Duration::from_secs(60) }
    }
}

/// Keeps a [`Store`] true. Does nothing until it is [`run`](Reflector::run).
#[derive(Debug)]
pub struct Reflector {
    client: Client,
    store: Store,
    settings: Settings,
    /// Tags of the instances that this process deletes.
    own: BTreeMap<String, TagValue>,
}

/// What the feed's task tells the loop.
enum FeedNews {
    Up,
    Event(Result<Event, EventError>),
    Down,
}

type Listing = Pin<Box<dyn Future<Output = Result<List, Error>> + Send>>;

type ListingDestroyed = Pin<Box<dyn Future<Output = Destroyed> + Send>>;

/// What a list of the destroyed showed.
struct Destroyed {
    /// The deletions that it was made for, sorted by id.
    asked: Vec<InstanceId>,
    /// Those of them that it showed.
    rows: Vec<InstanceSummary>,
    pages: usize,
    /// Whether there was nothing more to see.
    whole: bool,
}

/// The answer to one read.
struct Read {
    id: InstanceId,
    reason: Reason,
    begun: Instant,
    answer: Result<Found, Error>,
}

impl Reflector {
    /// A reflector with an empty store.
    pub fn new(client: Client, settings: Settings) -> Self {
        Self { client, store: Store::new(Instant::now()), settings, own: BTreeMap::new() }
    }

    /// All instances that this process deletes have this tag. The ends of many are proved by one list, which is so much
    /// shorter.
    #[must_use]
    pub fn deleting(mut self, tag: &str, value: TagValue) -> Self {
        self.own.insert(tag.to_owned(), value);
        self
    }

    /// The store that this reflector keeps.
    pub fn store(&self) -> Store {
        self.store.clone()
    }

    /// Runs until dropped. Whatever CloudAPI does, this goes on.
    pub async fn run(self) {
        let (sender, feed) = mpsc::channel(FEED_QUEUE);
        let watching = watch_feed(self.client.with_priority(Priority::Refresh), sender);
        tokio::join!(watching, self.keep_store(feed));
    }

    async fn keep_store(self, mut feed: mpsc::Receiver<FeedNews>) {
        let mut relist = Relist::new(Instant::now(), PATIENCE);
        let mut listing: Fuse<Listing> = Fuse::terminated();
        let mut proofs = Proofs::default();
        let mut proving: Fuse<ListingDestroyed> = Fuse::terminated();
        let mut reads = FuturesUnordered::new();
        let mut news = Vec::new();
        loop {
            let now = Instant::now();
            self.store.change(Index::expire);
            if listing.is_terminated() {
                if self.store.read().checks.due_for_content(now) > READS_BEFORE_LIST {
                    relist.hurry(now);
                    // A list that may not begin yet is not waited for while nobody else needs the calls.
                    if relist.due() <= now || self.is_contended() {
                        let until = relist.due() + self.settings.relist_every;
                        self.store.change(|index, now| {
                            index.checks.leave_content_to_list(now, until);
                            Changed::new()
                        });
                    }
                }
                if relist.due() <= now {
                    relist.begin(now, self.interval());
                    let client = self.client.with_priority(Priority::Refresh);
                    listing = (Box::pin(list(client)) as Listing).fuse();
                }
            }
            let prove_at = match proving.is_terminated() {
                true => self.prove(&mut proofs, &mut proving, now),
                false => None,
            };
            for (id, reason) in self.take_due(READS_AT_ONCE.saturating_sub(reads.len())) {
                reads.push(read(self.client.with_priority(priority(reason)), id, reason));
            }
            let wake = self.wake_at(&relist, listing.is_terminated(), reads.len() < READS_AT_ONCE);
            let wake = prove_at.map_or(wake, |at| at.min(wake));
            tokio::select! {
                count = feed.recv_many(&mut news, FEED_QUEUE) => {
                    if count == 0 {
                        return;
                    }
                    self.take_news(news.drain(..), &mut relist);
                }
                outcome = &mut listing, if !listing.is_terminated() => self.take_list(outcome, &mut relist),
                destroyed = &mut proving, if !proving.is_terminated() => {
                    proofs.ended(destroyed.pages, destroyed.whole);
                    let Destroyed { asked, rows, .. } = destroyed;
                    self.store.change(|index, now| index.apply_destroyed(&asked, &rows, now));
                }
                Some(read) = reads.next() => self.take_read(read),
                () = self.store.0.asked.notified() => {}
                () = sleep_until(wake) => {}
            }
        }
    }

    /// Whether calls wait for the request budget.
    fn is_contended(&self) -> bool {
        self.client.budget().usage().waiting.iter().any(|waiting| *waiting > 0)
    }

    /// Sees to the deletions that wait for proof; when to look again.
    fn prove(
        &self,
        proofs: &mut Proofs,
        proving: &mut Fuse<ListingDestroyed>,
        now: Instant,
    ) -> Option<Instant> {
        let (waiting, next) = {
            let index = self.store.read();
            (index.checks.deletions(now), index.checks.next_deletion(now))
        };
        let Some((waiting, oldest)) = waiting else { return next };
        let decision = proofs.decide(waiting, oldest, self.is_contended(), now);
        if let Proving::At(at) = decision {
            return Some(at);
        }
        let mut ids = Vec::new();
        self.store.change(|index, now| {
            ids = index.checks.take_deletions(now);
            if decision == Proving::Reads {
                index.checks.read_deletions(&ids, now);
            }
            Changed::new()
        });
        if decision == Proving::List {
            let pages = proofs.begin(ids.len(), now);
            let filter = ListInstances {
                state: Some(InstanceStateFilter::Destroyed),
                tags: self.own.clone(),
                ..ListInstances::default()
            };
            let client = self.client.with_priority(Priority::Safety);
            *proving = (Box::pin(list_destroyed(client, filter, ids, pages)) as ListingDestroyed).fuse();
        }
        next
    }

    fn interval(&self) -> Duration {
        match self.store.health().feed {
            Feed::Up(_) => self.settings.relist_every,
            Feed::Down(_) => self.settings.relist_every_without_feed,
        }
    }

    fn take_due(&self, limit: usize) -> Vec<(InstanceId, Reason)> {
        let mut due = Vec::new();
        if limit > 0 && self.store.read().checks.next_due().is_some_and(|at| at <= Instant::now()) {
            self.store.change(|index, now| {
                due = index.checks.take_due(now, limit);
                Changed::new()
            });
        }
        due
    }

    /// When there is something to do without any news.
    fn wake_at(&self, relist: &Relist, may_list: bool, may_read: bool) -> Instant {
        let index = self.store.read();
        let list = may_list.then(|| relist.due());
        let read = index.checks.next_due().filter(|_| may_read);
        let times = [list, read, index.next_expiry()];
        let idle = Instant::now() + Duration::from_secs(3600);
        times.into_iter().flatten().min().unwrap_or(idle)
    }

    fn take_news(&self, news: impl Iterator<Item = FeedNews>, relist: &mut Relist) {
        self.store.change(|index, now| {
            let mut changed = Changed::new();
            for item in news {
                match item {
                    FeedNews::Event(Ok(event)) => changed.extend(index.apply_event(event, now)),
                    FeedNews::Event(Err(error)) => {
                        // Something changed, and nobody can say what: only a list tells.
                        debug!(%error, "unreadable event");
                        relist.hurry(now);
                    }
                    FeedNews::Up => {
                        self.store.change_health(|health| health.feed = Feed::Up(now));
                        // What happened while it was down is not replayed.
                        relist.hurry(now);
                    }
                    FeedNews::Down => {
                        self.store.change_health(|health| {
                            if matches!(health.feed, Feed::Up(_)) {
                                health.feed = Feed::Down(now);
                            }
                        });
                        relist.hurry(now);
                    }
                }
            }
            changed
        });
    }

    fn take_list(&self, outcome: Result<List, Error>, relist: &mut Relist) {
        match outcome {
            Ok(list) => {
                let (begun, clean, rows) = (list.begun, list.clean, list.rows.len());
                self.store.change(|index, now| index.apply_list(list, now));
                relist.succeeded(self.interval(), fastrand::f64());
                self.store.change_health(|health| {
                    if !health.is_synced() {
                        info!(instances = rows, "the instances of the account are known");
                    }
                    health.last_list = Some(begun);
                    health.list_failures = 0;
                    if clean {
                        health.last_clean_list = Some(begun);
                    }
                    if clean && rows > 0 {
                        health.last_telling_list = Some(begun);
                    }
                });
            }
            Err(error) => {
                relist.failed(Instant::now(), self.interval());
                warn!(%error, failures = relist.failures(), "the instances could not be listed; nothing changes");
                self.store.change_health(|health| health.list_failures = relist.failures());
            }
        }
    }

    fn take_read(&self, read: Read) {
        let Read { id, reason, begun, answer } = read;
        self.store.change(|index, now| match answer {
            Ok(Found::Present(instance)) => index.apply_found(instance, begun, now),
            Ok(Found::Gone(instance)) => index.apply_gone(id, Some(instance), now),
            Err(error) if error.kind() == Kind::NotFound => index.apply_not_found(id, begun, now),
            Err(error) => {
                debug!(%error, "an instance could not be read; nothing changes");
                index.checks.failed(id, reason, now);
                Changed::new()
            }
        });
    }
}

fn priority(reason: Reason) -> Priority {
    match reason {
        Reason::Destroyed | Reason::Deleted | Reason::NotFound => Priority::Safety,
        Reason::Missing => Priority::Status,
        Reason::Content | Reason::Tie | Reason::Unseen => Priority::Refresh,
    }
}

async fn read(client: Client, id: InstanceId, reason: Reason) -> Read {
    let begun = Instant::now();
    Read { id, reason, begun, answer: client.get_instance(id).await }
}

async fn list(client: Client) -> Result<List, Error> {
    let begun = Instant::now();
    let list = client.list_all_instances(&ListInstances::default()).await?;
    Ok(List { begun, clean: list.is_clean(), rows: list.items })
}

/// Walks a list of destroyed instances until all that were asked for are found, it ends, or so many pages were read. A
/// failure ends it, too: what it has not shown is read.
async fn list_destroyed(
    client: Client,
    filter: ListInstances,
    asked: Vec<InstanceId>,
    most_pages: usize,
) -> Destroyed {
    let mut found = Destroyed { asked, rows: Vec::new(), pages: 0, whole: false };
    let mut offset = 0;
    while found.pages < most_pages {
        let page = ListInstances { limit: Some(MAX_PAGE), offset: Some(offset), ..filter.clone() };
        let list = match client.list_instance_summaries(&page).await {
            Ok(list) => list,
            Err(error) => {
                debug!(%error, "the destroyed instances could not be listed; each is read");
                break;
            }
        };
        let received = list.received();
        found.pages += 1;
        found.rows.extend(list.items.into_iter().filter(|row| found.asked.binary_search(&row.id).is_ok()));
        // Rows may come twice while others come and go; then it ends a page later.
        if received < MAX_PAGE as usize || found.rows.len() >= found.asked.len() {
            found.whole = true;
            break;
        }
        offset += received as u64;
    }
    found
}

/// Keeps a changefeed open for ever and passes on what it says.
async fn watch_feed(client: Client, news: mpsc::Sender<FeedNews>) {
    let mut delay = FEED_RETRY.0;
    loop {
        let opened = Instant::now();
        match Changefeed::open(&client, &Registration::everything()).await {
            Ok(feed) => {
                info!("the changefeed is open");
                if news.send(FeedNews::Up).await.is_err() || !pass_on(feed, &news).await {
                    return;
                }
            }
            Err(error) => warn!(%error, "the changefeed cannot be opened"),
        }
        if news.send(FeedNews::Down).await.is_err() {
            return;
        }
        if opened.elapsed() >= GOOD_FEED {
            delay = FEED_RETRY.0;
        }
        // Half of the delay is by chance: a restarted CloudAPI cuts all feeds at once.
        tokio::time::sleep(delay.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
        delay = (delay * 2).min(FEED_RETRY.1);
    }
}

/// Passes on events until the feed ends. False when nobody listens any more.
async fn pass_on(mut feed: Changefeed, news: &mpsc::Sender<FeedNews>) -> bool {
    loop {
        match feed.next().await {
            Ok(event) => {
                if news.send(FeedNews::Event(event)).await.is_err() {
                    return false;
                }
            }
            Err(error) => {
                info!(%error, "the changefeed ended");
                return true;
            }
        }
    }
}
