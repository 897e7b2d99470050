//! The pod's address.

use std::net::IpAddr;

use triton::reflector::Entry;

use crate::lifecycle::draft::Draft;

/// The address of the network that the pod names, or the instance's primary one. While the pod's wish cannot be read,
/// the address that it has stays if it is still the instance's.
pub(super) fn pod_ip(draft: &Draft<'_>, entry: &Entry) -> Option<IpAddr> {
    let instance = entry.observed();
    let primary = || instance.primary_ip.or_else(|| instance.primary_nic()?.ip);
    match draft.observed.desired {
        Some(Ok(desired)) => {
            let chosen = desired.pod_network.and_then(|network| {
                instance.nics.iter().find(|nic| nic.network == Some(network)).and_then(|nic| nic.ip)
            });
            chosen.or_else(primary)
        }
        None | Some(Err(_)) => {
            let had = draft.was.status().and_then(|status| status.pod_ip.as_deref()?.parse().ok());
            had.filter(|ip| instance.ips.contains(ip)).or_else(primary)
        }
    }
}
