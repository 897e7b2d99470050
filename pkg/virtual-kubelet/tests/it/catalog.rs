//! The catalogue, read from the simulated data centre.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use triton::Client;
use triton::config::{Config, Environment};
use triton_sim::{Preset, Settings, Simulator};
use virtual_kubelet::catalog::{Catalog, CatalogKeeper};
use virtual_kubelet::pod::{Demand, ImageName, PackageDemand, Resources};

/// How long a test waits for something that must happen.
const BOUND: Duration = Duration::from_secs(60);

async fn client(simulator: &Simulator) -> Client {
    let environment = Environment::new(simulator.environment());
    let config = Config::load(&environment, None).unwrap();
    Client::configured(&config).await.unwrap().build().unwrap()
}

struct Kept {
    simulator: Simulator,
    keeper: CatalogKeeper,
    task: JoinHandle<()>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn start() -> Kept {
    let simulator = Simulator::start(Settings::preset(Preset::Instant)).await.unwrap();
    let keeper = CatalogKeeper::new(&client(&simulator).await);
    let runner = keeper.clone();
    let task = tokio::spawn(async move { runner.run().await });
    Kept { simulator, keeper, task }
}

/// Waits for a catalogue of which `is_wanted` holds.
async fn wait_for(keeper: &CatalogKeeper, is_wanted: impl Fn(&Catalog) -> bool) -> Arc<Catalog> {
    let mut catalogs = keeper.subscribe();
    let wanted = catalogs.wait_for(|catalog| catalog.as_deref().is_some_and(&is_wanted));
    timeout(BOUND, wanted).await.expect("in time").unwrap().clone().unwrap()
}

fn demand(spec: serde_json::Value, annotations: serde_json::Value) -> Demand {
    let pod = serde_json::from_value(json!({
        "metadata": {"name": "web", "namespace": "default", "uid": "1", "annotations": annotations},
        "spec": spec,
    }));
    Demand::read(&pod.unwrap(), "kubernetes", "triton").unwrap()
}

fn with_image(image: &str) -> Demand {
    demand(json!({"containers": [{"name": "web", "image": image}]}), json!({}))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fixtures_are_read_whole() {
    let kept = start().await;
    let ids = kept.simulator.ids();
    let catalog = wait_for(&kept.keeper, |_| true).await;
    assert_eq!(catalog.account, ids.acme);
    assert!(catalog.cns_enabled && catalog.datacenter.is_some());
    assert_eq!(catalog.packages.len(), ids.packages.len());
    assert_eq!(catalog.networks(&[]).unwrap(), [ids.fabric]);
    for (name, image, package) in
        [("base-64-lts", ids.base_64, "g1.nano"), ("ubuntu-24.04", ids.ubuntu_hvm, "b1.medium")]
    {
        let found = catalog.image(&ImageName::Name { name: name.into(), version: None }).unwrap();
        assert_eq!(found.id, image);
        let fitting = catalog.package(&PackageDemand::Fit(Resources::default()), &found).unwrap();
        assert_eq!(&*fitting.name, package);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_is_not_listed_is_found_by_its_id() {
    let kept = start().await;
    let member = kept.simulator.ids().pool_members[0];
    wait_for(&kept.keeper, |_| true).await;
    let spec = json!({"containers": [{"name": "web", "image": "base-64-lts"}]});
    let demand = demand(spec, json!({"networks": member.to_string()}));
    assert!(kept.keeper.catalog().unwrap().networks(&demand.networks).is_err());
    kept.keeper.missed(&demand);
    let catalog = wait_for(&kept.keeper, |catalog| !catalog.unlisted_networks.is_empty()).await;
    assert_eq!(catalog.networks(&demand.networks).unwrap(), [member]);
}
