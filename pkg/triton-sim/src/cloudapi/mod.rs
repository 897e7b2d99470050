//! CloudAPI: the public HTTP interface of the data centre (reference 2).
//!
//! A request goes through [`pipeline`]: [`routes`] and [`version`] say what is meant, [`crate::faults`] what goes
//! wrong, [`auth`] and [`access`] who asks and whether they may, [`throttle`] whether they may now. Then an
//! endpoint, of which each resource has a file, reads or changes the truth in [`crate::world`] and renders it with
//! [`view`]. [`changefeed`] tells of changes.
//!
//! # What it leaves out, and where it differs
//!
//! - Presigned URLs and delegated tokens (reference 1.7, 1.8), DSA keys, and the signature form of old clients in
//!   which the signature follows the parameters.
//! - Consoles: the VNC route gives its documented errors, and an upgrade is answered and closed at once.
//! - A migration that is watched is told of when it no longer runs, not step by step.
//! - An image that is copied from another data centre has its id; the other data centre is not asked for the rest.
//! - Image export writes nothing, because there is no object storage.
//! - `Content-MD5` of answers, which the official client checks wrongly (reference 7.1). That of requests is
//!   checked.
//! - `foreigndatacenters`, which only delegated tokens can use.
//! - POST on `/:account/config` is taken as PUT, for the sake of the public Go client (reference 7.4). The real
//!   server answers 405.
//! - The rules of policies are read as far as `CAN actions`; conditions after the actions are ignored.
//!
//! Where answers differ from the OpenAPI document of CloudAPI is listed, with reasons, in `tests/it/openapi.rs`.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use triton::id::{AccountId, InstanceId, NetworkId};

use crate::engine::Engine;
use crate::faults::{Counters, Faults};

mod access;
mod auth;
mod call;
pub(crate) mod changefeed;
mod date;
mod endpoints;
mod error;
mod params;
mod pipeline;
mod request;
mod respond;
mod routes;
pub(crate) mod server;
mod throttle;
pub(crate) mod tls;
mod version;
mod view;

pub use routes::Operation;
pub(crate) use throttle::Throttle;
pub use throttle::ThrottleLimits;
pub use tls::{Tls, TlsError};

/// Where the names in CNS come from.
pub(crate) trait Names: Send + Sync {
    /// The names of an instance.
    fn dns_names(&self, instance: InstanceId) -> Vec<String>;
    /// The suffixes of the names of an account's instances on a network.
    fn suffixes(&self, network: NetworkId, owner: AccountId, login: &str) -> Vec<String>;
}

/// What CloudAPI is told when it starts.
#[derive(Clone, Debug)]
pub(crate) struct ApiSettings {
    /// Its own URL, as clients reach it.
    pub(crate) url: String,
    /// The services of the data centre by name, with their URLs.
    pub(crate) services: BTreeMap<String, String>,
    /// The other data centres of the cloud by name, with the URLs of their CloudAPIs.
    pub(crate) datacenters: BTreeMap<String, String>,
    /// How far the clocks of clients may be off.
    pub(crate) clock_skew: Duration,
    /// How far its clock is ahead of this machine's.
    pub(crate) clock_ahead: SignedDuration,
}

/// What all requests share.
pub(crate) struct CloudApi {
    engine: Engine,
    settings: ApiSettings,
    faults: Arc<Faults>,
    counters: Arc<Counters>,
    throttle: Arc<Throttle>,
    feed: Arc<changefeed::Hub>,
    names: Option<Arc<dyn Names>>,
}

impl fmt::Debug for CloudApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CloudApi").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl CloudApi {
    pub(crate) fn new(
        engine: Engine,
        settings: ApiSettings,
        faults: Arc<Faults>,
        counters: Arc<Counters>,
        throttle: Arc<Throttle>,
        feed: Arc<changefeed::Hub>,
        names: Option<Arc<dyn Names>>,
    ) -> Self {
        Self { engine, settings, faults, counters, throttle, feed, names }
    }

    fn has_volumes(&self) -> bool {
        self.engine.read(|world| world.settings().features.volumes)
    }

    fn datacenter(&self) -> String {
        self.engine.read(|world| world.settings().datacenter.clone())
    }
}
