//! What the services around CloudAPI see of the data centre: CNS, CMON and the guests read [`InstanceView`]s
//! and act through [`DataCenter`]; none of them knows how CloudAPI keeps its instances.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::broadcast;
use triton::auth::PublicKey;
use triton::id::{AccountId, ComputeNodeId, ImageId, InstanceId, NetworkId};

/// VMAPI's own states, as far as they occur here (reference 2.12).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VmState {
    /// Being made.
    Provisioning,
    /// Running.
    Running,
    /// On its way down.
    Stopping,
    /// Shut down.
    Stopped,
    /// Could not be made, or was destroyed while being made.
    Failed,
    /// Gone for ever.
    Destroyed,
    /// Its compute node does not answer.
    Unknown,
}

impl VmState {
    /// VMAPI's word, as in the changefeed's `resourceState`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Provisioning => "provisioning",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
            Self::Destroyed => "destroyed",
            Self::Unknown => "unknown",
        }
    }
}

/// A NIC of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NicView {
    /// The hardware address.
    pub mac: [u8; 6],
    /// Its address.
    pub ip: Ipv4Addr,
    /// Whether it is the primary one.
    pub primary: bool,
    /// The network, never a pool.
    pub network: NetworkId,
    /// The network's name.
    pub network_name: Arc<str>,
    /// The account that owns the network, for fabrics.
    pub network_owner: Option<AccountId>,
    /// Whether the network is public.
    pub public: bool,
    /// The NIC tag of the network, such as `external`.
    pub nic_tag: Arc<str>,
}

/// One instance at one time.
#[derive(Debug, Clone, PartialEq)]
pub struct InstanceView {
    /// Its id.
    pub id: InstanceId,
    /// Its account.
    pub owner: AccountId,
    /// The login of its account.
    pub owner_login: Arc<str>,
    /// Whether CNS is on for its account.
    pub cns_enabled: bool,
    /// Its name.
    pub alias: String,
    /// Its state.
    pub state: VmState,
    /// Its brand, such as `lx`.
    pub brand: Arc<str>,
    /// Its image.
    pub image: ImageId,
    /// The name of its image.
    pub image_name: Arc<str>,
    /// The tags of its image, such as `default_user`.
    pub image_tags: BTreeMap<String, Value>,
    /// The name of its package.
    pub package_name: Arc<str>,
    /// Its compute node, once chosen.
    pub compute_node: Option<ComputeNodeId>,
    /// Whether its compute node answers. CNS believes so for an hour after the last heartbeat (reference 3.4).
    pub compute_node_up: bool,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// Disk quota in MiB.
    pub disk_mib: u64,
    /// Its NICs; none before it was provisioned.
    pub nics: Vec<NicView>,
    /// Its tags.
    pub tags: BTreeMap<String, Value>,
    /// Its customer metadata.
    pub metadata: BTreeMap<String, String>,
    /// When it last started to run.
    pub booted: Option<Timestamp>,
}

/// The data centre as the services around CloudAPI use it.
pub trait DataCenter: Send + Sync + 'static {
    /// The simulated time.
    fn now(&self) -> Timestamp;

    /// The name of the data centre, such as `dc1`.
    fn name(&self) -> &str;

    /// One instance, also a destroyed or failed one.
    fn instance(&self, id: InstanceId) -> Option<Arc<InstanceView>>;

    /// All instances that are neither destroyed nor failed.
    fn instances(&self) -> Vec<Arc<InstanceView>>;

    /// Is told the id of each instance that changes from now on. A receiver that lags reads all instances anew.
    fn changes(&self) -> broadcast::Receiver<InstanceId>;

    /// The account of this login and its keys.
    fn account_keys(&self, login: &str) -> Option<(AccountId, Vec<PublicKey>)>;

    /// The guest writes a metadata key, or deletes it with `None` (reference 2.18, 5.1).
    fn guest_sets_metadata(&self, id: InstanceId, key: &str, value: Option<&str>);

    /// The guest powers itself off.
    fn guest_powers_off(&self, id: InstanceId);

    /// The guest reboots itself.
    fn guest_reboots(&self, id: InstanceId);
}
