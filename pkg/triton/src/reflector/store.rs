//! The store: what controllers read, and where they note their writes.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::checks::Reason;
use super::entry::Entry;
use super::index::{Changed, Index};
use super::pending::Expectation;
use super::subscription::{Subscribers, Subscription};
use super::tombstones::Tombstone;
use crate::id::InstanceId;
use crate::types::{Instance, TagValue};

/// The account's instances in memory. Cloning gives another handle on the same store.
#[derive(Debug, Clone)]
pub struct Store(pub(super) Arc<Shared>);

#[derive(Debug)]
pub(super) struct Shared {
    index: RwLock<Index>,
    subscribers: Subscribers,
    health: watch::Sender<Health>,
    /// Rung when something was asked of the reflector.
    pub(super) asked: Notify,
}

/// What is known about one id.
#[derive(Debug, Clone)]
pub enum Lookup {
    /// It exists, as far as anybody knows.
    Present(Arc<Entry>),
    /// It is proved gone.
    Gone(Tombstone),
    /// Never seen, or gone for so long that it is forgotten. Proves nothing.
    Unknown,
}

/// The state of the changefeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feed {
    /// Connected since then.
    Up(Instant),
    /// Not connected since then; the lists come more often.
    Down(Instant),
}

/// How far the store can be trusted.
#[derive(Debug, Clone, Copy)]
pub struct Health {
    /// The changefeed.
    pub feed: Feed,
    /// When the youngest list that came whole began; `None` before the first.
    pub last_list: Option<Instant>,
    /// The same for the youngest list in which every row could be read.
    pub last_clean_list: Option<Instant>,
    /// The same for the youngest of these that showed instances. An empty list may be that of a caller who lost its
    /// rights, and proves nothing about an instance that it does not show.
    pub last_telling_list: Option<Instant>,
    /// How many lists have failed in a row since.
    pub list_failures: u32,
}

impl Health {
    /// Whether a whole list was read since the start. Before that, absence from the store means nothing.
    pub fn is_synced(&self) -> bool {
        self.last_list.is_some()
    }

    /// How old the store may be at worst: the time since the youngest whole list began. `None` before it.
    pub fn staleness(&self, now: Instant) -> Option<Duration> {
        self.last_list.map(|begun| now.saturating_duration_since(begun))
    }
}

impl Store {
    pub(super) fn new(now: Instant) -> Self {
        let health = Health {
            feed: Feed::Down(now),
            last_list: None,
            last_clean_list: None,
            last_telling_list: None,
            list_failures: 0,
        };
        Self(Arc::new(Shared {
            index: RwLock::default(),
            subscribers: Subscribers::default(),
            health: watch::Sender::new(health),
            asked: Notify::new(),
        }))
    }

    /// What is known of an instance.
    pub fn get(&self, id: InstanceId) -> Lookup {
        let index = self.read();
        match (index.get(id), index.tombstone(id)) {
            (Some(entry), _) => Lookup::Present(Arc::clone(entry)),
            (None, Some(tombstone)) => Lookup::Gone(tombstone.clone()),
            (None, None) => Lookup::Unknown,
        }
    }

    /// The instances of exactly this expected name. CloudAPI's check for unique names has a race, so there
    /// may be several (reference 2.14).
    pub fn by_name(&self, name: &str) -> Vec<Arc<Entry>> {
        self.read().named(name)
    }

    /// The instances whose expected tag `key` has exactly this value and type, by id.
    pub fn by_tag(&self, key: &str, value: &TagValue) -> Vec<Arc<Entry>> {
        self.read().tagged(key, value)
    }

    /// All instances, in no order.
    pub fn entries(&self) -> Vec<Arc<Entry>> {
        self.read().entries().cloned().collect()
    }

    /// How many instances there are.
    pub fn len(&self) -> usize {
        self.read().entries().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How far the store can be trusted now.
    pub fn health(&self) -> Health {
        *self.0.health.borrow()
    }

    /// Waits until the first whole list is in the store. Safe to cancel.
    pub async fn synced(&self) {
        // The sender lives as long as this handle, so waiting cannot fail.
        let _ = self.0.health.subscribe().wait_for(Health::is_synced).await;
    }

    /// Is told which instances change from now on, beginning with all that are in the store.
    pub fn subscribe(&self) -> Subscription {
        // Under the lock, so that no change falls between the snapshot and the subscription.
        let index = self.read();
        self.0.subscribers.subscribe(index.entries().map(|entry| entry.id()))
    }

    /// Notes that a write to an instance was accepted. Until a read shows it, or
    /// [`PENDING_FOR`](super::PENDING_FOR) has passed, [`Entry::expected`] shows it. Does nothing for an
    /// instance that is not in the store.
    pub fn expect(&self, id: InstanceId, expectation: Expectation) {
        self.change(|index, now| index.expect(id, expectation, now));
        self.0.asked.notify_one();
    }

    /// Notes that the deletion of an instance is about to be asked for: its event may be faster than the answer, and its
    /// end is then proved together with those of others.
    pub fn deleting(&self, id: InstanceId) {
        self.change(|index, _| {
            index.apply_deleting(id);
            Changed::new()
        });
    }

    /// Puts an instance that was just created into the store before any read shows it.
    pub fn created(&self, instance: Instance) {
        self.change(|index, now| index.apply_created(instance, now));
        self.0.asked.notify_one();
    }

    /// Puts what a caller's own read of an instance showed into the store. `begun` is when that read began.
    pub fn found(&self, instance: Instance, begun: Instant) {
        self.change(|index, now| index.apply_found(instance, begun, now));
        self.0.asked.notify_one();
    }

    /// Takes an instance out of the store, because CloudAPI answered a call of the caller's about it with 410.
    /// `last` is the body of that answer.
    pub fn gone(&self, last: Instance) {
        self.change(|index, now| index.apply_gone(last.id, Some(last), now));
    }

    /// Asks for a fresh read of this instance before others, for a decision that needs proof. What it shows, or
    /// the proof that it is gone, arrives as a change if it is news, also for an instance that was not in the
    /// store. A 404 is no proof and no news.
    pub fn recheck(&self, id: InstanceId) {
        self.change(|index, now| {
            index.checks.ask(id, Reason::Destroyed, now, now);
            Changed::new()
        });
        self.0.asked.notify_one();
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, Index> {
        self.0.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the index and tells the subscribers.
    pub(super) fn change<T: IntoIterator<Item = InstanceId>>(
        &self,
        change: impl FnOnce(&mut Index, Instant) -> T,
    ) {
        let mut index: RwLockWriteGuard<'_, Index> =
            self.0.index.write().unwrap_or_else(PoisonError::into_inner);
        let changed: Changed = change(&mut index, Instant::now()).into_iter().collect();
        drop(index);
        self.0.subscribers.publish(&changed);
    }

    pub(super) fn change_health(&self, change: impl FnOnce(&mut Health)) {
        self.0.health.send_modify(change);
    }
}
