//! An API server that refuses with 429, by API priority and fairness.

use std::path::Path;
use std::sync::Arc;

use kube::client::ConfigExt as _;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::json;
use suites::control_plane::ControlPlane;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use super::running::{Running, verdict};
use super::{calm_plane, lease, make_counter, until, user};

/// A priority level for one user's requests that has room for one at a time and refuses all others. None at all cannot
/// be had: a level without seats serves whoever comes while nobody is served.
async fn make_narrow_level(plane: &ControlPlane, user: &str) {
    let level = json!({
        "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
        "kind": "PriorityLevelConfiguration",
        "metadata": {"name": "narrow"},
        "spec": {
            "type": "Limited",
            "limited": {
                "nominalConcurrencyShares": 0, "lendablePercent": 0, "borrowingLimitPercent": 0,
                "limitResponse": {"type": "Reject"},
            },
        },
    });
    let schema = json!({
        "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
        "kind": "FlowSchema",
        "metadata": {"name": "narrow"},
        "spec": {
            "priorityLevelConfiguration": {"name": "narrow"},
            // Before all but the exempt.
            "matchingPrecedence": 2,
            "rules": [{
                "subjects": [{"kind": "User", "user": {"name": user}}],
                "resourceRules": [{
                    "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"],
                }],
            }],
        },
    });
    for object in [level, schema] {
        let file = plane.folder().join("flowcontrol.json");
        std::fs::write(&file, object.to_string()).unwrap();
        plane.kubectl(&["create", "--filename", file.to_str().unwrap()]).await.unwrap();
    }
}

/// More than there is room for, so that another is in at once when the server ends one.
const OCCUPANTS: usize = 4;

/// Between two attempts of an occupant, so that they are no load.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(50);

/// Takes all the room that there is, until dropped: a write is served whose body never comes.
async fn occupy(plane: &ControlPlane, kubeconfig: &Path) -> JoinSet<()> {
    // Set already when some other client was made before.
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
    let options = KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
    let connector = TlsConnector::from(Arc::new(config.rustls_client_config().unwrap()));
    let address = plane.url().strip_prefix("https://").unwrap().to_owned();
    let mut occupants = JoinSet::new();
    for _ in 0..OCCUPANTS {
        let (connector, address) = (connector.clone(), address.clone());
        occupants.spawn(async move {
            loop {
                let connection = TcpStream::connect(&address).await.unwrap();
                let host = "127.0.0.1".try_into().unwrap();
                let mut connection = connector.connect(host, connection).await.unwrap();
                let head = "PATCH /api/v1/namespaces/default/configmaps/overload HTTP/1.1\r\nhost: x\r\n\
                            content-type: application/merge-patch+json\r\ncontent-length: 100\r\n\r\n";
                connection.write_all(head.as_bytes()).await.unwrap();
                // An answer means that another request was served just then.
                let _ = connection.read(&mut [0; 1]).await;
                tokio::time::sleep(PAUSE).await;
            }
        });
    }
    occupants
}

#[tokio::test]
async fn a_short_overload_costs_nothing_and_a_long_one_the_leadership() {
    let plane = calm_plane().await;
    make_counter(&plane, "overload").await;
    make_narrow_level(&plane, "overloaded").await;
    let kubeconfig = user(&plane, "overloaded").await;
    let mut leader = Running::candidate("one", "overload", &kubeconfig, &[]).await;
    leader.until_ready_says(200, "ok").await;
    let standby = Running::candidate("two", "overload", &kubeconfig, &[]).await;
    standby.until_ready_says(200, "standby").await;

    let occupants = occupy(&plane, &kubeconfig).await;
    standby.until_ready_says(500, "cannot read lease default/overload: ").await;
    assert!(standby.get("/readyz").await.1.contains("429"), "the server's own answer is told");
    leader.until_says("leader election attempt failed").await;
    assert_eq!(leader.get("/readyz").await, (200, "ok".to_owned()), "the claim is still valid");
    drop(occupants);
    let renewed = lease(&plane, "overload", ".spec.renewTime").await;
    until("the leader renews", async || lease(&plane, "overload", ".spec.renewTime").await != renewed).await;
    standby.until_ready_says(200, "standby").await;
    assert_eq!(leader.get("/readyz").await, (200, "ok".to_owned()));
    assert_eq!(lease(&plane, "overload", ".spec.holderIdentity").await, "one");

    let occupants = occupy(&plane, &kubeconfig).await;
    let (code, output) = leader.ends().await;
    assert_eq!(code, 1, "{output}");
    let last = verdict(&output);
    assert!(last.starts_with("candidate: lost lease default/overload: ") && last.contains("429"), "{output}");
    drop(occupants);
    standby.until_ready_says(200, "ok").await;
    assert_eq!(lease(&plane, "overload", ".spec.holderIdentity").await, "two");
}
