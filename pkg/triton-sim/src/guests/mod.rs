//! Guests: every running instance really answers on its addresses.
//!
//! [`Guests`] follows the data centre. For every running instance it listens on each of the instance's
//! addresses, on the ports that [`ports`] names: an SSH server that runs simulated commands, a small web
//! server, an echo. When an instance stops, its listeners and connections go; when it starts, its
//! `user-script` runs. A guest acts on its data centre as a real one does: it writes metadata, powers itself
//! off, reboots.
//!
//! # Where the addresses are
//!
//! Addresses such as 192.168.128.5 must be local to the process without being on the host: [`namespace`] makes
//! a private network for it, and clients of guests run inside, too.
//!
//! # SSH
//!
//! The keys of `root_authorized_keys` and of the account admit `root` and the image's `default_user`. The host key
//! depends on [`GuestSettings::host_key_seed`] and the instance alone. Programs are those of a simulated shell,
//! in which nothing runs on the host and no files exist: a part of POSIX's language without compound commands
//! (lists, `&&`, `||`, pipelines, variables, quotes), and commands such as `echo`, `cat`, `env`, `sleep`, `head`,
//! `wc`, `yes`, `seq`, `sh -c`, `hostname`, `stty size`, `mdata-get`, `mdata-put`, `mdata-list`, `mdata-delete`,
//! `poweroff` and `reboot`. Unknown ones end with 127.
//!
//! # HTTP
//!
//! `/` says who answers, `/healthz` and `/readyz` answer `ok`, `/env` shows the variables that `user-data` sets,
//! `/echo` sends the body back; `?delay=SECONDS` waits first. The metadata key `sim.http-status` switches
//! statuses: `503` for every path, `/readyz=503` for one.
//!
//! # Load balancers
//!
//! Instances of the image `cloud-load-balancer` forward TCP and HTTP as their metadata says: `cloud.tritoncompute:portmap` and
//! its companions (Triton reference 9). They find servers through CNS, check their health, and so carry a client's
//! connection to another guest.
//!
//! # Limits
//!
//! A listener costs one open file and some 2 KiB, a running instance has two by default. [`Guests::start`] raises
//! the process's limit of open files to the hard limit (`ulimit -Hn`); with 10,000 instances that limit must be
//! above 20,000, or `sim.ports` of the images smaller. Ports that cannot be opened are tried again, and logged
//! once for each reason. Host keys and SSH servers are made when the first client comes.

mod balancer;
mod boot;
#[cfg(test)]
pub(crate) mod fixture;
mod guest;
mod http;
mod keeper;
mod listener;
mod mdata;
pub mod namespace;
pub mod ports;
mod shell;
mod ssh;

use std::sync::Arc;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::sync::watch;

pub use self::balancer::BalancerSettings;
pub use self::http::STATUS_KEY;
use self::keeper::Keeper;
use crate::stop::until;
use crate::view::DataCenter;

/// How guests behave.
#[derive(Debug, Clone)]
pub struct GuestSettings {
    /// What host keys are derived from, with the instance's id.
    pub host_key_seed: u64,
    /// The most connections to one guest at a time; more are closed at once.
    pub connections: usize,
    /// How long a connection of the echo or of SSH may be without traffic.
    pub idle: Duration,
    /// The most bytes that one program writes to an SSH client.
    pub output: u64,
    /// How long a `user-script` may run.
    pub script: Duration,
    /// How load balancers work.
    pub balancer: BalancerSettings,
}

impl Default for GuestSettings {
    fn default() -> Self {
        Self {
            host_key_seed: 0,
            connections: 64,
            // As long as a kubelet leaves a quiet stream open.
            idle: Duration::from_secs(4 * 60 * 60),
            output: 1 << 30,
            script: Duration::from_secs(24 * 60 * 60),
            balancer: BalancerSettings::default(),
        }
    }
}

/// The guests of a data centre. They stop when this is dropped.
#[derive(Debug)]
pub struct Guests {
    _running: watch::Sender<()>,
}

impl Guests {
    /// Starts to follow a data centre, on the Tokio runtime that this is called on. The listeners of instances
    /// that run already are opened in the background.
    pub fn start(data_center: Arc<dyn DataCenter>, settings: GuestSettings) -> Self {
        raise_open_files();
        let (running, stop) = watch::channel(());
        // Subscribed here, so that nothing is missed that happens once this returns.
        let changes = data_center.changes();
        let keeper = Keeper::new(data_center, settings);
        tokio::spawn(until(stop, keeper.follow(changes)));
        Self { _running: running }
    }
}

/// Guests need an open file for each port, and systems give processes 1024 unless they ask for more.
fn raise_open_files() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        if soft < hard { setrlimit(Resource::RLIMIT_NOFILE, hard, hard) } else { Ok(()) }
    });
    if let Err(error) = raised {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
}
