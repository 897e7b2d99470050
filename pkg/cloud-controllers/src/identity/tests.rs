use rstest::rstest;
use serde_json::{Value, json};

use super::*;

const A: &str = "8a5918c3-84a2-4122-9ed5-60d76d7a8525";
const B: &str = "0b5918c3-84a2-4122-9ed5-60d76d7a8525";

/// What there is: instances, those that are gone, and Nodes with a provider ID.
#[derive(Default)]
struct Account {
    instances: Vec<Arc<Instance>>,
    gone: Vec<InstanceId>,
    nodes: Vec<(InstanceId, &'static str)>,
}

impl Inventory for Account {
    fn has(&self, id: InstanceId) -> bool {
        self.gone.contains(&id) || self.instances.iter().any(|instance| instance.id == id)
    }

    fn named(&self, name: &str) -> Vec<Arc<Instance>> {
        self.instances.iter().filter(|instance| &*instance.name == name).cloned().collect()
    }

    fn taken_by(&self, id: InstanceId, node: &str) -> Option<String> {
        let taken = self.nodes.iter().find(|(taken, by)| *taken == id && *by != node);
        taken.map(|(_, by)| (*by).to_owned())
    }
}

fn id(text: &str) -> InstanceId {
    text.parse().unwrap()
}

fn instance(id: &str, name: &str, ip: &str) -> Value {
    json!({"id": id, "name": name, "state": "running", "ips": [ip]})
}

fn account(instances: &[Value]) -> Account {
    let instances =
        instances.iter().map(|instance| Arc::new(serde_json::from_value(instance.clone()).unwrap()));
    Account { instances: instances.collect(), ..Account::default() }
}

/// A Node `n1` that waits to be initialised, with this system UUID and address.
fn node(system_uuid: &str, address: &str) -> Value {
    json!({
        "metadata": {"name": "n1"},
        "spec": {"taints": [{"key": "node.cloudprovider.kubernetes.io/uninitialized", "value": "true", "effect": "NoSchedule"}]},
        "status": {
            "addresses": [{"type": "InternalIP", "address": address}],
            "nodeInfo": {
                "systemUUID": system_uuid, "architecture": "", "bootID": "", "containerRuntimeVersion": "",
                "kernelVersion": "", "kubeProxyVersion": "", "kubeletVersion": "", "machineID": "",
                "operatingSystem": "", "osImage": "",
            },
        },
    })
}

fn identity(node: &Value, account: &Account) -> Identity {
    identify(&serde_json::from_value(node.clone()).unwrap(), "dc1", account)
}

#[rstest]
#[case::ours(&format!("triton://dc1/{A}"), Identity::Named(id(A)))]
#[case::without_a_datacenter(&format!("triton:///{A}"), Identity::Named(id(A)))]
#[case::another_datacenter(&format!("triton://dc2/{A}"), Identity::Foreign)]
#[case::another_cloud("aws:///us-east-1a/i-1", Identity::Foreign)]
fn a_provider_id_decides_whatever_else_fits(#[case] provider_id: &str, #[case] expected: Identity) {
    let account = account(&[instance(B, "n1", "10.0.0.1")]);
    let mut node = node(B, "10.0.0.1");
    node["spec"]["providerID"] = json!(provider_id);
    assert_eq!(identity(&node, &account), expected);
}

#[test]
fn a_provider_id_that_names_nothing_is_told_and_not_guessed_at() {
    let mut node = node(A, "10.0.0.1");
    node["spec"]["providerID"] = json!("triton://dc1/web-1");
    let Identity::Unmatched(mismatch) = identity(&node, &account(&[instance(A, "n1", "10.0.0.1")])) else {
        panic!("it is matched");
    };
    assert!(mismatch.to_string().contains("spec.providerID cannot be used"), "{mismatch}");
}

#[test]
fn the_system_uuid_goes_before_the_name() {
    let account = account(&[instance(A, "x", "10.0.0.9"), instance(B, "n1", "10.0.0.1")]);
    let found = |uuid: &str| identity(&node(uuid, "10.0.0.1"), &account);
    assert_eq!(found(A), Identity::Found(id(A), Evidence::SystemUuid));
    assert_eq!(found(&A.to_uppercase()), Identity::Found(id(A), Evidence::SystemUuid));
    for other in
        ["", "Not Specified", "00000000-0000-0000-0000-000000000000", "4c4c4544-0000-2010-8020-80c04f202020"]
    {
        assert_eq!(found(other), Identity::Found(id(B), Evidence::Name), "{other:?}");
    }
    let gone = Account { gone: vec![id(A)], ..Account::default() };
    assert_eq!(
        identity(&node(A, "10.0.0.1"), &gone),
        Identity::Found(id(A), Evidence::SystemUuid),
        "gone is known, too"
    );
}

#[rstest]
#[case::nothing(&[], Mismatch::Nothing { system_uuid: None })]
#[case::another_name(&[instance(A, "n2", "10.0.0.1")], Mismatch::Nothing { system_uuid: None })]
#[case::another_address(&[instance(A, "n1", "10.0.0.2")], Mismatch::OtherAddresses(id(A)))]
#[case::two(
    &[instance(A, "n1", "10.0.0.1"), instance(B, "n1", "10.0.0.1")],
    Mismatch::Several([id(A), id(B)].into())
)]
fn a_name_alone_proves_nothing(#[case] instances: &[Value], #[case] expected: Mismatch) {
    let identity = identity(&node("", "10.0.0.1"), &account(instances));
    assert_eq!(identity, Identity::Unmatched(expected.clone()));
    assert!(expected.to_string().contains("name"), "{expected}");
}

#[test]
fn of_two_with_one_name_the_address_tells() {
    let account = account(&[instance(A, "n1", "10.0.0.1"), instance(B, "n1", "10.0.0.2")]);
    assert_eq!(identity(&node("", "10.0.0.2"), &account), Identity::Found(id(B), Evidence::Name));
}

#[test]
fn the_hostname_and_the_provided_address_count_and_pods_and_failed_instances_do_not() {
    let mut lengthy = node("", "");
    lengthy["metadata"]["name"] = json!("n1.example.com");
    lengthy["metadata"]["labels"] = json!({"kubernetes.io/hostname": "n1"});
    lengthy["metadata"]["annotations"] = json!({PROVIDED_NODE_IP: "fd00::1, 10.0.0.1"});
    let found = account(&[instance(A, "n1", "10.0.0.1")]);
    assert_eq!(identity(&lengthy, &found), Identity::Found(id(A), Evidence::Name));

    let mut failed = instance(A, "n1", "10.0.0.1");
    failed["state"] = json!("failed");
    let mut pod = instance(B, "n1", "10.0.0.1");
    pod["tags"] =
        json!({"k8s.cluster": "c", "k8s.node": "v", "k8s.namespace": "d", "k8s.pod": "p", "k8s.uid": "u"});
    let expected = Identity::Unmatched(Mismatch::Nothing { system_uuid: None });
    assert_eq!(identity(&node("", "10.0.0.1"), &account(&[failed, pod])), expected);
}

#[test]
fn one_instance_stands_behind_one_node() {
    let mut account = account(&[instance(A, "n1", "10.0.0.1")]);
    account.nodes = vec![(id(A), "n0")];
    let taken = Mismatch::Taken { id: id(A), by: "n0".to_owned() };
    assert_eq!(identity(&node(A, "10.0.0.1"), &account), Identity::Unmatched(taken.clone()));
    assert_eq!(identity(&node("", "10.0.0.1"), &account), Identity::Unmatched(taken));
    account.nodes = vec![(id(A), "n1")];
    assert_eq!(identity(&node(A, "10.0.0.1"), &account), Identity::Found(id(A), Evidence::SystemUuid));
}

#[rstest]
#[case::virtual_node(json!({"metadata": {"labels": {"type": "virtual-kubelet"}}}))]
#[case::virtual_node_with_our_id(json!({
    "metadata": {"labels": {"type": "virtual-kubelet"}}, "spec": {"providerID": format!("triton://dc1/{A}")}
}))]
#[case::nobody_asked(json!({"spec": {"taints": []}}))]
fn others_are_left_alone(#[case] difference: Value) {
    let mut node = node(A, "10.0.0.1");
    for (part, fields) in difference.as_object().unwrap() {
        for (field, value) in fields.as_object().unwrap() {
            node[part][field] = value.clone();
        }
    }
    assert_eq!(identity(&node, &account(&[instance(A, "n1", "10.0.0.1")])), Identity::Foreign);
}
