//! Starting and stopping.

use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::timeout;
use triton_sim::{Preset, Settings, Simulator};

use crate::client::{SOON, client, simulator};
use crate::http::exchange;

#[tokio::test]
async fn a_port_in_use_is_named_with_the_flag_that_changes_it() {
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = taken.local_addr().expect("an address");
    for (settings, flag) in [
        (Settings { cloudapi: address, ..Settings::preset(Preset::Instant) }, "--cloudapi"),
        (Settings { admin: Some(address), ..Settings::preset(Preset::Instant) }, "--admin"),
    ] {
        let error = Simulator::start(settings).await.expect_err("in use").to_string();
        assert!(error.contains(&address.to_string()) && error.contains(flag), "{error}");
    }
}

#[tokio::test]
async fn what_is_dropped_no_longer_answers() {
    let simulator = simulator().await;
    let (url, admin) = (simulator.url().to_owned(), simulator.admin_url().expect("on").to_owned());
    let client = client(&simulator).await.with_deadline(Duration::from_secs(1));
    client.get_account().await.expect("an answer");
    drop(simulator);
    let refused = async {
        for url in [url, admin] {
            let address = url.strip_prefix("http://").expect("plain").to_owned();
            while tokio::net::TcpStream::connect(&address).await.is_ok() {
                tokio::task::yield_now().await;
            }
        }
    };
    timeout(SOON, refused).await.expect("stopped in time");
    client.get_account().await.expect_err("nobody answers");
}

#[tokio::test]
async fn a_request_under_way_is_answered_before_the_end() {
    let simulator = simulator().await;
    let plan =
        triton_sim::faults::FaultPlan::load(None, &["requests.Ping.latency_ms=300".to_owned()]).unwrap();
    simulator.control().set_faults(plan).expect("set");
    let url = simulator.url().to_owned();
    let asked = tokio::spawn(async move { exchange(&url, b"GET /--ping HTTP/1.1\r\nhost: x\r\n\r\n").await });
    // Under way once its decision was made, which is counted only when it is answered: give it its time.
    let begun = simulator.control().clone();
    timeout(SOON, async {
        while begun.begun(triton_sim::cloudapi::Operation::Ping) == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("begun");
    simulator.shutdown().await;
    assert_eq!(asked.await.expect("answered").status, 200);
}
