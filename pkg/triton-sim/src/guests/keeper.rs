//! Keeps the sockets of guests as the data centre wants them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;
use triton::id::InstanceId;

use super::GuestSettings;
use super::balancer::Config;
use super::guest::Guest;
use super::listener::{self, Inside};
use super::ports::{self, Service};
use crate::stop::until;
use crate::view::{DataCenter, InstanceView, VmState};

/// When sockets that could not be opened are tried again: an address that a guest just gave up is free as soon as
/// the task of its listener has noticed.
const AGAIN: Duration = Duration::from_millis(100);
/// How many guests are looked at before others get their turn.
const BATCH: usize = 64;

/// A listener of a guest.
type Socket = (Ipv4Addr, u16, Service);

/// What a guest should have.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    /// Another boot is another guest.
    booted: Option<Timestamp>,
    sockets: BTreeSet<Socket>,
    /// What a load balancer is to do.
    balancer: Option<Config>,
}

/// What a guest has.
struct Running {
    booted: Option<Timestamp>,
    inside: Arc<Inside>,
    listeners: BTreeMap<Socket, watch::Sender<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.inside.end();
    }
}

/// Follows a data centre.
pub(super) struct Keeper {
    data_center: Arc<dyn DataCenter>,
    settings: GuestSettings,
    running: HashMap<InstanceId, Running>,
    /// Whose sockets could not all be opened.
    again: HashSet<InstanceId>,
    /// What has been said already.
    said: HashSet<io::ErrorKind>,
}

/// What an instance should have: nothing unless it runs. Errors are of `sim.ports` texts.
fn wanted(view: &InstanceView) -> (Option<Wanted>, Vec<ports::PortsError>) {
    if view.state != VmState::Running {
        return (None, Vec::new());
    }
    let (ports, errors) = ports::of(view);
    let mut ports: BTreeMap<u16, Service> = ports.iter().collect();
    let balancer = Config::of(view).map(|(config, wrong)| {
        if !wrong.is_empty() {
            tracing::warn!(instance = %view.id, designations = %wrong.join(" "), "passed over in a port map");
        }
        config
    });
    // As in the image, SSH has its port first.
    for port in balancer.iter().flat_map(Config::listens) {
        ports.entry(port).or_insert(Service::Balancer);
    }
    let sockets =
        view.nics.iter().flat_map(|nic| ports.iter().map(|(port, service)| (nic.ip, *port, *service)));
    (Some(Wanted { booted: view.booted, sockets: sockets.collect(), balancer }), errors)
}

impl Keeper {
    pub(super) fn new(data_center: Arc<dyn DataCenter>, settings: GuestSettings) -> Self {
        Self { data_center, settings, running: HashMap::new(), again: HashSet::new(), said: HashSet::new() }
    }

    /// Follows the data centre as long as there is one.
    pub(super) async fn follow(mut self, mut changes: broadcast::Receiver<InstanceId>) {
        self.scan().await;
        let mut ticks = tokio::time::interval(AGAIN);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                change = changes.recv() => match change {
                    Ok(id) => self.follow_one(id),
                    Err(RecvError::Lagged(_)) => self.scan().await,
                    Err(RecvError::Closed) => return,
                },
                _ = ticks.tick(), if !self.again.is_empty() => {
                    let some: Vec<_> = self.again.iter().take(BATCH).copied().collect();
                    for id in some {
                        self.again.remove(&id);
                        self.follow_one(id);
                    }
                }
            }
        }
    }

    /// Looks at everything: first at what there is, so that addresses are free for who has them now.
    async fn scan(&mut self) {
        let known: Vec<_> = self.running.keys().copied().collect();
        let present = self.data_center.instances();
        let all = known.into_iter().chain(present.iter().map(|view| view.id));
        for (position, id) in all.enumerate() {
            self.follow_one(id);
            if position % BATCH == BATCH - 1 {
                tokio::task::yield_now().await;
            }
        }
    }

    fn follow_one(&mut self, id: InstanceId) {
        let (wanted, errors) = self.data_center.instance(id).map(|view| wanted(&view)).unwrap_or_default();
        for error in errors {
            tracing::warn!(instance = %id, %error, "passed over a {}", ports::KEY);
        }
        let before = self.running.remove(&id);
        let Some(wanted) = wanted else { return };
        let booted = before.as_ref().is_none_or(|running| running.booted != wanted.booted);
        let mut running = before.unwrap_or_else(|| {
            let guest = Guest::new(Arc::clone(&self.data_center), id);
            let inside = Inside::new(guest, self.settings.clone());
            Running { booted: None, inside, listeners: BTreeMap::new() }
        });
        if let Some(config) = wanted.balancer {
            let addresses: BTreeSet<Ipv4Addr> = wanted.sockets.iter().map(|socket| socket.0).collect();
            running.inside.balance(config, addresses.into_iter().collect());
        }
        running.listeners.retain(|socket, _| wanted.sockets.contains(socket));
        for socket in wanted.sockets {
            if !running.listeners.contains_key(&socket) {
                self.open(id, socket, &mut running);
            }
        }
        if booted {
            running.booted = wanted.booted;
            running.inside.boot();
        }
        self.running.insert(id, running);
    }

    fn open(&mut self, id: InstanceId, socket: Socket, running: &mut Running) {
        let address = SocketAddr::from((socket.0, socket.1));
        match listener::listen(address) {
            Ok(listener) => {
                let (open, closed) = watch::channel(());
                let inside = Arc::clone(&running.inside);
                let accepting = listener::accept(listener, socket.2, inside);
                tokio::spawn(until(closed, accepting));
                running.listeners.insert(socket, open);
            }
            Err(error) => {
                if self.said.insert(error.kind()) {
                    tracing::warn!(%address, %error, "a guest cannot listen: {}", remedy(error.kind()));
                }
                // An address that is not here will not come.
                if error.kind() != io::ErrorKind::AddrNotAvailable {
                    self.again.insert(id);
                }
            }
        }
    }
}

fn remedy(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::AddrNotAvailable => {
            "run the simulator in a private network (triton-sim exec -- COMMAND), or without guests"
        }
        io::ErrorKind::AddrInUse => "another process or a guest that is about to stop has the port",
        io::ErrorKind::PermissionDenied => "ports below 1024 need a private network or root",
        _ => "if files are exhausted, raise `ulimit -n`, or give the images fewer ports in sim.ports",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::guests::fixture;

    #[test]
    fn a_running_instance_listens_on_each_of_its_addresses() {
        let mut view = fixture::view();
        let mut public = view.nics[0].clone();
        public.ip = "203.0.113.7".parse().unwrap();
        view.nics.push(public);
        view.tags.insert(ports::KEY.to_owned(), json!("http:8080,tcp:5432"));
        let sockets: BTreeSet<Socket> = [
            ("192.168.128.5", 8080, Service::Http),
            ("192.168.128.5", 5432, Service::Tcp),
            ("203.0.113.7", 8080, Service::Http),
            ("203.0.113.7", 5432, Service::Tcp),
        ]
        .map(|(ip, port, service)| (ip.parse().unwrap(), port, service))
        .into();
        assert_eq!(
            wanted(&view),
            (Some(Wanted { booted: view.booted, sockets, balancer: None }), Vec::new())
        );
    }

    #[test]
    fn an_instance_that_does_not_run_has_nothing() {
        for state in
            [VmState::Provisioning, VmState::Stopping, VmState::Stopped, VmState::Failed, VmState::Unknown]
        {
            let view = InstanceView { state, ..fixture::view() };
            assert_eq!(wanted(&view), (None, Vec::new()), "{state:?}");
        }
    }
}
