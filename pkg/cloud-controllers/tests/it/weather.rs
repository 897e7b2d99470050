//! What can be wrong with a data centre for some minutes, such that no machine is gone because of it.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use triton::id::InstanceId;
use triton_sim::cloudapi::Operation;
use triton_sim::faults::{FaultPlan, FeedFaults, InstanceFaults, Rate, RequestFaults, Target};

/// What is wrong.
#[derive(Debug, Clone)]
pub(crate) enum Weather {
    /// Nothing.
    Fine,
    /// So many requests fail, in all ways that there are.
    Errors(f64),
    /// Lists come whole and show nothing.
    EmptyLists,
    /// So many rows are missing from each list, others in each.
    ShortLists(f64),
    /// These are there in lists, but answered with 404.
    Liars(Vec<InstanceId>),
    /// The same while no list can be had.
    LiarsWithoutLists(Vec<InstanceId>),
    /// The same while lists show nothing.
    LiarsWithEmptyLists(Vec<InstanceId>),
    /// All is 404 and lists show nothing, as if the account were another one.
    Blind(Vec<InstanceId>),
    /// Most of the cluster is 404 and in no list, as when a database is restored from an old copy.
    MostForgotten(Vec<InstanceId>),
    /// Few are 404 and in no list, but their Nodes are ready all the while.
    FewForgottenButReady(Vec<InstanceId>),
    /// Some are in no list, and cannot be read.
    UnlistedAndFailing(Vec<InstanceId>),
    /// One is 404 and in no list, for less than the time that two 404 must be apart.
    BrieflyForgotten(InstanceId),
}

impl Weather {
    /// Some bad weather over these machines. The first of them is the one that is forgotten briefly: a 404 from
    /// earlier weather would make it one that is missing for long. More than half of the cluster is `most`.
    pub(crate) fn bad(machines: &[InstanceId], most: usize, random: &mut Rng) -> Self {
        let (brief, others) = machines.split_first().expect("machines");
        let mut some = others.to_vec();
        random.shuffle(&mut some);
        some.truncate(random.usize(1..=others.len()));
        let few = machines.iter().rev().take(1 + some.len() / 3).copied().collect();
        let most = machines.iter().rev().take(most).copied().collect();
        match random.u8(..11) {
            0 => Self::Errors([0.3, 0.7, 1.0][random.usize(..3)]),
            1 => Self::EmptyLists,
            2 => Self::ShortLists([0.2, 0.5, 0.9][random.usize(..3)]),
            3 => Self::Liars(some),
            4 => Self::LiarsWithoutLists(some),
            5 => Self::LiarsWithEmptyLists(some),
            6 => Self::Blind(machines.to_vec()),
            7 => Self::MostForgotten(most),
            8 => Self::FewForgottenButReady(few),
            9 => Self::UnlistedAndFailing(few),
            _ => Self::BrieflyForgotten(*brief),
        }
    }

    /// How long it lasts.
    pub(crate) fn lasts(&self, random: &mut Rng) -> Duration {
        let seconds = match self {
            Self::Fine => 90..150,
            Self::BrieflyForgotten(_) => 10..55,
            _ => 60..300,
        };
        Duration::from_secs(random.u64(seconds))
    }

    /// Whether CloudAPI can be asked whether something is gone.
    pub(crate) fn is_fine(&self) -> bool {
        matches!(self, Self::Fine)
    }

    /// Whether Nodes must be ready, lest what is seen be what proves a machine gone.
    pub(crate) fn needs_ready(&self) -> bool {
        matches!(self, Self::FewForgottenButReady(_))
    }

    /// The plan of the simulator. What is `forgotten` was destroyed so long ago that nobody remembers it.
    pub(crate) fn plan(&self, forgotten: &[InstanceId], random: &mut Rng) -> FaultPlan {
        let rate = |rate| Rate::new(rate).unwrap();
        let lists = |faults| BTreeMap::from([(Target::Operation(Operation::ListMachines), faults)]);
        let missing = |part| RequestFaults { missing_row_rate: Some(rate(part)), ..RequestFaults::default() };
        let failing = RequestFaults { error_rate: Some(Rate::ALWAYS), ..RequestFaults::default() };
        let (mut requests, mut not_found, mut unlisted) = (BTreeMap::new(), Vec::new(), Vec::new());
        match self {
            Self::Fine => {}
            Self::Errors(part) => {
                let each = Some(rate(part / 5.0));
                let faults = RequestFaults {
                    error_rate: each,
                    timeout_rate: each,
                    throttle_rate: each,
                    unavailable_rate: each,
                    torn_rate: each,
                    ..RequestFaults::default()
                };
                requests.insert(Target::All, faults);
            }
            Self::EmptyLists => requests = lists(missing(1.0)),
            Self::ShortLists(part) => requests = lists(missing(*part)),
            Self::Liars(some) => not_found.clone_from(some),
            Self::LiarsWithoutLists(some) => {
                requests = lists(failing);
                not_found.clone_from(some);
            }
            Self::LiarsWithEmptyLists(some) | Self::Blind(some) => {
                requests = lists(missing(1.0));
                not_found.clone_from(some);
            }
            Self::MostForgotten(some) | Self::FewForgottenButReady(some) => {
                not_found.clone_from(some);
                unlisted.clone_from(some);
            }
            Self::UnlistedAndFailing(some) => {
                requests.insert(Target::Operation(Operation::GetMachine), failing);
                unlisted.clone_from(some);
            }
            Self::BrieflyForgotten(one) => {
                not_found.push(*one);
                unlisted.push(*one);
            }
        }
        not_found.extend(forgotten);
        unlisted.extend(forgotten);
        let feed = match random.bool() {
            true => FeedFaults::default(),
            false => FeedFaults {
                lose_rate: rate([0.0, 0.5, 1.0][random.usize(..3)]),
                duplicate_rate: rate(0.3),
                delay_rate: rate(0.3),
                delay_ms: random.u32(1..30_000),
                cut_rate: rate([0.0, 0.2][random.usize(..2)]),
            },
        };
        FaultPlan {
            seed: Some(random.u64(..)),
            requests,
            feed,
            instances: InstanceFaults { not_found, unlisted, ..InstanceFaults::default() },
            ..FaultPlan::default()
        }
    }
}
