//! Every call of a life, with everything that can happen to it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::{StreamExt as _, stream};

use super::call::Call;
use super::cluster::Cluster;
use super::fault::{Fault, Point};
use super::life::{Lived, live};

/// So many lives go on at once; most of the time they wait.
const AT_ONCE: usize = 16;

/// How many lives there can be: nodes have their rights before it is known how many are needed.
const MOST: usize = 600;

/// A life is recorded; then each call of it is hit by each fault in a life of its own. All end well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_may_fail_or_be_the_last() {
    let nodes: Vec<String> = (0..MOST).map(|n| format!("life-{n}")).collect();
    let cluster = Cluster::start(&nodes).await.unwrap();
    let mut nodes = nodes.into_iter();

    let recorded = live(&cluster, &nodes.next().unwrap(), None).await;
    assert!(recorded.wrong.is_none(), "{}", recorded.wrong.unwrap());
    let runs: Vec<(Point, Fault)> = recorded
        .points
        .iter()
        .flat_map(|point| Fault::all_of(&point.call).into_iter().map(|fault| (point.clone(), fault)))
        .collect();
    assert!(runs.len() < MOST, "{} runs; make MOST larger", runs.len());

    let lives = runs.into_iter().zip(nodes).map(|((point, fault), node)| {
        let cluster: Arc<Cluster> = Arc::clone(&cluster);
        async move { (live(&cluster, &node, Some((point.clone(), fault))).await, point, fault) }
    });
    let lives: Vec<(Lived, Point, Fault)> = stream::iter(lives).buffer_unordered(AT_ONCE).collect().await;
    eprintln!("{}", table(&lives));
    let wrong: Vec<String> = lives
        .iter()
        .filter_map(|(life, point, fault)| Some(format!("{point}, {fault}: {}", life.wrong.as_ref()?)))
        .collect();
    assert!(wrong.is_empty(), "{} lives went wrong:\n{}", wrong.len(), wrong.join("\n=====\n"));
    let reached: BTreeSet<(&Call, Fault)> = lives
        .iter()
        .filter(|(life, ..)| life.reached)
        .map(|(_, point, fault)| (&point.call, *fault))
        .collect();
    let all: BTreeSet<(&Call, Fault)> = lives.iter().map(|(_, point, fault)| (&point.call, *fault)).collect();
    let missed: Vec<_> = all.difference(&reached).collect();
    assert!(missed.is_empty(), "no life came as far as {missed:?}");
}

/// For each kind of call how often it was hit by what, and the longest life.
fn table(lives: &[(Lived, Point, Fault)]) -> String {
    let mut rows: BTreeMap<&Call, BTreeMap<Fault, (u32, u32, f32)>> = BTreeMap::new();
    for (life, point, fault) in lives {
        let cell = rows.entry(&point.call).or_default().entry(*fault).or_default();
        cell.0 += u32::from(life.reached);
        cell.1 += 1;
        cell.2 = cell.2.max(life.took.as_secs_f32());
    }
    let mut text = String::from("lives that were hit, of how many, and the longest in seconds\n");
    for (call, faults) in rows {
        let cells: Vec<String> = faults
            .iter()
            .map(|(fault, (reached, all, longest))| format!("{fault} {reached}/{all} {longest:.0} s"))
            .collect();
        text += &format!("{:10} {:32} {}\n", call.server.name(), call.kind, cells.join(", "));
    }
    let lived: f32 = lives.iter().map(|(life, ..)| life.took.as_secs_f32()).sum();
    text + &format!("{} lives, {lived:.0} s of life", lives.len())
}
