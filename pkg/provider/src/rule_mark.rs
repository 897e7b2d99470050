//! What the descriptions of a cluster's firewall rules begin with, by which they are told from all others.

use crate::digest;

/// What every description of ours begins with.
const PREFIX: &str = "k8s:";

/// The longest cluster name that is part of a description as it is: with it, everything but the name of a firewall group
/// fits into what CloudAPI takes.
const MAX_CLUSTER: usize = 63;

/// What the descriptions of a cluster's rules begin with, and those of no other cluster: `k8s:<cluster>:`.
pub fn prefix(cluster: &str) -> String {
    // A digest begins with an equals sign, so that no plain name is the same.
    let plain = cluster.len() <= MAX_CLUSTER && !cluster.contains(':') && !cluster.starts_with('=');
    if plain { format!("{PREFIX}{cluster}:") } else { format!("{PREFIX}={}:", digest::short([cluster])) }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("prod", "k8s:prod:")]
    #[case("a:b", "k8s:=")]
    #[case("=a", "k8s:=")]
    fn no_cluster_has_another_ones(#[case] cluster: &str, #[case] begin: &str) {
        let prefix = prefix(cluster);
        assert!(prefix.starts_with(begin) && prefix.ends_with(':'), "{prefix}");
        assert_eq!(prefix.matches(':').count(), 2);
    }
}
