//! Telling controllers which instances changed, without queues that grow.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::Notify;

use crate::id::InstanceId;

/// Which instances changed since the last look. Changes of one instance that nobody looked at yet are one:
/// a slow reader costs at most one id per instance and misses nothing, since it reads the newest state from
/// the store.
#[derive(Debug)]
pub struct Subscription(Arc<Mailbox>);

#[derive(Debug, Default)]
struct Mailbox {
    changed: Mutex<BTreeSet<InstanceId>>,
    news: Notify,
}

impl Mailbox {
    fn changed(&self) -> MutexGuard<'_, BTreeSet<InstanceId>> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscription {
    /// Waits until something changed and takes all of it. The first call gives every instance that was in the
    /// store when the subscription was made. Safe to cancel.
    pub async fn changed(&mut self) -> BTreeSet<InstanceId> {
        loop {
            let changed = std::mem::take(&mut *self.0.changed());
            if !changed.is_empty() {
                return changed;
            }
            self.0.news.notified().await;
        }
    }
}

/// All subscriptions of a store; those that were dropped fall out.
#[derive(Debug, Default)]
pub(super) struct Subscribers(Mutex<Vec<Weak<Mailbox>>>);

impl Subscribers {
    /// A new subscription that starts with these ids.
    pub(super) fn subscribe(&self, known: impl IntoIterator<Item = InstanceId>) -> Subscription {
        let mailbox =
            Arc::new(Mailbox { changed: Mutex::new(known.into_iter().collect()), news: Notify::new() });
        self.list().push(Arc::downgrade(&mailbox));
        Subscription(mailbox)
    }

    pub(super) fn publish(&self, changed: &[InstanceId]) {
        if changed.is_empty() {
            return;
        }
        self.list().retain(|mailbox| {
            let Some(mailbox) = mailbox.upgrade() else {
                return false;
            };
            mailbox.changed().extend(changed);
            mailbox.news.notify_one();
            true
        });
    }

    fn list(&self) -> MutexGuard<'_, Vec<Weak<Mailbox>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
