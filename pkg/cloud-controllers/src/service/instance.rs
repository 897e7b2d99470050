//! What to write to one node's instance. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use provider::cns::wanted;
use provider::names::tag;
use tokio::time::Instant;
use triton::grammar::cns::{CnsService, CnsServices};
use triton::types::{TagValue, Tags};

use super::Note;

/// How long an entry of ours stays whose Service nobody knows. A Service that is deleted says so; one that is just not
/// there any more may be the loss of a whole control plane.
pub const ORPHANED: Duration = Duration::from_secs(60);

/// What is known of one instance.
#[derive(Debug)]
pub struct Observed<'a> {
    /// Its tags, as they will be when our writes are carried out.
    pub tags: &'a Tags,
    /// The cluster's name.
    pub cluster: &'a str,
    /// The entries that were decided for it.
    pub entries: &'a [CnsService],
    /// Whose a name is that it carries by us.
    pub fates: &'a BTreeMap<String, Fate>,
    /// What the last plan remembered.
    pub memory: &'a Memory,
    /// The time.
    pub now: Instant,
}

/// What becomes of a name that an instance carries by us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// What was decided holds.
    Decided,
    /// Nothing was decided for its Service yet: it stays as it is.
    Undecided,
    /// Its Service is gone, or going, or has another name now.
    Released,
    /// There is no Service of that name.
    Orphaned,
}

/// Since when entries have had no Service. Losing it only makes them stay longer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory(BTreeMap<String, Instant>);

/// What to write.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// Tags to write, in one request.
    pub set: Tags,
    /// Tags to remove after that.
    pub remove: Vec<&'static str>,
    /// The names of ours that the instance then has, where anything is written.
    pub names: BTreeSet<String>,
    /// Whether the instance leaves a service.
    pub withdraws: bool,
    /// What could not be done.
    pub notes: Vec<Note>,
    /// When to look again though nothing has happened.
    pub again: Option<Instant>,
    /// For the next plan.
    pub memory: Memory,
}

/// The reason of events about entries that were not taken; the virtual kubelet's has the same.
const CNS_CONFLICT: &str = "CNSConflict";

/// Decides what to write to one instance.
pub fn plan(observed: &Observed<'_>) -> Plan {
    let text = |key: &str| observed.tags.get(key).map(TagValue::to_string);
    let mut plan = Plan::default();
    let record = text(tag::CNS).filter(|record| !record.is_empty());
    let cluster = text(tag::CLUSTER);
    if let (Some(other), Some(_)) = (&cluster, &record)
        && other != observed.cluster
    {
        if !observed.entries.is_empty() {
            let message = format!(
                "the instance has CNS services of cluster {other} and gets none of this one; if that cluster has gone, remove \
                 the tags {} and {}",
                tag::CNS,
                tag::CLUSTER
            );
            plan.notes.push(Note::warning(CNS_CONFLICT, message));
        }
        return plan;
    }
    let own: Vec<CnsService> = record
        .as_deref()
        .and_then(|record| record.parse::<CnsServices>().ok())
        .into_iter()
        .flatten()
        .collect();
    let mut desired = observed.entries.to_vec();
    for entry in &own {
        let stays = match observed.fates.get(entry.name()) {
            Some(Fate::Undecided) => true,
            Some(Fate::Decided | Fate::Released) => false,
            Some(Fate::Orphaned) | None => {
                let since = *observed.memory.0.get(entry.name()).unwrap_or(&observed.now);
                plan.memory.0.insert(entry.name().to_owned(), since);
                let until = since + ORPHANED;
                let stays = until > observed.now;
                plan.again = plan.again.into_iter().chain(stays.then_some(until)).min();
                stays
            }
        };
        if stays && !desired.contains(entry) {
            desired.push(entry.clone());
        }
    }
    let merge = wanted(None, &desired).against(observed.tags);
    plan.notes
        .extend(merge.conflicts.iter().map(|conflict| Note::warning(CNS_CONFLICT, conflict.to_string())));
    plan.withdraws = own.iter().any(|entry| !desired.iter().any(|wanted| wanted.name() == entry.name()));
    plan.set = merge.change.set;
    plan.remove = merge.change.remove;
    if plan.set.contains_key(tag::CNS) {
        plan.names = desired.iter().map(|entry| entry.name().to_owned()).collect();
    }
    if plan.set.contains_key(tag::CNS) && cluster.as_deref() != Some(observed.cluster) {
        plan.set.insert(tag::CLUSTER.to_owned(), TagValue::from(observed.cluster));
    }
    plan
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn tags(pairs: &[(&str, &str)]) -> Tags {
        let mut tags: Tags =
            pairs.iter().map(|(key, value)| ((*key).to_owned(), TagValue::from(*value))).collect();
        tags.retain(|_, value| value.as_str() != Some(""));
        tags
    }

    fn entries(text: &str) -> Vec<CnsService> {
        let words = text.split(',').filter(|word| !word.is_empty());
        words.map(|word| word.parse::<CnsServices>().unwrap().entries()[0].clone()).collect()
    }

    fn look(tags: &Tags, wanted: &str, fate: Option<Fate>, memory: &Memory, now: Instant) -> Plan {
        let own = tags.get("k8s.cns").map(TagValue::to_string).unwrap_or_default();
        let own = entries(&own);
        let fates = own.iter().filter_map(|entry| Some((entry.name().to_owned(), fate?))).collect();
        let entries = entries(wanted);
        plan(&Observed { tags, cluster: "c", entries: &entries, fates: &fates, memory, now })
    }

    fn settle(tags: &Tags, wanted: &str, fate: Fate) -> (Tags, Plan) {
        let plan = look(tags, wanted, Some(fate), &Memory::default(), Instant::now());
        let mut after = tags.clone();
        after.extend(plan.set.clone());
        for key in &plan.remove {
            after.remove(*key);
        }
        (after, plan)
    }

    #[rstest]
    #[case::the_first("", "", "", "web:80", "web:80", "web:80", "c")]
    #[case::beside_others("mine:22", "", "", "web:80", "mine:22,web:80", "web:80", "c")]
    #[case::another_port("mine:22,web:80", "web:80", "c", "web:81", "mine:22,web:81", "web:81", "c")]
    #[case::the_last("web:80", "web:80", "c", "", "", "", "c")]
    #[case::the_last_of_ours("mine:22,web:80", "web:80", "c", "", "mine:22", "", "c")]
    #[case::repaired("mine:22", "web:80", "c", "web:80", "mine:22,web:80", "web:80", "c")]
    #[case::after_a_cluster_that_left_nothing("", "", "other", "web:80", "web:80", "web:80", "c")]
    fn one_write_makes_all_of_it_right(
        #[case] services: &str,
        #[case] own: &str,
        #[case] cluster: &str,
        #[case] wanted: &str,
        #[case] services_after: &str,
        #[case] own_after: &str,
        #[case] cluster_after: &str,
    ) {
        let before = tags(&[("triton.cns.services", services), ("k8s.cns", own), ("k8s.cluster", cluster)]);
        let after = tags(&[
            ("triton.cns.services", services_after),
            ("k8s.cns", own_after),
            ("k8s.cluster", cluster_after),
        ]);
        let (written, plan) = settle(&before, wanted, Fate::Decided);
        assert_eq!(written, after);
        assert_eq!(plan.withdraws, !own.is_empty() && wanted.is_empty());
        let names: BTreeSet<String> = entries(wanted).iter().map(|entry| entry.name().to_owned()).collect();
        assert_eq!(plan.names, names);
        let (again, plan) = settle(&after, wanted, Fate::Decided);
        assert_eq!((again, plan.set.len(), plan.remove.len()), (after, 0, 0), "nothing is left to do");
    }

    #[rstest]
    #[case::another_clusters("other", "web:80", "web:80", "api:80")]
    #[case::what_cannot_be_read("c", "web:80,:", "web:80", "api:80")]
    #[case::a_name_that_somebody_took("", "api:22", "", "api:80")]
    fn what_is_others_is_left_alone_and_told(
        #[case] cluster: &str,
        #[case] services: &str,
        #[case] own: &str,
        #[case] wanted: &str,
    ) {
        let before = tags(&[("triton.cns.services", services), ("k8s.cns", own), ("k8s.cluster", cluster)]);
        let (after, plan) = settle(&before, wanted, Fate::Decided);
        assert_eq!(after, before);
        assert_eq!(plan.notes.len(), 1, "{:?}", plan.notes);
    }

    #[rstest]
    #[case(Fate::Decided, "")]
    #[case(Fate::Released, "")]
    #[case(Fate::Undecided, "web:80")]
    #[case(Fate::Orphaned, "web:80")]
    fn an_entry_goes_only_when_that_is_decided(#[case] fate: Fate, #[case] services: &str) {
        let before = tags(&[("triton.cns.services", "web:80"), ("k8s.cns", "web:80"), ("k8s.cluster", "c")]);
        let (after, _) = settle(&before, "", fate);
        let text = after.get("triton.cns.services").map(TagValue::to_string).unwrap_or_default();
        assert_eq!(text, services);
    }

    #[test]
    fn an_entry_without_a_service_goes_after_a_minute() {
        let start = Instant::now();
        let before = tags(&[("triton.cns.services", "web:80"), ("k8s.cns", "web:80"), ("k8s.cluster", "c")]);
        let look =
            |memory: &Memory, second| look(&before, "", None, memory, start + Duration::from_secs(second));
        let first = look(&Memory::default(), 0);
        assert_eq!((first.again, first.remove.len()), (Some(start + ORPHANED), 0));
        let later = look(&first.memory, 59);
        assert_eq!((later.again, later.remove.len()), (Some(start + ORPHANED), 0));
        assert_eq!(look(&later.memory, 60).remove, ["triton.cns.services", "k8s.cns"]);
    }
}
