//! A connection per instance, kept for a while.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use tokio::sync::oneshot;
use tokio::time::Instant;
use triton::id::InstanceId;

use super::connection::Connection;
use super::{Error, Exit, HostKey, Identity, Route, Target};

/// How long things may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connecting, up to being admitted.
    pub connect: Duration,
    /// The server's beginning of a command.
    pub begin: Duration,
    /// How long a connection is kept when nothing uses it.
    pub idle: Duration,
}

impl Default for Limits {
    /// Connecting takes tens of milliseconds; ten seconds are for a busy instance. Probes have periods of seconds, so
    /// two minutes keep their connection.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            begin: Duration::from_secs(10),
            idle: Duration::from_secs(120),
        }
    }
}

/// Runs commands in instances. Cloning gives another handle.
#[derive(Clone)]
pub struct Connector(Arc<Inner>);

struct Inner {
    identity: Identity,
    limits: Limits,
    connections: Mutex<Connections>,
    learned: Mutex<HashMap<InstanceId, Learned>>,
}

#[derive(Default)]
struct Connections {
    by_route: HashMap<Route, Slot>,
    /// How many were begun: their numbers.
    begun: u64,
}

/// A connection that is being made or is there. Connecting goes on when nobody waits for it any more: the limits of
/// probes are shorter than it may take, and the next attempt finds it done.
#[derive(Clone)]
struct Slot {
    number: u64,
    connection: Shared<BoxFuture<'static, Result<Arc<Connection>, Error>>>,
}

impl Slot {
    fn is_usable(&self) -> bool {
        // One that failed has left the table.
        self.connection.peek().is_none_or(|it| it.as_ref().is_ok_and(|it| it.is_usable()))
    }
}

/// A host key that was trusted on first use.
struct Learned {
    key: HostKey,
    taken: bool,
}

impl Connector {
    /// A connector without connections.
    pub fn new(identity: Identity) -> Self {
        Self::with_limits(identity, Limits::default())
    }

    /// The same with other limits.
    pub fn with_limits(identity: Identity, limits: Limits) -> Self {
        let (connections, learned) = (Mutex::default(), Mutex::default());
        Self(Arc::new(Inner { identity, limits, connections, learned }))
    }

    /// Runs a command to its end, with an empty input; its output is dropped. `line` is for the user's shell: see
    /// [`command_line`](super::command_line). Cancelling kills the command, where the server can.
    ///
    /// Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// [`Error`]. After [`Error::Interrupted`] the command may have had its effect.
    pub async fn run(&self, target: &Target, line: &str) -> Result<Exit, Error> {
        let limit = self.0.limits.begin;
        let (connection, is_new) = self.connect(target).await?;
        match connection.run(line, limit).await {
            // The connection may have been dead for long. The command has not begun.
            Err(Error::NoSession { .. } | Error::Deadline { .. }) if !is_new && !connection.is_usable() => {
                let (connection, _) = self.connect(target).await?;
                connection.run(line, limit).await
            }
            outcome => outcome,
        }
    }

    /// The host key of an instance that was trusted on first use, once: to be kept where it outlives this process.
    /// When that fails, [`Connector::untake`] has it given again.
    pub fn take_learned(&self, instance: InstanceId) -> Option<HostKey> {
        let mut learned = self.0.learned();
        let learned = learned.get_mut(&instance).filter(|learned| !learned.taken)?;
        learned.taken = true;
        Some(learned.key.clone())
    }

    /// Has [`Connector::take_learned`] give the key of an instance again.
    pub fn untake(&self, instance: InstanceId) {
        if let Some(learned) = self.0.learned().get_mut(&instance) {
            learned.taken = false;
        }
    }

    /// Forgets the host keys of all instances but these.
    pub fn forget_all_but(&self, is_there: impl Fn(InstanceId) -> bool) {
        self.0.learned().retain(|instance, _| is_there(*instance));
    }

    /// How many connections there are or are being made.
    pub fn len(&self) -> usize {
        self.0.connections().by_route.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A connection, and whether it was made for this call.
    async fn connect(&self, target: &Target) -> Result<(Arc<Connection>, bool), Error> {
        let (slot, is_new) = {
            let mut connections = self.0.connections();
            match connections.by_route.get(&target.route).filter(|slot| slot.is_usable()) {
                Some(slot) => (slot.clone(), false),
                None => {
                    connections.begun += 1;
                    let slot = self.begin(target, connections.begun);
                    connections.by_route.insert(target.route.clone(), slot.clone());
                    (slot, true)
                }
            }
        };
        Ok((slot.connection.await?, is_new))
    }

    fn begin(&self, target: &Target, number: u64) -> Slot {
        let (done, result) = oneshot::channel();
        tokio::spawn(keep(Arc::downgrade(&self.0), target.clone(), number, done));
        let interrupted = Error::Interrupted { route: target.route.clone() };
        let connection = result.map(|result| result.unwrap_or(Err(interrupted))).boxed().shared();
        Slot { number, connection }
    }
}

/// Makes a connection, and keeps it until it is idle for long.
async fn keep(
    inner: Weak<Inner>,
    target: Target,
    number: u64,
    done: oneshot::Sender<Result<Arc<Connection>, Error>>,
) {
    let Some((identity, limits, known)) = inner.upgrade().map(|inner| {
        let known = target.host_key.clone().or_else(|| inner.known(target.route.instance));
        (inner.identity.clone(), inner.limits, known)
    }) else {
        return;
    };
    let is_known = known.is_some();
    let opened = Connection::open(&target.route, known, &identity, limits.connect).await.map(Arc::new);
    if let (Ok(connection), Some(inner)) = (&opened, inner.upgrade())
        && !is_known
    {
        inner.learn(target.route.instance, connection.host_key());
    }
    let connection = opened.as_ref().ok().cloned();
    if connection.is_none() {
        // Before anybody hears of it, so that whoever asks next tries anew.
        remove(&inner, &target.route, number);
    }
    // Nobody may wait any more.
    let _ = done.send(opened);
    let Some(connection) = connection else { return };
    loop {
        let until = connection.idle_since() + limits.idle;
        if until <= Instant::now() || !connection.is_usable() {
            return remove(&inner, &target.route, number);
        }
        tokio::time::sleep_until(until).await;
    }
}

fn remove(inner: &Weak<Inner>, route: &Route, number: u64) {
    let Some(inner) = inner.upgrade() else { return };
    let mut connections = inner.connections();
    if connections.by_route.get(route).is_some_and(|slot| slot.number == number) {
        connections.by_route.remove(route);
    }
}

impl Inner {
    fn known(&self, instance: InstanceId) -> Option<HostKey> {
        self.learned().get(&instance).map(|learned| learned.key.clone())
    }

    fn learn(&self, instance: InstanceId, key: &HostKey) {
        let learned = Learned { key: key.clone(), taken: false };
        self.learned().entry(instance).or_insert(learned);
    }

    fn connections(&self) -> MutexGuard<'_, Connections> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn learned(&self) -> MutexGuard<'_, HashMap<InstanceId, Learned>> {
        self.learned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
