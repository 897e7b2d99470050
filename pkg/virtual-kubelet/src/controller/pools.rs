//! The nodes of one process: which pods are theirs, and what those may have.

use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::api::core::v1::Pod;
use provider::owner::Owner;

use crate::catalog::Catalog;
use crate::pod::{Demand, NetworkName, PackageDemand, Refusal, RefusalReason};
use crate::settings::{PackageFilter, VirtualNode};

/// The nodes of this process.
#[derive(Debug)]
pub(super) struct Pools {
    cluster: Box<str>,
    pools: Vec<Pool>,
}

impl Pools {
    pub(super) fn new(cluster: &str, nodes: &[VirtualNode]) -> Self {
        Self { cluster: cluster.into(), pools: nodes.iter().map(Pool::new).collect() }
    }

    /// The pool that a pod was scheduled to.
    pub(super) fn of(&self, pod: &Pod) -> Option<&Pool> {
        let node = pod.spec.as_ref()?.node_name.as_deref()?;
        self.pools.iter().find(|pool| *pool.node == *node)
    }

    /// Whether an instance is one of these nodes'.
    pub(super) fn own(&self, owner: &Owner) -> bool {
        owner.cluster == self.cluster && self.names().any(|name| *name == *owner.node)
    }

    /// The names of the nodes.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.pools.iter().map(|pool| &*pool.node)
    }
}

/// One node, as its pods see it.
#[derive(Debug)]
pub(super) struct Pool {
    node: Box<str>,
    packages: PackageFilter,
    networks: Vec<NetworkName>,
    /// The catalogue that was last asked about, and what of it is for this node.
    view: Mutex<Option<(Arc<Catalog>, Arc<Catalog>)>>,
}

impl Pool {
    fn new(node: &VirtualNode) -> Self {
        Self {
            node: node.name.as_str().into(),
            packages: node.packages.clone(),
            networks: node.networks.iter().map(|name| NetworkName::read(name)).collect(),
            view: Mutex::default(),
        }
    }

    /// The node's name.
    pub(super) fn node(&self) -> &str {
        &self.node
    }

    /// Adds to a pod's demand what the node says for all pods that do not say it.
    pub(super) fn complete(&self, demand: &mut Demand) {
        if demand.networks.is_empty() {
            demand.networks.clone_from(&self.networks);
        }
    }

    /// The catalogue with the packages that are for this node.
    pub(super) fn view(&self, catalog: &Arc<Catalog>) -> Arc<Catalog> {
        if self.packages.accepts_all() {
            return Arc::clone(catalog);
        }
        // Nothing panics while holding the lock; should it ever, the view is still a whole one.
        let mut view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, seen)) = &*view
            && Arc::ptr_eq(of, catalog)
        {
            return Arc::clone(seen);
        }
        let seen = Arc::new(catalog.with_packages(|package| self.packages.accepts(&package.name)));
        *view = Some((Arc::clone(catalog), Arc::clone(&seen)));
        seen
    }

    /// A refusal that came of this node's settings says so.
    pub(super) fn explain(&self, refusal: Refusal, demand: &Demand) -> Refusal {
        let node = &self.node;
        match refusal.reason {
            RefusalReason::Package if !self.packages.accepts_all() => {
                let message = match &demand.package {
                    PackageDemand::Fit(_) => refusal.message,
                    named => format!("package {named} is not there"),
                };
                let message = format!("{message}; node {node} has packages {} only", self.packages);
                Refusal { message, ..refusal }
            }
            RefusalReason::Network if !demand.networks.is_empty() && demand.networks == self.networks => {
                let message =
                    format!("{}; it is a default of node {node}, in --provider-config", refusal.message);
                Refusal { message, ..refusal }
            }
            _ => refusal,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::Parser as _;
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::catalog::testing::catalog;
    use crate::settings::{Flags, ProviderFile};

    const FILE: &str = r#"
        [[Node]]
        Name = "compute"
        Packages = ["b-*"]
        Networks = ["private"]
        [[Node]]
        Name = "all"
    "#;

    fn pools() -> Pools {
        let flags = Flags::try_parse_from(["vk"]).unwrap();
        let nodes = ProviderFile::parse(Path::new("f"), FILE).unwrap().virtual_nodes(&flags);
        Pools::new("kubernetes", &nodes)
    }

    fn pod(node: &str, annotations: serde_json::Value) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"namespace": "default", "name": "web", "uid": "u", "annotations": annotations},
            "spec": {"nodeName": node, "containers": [{"name": "main", "image": "hvm"}]},
        }))
        .unwrap()
    }

    #[test]
    fn an_instance_is_ours_when_its_cluster_is_and_its_node_is_one_of_ours() {
        let owner = |cluster: &str, node: &str| Owner {
            cluster: cluster.into(),
            node: node.into(),
            namespace: "default".into(),
            pod: "web".into(),
            uid: "u".into(),
        };
        let pools = pools();
        assert!(pools.own(&owner("kubernetes", "compute")) && pools.own(&owner("kubernetes", "all")));
        assert!(!pools.own(&owner("kubernetes", "other")) && !pools.own(&owner("other", "all")));
        assert!(pools.of(&pod("other", json!({}))).is_none());
    }

    #[rstest]
    #[case::the_smallest_of_its_own("compute", json!({}), Ok("b-small"))]
    #[case::one_of_its_own("compute", json!({"package": "b-large"}), Ok("b-large"))]
    #[case::anothers("compute", json!({"package": "large"}), Err("package large is not there; node compute has packages b-* only"))]
    #[case::anothers_by_id("compute", json!({"package": "00000000-0000-0000-0000-000000000003"}), Err("node compute has packages b-* only"))]
    #[case::without_a_filter("all", json!({"package": "b-large"}), Ok("b-large"))]
    #[case::unknown_without_a_filter("all", json!({"package": "none"}), Err("no package none is visible to the account"))]
    fn the_pods_of_a_node_have_its_packages(
        #[case] node: &str,
        #[case] annotations: serde_json::Value,
        #[case] expected: Result<&str, &str>,
    ) {
        let (pools, full, pod) = (pools(), Arc::new(catalog()), pod(node, annotations));
        let pool = pools.of(&pod).unwrap();
        let demand = Demand::read(&pod, "kubernetes", pool.node()).unwrap();
        let view = pool.view(&full);
        let image = view.image(&demand.image).unwrap();
        let found = view.package(&demand.package, &image).map_err(|why| pool.explain(why, &demand).message);
        match expected {
            Ok(name) => assert_eq!(&*found.unwrap().name, name),
            Err(text) => assert!(found.as_ref().is_err_and(|why| why.contains(text)), "{found:?}"),
        }
        assert!(Arc::ptr_eq(&pool.view(&full), &view), "it is made once");
    }

    #[test]
    fn pods_that_name_no_network_are_on_those_of_their_node() {
        let pools = pools();
        let networks = |node: &str, annotations| {
            let pod = pod(node, annotations);
            let mut demand = Demand::read(&pod, "kubernetes", node).unwrap();
            pools.of(&pod).unwrap().complete(&mut demand);
            demand.networks.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(networks("compute", json!({})), ["private"]);
        assert_eq!(networks("compute", json!({"networks": "external"})), ["external"]);
        assert_eq!(networks("all", json!({})), [""; 0]);
    }
}
