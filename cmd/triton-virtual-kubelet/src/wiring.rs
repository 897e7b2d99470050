//! What a process that works and one that only looks have in common.

use std::sync::Arc;

use provider::names::tag;
use runtime::clients::{Clients, Priority};
use runtime::events::EventRecorder;
use runtime::exit::Fatal;
use runtime::leader::Claim;
use runtime::metrics::Metrics;
use runtime::watching::Caches;
use tokio::sync::watch;
use triton::Client;
use triton::reflector::{self, Reflector, Store};
use triton::types::TagValue;
use virtual_kubelet::catalog::CatalogKeeper;
use virtual_kubelet::controller::{self, Controller};
use virtual_kubelet::node::{Facts, Instances, Keeper, NodeMetrics, Parts, account};
use virtual_kubelet::settings::{Flags, VirtualNode};
use virtual_kubelet::ssh::Connector;

/// What is read of CloudAPI, by tasks that only read: once for all nodes of the process.
pub(super) struct Account {
    client: Client,
    pub(super) instances: Store,
    pub(super) facts: watch::Receiver<Facts>,
    pub(super) catalog: CatalogKeeper,
}

impl Account {
    /// Begins to read. Needs a tokio runtime.
    pub(super) fn follow(client: Client, flags: &Flags, caches: &Caches) -> Self {
        let relist = reflector::Settings::default();
        let ours = TagValue::from(flags.cluster_name.as_str());
        let reflector = Reflector::new(client.clone(), relist).deleting(tag::CLUSTER, ours);
        let instances = reflector.store();
        let cache = Instances::new(instances.clone(), relist.relist_every, flags.cloudapi_grace);
        caches.add(Arc::new(cache));
        tokio::spawn(reflector.run());
        let (facts, known) = watch::channel(Facts::default());
        let account = client.clone();
        tokio::spawn(async move { account::follow(&account, &facts).await });
        let catalog = CatalogKeeper::new(&client);
        let reading = catalog.clone();
        tokio::spawn(async move { reading.run().await });
        Self { client, instances, facts: known, catalog }
    }
}

/// With what nodes and pods are looked after.
pub(super) struct Process<'a> {
    pub(super) flags: &'a Flags,
    pub(super) nodes: &'a [VirtualNode],
    pub(super) clients: &'a Clients,
    pub(super) caches: &'a Caches,
    pub(super) claim: &'a Claim,
    pub(super) events: &'a EventRecorder,
    pub(super) metrics: &'a Metrics,
    pub(super) account: &'a Account,
}

impl Process<'_> {
    /// One keeper for each node.
    pub(super) fn keepers(&self) -> Result<Vec<Keeper>, Fatal> {
        let metrics = NodeMetrics::new(self.metrics).map_err(Fatal::failure)?;
        let keeper = |node: &VirtualNode| {
            Keeper::new(Parts {
                flags: self.flags.clone(),
                node: node.clone(),
                clients: self.clients,
                caches: self.caches,
                claim: self.claim.clone(),
                instances: self.account.instances.clone(),
                facts: self.account.facts.clone(),
                events: self.events.clone(),
                metrics: metrics.clone(),
            })
        };
        self.nodes.iter().map(keeper).collect::<Result<_, _>>().map_err(Fatal::failure)
    }

    /// The controller of the pods of all nodes.
    pub(super) fn controller(&self, ssh: Option<Connector>) -> Result<Arc<Controller>, Fatal> {
        let settings = controller::Settings {
            cluster: self.flags.cluster_name.to_string(),
            default_load_balancer: self.flags.default_load_balancer,
            nodes: self.nodes.to_vec(),
            host_ip: self.flags.node_address,
            cloudapi_grace: self.flags.cloudapi_grace,
            firewall_relist: self.flags.firewall_relist,
            firewall_grace: self.flags.firewall_grace,
            orphan_grace: self.flags.orphan_grace,
        };
        let kube = self.clients.leading("pods", Priority::Normal, self.claim).map_err(Fatal::failure)?;
        let parts = controller::Parts {
            kube,
            events: self.events.clone(),
            caches: self.caches.clone(),
            triton: self.account.client.clone(),
            instances: self.account.instances.clone(),
            catalog: self.account.catalog.clone(),
            ssh,
            claim: self.claim.clone(),
            metrics: self.metrics,
        };
        Controller::start(settings, parts).map_err(Fatal::failure)
    }
}
