//! CloudAPI, CNS and CMON of one simulator belong together.

use std::time::Duration;

use hickory_resolver::proto::rr::RecordType::{A, PTR, SRV, TXT};
use serde_json::json;
use tokio::time::{sleep, timeout};
use triton_sim::cmon::Load;
use triton_sim::{Preset, Settings};

use crate::client::SOON;
use crate::cmon;
use crate::cns::client::{answers, dig, dig_is_here, until};
use crate::http::Stage;

#[tokio::test]
async fn instances_and_networks_show_their_names_in_cns_and_lists_do_not() {
    let stage = Stage::new().await;
    let id = stage.instance("web-1").await;
    let account = stage.simulator.ids().acme;
    let wanted = format!("web-1.inst.{account}.dc1.triton.zone");
    let named = async {
        loop {
            let names = stage.get(&format!("/my/machines/{id}")).await.json()["dns_names"].clone();
            if names.as_array().expect("a list").contains(&json!(wanted)) {
                return;
            }
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, named).await.expect("named in time");
    assert_eq!(stage.get("/my/machines").await.json()[0].get("dns_names"), None);
    let network = stage.get(&format!("/my/networks/{}", stage.simulator.ids().external)).await.json();
    assert_eq!(network["suffixes"][0], format!("svc.{account}.dc1.triton.zone"));
    let fabric = stage.get(&format!("/my/networks/{}", stage.simulator.ids().fabric)).await.json();
    assert_eq!(fabric["suffixes"][0], format!("svc.{account}.dc1.cns.example.net"));

    assert_eq!(stage.ask("POST", "/my", r#"{"triton_cns_enabled":false}"#).await.status, 200);
    assert_eq!(stage.get(&format!("/my/machines/{id}")).await.json().get("dns_names"), None);
}

#[tokio::test]
async fn cmon_is_among_the_services_and_its_load_can_be_set() {
    let stage = Stage::new().await;
    let id = stage.instance("busy").await;
    let cmon = stage.simulator.cmon().expect("on");
    assert_eq!(stage.get("/my/services").await.json()["cmon"], cmon.url());
    let load = Load { cpu_percent: 50, ..Load::default() };
    assert!(stage.simulator.control().set_load(id.parse().expect("an id"), load));
}

#[tokio::test]
async fn without_them_nothing_is_said_of_them() {
    let settings = Settings { cns: None, cmon: None, admin: None, ..Settings::preset(Preset::Instant) };
    let stage = Stage::with(settings).await;
    let id = stage.instance("alone").await;
    assert_eq!(stage.get(&format!("/my/machines/{id}")).await.json().get("dns_names"), None);
    assert_eq!(stage.get("/my/services").await.json(), json!({"cloudapi": stage.simulator.url()}));
    assert_eq!((stage.simulator.admin_url(), stage.simulator.cns_address()), (None, None));
    let names: Vec<String> = stage.simulator.environment().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["TRITON_URL", "TRITON_ACCOUNT", "TRITON_KEY_ID"]);
}

#[tokio::test]
async fn guests_are_refused_where_their_addresses_are_not_local() {
    let settings = Settings { guests: true, ..Settings::preset(Preset::Instant) };
    let error = triton_sim::Simulator::start(settings).await.map(drop).expect_err("no such address here");
    assert!(error.to_string().contains("triton-sim exec -- COMMAND"), "{error}");
}

#[tokio::test]
async fn the_dns_follows_states_status_tags_names_and_deletions() {
    let stage = Stage::new().await;
    let server = stage.simulator.cns_address().expect("on");
    let account = stage.simulator.ids().acme;
    let name = |rest: &str| format!("{rest}.{account}.dc1.triton.zone");
    let ask = async |method: &str, target: &str, body: &str| {
        let answer = stage.ask(method, target, body).await;
        assert!((200..300).contains(&answer.status), "{method} {target}: {answer:?}");
        answer
    };
    let (mut paths, mut ips) = (Vec::new(), Vec::new());
    let mut ids = Vec::new();
    for alias in ["web-1", "web-2"] {
        let id = stage.instance(alias).await;
        let path = format!("/my/machines/{id}");
        let ip = stage.get(&path).await.json()["primaryIp"].as_str().expect("an address").to_owned();
        ask("POST", &format!("{path}/tags"), r#"{"triton.cns.services":"web:8080"}"#).await;
        paths.push(path);
        ips.push(ip);
        ids.push(id);
    }
    let ([one, two], [ip_one, ip_two]) = ([&paths[0], &paths[1]], [&*ips[0], &*ips[1]]);
    let web = name("web.svc");
    until(server, &web, A, &[ip_one, ip_two]).await;
    let targets = [1, 2].map(|number| format!("0 10 8080 {}.", name(&format!("web-{number}.inst"))));
    until(server, &web, SRV, &[&targets[0], &targets[1]]).await;
    let [a, b, c, d] = ip_one.split('.').collect::<Vec<_>>().try_into().expect("four parts");
    let reverse = format!("{d}.{c}.{b}.{a}.in-addr.arpa");
    until(server, &reverse, PTR, &[&format!("{}.", name("web-1.inst"))]).await;

    ask("POST", &format!("{one}/metadata"), r#"{"triton.cns.status":"down"}"#).await;
    until(server, &web, A, &[ip_two]).await;
    assert_eq!(answers(server, &web, TXT).await, [ids[1].clone(), format!("verifying:{}", ids[0])]);
    let names = stage.get(one).await.json()["dns_names"].clone();
    assert!(!names.as_array().expect("a list").contains(&json!(web)), "{names}");
    ask("DELETE", &format!("{one}/metadata/triton.cns.status"), "").await;
    until(server, &web, A, &[ip_one, ip_two]).await;

    ask("POST", &format!("{two}?action=stop"), "").await;
    until(server, &web, A, &[ip_one]).await;
    assert_eq!(answers(server, &name("web-2.inst"), A).await, [ip_two], "it keeps its own name");
    ask("POST", &format!("{two}?action=start"), "").await;
    until(server, &web, A, &[ip_one, ip_two]).await;

    ask("PUT", &format!("{two}/tags"), r#"{"triton.cns.services":"db"}"#).await;
    until(server, &web, A, &[ip_one]).await;
    until(server, &name("db.svc"), A, &[ip_two]).await;
    ask("POST", &format!("{two}?action=rename&name=db-1"), "").await;
    until(server, &name("db-1.inst"), A, &[ip_two]).await;
    until(server, &name("web-2.inst"), A, &["NXDomain"]).await;
    if dig_is_here().await {
        assert_eq!(dig(server, &format!("+short {} A", name("db.svc"))).await, [ip_two]);
        assert_eq!(dig(server, &format!("+tcp +short {} A", name("db.svc"))).await, [ip_two]);
    }

    ask("DELETE", two, "").await;
    until(server, &name("db.svc"), A, &["NXDomain"]).await;
    until(server, &name("db-1.inst"), A, &["NXDomain"]).await;
    ask("POST", "/my", r#"{"triton_cns_enabled":false}"#).await;
    until(server, &web, A, &["NXDomain"]).await;
    ask("POST", "/my", r#"{"triton_cns_enabled":true}"#).await;
    until(server, &web, A, &[ip_one]).await;
}

#[tokio::test]
async fn cmon_admits_a_key_that_the_account_was_given_and_follows_instances_and_groups() {
    let stage = Stage::new().await;
    let key = cmon::ecdsa();
    let line = json!({"name": "cmon", "key": key.public_key().to_openssh()}).to_string();
    assert_eq!(stage.ask("POST", "/my/keys", &line).await.status, 201);
    let id = stage.instance("measured").await;
    let server = stage.simulator.cmon().expect("on");
    let client = cmon::client(server, &cmon::issue_at(&key, "acme", jiff::Timestamp::now()).await);
    let found = async |groups: &[&str]| {
        let found = client.discover(groups).await.expect("an answer");
        found.containers.iter().map(|it| it.id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(found(&[]).await, [&*id]);
    assert!(found(&["api"]).await.is_empty());
    let tags = r#"{"triton.cmon.groups":"api"}"#;
    assert_eq!(stage.ask("POST", &format!("/my/machines/{id}/tags"), tags).await.status, 200);
    stage.settle().await;
    assert_eq!(found(&["api"]).await, [&*id]);
    let metrics = client.metrics(id.parse().expect("an id")).await.expect("metrics");
    assert!(metrics.value("mem_agg_usage").is_some_and(|used| used > 0.0));

    assert_eq!(stage.ask("POST", &format!("/my/machines/{id}?action=stop"), "").await.status, 202);
    stage.settle().await;
    assert!(found(&[]).await.is_empty());
    client.metrics(id.parse().expect("an id")).await.expect_err("it is stopped");
}

#[tokio::test]
async fn a_seed_repeats_the_ids_the_addresses_and_the_nodes_of_instances() {
    let run = async |seed: u64| {
        let mut settings = Settings::preset(Preset::Instant);
        settings.world.seed = seed;
        let stage = Stage::with(settings).await;
        let mut instances = Vec::new();
        for name in ["a", "b", "c"] {
            let id = stage.instance(name).await;
            let instance = stage.get(&format!("/my/machines/{id}")).await.json();
            instances.push((
                id,
                instance["ips"].clone(),
                instance["nics"].clone(),
                instance["compute_node"].clone(),
            ));
        }
        instances
    };
    let first = run(7).await;
    assert_eq!(first, run(7).await);
    assert_ne!(first, run(8).await);
}

#[tokio::test]
async fn services_that_somebody_adds_are_named_beside_those_of_the_simulator() {
    let mut settings = Settings::preset(Preset::Instant);
    settings.services.insert("docker".to_owned(), "tcp://docker.dc1.example.net:2376".to_owned());
    let stage = Stage::with(settings).await;
    let services = stage.get("/my/services").await.json();
    let names: Vec<&String> = services.as_object().expect("a map").keys().collect();
    assert_eq!(names, ["cloudapi", "cmon", "docker"]);
}
