//! The truth of the simulated data centre: a pure, deterministic state machine.
//!
//! Nothing here waits, reads a clock or does I/O. Requests are method calls that say what time it is; what
//! Triton does later is in an agenda that [`World::advance`] works off; what the rest of the simulator has to
//! hear of is in an outbox that [`World::drain_changes`] empties. All chance comes from one seeded generator, so
//! the same seed and the same calls give the same world. [`Engine`](crate::engine::Engine) runs it in real time.
//!
//! | module | what | reference |
//! |---|---|---|
//! | [`machine`] | the instance and its parts | 2.11, 2.12 |
//! | [`create`], [`actions`], [`list`] | making, changing and finding instances | 2.13, 2.14, 2.16 |
//! | [`jobs`] | one queue of jobs per instance, and its audit log | 7.2, 2.25 |
//! | [`placement`] | compute nodes and affinity | 2.15 |
//! | [`tags`], [`metadata`] | tags and metadata | 2.17, 2.18 |
//! | [`images`], [`packages`] | what instances are made of | 2.9, 2.10 |
//! | [`networks`], [`fabrics`] | networks, addresses and fabrics | 2.22 |
//! | [`firewall`], [`snapshots`], [`volumes`], [`migrations`] | what belongs to instances | 2.20 to 2.24 |
//! | [`account`], [`keys`], [`rbac`], [`accesskeys`] | who may do what | 1.6, 2.8 |
//!
//! Objects are plain structs. How they look in JSON is CloudAPI's concern.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use triton::id::{AccountId, ComputeNodeId, FirewallRuleId, ImageId, InstanceId, PackageId, VolumeId};
use uuid::Uuid;

pub mod accesskeys;
pub mod account;
pub mod actions;
mod addresses;
mod affinity;
pub mod create;
mod disks;
pub mod error;
pub mod fabrics;
pub mod firewall;
pub mod images;
pub mod jobs;
pub mod keys;
pub mod list;
pub mod machine;
pub mod metadata;
pub mod migrations;
pub mod networks;
mod nics;
pub mod packages;
pub mod params;
pub mod placement;
mod predicate;
pub mod rbac;
pub mod settings;
pub mod snapshots;
mod table;
pub mod tags;
mod tasks;
mod view;
pub mod volumes;

#[cfg(test)]
mod histories;
#[cfg(test)]
mod testing;

pub use error::{FieldError, Refusal, WorldError};
pub use machine::{AuditEntry, Brand, Caller, CallerKind, Mac, Machine};
pub use params::Params;
pub use settings::Settings;

use crate::view::VmState;

/// A change of an instance, as VMAPI publishes it (reference 2.26).
#[derive(Debug, Clone)]
pub struct Change {
    /// When it happened.
    pub at: Timestamp,
    /// The instance.
    pub instance: InstanceId,
    /// Its account.
    pub owner: AccountId,
    /// The VMAPI properties that changed, such as `state`; also names that clients cannot register for.
    pub sub_resources: Vec<&'static str>,
    /// The state after the change, in VMAPI's words.
    pub state: VmState,
    /// The instance after the change.
    pub machine: Arc<Machine>,
}

/// Something that happens by itself at a certain time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Due {
    /// A job of an instance reaches its next step, unless it is no longer the active one.
    Job { instance: InstanceId, job: Uuid },
    /// An image is ready, or has failed to become so.
    Image(ImageId),
    /// A volume is ready, or gone.
    Volume(VolumeId),
}

/// The data centre.
pub struct World {
    settings: Settings,
    rng: fastrand::Rng,
    accounts: BTreeMap<AccountId, account::Account>,
    packages: BTreeMap<PackageId, Arc<packages::Package>>,
    images: BTreeMap<ImageId, Arc<images::Image>>,
    networks: networks::Networks,
    nodes: BTreeMap<ComputeNodeId, placement::ComputeNode>,
    machines: table::Table,
    rules: BTreeMap<FirewallRuleId, firewall::Rule>,
    volumes: BTreeMap<VolumeId, volumes::Volume>,
    migrations: BTreeMap<InstanceId, migrations::Migration>,
    rbac: BTreeMap<AccountId, rbac::Rbac>,
    access_keys: BTreeMap<AccountId, Vec<accesskeys::AccessKey>>,
    jobs: jobs::Jobs,
    agenda: BTreeMap<(Timestamp, u64), Due>,
    sequence: u64,
    outbox: Vec<Change>,
    touched: Vec<InstanceId>,
}

impl World {
    /// An empty data centre.
    pub fn new(settings: Settings) -> Self {
        Self {
            rng: fastrand::Rng::with_seed(settings.seed),
            settings,
            accounts: BTreeMap::new(),
            packages: BTreeMap::new(),
            images: BTreeMap::new(),
            networks: networks::Networks::default(),
            nodes: BTreeMap::new(),
            machines: table::Table::default(),
            rules: BTreeMap::new(),
            volumes: BTreeMap::new(),
            migrations: BTreeMap::new(),
            rbac: BTreeMap::new(),
            access_keys: BTreeMap::new(),
            jobs: jobs::Jobs::default(),
            agenda: BTreeMap::new(),
            sequence: 0,
            outbox: Vec::new(),
            touched: Vec::new(),
        }
    }

    /// How the data centre behaves.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The settings, to change them. Jobs that are under way keep the times they have; a new seed has no effect.
    pub fn settings_mut(&mut self) -> &mut Settings {
        &mut self.settings
    }

    /// When something happens by itself next.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.agenda.keys().next().map(|(at, _)| *at)
    }

    /// Lets everything happen that is due until `now`, each at its own time.
    pub fn advance(&mut self, now: Timestamp) {
        while let Some(entry) = self.agenda.first_entry() {
            let at = entry.key().0;
            if at > now {
                return;
            }
            match entry.remove() {
                Due::Job { instance, job } => self.step(at, instance, job),
                Due::Image(image) => self.image_is_due(at, image),
                Due::Volume(volume) => self.volume_is_due(volume),
            }
        }
    }

    /// How many things are yet to happen by themselves.
    pub fn pending(&self) -> usize {
        self.agenda.len()
    }

    /// What changed since the last call, oldest first.
    pub fn drain_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.outbox)
    }

    /// Which instances look different to CNS, CMON and the guests since the last call though VMAPI published nothing:
    /// their compute node, their account or their network changed.
    pub fn drain_touched(&mut self) -> Vec<InstanceId> {
        std::mem::take(&mut self.touched)
    }

    /// Puts something into the agenda.
    fn schedule(&mut self, at: Timestamp, due: Due) {
        self.sequence += 1;
        self.agenda.insert((at, self.sequence), due);
    }

    /// A duration with jitter added.
    fn jittered(&mut self, duration: Duration) -> Duration {
        let share = self.settings.timing.jitter.clamp(0.0, 1.0) * self.rng.f64();
        duration.saturating_add(duration.mul_f64(share).min(MAX_DELAY)).min(MAX_DELAY)
    }

    /// Whether a chance of `share` comes true.
    fn chance(&mut self, share: f64) -> bool {
        share > 0.0 && self.rng.f64() < share
    }

    /// A random UUID of version 4.
    fn new_uuid(&mut self) -> Uuid {
        uuid::Builder::from_random_bytes(self.rng.u128(..).to_be_bytes()).into_uuid()
    }
}

/// The longest that anything may be put off, however the settings are: times far away cannot be calculated with.
const MAX_DELAY: Duration = Duration::from_secs(365 * 24 * 3600);

/// The time after a delay.
fn after(at: Timestamp, delay: Duration) -> Timestamp {
    at.checked_add(delay).unwrap_or(Timestamp::MAX)
}

/// The time before a delay.
fn before(at: Timestamp, delay: Duration) -> Timestamp {
    at.checked_sub(delay).unwrap_or(Timestamp::MIN)
}
