//! A control plane beside a data centre with machines.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures::future::try_join_all;
use kube::Client;
use suites::bench::audit::{self, Audit};
use suites::bench::client;
use suites::bench::data_centre::DataCentre;
use suites::control_plane::{ControlPlane, Options};
use tempfile::TempDir;
use triton::id::{InstanceId, NetworkId};
use triton::types::{CreateInstance, Image, ListImages, Tags};

use crate::manager::{Kind, Programs};

/// How much longer everything takes that CloudAPI is asked for.
const LATENCY: Duration = Duration::from_millis(200);

/// So many requests of the driver are under way at the same time.
pub(crate) const AT_ONCE: usize = 8;

/// The package of the machines.
const PACKAGE: &str = "g1.nano";

/// The image of the machines.
const IMAGE: &str = "base-64-lts";

/// A machine that is to be a Node.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    /// Its name, which is the Node's.
    pub(crate) name: String,
    pub(crate) id: InstanceId,
}

/// Both sides, before any cloud controller manager.
pub(crate) struct Cluster {
    pub(crate) plane: ControlPlane,
    pub(crate) data_centre: DataCentre,
    /// An administrator's client.
    pub(crate) client: Client,
    pub(crate) machines: Vec<Machine>,
    _folder: TempDir,
}

impl Cluster {
    /// Starts both sides, makes the machines with these tags, and makes the data centre as slow and as strict as a real
    /// one.
    pub(crate) async fn start(kind: Kind, programs: &Programs, machines: usize, tags: Tags) -> Result<Self> {
        let options = Options {
            client_qps: 5000,
            // Nothing is scheduled, and whoever looks after Nodes that nobody renews would only take time from both sides.
            scheduler: false,
            controller_manager: false,
            audit_policy: Some(audit::policy(&[kind.user()])),
            ..Options::default()
        };
        let plane = ControlPlane::start(&options).await?;
        let client = client(&plane).await?;
        let folder = tempfile::tempdir()?;
        let flags = ["--cns=127.0.0.1:0"];
        let data_centre = DataCentre::start(&programs.ours.join("triton-sim"), folder.path(), &flags).await?;
        let machines = make(&data_centre, machines, &tags).await?;
        data_centre.slow_down(LATENCY).await?;
        data_centre.throttle().await?;
        data_centre.take_calls().await?;
        Ok(Self { plane, data_centre, client, machines, _folder: folder })
    }

    /// The log of what the cloud controller manager asks of the API server.
    pub(crate) fn audit(&self) -> Audit {
        Audit::of(&self.plane)
    }
}

async fn make(data_centre: &DataCentre, count: usize, tags: &Tags) -> Result<Vec<Machine>> {
    let images = data_centre.account.list_images(&ListImages::default()).await?;
    let named = |image: &&Image| *image.name == *IMAGE;
    let image = images.items.iter().find(named).context("the data centre has no such image")?.id;
    let network: NetworkId = data_centre.network.parse()?;
    let made = for_each(count, async |number| {
        let name = format!("node-{number:05}");
        let request = CreateInstance {
            name: Some(name.clone()),
            networks: vec![network.into()],
            tags: tags.clone(),
            ..CreateInstance::new(PACKAGE, image)
        };
        let id = data_centre.account.create_instance(&request).await?.id;
        Ok((name, id))
    });
    let made = made.await?;
    let mut machines: Vec<Machine> = made.into_iter().map(|(name, id)| Machine { name, id }).collect();
    machines.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(machines)
}

/// Does something for each number below `count`, several at the same time.
pub(crate) async fn for_each<T>(count: usize, each: impl AsyncFn(usize) -> Result<T>) -> Result<Vec<T>> {
    let next = AtomicUsize::new(0);
    let one = async || -> Result<Vec<T>> {
        let mut done = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return Ok(done);
            }
            done.push(each(number).await?);
        }
    };
    Ok(try_join_all((0..AT_ONCE).map(|_| one())).await?.into_iter().flatten().collect())
}
