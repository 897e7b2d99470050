//! Keeps the catalogue.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};
use triton::Client;
use triton::budget::Priority;
use triton::id::{ImageId, NetworkId};

use super::Catalog;
use super::agenda::{Agenda, Pace};
use super::reading::{Unlisted, read};
use crate::pod::{Demand, ImageName, NetworkName};

/// How many objects that are not listed are kept. Each costs a call per reading.
const MOST_UNLISTED: usize = 64;

/// Reads the catalogue at the start, when one older than 5 minutes is used, and soon (at most every 10 s) when
/// something that a pod names is not in it. A reading that fails leaves the old one in place and is tried again.
///
/// Cloning gives another handle. One task runs [`CatalogKeeper::run`]; so there is never more than one reading under
/// way.
#[derive(Debug, Clone)]
pub struct CatalogKeeper(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    client: Client,
    pace: Pace,
    state: Mutex<State>,
    wake: Notify,
    catalog: watch::Sender<Option<Arc<Catalog>>>,
}

#[derive(Debug, Default)]
struct State {
    agenda: Agenda,
    unlisted: Unlisted,
    failure: Option<String>,
}

impl CatalogKeeper {
    /// A keeper that has read nothing yet.
    pub fn new(client: &Client) -> Self {
        Self::with_pace(client, Pace::DEFAULT)
    }

    /// The same with another pace.
    pub fn with_pace(client: &Client, pace: Pace) -> Self {
        let client = client.with_priority(Priority::Status).with_deadline(pace.deadline);
        let (catalog, _) = watch::channel(None);
        let (state, wake) = (Mutex::default(), Notify::new());
        Self(Arc::new(Shared { client, pace, state, wake, catalog }))
    }

    /// The youngest catalogue; `None` until one could be read. Using an old one has it read again.
    pub fn catalog(&self) -> Option<Arc<Catalog>> {
        if self.state().agenda.used(Instant::now(), &self.0.pace) {
            self.0.wake.notify_one();
        }
        self.0.catalog.borrow().clone()
    }

    /// Tells that a name of this pod could not be resolved, so that what is new is found soon.
    pub fn missed(&self, demand: &Demand) {
        let Some(catalog) = self.0.catalog.borrow().clone() else {
            // The first reading is under way already.
            return;
        };
        let Missing { names, unlisted } = missing(demand, &catalog);
        let now = Instant::now();
        let mut state = self.state();
        let State { agenda, unlisted: known, .. } = &mut *state;
        let room = |length: usize| MOST_UNLISTED.saturating_sub(length);
        known.images.extend(unlisted.images.into_iter().take(room(known.images.len())));
        known.networks.extend(unlisted.networks.into_iter().take(room(known.networks.len())));
        let mut asked = false;
        for name in names {
            asked |= agenda.missed(name, now, &self.0.pace);
        }
        drop(state);
        if asked {
            self.0.wake.notify_one();
        }
    }

    /// Is told of every catalogue by which pods may resolve differently.
    pub fn subscribe(&self) -> watch::Receiver<Option<Arc<Catalog>>> {
        self.0.catalog.subscribe()
    }

    /// Why the last reading failed, if it did. For conditions and logs.
    pub fn failure(&self) -> Option<String> {
        self.state().failure.clone()
    }

    /// Reads whenever it is due, for ever; end it by dropping it.
    pub async fn run(&self) {
        loop {
            let due = self.state().agenda.due(Instant::now(), &self.0.pace);
            tokio::select! {
                () = self.0.wake.notified() => {}
                () = wait(due) => self.read().await,
            }
        }
    }

    async fn read(&self) {
        let unlisted = {
            let mut state = self.state();
            state.agenda.started(Instant::now());
            state.unlisted.clone()
        };
        let outcome = read(&self.0.client, &unlisted).await;
        let mut state = self.state();
        state.agenda.ended(outcome.is_ok());
        match outcome {
            Ok(catalog) => {
                state.failure = None;
                // What was looked for and is not there is looked for again when it is missed again.
                let found = |id: &ImageId| catalog.images.iter().any(|image| image.id == *id);
                state.unlisted.images.retain(|id| !unlisted.images.contains(id) || found(id));
                let found =
                    |id: &NetworkId| catalog.unlisted_networks.iter().any(|network| network.id == *id);
                state.unlisted.networks.retain(|id| !unlisted.networks.contains(id) || found(id));
                drop(state);
                self.publish(catalog);
            }
            Err(error) => {
                tracing::warn!(%error, "the packages, images and networks cannot be read; those known stay in use");
                state.failure = Some(error.to_string());
            }
        }
    }

    fn publish(&self, catalog: Catalog) {
        self.0.catalog.send_if_modified(|known| {
            let is_same = known.as_ref().is_some_and(|known| known.resolves_as(&catalog));
            *known = Some(Arc::new(catalog));
            !is_same
        });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn wait(until: Option<Instant>) {
    match until {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// What a pod names and a catalogue does not have.
#[derive(Debug, Default)]
struct Missing {
    names: Vec<String>,
    /// Those that are named by id, which can be read although they are not listed.
    unlisted: Unlisted,
}

fn missing(demand: &Demand, catalog: &Catalog) -> Missing {
    let mut missing = Missing::default();
    match catalog.image(&demand.image) {
        Err(_) => {
            missing.names.push(format!("image {}", demand.image));
            if let ImageName::Id(id) = &demand.image {
                missing.unlisted.images.insert(*id);
            }
        }
        Ok(image) if catalog.package(&demand.package, &image).is_err() => {
            missing.names.push(format!("package {} for image {}", demand.package, demand.image));
        }
        Ok(_) => {}
    }
    for name in demand.networks.iter().chain(&demand.pod_network) {
        if catalog.networks(std::slice::from_ref(name)).is_err() {
            missing.names.push(format!("network {name}"));
            if let NetworkName::Id(id) = name {
                missing.unlisted.networks.insert(*id);
            }
        }
    }
    missing
}
