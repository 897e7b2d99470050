//! One life from the first start of the process to the end of a machine, with one fault in each phase at most.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::super::cluster::until;
use super::super::fault::{Fault, Point, Script};
use super::super::process::Victim;
use super::super::virtual_node::BOUND;
use super::cluster::Cluster;
use super::history::{Facts, wrong_node, wrong_scene, wrong_service};
use super::phase::Phase;
use super::site::Site;

/// How long a fault is waited for when all is as it should be at the end of a phase.
const LINGER: Duration = Duration::from_secs(2);

/// A process that has nothing to do writes nothing for so long, sooner or later.
const QUIET: Duration = Duration::from_millis(1500);

/// How a life went.
pub(super) struct Lived {
    /// The calls of its processes.
    pub(super) points: Vec<Point>,
    /// The faults that came to pass.
    pub(super) met: Vec<(Point, Fault)>,
    /// How long each phase took.
    pub(super) took: Vec<(Phase, Duration)>,
    /// What is wrong, with all that the processes said.
    pub(super) wrong: Option<String>,
}

impl Lived {
    /// How many events were told to the API server.
    pub(super) fn events(&self) -> usize {
        self.points.iter().filter(|point| point.call.kind.ends_with(" events")).count()
    }
}

/// Lets two machines and a Service live, with these faults.
pub(super) async fn live(cluster: &Arc<Cluster>, name: &str, faults: &[(Point, Fault)]) -> Lived {
    let victim = Victim::new();
    let script = Arc::new(Script::new(victim.clone(), faults.iter().cloned()));
    script.begin(Phase::Start.name());
    let site = match Site::open(cluster, name, victim, Arc::clone(&script)).await {
        Ok(site) => site,
        Err(error) => {
            let wrong = Some(format!("{error:#}"));
            return Lived { points: vec![], met: vec![], took: vec![], wrong };
        }
    };
    let mut took = Vec::new();
    let lived = whole(&site, &mut took).await;
    let mut wrong: Vec<String> = lived.err().map(|error| format!("{error:#}")).into_iter().collect();
    if wrong.is_empty() {
        wrong.extend(moments(&site));
    }
    let record = site.close().await;
    wrong.extend(record.unasked.iter().map(|how| format!("a process ended by itself: {how}")));
    let wrong = (!wrong.is_empty()).then(|| {
        let logs = record.logs.join("\n--- the next process\n");
        format!("{}\n{logs}", wrong.join("\n"))
    });
    Lived { points: script.points(), met: script.met(), took, wrong }
}

async fn whole(site: &Site, took: &mut Vec<(Phase, Duration)>) -> anyhow::Result<()> {
    for phase in Phase::ALL {
        let begun = Instant::now();
        site.script.begin(phase.name());
        phase.begin(site).await?;
        let is_done = async || {
            let done = phase.is_done(site).await;
            done.map_err(|missing| format!("after {}: {missing}", phase.name()))
        };
        until(BOUND, is_done).await.map_err(anyhow::Error::msg)?;
        let end = Instant::now() + LINGER;
        while !site.script.is_over() && Instant::now() < end {
            sleep(Duration::from_millis(20)).await;
        }
        until(BOUND, is_done).await.map_err(anyhow::Error::msg)?;
        took.push((phase, begun.elapsed()));
    }
    quiet(site).await?;
    let last = Phase::Destroy;
    last.is_done(site).await.map_err(|error| anyhow::anyhow!("when all was quiet: {error}"))
}

/// Waits until the process has nothing to write any more.
async fn quiet(site: &Site) -> anyhow::Result<()> {
    let writes = || {
        let points = site.script.points();
        points.iter().filter(|point| point.call.is_write()).count()
    };
    let deadline = Instant::now() + BOUND;
    loop {
        let before = writes();
        sleep(QUIET).await;
        if writes() == before {
            return Ok(());
        }
        anyhow::ensure!(Instant::now() < deadline, "it goes on writing");
    }
}

/// What was wrong at some moment.
fn moments(site: &Site) -> Vec<String> {
    let [first, last] = site.names();
    let facts = Facts { names: [&first, &last], start: &site.start };
    let scenes = site.scenes();
    let of_scene = scenes.iter().find_map(|scene| {
        wrong_scene(scene, &facts).map(|wrong| format!("at a moment in {}: {wrong}: {scene:#?}", scene.phase))
    });
    let (nodes, services) = (&site.cluster.nodes, &site.cluster.services);
    let of_node = [("a", true), ("b", false)].map(|(which, is_destroyed)| {
        let wrong = wrong_node(&nodes.history(&site.node_name(which)), is_destroyed);
        wrong.map(|wrong| format!("at a moment of Node {which}: {wrong}"))
    });
    let of_service = wrong_service(&services.history(&site.name));
    let of_service = of_service.map(|wrong| format!("at a moment of the Service: {wrong}"));
    let seen = scenes.iter().any(|scene| scene.phase == super::history::GONE);
    let unseen = (!seen).then(|| "nobody saw the Service vanish".to_owned());
    of_scene.into_iter().chain(of_node.into_iter().flatten()).chain(of_service).chain(unseen).collect()
}
