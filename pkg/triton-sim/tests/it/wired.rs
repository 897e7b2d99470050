//! CloudAPI, CNS and CMON of one simulator belong together.

use std::time::Duration;

use serde_json::json;
use tokio::time::{sleep, timeout};
use triton_sim::cmon::Load;
use triton_sim::{Preset, Settings};

use crate::client::SOON;
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
