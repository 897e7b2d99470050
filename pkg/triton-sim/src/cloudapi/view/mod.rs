//! How objects look in JSON.
//!
//! The structs are the simulator's own and not those of the client library: a field with a wrong name there would
//! then go unnoticed, being wrong on both sides.

use jiff::Timestamp;

mod account;
mod firewall;
mod image;
mod machine;
mod migration;
mod network;
mod package;
mod rbac;
mod volume;

pub(crate) use account::{Account, Key, Limit};
pub(crate) use firewall::FirewallRule;
pub(crate) use image::Image;
pub(crate) use machine::{Audit, Disk, Machine, Nic, Snapshot};
pub(crate) use migration::{Estimate, Migration, migration_events};
pub(crate) use network::{Network, NetworkIp, Vlan};
pub(crate) use package::Package;
pub(crate) use rbac::{AccessKey, Policy, Role, RoleTags, User};
pub(crate) use volume::{Volume, VolumeSize};

/// A time as in every body: ISO 8601 in UTC with milliseconds (reference 7.1).
pub(crate) fn time(time: Timestamp) -> String {
    format!("{time:.3}")
}

#[cfg(test)]
mod tests {
    #[test]
    fn times_have_milliseconds() {
        for (given, expected) in [
            ("2026-01-26T21:32:02Z", "2026-01-26T21:32:02.000Z"),
            ("2026-01-26T21:32:02.0329999Z", "2026-01-26T21:32:02.032Z"),
        ] {
            assert_eq!(super::time(given.parse().expect("a time")), expected);
        }
    }
}
