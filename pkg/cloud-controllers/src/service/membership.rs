//! Which nodes are in one CNS service. Pure.
//!
//! CNS checks nobody's health, so membership follows what Kubernetes knows. And what Kubernetes believes may be wrong: a
//! control plane that loses sight of its nodes calls them all not ready. So a node that fails leaves after a while, but
//! when more than a share of the nodes fail at once, nobody leaves; and the last nodes stay rather than leave a
//! Service without any.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::time::Duration;

use tokio::time::Instant;
use triton::id::InstanceId;

/// How long a node must serve before it is added (Kubernetes reference 6.3).
pub const STEADY: Duration = Duration::from_secs(5);

/// How long a node must fail before it is removed (Kubernetes reference 6.3).
pub const TROUBLED: Duration = Duration::from_secs(10);

/// When more than this percentage of the nodes fail, nobody is removed for it (Kubernetes reference 6.3).
pub const PANIC_THRESHOLD: u8 = 50;

/// How a node stands towards one Service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// It serves, and should be in.
    Serving,
    /// It seems to fail. Perhaps only the control plane does.
    Troubled,
    /// It has nothing to serve the Service with. It leaves at once, unless the Service would then have no node.
    Idle,
    /// It is about to be emptied. It leaves at once, unless the Service would then have no node at all.
    Draining,
    /// It is not to be in, whatever else is true.
    Out,
}

/// What a Service's annotations say about its members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// The percentage of failing nodes above which nobody is removed for failing.
    pub panic_threshold: u8,
    /// Whether the last node may leave.
    pub publish_empty: bool,
    /// The most nodes that are in at a time.
    pub most: Option<NonZeroUsize>,
}

impl Default for Rules {
    fn default() -> Self {
        Self { panic_threshold: PANIC_THRESHOLD, publish_empty: false, most: None }
    }
}

/// What is known about one Service's nodes.
#[derive(Debug)]
pub struct Observed<'a> {
    /// The nodes that are in now.
    pub current: &'a BTreeSet<InstanceId>,
    /// How all nodes stand, those that are in among them.
    pub candidates: &'a BTreeMap<InstanceId, Standing>,
    /// What the Service asks for.
    pub rules: Rules,
    /// What the last plan remembered.
    pub memory: &'a Memory,
    /// The time.
    pub now: Instant,
}

/// Since when each node has been serving, or failing. Losing it delays removals and hastens additions by seconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory(Option<BTreeMap<InstanceId, (Standing, Instant)>>);

/// Why nodes are in that should not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// Too many fail at once.
    Panic {
        /// So many fail.
        troubled: usize,
        /// Of so many that could serve.
        of: usize,
    },
    /// The Service would have no node.
    Last,
}

/// Which nodes should be in.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    /// These.
    pub members: BTreeSet<InstanceId>,
    /// Why some of them are in all the same.
    pub held: Option<Held>,
    /// When to look again though nothing has happened.
    pub again: Option<Instant>,
    /// For the next plan.
    pub memory: Memory,
}

/// Decides which nodes are in.
pub fn plan(observed: &Observed<'_>) -> Plan {
    let &Observed { current, candidates, rules, now, .. } = observed;
    let since = remember(observed);
    let count = |wanted| candidates.values().filter(|standing| **standing == wanted).count();
    let troubled = count(Standing::Troubled);
    let of = troubled + count(Standing::Serving);
    let panics = troubled * 100 > usize::from(rules.panic_threshold) * of;

    let (mut members, mut waiting, mut held, mut again) = (BTreeSet::new(), BTreeSet::new(), None, None);
    for (id, standing) in candidates {
        let is_in = current.contains(id);
        let begun = since.get(id).map_or(now, |(_, begun)| *begun);
        let due = |after: Duration| begun.checked_add(after).filter(|due| *due > now);
        let until = match standing {
            Standing::Serving if is_in => None,
            Standing::Serving => due(STEADY),
            Standing::Troubled if is_in && panics => {
                held = Some(Held::Panic { troubled, of });
                None
            }
            Standing::Troubled if is_in => match due(TROUBLED) {
                Some(due) => Some(due),
                None => continue,
            },
            Standing::Troubled | Standing::Idle | Standing::Draining | Standing::Out => continue,
        };
        again = again.into_iter().chain(until).min();
        match (standing, until) {
            (Standing::Serving, Some(_)) => drop(waiting.insert(*id)),
            _ => drop(members.insert(*id)),
        }
    }
    if members.is_empty() {
        // Whoever serves is better than nobody.
        members = waiting;
    }
    let last = [Standing::Troubled, Standing::Idle, Standing::Draining];
    for standing in last.into_iter().filter(|_| !rules.publish_empty) {
        if members.is_empty() {
            members.extend(current.iter().filter(|id| candidates.get(id) == Some(&standing)));
            held = (!members.is_empty()).then_some(Held::Last);
        }
    }
    if let Some(most) = rules.most {
        // Those that are in stay in, so that nobody moves without need.
        let rank =
            |id: &InstanceId| (!current.contains(id), candidates.get(id) != Some(&Standing::Serving), *id);
        let mut ranked: Vec<InstanceId> = members.into_iter().collect();
        ranked.sort_unstable_by_key(rank);
        members = ranked.into_iter().take(most.get()).collect();
    }
    Plan { members, held, again, memory: Memory(Some(since)) }
}

/// Since when each node has stood as it does. At the first look those that serve are taken to have always done so.
fn remember(observed: &Observed<'_>) -> BTreeMap<InstanceId, (Standing, Instant)> {
    let now = observed.now;
    let steady = now.checked_sub(STEADY).unwrap_or(now);
    let mut since = BTreeMap::new();
    for (id, standing) in observed.candidates {
        let before = observed.memory.0.as_ref().map(|before| before.get(id));
        let begun = match before {
            Some(Some((before, begun))) if before == standing => *begun,
            None if *standing == Standing::Serving => steady,
            Some(_) | None => now,
        };
        since.insert(*id, (*standing, begun));
    }
    since
}

#[cfg(test)]
mod tests;
