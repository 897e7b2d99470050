//! How much a node can take. Pure.

use provider::owner::Owner;
use triton::types::{Instance, Limit, LimitedResource};

use crate::settings::Figures;

/// What a node has when neither the file nor the account says anything; the original's (reference, Kubernetes D 1.1).
pub const DEFAULT: Amounts =
    Amounts { cpu_millis: 20_000, memory_bytes: 40 << 30, storage_bytes: 40 << 30, pods: 20 };

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// An amount of each resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amounts {
    /// Thousandths of a CPU.
    pub cpu_millis: u64,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Disk in bytes.
    pub storage_bytes: u64,
    /// Pods.
    pub pods: u64,
}

/// What a node has, and what of it pods may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// What it has.
    pub total: Amounts,
    /// What pods may use: never more than the account's limits leave.
    pub allocatable: Amounts,
}

/// The limits of an account that hold for all of its instances together; `None` where there is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AccountLimits {
    /// Instances.
    pub instances: Option<u64>,
    /// Memory in MiB.
    pub memory_mib: Option<u64>,
    /// Disk in GiB.
    pub disk_gib: Option<u64>,
}

impl AccountLimits {
    /// The limits of a list. Those that hold for some images, brands or systems only say nothing about a node, and
    /// a value that is not above zero is no limit (reference 2.8).
    pub fn of(limits: &[Limit]) -> Self {
        let mut found = Self::default();
        for limit in limits.iter().filter(|limit| limit.check.is_none()) {
            let Some(value) =
                limit.value.and_then(|value| u64::try_from(value).ok()).filter(|value| *value > 0)
            else {
                continue;
            };
            let resource = match limit.by {
                None | Some(LimitedResource::Machines) => &mut found.instances,
                Some(LimitedResource::Ram) => &mut found.memory_mib,
                Some(LimitedResource::Quota) => &mut found.disk_gib,
                Some(_) => continue,
            };
            *resource = Some(resource.map_or(value, |other| other.min(value)));
        }
        found
    }
}

/// What instances that are not this node's pods use of the account's limits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Foreign {
    /// How many there are.
    pub instances: u64,
    /// Their memory in MiB.
    pub memory_mib: u64,
    /// Their disks in MiB.
    pub disk_mib: u64,
}

impl Foreign {
    /// Adds up the instances that are not of this node of this cluster.
    pub fn of<'a>(instances: impl Iterator<Item = &'a Instance>, cluster: &str, node: &str) -> Self {
        let own = |owner: &Owner| *owner.cluster == *cluster && *owner.node == *node;
        let foreign = instances.filter(|instance| !Owner::of(instance).as_ref().is_some_and(own));
        foreign.fold(Self::default(), |sum, instance| Self {
            instances: sum.instances + 1,
            memory_mib: sum.memory_mib.saturating_add(instance.memory_mib.unwrap_or(0)),
            disk_mib: sum.disk_mib.saturating_add(instance.disk_mib.unwrap_or(0)),
        })
    }
}

/// A node's capacity: of each resource what the file says, else the account's limit, else [`DEFAULT`]. `limits` is
/// `None` until they are known; then the capacity is known only when the file says all of it.
pub fn capacity(file: &Figures, limits: Option<&AccountLimits>, foreign: &Foreign) -> Option<Capacity> {
    let Some(limits) = limits else {
        let total = Amounts {
            cpu_millis: file.cpu_millis?,
            memory_bytes: file.memory_bytes?,
            storage_bytes: file.storage_bytes?,
            pods: file.pods?,
        };
        return Some(Capacity { total, allocatable: total });
    };
    let memory = limits.memory_mib.map(|mib| mib.saturating_mul(MIB));
    let storage = limits.disk_gib.map(|gib| gib.saturating_mul(GIB));
    let total = Amounts {
        cpu_millis: file.cpu_millis.unwrap_or(DEFAULT.cpu_millis),
        memory_bytes: file.memory_bytes.or(memory).unwrap_or(DEFAULT.memory_bytes),
        storage_bytes: file.storage_bytes.or(storage).unwrap_or(DEFAULT.storage_bytes),
        pods: file.pods.or(limits.instances).unwrap_or(DEFAULT.pods),
    };
    let left = |total: u64, limit: Option<u64>, used: u64| match limit {
        Some(limit) => total.min(limit.saturating_sub(used)),
        None => total,
    };
    let allocatable = Amounts {
        cpu_millis: total.cpu_millis,
        memory_bytes: left(total.memory_bytes, memory, foreign.memory_mib.saturating_mul(MIB)),
        storage_bytes: left(total.storage_bytes, storage, foreign.disk_mib.saturating_mul(MIB)),
        pods: left(total.pods, limits.instances, foreign.instances),
    };
    Some(Capacity { total, allocatable })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use triton::id::InstanceId;

    use super::*;

    fn limit(by: Option<LimitedResource>, value: i64, check: Option<&str>) -> Limit {
        let json = serde_json::json!({
            "by": by.map(|by| by.as_str().to_owned()), "value": value, "check": check, "used": 0,
        });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn the_limits_of_a_node_are_those_without_a_condition_and_the_least_of_several() {
        use LimitedResource::{Machines, Quota, Ram};
        assert_eq!(AccountLimits::of(&[]), AccountLimits::default());
        let limits = [
            limit(Some(Machines), 50, None),
            limit(None, 40, None),
            limit(Some(Machines), 3, Some("os")),
            limit(Some(Ram), 0, None),
            limit(Some(Ram), -1, None),
            limit(Some(Quota), 900, None),
        ];
        let expected = AccountLimits { instances: Some(40), memory_mib: None, disk_gib: Some(900) };
        assert_eq!(AccountLimits::of(&limits), expected);
    }

    fn file(cpu: u64, memory: u64, storage: u64, pods: u64) -> Figures {
        let some = |n: u64| Some(n).filter(|n| *n > 0);
        Figures {
            cpu_millis: some(cpu),
            memory_bytes: some(memory),
            storage_bytes: some(storage),
            pods: some(pods),
        }
    }

    fn limits(instances: u64, memory_mib: u64, disk_gib: u64) -> AccountLimits {
        let some = |n: u64| Some(n).filter(|n| *n > 0);
        AccountLimits { instances: some(instances), memory_mib: some(memory_mib), disk_gib: some(disk_gib) }
    }

    /// CPU in thousandths, memory in MiB, disk in GiB, pods.
    fn shown(amounts: Amounts) -> (u64, u64, u64, u64) {
        (amounts.cpu_millis, amounts.memory_bytes / MIB, amounts.storage_bytes / GIB, amounts.pods)
    }

    #[rstest]
    #[case::nothing(file(0, 0, 0, 0), limits(0, 0, 0), (20_000, 40960, 40, 20), (20_000, 40960, 40, 20))]
    #[case::limits(file(0, 0, 0, 0), limits(9, 2048, 70), (20_000, 2048, 70, 9), (20_000, 1048, 69, 7))]
    #[case::file(file(500, 512 * MIB, 7 * GIB, 3), limits(0, 0, 0), (500, 512, 7, 3), (500, 512, 7, 3))]
    #[case::file_below_limits(file(500, 512 * MIB, 7 * GIB, 3), limits(9, 2048, 70), (500, 512, 7, 3), (500, 512, 7, 3))]
    #[case::file_above_limits(file(500, 4096 * MIB, 80 * GIB, 30), limits(9, 2048, 70), (500, 4096, 80, 30), (500, 1048, 69, 7))]
    #[case::used_up(file(0, 0, 0, 0), limits(1, 10, 1), (20_000, 10, 1, 1), (20_000, 0, 0, 0))]
    fn the_file_goes_before_the_limits_and_these_before_the_defaults(
        #[case] file: Figures,
        #[case] limits: AccountLimits,
        #[case] total: (u64, u64, u64, u64),
        #[case] allocatable: (u64, u64, u64, u64),
    ) {
        let foreign = Foreign { instances: 2, memory_mib: 1000, disk_mib: 1024 };
        let capacity = capacity(&file, Some(&limits), &foreign).unwrap();
        assert_eq!((shown(capacity.total), shown(capacity.allocatable)), (total, allocatable));
    }

    #[test]
    fn before_the_limits_are_known_only_a_whole_file_says_anything() {
        let foreign = Foreign { instances: 2, ..Foreign::default() };
        assert_eq!(capacity(&file(1, 1, 1, 0), None, &foreign), None);
        let known = capacity(&file(1, 1, 1, 1), None, &foreign).unwrap();
        assert_eq!(known.allocatable, known.total);
    }

    #[test]
    fn what_other_nodes_and_people_run_is_foreign() {
        let instance = |n: u128, node: &str| {
            let mut instance = Instance::new(InstanceId::from(uuid::Uuid::from_u128(n)));
            (instance.memory_mib, instance.disk_mib) = (Some(100), Some(1000));
            if !node.is_empty() {
                let text = |text: &str| Box::from(text);
                let owner = Owner {
                    cluster: text("kubernetes"),
                    node: text(node),
                    namespace: text("default"),
                    pod: text("web"),
                    uid: text("1"),
                };
                instance.tags = owner.tags();
            }
            instance
        };
        let all = [instance(1, "vk"), instance(2, "vk-2"), instance(3, "")];
        let foreign = Foreign { instances: 2, memory_mib: 200, disk_mib: 2000 };
        assert_eq!(Foreign::of(all.iter(), "kubernetes", "vk"), foreign);
        assert_eq!(Foreign::of(all.iter(), "other", "vk").instances, 3);
    }
}
