//! Runs the data centre in time.
//!
//! The world is a value behind a lock; this lets its agenda happen when it is due, tells subscribers what changed,
//! and is the [`DataCenter`] that CNS, CMON and the guests see. Time is that of tokio, so that a paused clock works:
//! wall-clock time is when the engine started and what has elapsed since.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, broadcast};
use tokio::time::Instant;
use triton::auth::PublicKey;
use triton::id::{AccountId, InstanceId};

use crate::view::{DataCenter, InstanceView};
use crate::world::{Change, World};

/// How many changes a subscriber may lag behind before it loses some.
const BACKLOG: usize = 4096;

/// A running data centre. Clones share it; it stops with the last one.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

struct Shared {
    world: Mutex<World>,
    name: String,
    started: Timestamp,
    clock: Instant,
    /// The agenda may have changed, or the engine is gone.
    wake: Arc<Notify>,
    /// Nothing is pending.
    idle: Notify,
    changes: broadcast::Sender<Arc<Change>>,
    instances: broadcast::Sender<InstanceId>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.wake.notify_one();
    }
}

impl Engine {
    /// Runs a world from now on. Must be called inside a tokio runtime.
    pub fn start(world: World) -> Self {
        Self::start_at(world, Timestamp::now())
    }

    /// Runs a world in which it is `started` now.
    pub fn start_at(world: World, started: Timestamp) -> Self {
        let wake = Arc::new(Notify::new());
        let shared = Arc::new(Shared {
            name: world.settings().datacenter.clone(),
            world: Mutex::new(world),
            started,
            clock: Instant::now(),
            wake: wake.clone(),
            idle: Notify::new(),
            changes: broadcast::Sender::new(BACKLOG),
            instances: broadcast::Sender::new(BACKLOG),
        });
        tokio::spawn(run(Arc::downgrade(&shared), wake));
        Self { shared }
    }

    /// The simulated time.
    pub fn now(&self) -> Timestamp {
        self.shared.now()
    }

    /// Reads the world as it is now. The lock is held meanwhile: clone what is shared and render it afterwards.
    pub fn read<T>(&self, read: impl FnOnce(&World) -> T) -> T {
        self.write(|world, _| read(world))
    }

    /// Changes the world. The lock is held meanwhile.
    pub fn write<T>(&self, write: impl FnOnce(&mut World, Timestamp) -> T) -> T {
        self.shared.write(write)
    }

    /// Every change from now on, for the changefeed.
    pub fn feed(&self) -> broadcast::Receiver<Arc<Change>> {
        self.shared.changes.subscribe()
    }

    /// Waits until nothing is pending.
    pub async fn settled(&self) {
        loop {
            let idle = self.shared.idle.notified();
            if self.read(World::pending) == 0 {
                return;
            }
            idle.await;
        }
    }
}

impl Shared {
    fn now(&self) -> Timestamp {
        self.started.checked_add(self.clock.elapsed()).unwrap_or(Timestamp::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write<T>(&self, write: impl FnOnce(&mut World, Timestamp) -> T) -> T {
        let mut world = self.lock();
        let now = self.now();
        let due = world.next_due();
        world.advance(now);
        let result = write(&mut world, now);
        for change in world.drain_changes() {
            // Nobody listening is no fault.
            let _ = self.instances.send(change.instance);
            let _ = self.changes.send(Arc::new(change));
        }
        for instance in world.drain_touched() {
            let _ = self.instances.send(instance);
        }
        let next = world.next_due();
        drop(world);
        if next.is_none() {
            self.idle.notify_waiters();
        }
        if next != due {
            self.wake.notify_one();
        }
        result
    }
}

/// Lets happen what is due, until the engine is gone.
async fn run(shared: Weak<Shared>, wake: Arc<Notify>) {
    loop {
        let Some(engine) = shared.upgrade() else {
            return;
        };
        let due = engine.write(|world, now| {
            world.next_due().map(|due| Duration::try_from(due.duration_since(now)).unwrap_or_default())
        });
        drop(engine);
        match due {
            Some(delay) => tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = wake.notified() => {}
            },
            None => wake.notified().await,
        }
    }
}

impl DataCenter for Engine {
    fn now(&self) -> Timestamp {
        self.shared.now()
    }

    fn name(&self) -> &str {
        &self.shared.name
    }

    fn instance(&self, id: InstanceId) -> Option<Arc<InstanceView>> {
        self.read(|world| world.instance_view(id)).map(Arc::new)
    }

    fn instances(&self) -> Vec<Arc<InstanceView>> {
        self.read(World::instance_views)
    }

    fn changes(&self) -> broadcast::Receiver<InstanceId> {
        self.shared.instances.subscribe()
    }

    fn account_keys(&self, login: &str) -> Option<(AccountId, Vec<PublicKey>)> {
        self.read(|world| world.account_keys(login))
    }

    fn guest_sets_metadata(&self, id: InstanceId, key: &str, value: Option<&str>) {
        self.write(|world, now| world.guest_sets_metadata(now, id, key, value));
    }

    fn guest_powers_off(&self, id: InstanceId) {
        self.write(|world, now| world.guest_powers_off(now, id));
    }

    fn guest_reboots(&self, id: InstanceId) {
        self.write(|world, now| world.guest_reboots(now, id));
    }
}

#[cfg(test)]
mod tests;
