//! What Prometheus is told: the form of its HTTP service discovery, a JSON array of groups of targets with labels.
//!
//! The labels of CMON's own discovery have the names that `triton_sd_config` gives them (Triton reference 4.5), so
//! that relabelling rules go on working; `node`, `namespace` and `pod` say what an instance is in Kubernetes.

use std::collections::{BTreeMap, HashMap};

use provider::names::tag::CMON_GROUPS;
use provider::owner::Owner;
use serde::Serialize;
use triton::config::Endpoint;
use triton::id::InstanceId;
use triton::types::{Instance, InstanceState};

/// The port of CMON where its URL names none (Triton reference 4.1).
const DEFAULT_PORT: u16 = 9163;

/// Where the instances of a data centre are measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cmon {
    host: String,
    port: u16,
}

impl Cmon {
    /// What ListServices calls `cmon`; `None` when that is no URL.
    pub fn at(url: &str) -> Option<Self> {
        let endpoint: Endpoint = url.parse().ok()?;
        let authority = endpoint.authority();
        Some(Self { host: authority.host().to_owned(), port: authority.port_u16().unwrap_or(DEFAULT_PORT) })
    }

    /// What Prometheus scrapes for one instance.
    fn target(&self, id: InstanceId) -> String {
        format!("{id}.{}:{}", self.host, self.port)
    }
}

/// One instance, as Prometheus takes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TargetGroup {
    /// Host and port; one.
    pub targets: Vec<String>,
    /// Labels; those that begin with two underscores are for relabelling, and do not stay.
    pub labels: BTreeMap<&'static str, String>,
}

/// What Prometheus is told: each running instance that is a Node of the cluster or a pod of it, by id.
pub fn targets<'a>(
    instances: impl IntoIterator<Item = &'a Instance>,
    nodes: &HashMap<InstanceId, String>,
    cluster: &str,
    cmon: &Cmon,
) -> Vec<TargetGroup> {
    let mut found: BTreeMap<InstanceId, TargetGroup> = BTreeMap::new();
    for instance in instances.into_iter().filter(|instance| instance.state == InstanceState::Running) {
        let owner = Owner::of(instance).filter(|owner| &*owner.cluster == cluster);
        let mut labels = match (nodes.get(&instance.id), owner) {
            (_, Some(owner)) => BTreeMap::from([
                ("node", owner.node.into_string()),
                ("namespace", owner.namespace.into_string()),
                ("pod", owner.pod.into_string()),
            ]),
            (Some(node), None) => BTreeMap::from([("node", node.clone())]),
            (None, None) => continue,
        };
        labels.extend(of_cmon(instance));
        let group = TargetGroup { targets: vec![cmon.target(instance.id)], labels };
        found.insert(instance.id, group);
    }
    found.into_values().collect()
}

/// The labels of `triton_sd_config`. An empty label is none.
fn of_cmon(instance: &Instance) -> impl Iterator<Item = (&'static str, String)> {
    // Commas around each group let a rule match `,name,` wherever it stands.
    let groups = instance.tags.get(CMON_GROUPS).and_then(|groups| groups.as_str()).unwrap_or_default();
    let groups = if groups.is_empty() { String::new() } else { format!(",{groups},") };
    let labels = [
        ("__scheme__", "https".to_owned()),
        ("__meta_triton_groups", groups),
        ("__meta_triton_machine_alias", instance.name.to_string()),
        ("__meta_triton_machine_brand", instance.brand.as_str().to_owned()),
        ("__meta_triton_machine_id", instance.id.to_string()),
        ("__meta_triton_machine_image", instance.image.map(|image| image.to_string()).unwrap_or_default()),
        ("__meta_triton_server_id", instance.compute_node.map(|node| node.to_string()).unwrap_or_default()),
    ];
    labels.into_iter().filter(|(_, value)| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    #[rstest]
    #[case(
        "https://cmon.dc1.example.com",
        Some("00000000-0000-0000-0000-000000000001.cmon.dc1.example.com:9163")
    )]
    #[case(
        "https://cmon.dc1.example.com:443/",
        Some("00000000-0000-0000-0000-000000000001.cmon.dc1.example.com:443")
    )]
    #[case("cmon", None)]
    fn a_target_is_the_instance_below_cmon(#[case] url: &str, #[case] expected: Option<&str>) {
        let found = Cmon::at(url).map(|cmon| cmon.target(Uuid::from_u128(1).into()));
        assert_eq!(found.as_deref(), expected);
    }

    #[test]
    fn nodes_and_pods_of_the_cluster_are_told_with_what_they_are() {
        let id = |number| Uuid::from_u128(number).to_string();
        let pod = |number, cluster: &str, state: &str| {
            json!({"id": id(number), "name": "web", "state": state, "brand": "lx", "tags": {
                "k8s.cluster": cluster, "k8s.node": "virtual", "k8s.namespace": "shop", "k8s.pod": "web-0", "k8s.uid": "u",
            }})
        };
        let node = json!({
            "id": id(1), "name": "m1", "state": "running", "brand": "bhyve", "image": id(8), "compute_node": id(9),
            "tags": {"triton.cmon.groups": "a,k8s-kubernetes"},
        });
        let stranger = json!({"id": id(5), "name": "db", "state": "running", "brand": "joyent"});
        let rows = [
            pod(2, "kubernetes", "running"),
            pod(3, "other", "running"),
            pod(4, "kubernetes", "stopped"),
            node,
            stranger,
        ];
        let instances: Vec<Instance> =
            rows.into_iter().map(|row| serde_json::from_value(row).unwrap()).collect();
        let nodes = HashMap::from([(Uuid::from_u128(1).into(), "machine-1".to_owned())]);
        let cmon = Cmon::at("https://cmon.dc1").unwrap();
        let found = serde_json::to_value(targets(&instances, &nodes, "kubernetes", &cmon)).unwrap();
        assert_eq!(
            found,
            json!([
                {"targets": [format!("{}.cmon.dc1:9163", id(1))], "labels": {
                    "node": "machine-1", "__scheme__": "https",
                    "__meta_triton_groups": ",a,k8s-kubernetes,", "__meta_triton_machine_alias": "m1",
                    "__meta_triton_machine_brand": "bhyve", "__meta_triton_machine_id": id(1),
                    "__meta_triton_machine_image": id(8), "__meta_triton_server_id": id(9),
                }},
                {"targets": [format!("{}.cmon.dc1:9163", id(2))], "labels": {
                    "node": "virtual", "namespace": "shop", "pod": "web-0", "__scheme__": "https",
                    "__meta_triton_machine_alias": "web", "__meta_triton_machine_brand": "lx",
                    "__meta_triton_machine_id": id(2),
                }},
            ])
        );
    }
}
