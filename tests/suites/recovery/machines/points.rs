//! Every call of a life, with everything that can happen to it. Each phase of a life takes one fault, so some dozens of
//! lives have room for hundreds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, stream};

use super::super::call::{Call, Server};
use super::super::fault::{Fault, Point};
use super::cluster::Cluster;
use super::life::{Lived, live};
use super::phase::Phase;

/// So many lives go on at once; most of the time they wait.
const AT_ONCE: usize = 12;

/// How many lives there can be: their rights are there before it is known how many are needed.
const MOST: usize = 1000;

/// Lets each fault come alone in a life of its own: some ten times as many lives. Unset, each life has one in each phase.
const ALONE: &str = "TRITON_POINTS_ALONE";

/// A fault that did not come, for this time the calls were others, is tried again so often.
const ROUNDS: usize = 4;

/// Every kind of call that the controllers make, and what keeps the caches that they read. A new one belongs here, and is made
/// in a phase.
const KINDS: [(Server, &[&str]); 2] = [
    (
        Server::Kubernetes,
        &[
            // Caches.
            "GET nodes",
            "GET services",
            "GET endpointslices",
            // Nodes: labels and taints, addresses and conditions, deletion.
            "PATCH nodes/*",
            "PATCH nodes/*/status",
            "DELETE nodes/*",
            // Services: hostname, condition and finalizer.
            "PATCH services/*/status",
            // What Prometheus' operator is given.
            "GET secrets/*",
            "PATCH secrets/*",
            "PATCH scrapeconfigs/*",
            "POST events",
        ],
    ),
    (
        Server::CloudApi,
        &[
            // The reflector, and reads for proof and for names in DNS.
            "GET changefeed",
            "GET machines",
            "GET machines/*",
            // The data centre's name, where CMON is, which networks are public or fabrics, which names they have.
            "GET datacenters",
            "GET services",
            "GET networks",
            "GET networks/*",
            // CNS services and CMON groups.
            "POST machines/*/tags",
            "DELETE machines/*/tags/triton.cns.services",
            "DELETE machines/*/tags/k8s.cns",
            // Routes.
            "GET fabrics/default/vlans/2/networks/*",
            "PUT fabrics/default/vlans/2/networks/*",
        ],
    ),
];

/// By so many lives the faults of each phase are shifted against those of the one before: more than one fault can do.
const SHIFT: usize = 7;

/// So many times as many events as in a life without faults would be a storm. A new process says again what it finds.
const STORM: usize = 4;

/// A life is recorded; then each call of it is hit by each fault. All end well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_of_every_controller_may_fail_or_be_the_last() {
    let names: Vec<String> = (0..MOST).map(|n| format!("life-{n}")).collect();
    let cluster = Cluster::start(&names).await.unwrap();
    let mut names = names.into_iter();

    let recorded = live(&cluster, &names.next().unwrap(), &[]).await;
    assert!(recorded.wrong.is_none(), "{}", recorded.wrong.unwrap());
    let made: BTreeSet<Call> = recorded.points.iter().map(|point| point.call.clone()).collect();
    let call = |server: Server| move |kind: &&str| Call { server, kind: (*kind).to_owned() };
    let known = KINDS.iter().flat_map(|(server, kinds)| kinds.iter().map(call(*server)));
    assert_eq!(made, known.collect(), "the calls of a life, and those that are known");

    let mut left: BTreeSet<(Point, Fault)> = recorded
        .points
        .iter()
        .flat_map(|point| Fault::all_of(&point.call).into_iter().map(|fault| (point.clone(), fault)))
        .collect();
    let (calls, events) = (recorded.points.len(), recorded.events());
    eprintln!("{calls} calls, {events} of them events; {} faults", left.len());
    let mut lives: Vec<Lived> = vec![];
    for _ in 0..ROUNDS {
        let planned = share(left.iter().cloned().collect());
        let run = planned.into_iter().zip(&mut names).map(|(faults, name)| {
            let cluster = Arc::clone(&cluster);
            async move { (live(&cluster, &name, &faults).await, faults) }
        });
        let run: Vec<(Lived, Vec<(Point, Fault)>)> =
            stream::iter(run.collect::<Vec<_>>()).buffer_unordered(AT_ONCE).collect().await;
        let mut wrong: Vec<String> = run.iter().filter_map(|(life, _)| story(life)).collect();
        let stormy = run.iter().map(|(life, _)| life.events()).find(|told| *told > STORM * events);
        wrong.extend(stormy.map(|told| format!("a life told {told} events, instead of {events}")));
        assert!(wrong.is_empty(), "{} lives went wrong:\n{}", wrong.len(), wrong.join("\n=====\n"));
        lives.extend(run.into_iter().map(|(life, _)| life));
        let met: BTreeSet<(&Call, Fault)> =
            lives.iter().flat_map(|life| &life.met).map(|(point, fault)| (&point.call, *fault)).collect();
        left.retain(|(point, fault)| !met.contains(&(&point.call, *fault)));
        if left.is_empty() {
            break;
        }
    }
    eprintln!("{}", table(&lives));
    assert!(left.is_empty(), "no life came as far as {left:#?}");
}

/// What went wrong in a life, and what befell it.
fn story(life: &Lived) -> Option<String> {
    let met: Vec<String> = life.met.iter().map(|(point, fault)| format!("{point}, {fault}")).collect();
    Some(format!("{}\n{}", met.join("\n"), life.wrong.as_ref()?))
}

/// Gives each life one fault of each phase, until there are none left; or one alone.
fn share(faults: Vec<(Point, Fault)>) -> Vec<Vec<(Point, Fault)>> {
    if std::env::var_os(ALONE).is_some() {
        return faults.into_iter().map(|fault| vec![fault]).collect();
    }
    let mut phases: BTreeMap<&'static str, Vec<(Point, Fault)>> = BTreeMap::new();
    for (point, fault) in faults {
        phases.entry(point.phase).or_default().push((point, fault));
    }
    let most = phases.values().map(Vec::len).max().unwrap_or_default();
    let mut lives = vec![vec![]; most];
    for (number, faults) in phases.into_values().enumerate() {
        // The same faults follow each other in all phases: no life is to be killed in every one of them.
        for (place, fault) in faults.into_iter().enumerate() {
            if let Some(life) = lives.get_mut((place + SHIFT * number) % most) {
                life.push(fault);
            }
        }
    }
    lives
}

/// For each kind of call how often it was hit by what, and how long each phase took.
fn table(lives: &[Lived]) -> String {
    let mut rows: BTreeMap<&Call, BTreeMap<Fault, u32>> = BTreeMap::new();
    for (point, fault) in lives.iter().flat_map(|life| &life.met) {
        *rows.entry(&point.call).or_default().entry(*fault).or_default() += 1;
    }
    let mut text = String::from("how often calls were hit by what\n");
    for (call, faults) in rows {
        let cells: Vec<String> = faults.iter().map(|(fault, count)| format!("{fault} {count}")).collect();
        text += &format!("{:10} {:40} {}\n", call.server.name(), call.kind, cells.join(", "));
    }
    for phase in Phase::ALL {
        let of_phase = lives.iter().flat_map(|life| &life.took).filter(|(which, _)| *which == phase);
        let mut took: Vec<Duration> = of_phase.map(|(_, took)| *took).collect();
        took.sort_unstable();
        if let (Some(median), Some(longest)) = (took.get(took.len() / 2), took.last()) {
            text += &format!("{:10} median {median:.1?}, longest {longest:.1?}\n", phase.name());
        }
    }
    let lived: Duration = lives.iter().flat_map(|life| &life.took).map(|(_, took)| *took).sum();
    text + &format!("{} lives, {lived:.0?} of life", lives.len())
}
