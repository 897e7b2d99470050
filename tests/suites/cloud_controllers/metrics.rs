//! CMON: the cluster's group, what Prometheus is told, and what its operator is given.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cloud_controllers::controller::{Kind, MetricsSettings, RouteSettings, ScrapeSettings};
use cloud_controllers::metrics::scrape::Scrape;
use runtime::admin::{AdminServer, Documents};
use runtime::health::Health;
use runtime::metrics::Metrics;
use serde_json::{Value, json};
use suites::cloud_controller_manager::SCRAPE_CONFIGS;
use tokio::process::Command;
use tokio::sync::watch;
use triton::auth::{PrivateKey, Signer};
use triton::id::InstanceId;
use triton::types::{CreateInstance, CreateKey, InstanceState, TagValue, Tags};

use super::service_pods::run_pod;
use super::stage::{Stage, VIRTUAL_NODE};
use crate::prometheus::{TargetGroup, discover};

const KINDS: [Kind; 3] = [Kind::Node, Kind::NodeLifecycle, Kind::Metrics];

async fn groups(stage: &Stage, id: InstanceId) -> Option<String> {
    stage.instance(id).await.tags.get("triton.cmon.groups").and_then(TagValue::as_str).map(str::to_owned)
}

#[tokio::test]
async fn nodes_are_in_the_clusters_group_and_prometheus_finds_them_and_pods() {
    let mut stage = Stage::set().await;
    let (first, second, stranger) =
        (stage.machine("m1").await, stage.machine("m2").await, stage.machine("db").await);
    let foreign: Tags = [("triton.cmon.groups".to_owned(), "web,db".into())].into();
    stage.account.add_tags(first.id, &foreign).await.unwrap();
    let pod = ["cluster", "node", "namespace", "pod", "uid"].into_iter();
    let pod = pod.zip(["kubernetes", "virtual", "shop", "web-0", "u"]);
    let tags: Tags = pod.map(|(key, value)| (format!("k8s.{key}"), value.into())).collect();
    let request = CreateInstance { tags, ..CreateInstance::new("g1.micro", stage.simulator.ids().base_64) };
    let pod = stage.account.create_instance(&request).await.unwrap().id;
    stage.plane.kubectl(&["create", "serviceaccount", "default"]).await.unwrap();
    stage.start_kubelet().await;
    let run = run_pod(&stage, "one").await.id;
    assert_eq!(groups(&stage, run).await.as_deref(), Some("k8s-kubernetes"), "from its creation on");
    let by_hand: Tags = [("triton.cmon.groups".to_owned(), "web".into())].into();
    stage.account.add_tags(run, &by_hand).await.unwrap();
    // The page is there before anything is known, and says so.
    let documents = Documents::default();
    let admin = AdminServer::bind(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0)).await.unwrap();
    let url = format!("http://{}/sd/cmon", admin.address());
    tokio::spawn(admin.with_documents(documents.clone()).serve(Health::new(), Metrics::new().unwrap()));
    documents.add("/sd/cmon", || None);
    assert!(discover(&url, &[]).await.unwrap_err().contains("503"));
    let discovery = stage.start(KINDS, RouteSettings::default(), MetricsSettings::default()).await.unwrap();
    documents.add("/sd/cmon", move || discovery.json());
    stage.register("n1", &first.id.to_string(), json!({})).await;
    stage.register("n2", &second.id.to_string(), json!({})).await;

    // Groups of others stay, and strangers are not touched.
    for (id, expected) in
        [(first.id, "web,db,k8s-kubernetes"), (second.id, "k8s-kubernetes"), (run, "web,k8s-kubernetes")]
    {
        stage
            .until("it is in the group", async || groups(&stage, id).await.as_deref() == Some(expected))
            .await;
    }
    assert_eq!((groups(&stage, stranger.id).await, groups(&stage, pod).await), (None, None));

    // What Prometheus is told is what it takes, and is where CMON answers.
    let labels = async |id: InstanceId| {
        let told = discover(&url, &[]).await.unwrap_or_default();
        let is_it = |group: &TargetGroup| group.labels["__meta_triton_machine_id"] == id.to_string();
        let found = told.into_iter().find(is_it)?;
        let label = |key: &str| found.labels.get(key).cloned().unwrap_or_default();
        let place = found.targets.join(" ").replace(&id.to_string(), "ID");
        let (node, namespace, pod) = (label("node"), label("namespace"), label("pod"));
        Some(format!("{place} {node}|{namespace}|{pod} {}", label("__meta_triton_groups")))
    };
    let host = stage.simulator.cmon().unwrap().url().replace("https://", "");
    for (id, expected) in [
        (first.id, format!("ID.{host} n1|| ,web,db,k8s-kubernetes,")),
        (second.id, format!("ID.{host} n2|| ,k8s-kubernetes,")),
        (pod, format!("ID.{host} virtual|shop|web-0 ")),
        (run, format!("ID.{host} {VIRTUAL_NODE}|default|one ,web,k8s-kubernetes,")),
    ] {
        stage.until(&expected, async || labels(id).await.as_ref() == Some(&expected)).await;
    }
    assert_eq!(labels(stranger.id).await, None);

    // Who is no Node any more, and whose machine stops.
    stage.nodes.delete("n1", &Default::default()).await.unwrap();
    stage.until("it has left", async || groups(&stage, first.id).await.as_deref() == Some("web,db")).await;
    stage.account.stop_instance(second.id).await.unwrap();
    stage.until("it is not measured", async || labels(second.id).await.is_none()).await;
    assert_eq!(stage.instance(second.id).await.state, InstanceState::Stopped);
}

#[tokio::test]
async fn the_operator_gets_a_scrape_config_and_a_certificate_that_cmon_takes() {
    let mut stage = Stage::set().await;
    let home = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = home.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    // CMON takes no certificates of Ed25519 keys, of which the account's own is one.
    let pem = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let key = PrivateKey::from_pem(&pem, None).unwrap();
    let add = CreateKey { name: Some("cmon".to_owned()), key: key.public_key().to_openssh() };
    stage.account.create_key(&add).await.unwrap();
    let machine = stage.machine("m1").await;

    stage.plane.kubectl(&["create", "namespace", "monitoring"]).await.unwrap();
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../deploy/triton-cloud-controller-manager/cmon-scrape-config.yaml");
    stage.plane.kubectl(&["apply", "--filename", manifest.to_str().unwrap()]).await.unwrap();
    let scrape = Scrape {
        namespace: "monitoring".to_owned(),
        name: "triton-cmon".to_owned(),
        url: "https://ccm.kube-system.svc:10258/sd/cmon".to_owned(),
        token: None,
        insecure: true,
    };
    let (_, signer) = watch::channel(Signer::Key(Arc::new(key)));
    let scrape = ScrapeSettings { scrape, account: "acme".to_owned(), signer };
    let settings = MetricsSettings { scrape: Some(scrape), ..MetricsSettings::default() };
    stage.start([Kind::Metrics], RouteSettings::default(), settings).await;

    // Without the definition one clear line is said, and everything else goes on.
    let get = async |arguments: &[&str]| -> Option<Value> {
        let all = [&["--namespace", "monitoring", "get", "--output", "json"], arguments].concat();
        serde_json::from_str(&stage.plane.kubectl(&all).await.ok()?).ok()
    };
    let complaint = async || {
        let events = get(&["events.events.k8s.io"]).await.unwrap_or_default();
        let notes = events["items"].as_array().cloned().unwrap_or_default();
        let clear =
            |it: &Value| it["note"].as_str().is_some_and(|it| it.contains("CustomResourceDefinitions"));
        notes.iter().any(clear)
    };
    stage.until("it is said that the definition is missing", complaint).await;
    let definition = file("definition.yaml", SCRAPE_CONFIGS);
    stage.plane.kubectl(&["apply", "--filename", &definition]).await.unwrap();
    let there = async || get(&["scrapeconfig", "triton-cmon"]).await.is_some();
    stage.until("there is a ScrapeConfig", there).await;
    let config = get(&["scrapeconfig", "triton-cmon"]).await.unwrap();
    let url = "https://ccm.kube-system.svc:10258/sd/cmon";
    assert_eq!(config["spec"]["httpSDConfigs"][0]["url"], url);

    // With the certificate that it names, CMON shows the machine.
    let secret = config["spec"]["tlsConfig"]["keySecret"]["name"].as_str().unwrap();
    let secret = get(&["secret", secret]).await.unwrap();
    let part = |key: &str| {
        let bytes = STANDARD.decode(secret["data"][key].as_str().unwrap()).unwrap();
        file(key, &String::from_utf8(bytes).unwrap())
    };
    let cmon = stage.simulator.cmon().unwrap();
    let (host, port) = (cmon.url().replace("https://", ""), cmon.address().port());
    let name = host.split(':').next().unwrap().to_owned();
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--fail", "--noproxy", "*"]);
    curl.args(["--resolve", &format!("{name}:{port}:127.0.0.1")]);
    curl.args([
        "--cacert",
        &file("ca.pem", cmon.ca_pem()),
        "--cert",
        &part("tls.crt"),
        "--key",
        &part("tls.key"),
    ]);
    let answer = curl.arg(format!("https://{host}/v1/discover")).output().await.unwrap();
    let found = String::from_utf8(answer.stdout).unwrap();
    let complaint = String::from_utf8_lossy(&answer.stderr);
    assert!(found.contains(&machine.id.to_string()), "{found}{complaint}");
}
