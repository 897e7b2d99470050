//! How the simulated data centre behaves: its name, its delays and its optional features.

use std::time::Duration;

use jiff::fmt::serde::unsigned_duration::friendly::compact::required as duration;
use serde::Deserialize;

mod file;

pub use file::SettingsFileError;

/// Settings of the data centre. They may change while it runs.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The name of the data centre, such as `dc1`.
    pub datacenter: String,
    /// What every random choice follows from; the same seed and the same requests give the same world.
    pub seed: u64,
    /// How long jobs take.
    pub timing: Timing,
    /// How long a new instance is invisible to the check for duplicate names. More than nothing shows the race
    /// of reference 2.14.
    #[serde(with = "duration")]
    pub unique_name_blindness: Duration,
    /// What running instances of a lost compute node report (reference 2.12).
    pub lost_node: LostNode,
    /// The share of provisions that fail, 0 to 1.
    pub provision_failures: f64,
    /// The share of other jobs that fail, 0 to 1.
    pub job_failures: f64,
    /// Optional features.
    pub features: Features,
    /// The most rows of destroyed and failed instances that are kept. Triton keeps them for ever (reference
    /// 2.12); the bound is ours, and the oldest go first.
    pub max_tombstones: usize,
    /// The most instances that are neither destroyed nor failed. The bound is ours.
    pub max_instances: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            datacenter: "dc1".to_owned(),
            seed: 0,
            timing: Timing::default(),
            unique_name_blindness: Duration::ZERO,
            lost_node: LostNode::default(),
            provision_failures: 0.0,
            job_failures: 0.0,
            features: Features::default(),
            max_tombstones: 20_000,
            max_instances: 50_000,
        }
    }
}

/// What VMAPI says of running instances whose compute node does not answer (reference 2.12).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LostNode {
    /// They are `unknown`.
    #[default]
    Unknown,
    /// They are still `running`, which is stale.
    Running,
}

/// What the operator has switched on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Features {
    /// Fabrics; without them 501 (reference 2.22).
    pub fabrics: bool,
    /// NFS volumes, also mounted at creation; without them 404 (reference 2.23).
    pub volumes: bool,
    /// The parameter `delegate_dataset` (reference 2.14).
    pub delegate_dataset: bool,
    /// Snapshots of bhyve instances (reference 2.20).
    pub bhyve_snapshots: bool,
    /// More than one public network per instance (reference 2.14).
    pub multiple_public_networks: bool,
    /// `linklocal` as the gateway of a route (reference 2.22).
    pub linklocal_routes: bool,
}

impl Default for Features {
    fn default() -> Self {
        Self {
            fabrics: true,
            volumes: true,
            delegate_dataset: true,
            bhyve_snapshots: true,
            multiple_public_networks: false,
            linklocal_routes: false,
        }
    }
}

/// How long jobs take, each with up to [`Timing::jitter`] of it added. In files a duration is a text such as
/// `500ms` or `2s`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timing {
    /// Provisioning a zone.
    #[serde(with = "duration")]
    pub provision_zone: Duration,
    /// Provisioning a bhyve or kvm instance.
    #[serde(with = "duration")]
    pub provision_hvm: Duration,
    /// Starting.
    #[serde(with = "duration")]
    pub start: Duration,
    /// Stopping.
    #[serde(with = "duration")]
    pub stop: Duration,
    /// Rebooting; never less than [`MIN_REBOOT`].
    #[serde(with = "duration")]
    pub reboot: Duration,
    /// Destroying.
    #[serde(with = "duration")]
    pub destroy: Duration,
    /// Tags and metadata.
    #[serde(with = "duration")]
    pub metadata: Duration,
    /// Renaming, resizing, firewall, deletion protection, NICs, disks and snapshots.
    #[serde(with = "duration")]
    pub update: Duration,
    /// Each phase of a migration.
    #[serde(with = "duration")]
    pub migration: Duration,
    /// Making an image from an instance, importing or exporting one.
    #[serde(with = "duration")]
    pub image: Duration,
    /// Making or deleting a volume.
    #[serde(with = "duration")]
    pub volume: Duration,
    /// The share of a duration that is at most added to it at random, 0 to 1.
    pub jitter: f64,
}

/// The least time a reboot takes, so that its audit entry is later than the `Date` of the answer, which has whole
/// seconds (reference 7.2).
pub const MIN_REBOOT: Duration = Duration::from_secs(1);

impl Timing {
    /// No delay at all, save for [`MIN_REBOOT`].
    pub fn instant() -> Self {
        let zero = Duration::ZERO;
        Self {
            provision_zone: zero,
            provision_hvm: zero,
            start: zero,
            stop: zero,
            reboot: zero,
            destroy: zero,
            metadata: zero,
            update: zero,
            migration: zero,
            image: zero,
            volume: zero,
            jitter: 0.0,
        }
    }

    /// About what a warm data centre needs (reference 2.14).
    pub fn realistic() -> Self {
        let seconds = Duration::from_secs;
        Self {
            provision_zone: seconds(20),
            provision_hvm: seconds(45),
            start: seconds(8),
            stop: seconds(12),
            reboot: seconds(20),
            destroy: seconds(15),
            metadata: seconds(3),
            update: seconds(5),
            migration: seconds(60),
            image: seconds(90),
            volume: seconds(40),
            jitter: 0.5,
        }
    }
}

/// Fast, but slow enough to see each state in between.
impl Default for Timing {
    fn default() -> Self {
        let milliseconds = Duration::from_millis;
        Self {
            provision_zone: milliseconds(2000),
            provision_hvm: milliseconds(4000),
            start: milliseconds(700),
            stop: milliseconds(700),
            reboot: milliseconds(1000),
            destroy: milliseconds(700),
            metadata: milliseconds(500),
            update: milliseconds(500),
            migration: milliseconds(1000),
            image: milliseconds(1000),
            volume: milliseconds(1000),
            jitter: 0.2,
        }
    }
}

#[cfg(test)]
mod tests;
