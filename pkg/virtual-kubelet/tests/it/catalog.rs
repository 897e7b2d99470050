//! The catalogue, read from the simulated data centre.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use triton::Client;
use triton::config::{Config, Environment};
use triton::id::PackageId;
use triton_sim::cloudapi::Operation;
use triton_sim::faults::FaultPlan;
use triton_sim::{Preset, Settings, Simulator};
use virtual_kubelet::catalog::{Catalog, CatalogKeeper, Pace};
use virtual_kubelet::pod::{Demand, ImageName, PackageDemand, Resources};

/// The id of an image that lists do not show.
const HIDDEN: &str = "1a9e00fe-0000-4000-8000-000000000000";

/// How long a test waits for something that must happen.
pub(crate) const BOUND: Duration = Duration::from_secs(60);

pub(crate) async fn client(simulator: &Simulator) -> Client {
    let environment: Environment = simulator.environment().into_iter().collect();
    let config = Config::load(&environment, None).unwrap();
    Client::configured(&config).await.unwrap().build().unwrap()
}

pub(crate) struct Kept {
    pub(crate) simulator: Simulator,
    pub(crate) keeper: CatalogKeeper,
    task: JoinHandle<()>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// So fast that no test waits for it.
const PACE: Pace = Pace {
    least: Duration::ZERO,
    first_delay: Duration::from_millis(10),
    longest_delay: Duration::from_millis(10),
    deadline: Duration::from_secs(1),
    ..Pace::DEFAULT
};

pub(crate) async fn start() -> Kept {
    let simulator = Simulator::start(Settings::preset(Preset::Instant)).await.unwrap();
    let keeper = CatalogKeeper::with_pace(&client(&simulator).await, PACE);
    let runner = keeper.clone();
    let task = tokio::spawn(async move { runner.run().await });
    Kept { simulator, keeper, task }
}

/// Waits for a catalogue of which `is_wanted` holds.
pub(crate) async fn wait_for(keeper: &CatalogKeeper, is_wanted: impl Fn(&Catalog) -> bool) -> Arc<Catalog> {
    let mut catalogs = keeper.subscribe();
    let wanted = catalogs.wait_for(|catalog| catalog.as_deref().is_some_and(&is_wanted));
    timeout(BOUND, wanted).await.expect("in time").unwrap().clone().unwrap()
}

fn with_image(image: &str) -> Demand {
    let pod = serde_json::from_value(json!({
        "metadata": {"name": "web", "namespace": "default", "uid": "1"},
        "spec": {"containers": [{"name": "web", "image": image}]},
    }));
    Demand::read(&pod.unwrap(), "kubernetes", "triton").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fixtures_are_read_whole() {
    let kept = start().await;
    let ids = kept.simulator.ids();
    let catalog = wait_for(&kept.keeper, |_| true).await;
    assert_eq!(catalog.account, ids.acme);
    assert!(catalog.cns_enabled && catalog.datacenter.is_some());
    let has = |id: &PackageId| catalog.packages.iter().any(|package| package.id == *id);
    assert!(ids.packages.iter().all(has), "{:?}", catalog.packages);
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
async fn an_image_that_is_not_listed_is_found_by_its_id_to_say_why_it_is_of_no_use() {
    let kept = start().await;
    let (acme, base) = (kept.simulator.ids().acme, kept.simulator.ids().base_64);
    kept.simulator.control().write(|world, _| {
        let mut image = triton_sim::world::images::Image::clone(world.image(acme, base).unwrap());
        image.id = HIDDEN.parse().unwrap();
        image.owner = acme;
        image.state = triton_sim::world::images::ImageState::Disabled;
        world.add_image(image);
    });
    wait_for(&kept.keeper, |_| true).await;
    let demand = with_image(HIDDEN);
    let refusal = |catalog: &Catalog| catalog.image(&demand.image).unwrap_err().message;
    assert!(refusal(&kept.keeper.catalog().unwrap()).contains("no image"));
    kept.keeper.missed(&demand);
    let catalog = wait_for(&kept.keeper, |catalog| !refusal(catalog).contains("no image")).await;
    assert!(refusal(&catalog).contains("is disabled"), "{}", refusal(&catalog));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_new_is_found_when_a_pod_names_it() {
    let kept = start().await;
    wait_for(&kept.keeper, |_| true).await;
    let base = kept.simulator.ids().base_64;
    let demand = with_image("new-image");
    kept.simulator.control().write(|world, _| {
        let mut image =
            triton_sim::world::images::Image::clone(world.image(kept.simulator.ids().acme, base).unwrap());
        image.id = "1a9e00ff-0000-4000-8000-000000000000".parse().unwrap();
        image.name = "new-image".into();
        world.add_image(image);
    });
    kept.keeper.missed(&demand);
    wait_for(&kept.keeper, |catalog| catalog.image(&demand.image).is_ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_users_at_once_are_one_reading() {
    let kept = start().await;
    for _ in 0..100 {
        let _ = kept.keeper.catalog();
    }
    wait_for(&kept.keeper, |_| true).await;
    for _ in 0..100 {
        assert!(kept.keeper.catalog().is_some());
        kept.keeper.missed(&with_image("base-64-lts"));
    }
    let requests = kept.simulator.control().requests();
    for operation in [Operation::ListPackages, Operation::ListImages, Operation::ListNetworks] {
        assert_eq!(requests.of(operation), 1, "{operation:?}");
    }
    assert_eq!(requests.read().total, 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reading_that_changes_nothing_is_not_told() {
    let kept = start().await;
    wait_for(&kept.keeper, |_| true).await;
    let mut catalogs = kept.keeper.subscribe();
    catalogs.mark_unchanged();
    // The reading after next begins when the next one has ended.
    for (readings, name) in [(2, "first"), (3, "second")] {
        kept.keeper.missed(&with_image(name));
        let begun = async {
            while kept.simulator.control().requests().of(Operation::ListImages) < readings {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(BOUND, begun).await.expect("in time");
    }
    assert!(!catalogs.has_changed().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_keeps_the_old_one_and_ends_by_itself() {
    let kept = start().await;
    let old = wait_for(&kept.keeper, |_| true).await;
    let control = kept.simulator.control();
    control
        .set_faults(FaultPlan::load(None, &["requests.ListImages.error_rate=1".to_owned()]).unwrap())
        .unwrap();
    kept.keeper.missed(&with_image("new-image"));
    let failed = async {
        while kept.keeper.failure().is_none() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(BOUND, failed).await.expect("in time");
    assert!(kept.keeper.failure().unwrap().contains("ListImages"));
    assert_eq!(kept.keeper.catalog().as_deref(), Some(&*old));

    control.set_faults(FaultPlan::default()).unwrap();
    let ended = async {
        while kept.keeper.failure().is_some() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(BOUND, ended).await.expect("in time");
}
