use serde_json::json;
use tokio::io::AsyncReadExt as _;
use triton_sim::guests::{GuestSettings, Guests, namespace};
use triton_sim::view::{DataCenter as _, VmState};
use triton_sim::{Preset, Settings};

use super::{connect, eventually, until_answers, until_refuses};
use crate::cns::client::until;
use crate::data_center::{FakeDataCenter, instance, running, start};
use crate::http::Stage;

#[test]
#[ignore = "runs in a private network"]
fn addresses_of_the_private_subnets_can_be_bound_and_others_not() {
    for (ip, expected) in [("192.168.131.254", true), ("203.0.113.1", true), ("198.51.100.1", false)] {
        assert_eq!(namespace::can_bind(ip.parse().unwrap()), expected, "{ip}");
    }
}

#[tokio::test]
#[ignore = "runs in a private network"]
async fn a_guest_answers_while_its_instance_runs() {
    let data_center = FakeDataCenter::new([]);
    let guests = Guests::start(data_center.clone(), GuestSettings::default());
    let address = "192.168.129.10:80";
    let mut view = running(1, "192.168.129.10");
    (view.state, view.booted) = (VmState::Provisioning, None);
    data_center.put(view);
    data_center.put(running(2, "192.168.129.11"));
    until_answers("192.168.129.11:80").await;
    until_refuses(address).await;

    data_center.put(running(1, "192.168.129.10"));
    let mut connection = connect(address).await;
    data_center.change(instance(1), |view| view.state = VmState::Stopping);
    until_refuses(address).await;
    assert_eq!(connection.read(&mut [0]).await.unwrap_or_default(), 0, "connections go with the guest");

    data_center.change(instance(1), |view| view.state = VmState::Running);
    until_answers(address).await;
    drop(guests);
    until_refuses(address).await;
    until_refuses("192.168.129.11:80").await;
}

#[tokio::test]
#[ignore = "runs in a private network"]
async fn an_address_passes_from_an_instance_to_the_next() {
    let data_center = FakeDataCenter::new([running(1, "192.168.129.12")]);
    let _guests = Guests::start(data_center.clone(), GuestSettings::default());
    let address = "192.168.129.12:80";
    until_answers(address).await;
    // The new one comes before the old one is known to be gone.
    data_center.put(running(2, "192.168.129.12"));
    data_center.change(instance(1), |view| view.state = VmState::Destroyed);
    eventually("the new one", async || {
        let answer = super::try_get(address, "/").await;
        answer.is_ok_and(|(_, body)| body.contains(&instance(2).to_string()))
    })
    .await;
}

#[tokio::test]
#[ignore = "runs in a private network"]
async fn no_change_is_missed_when_there_are_very_many() {
    let data_center = FakeDataCenter::new([running(1, "192.168.129.13")]);
    let _guests = Guests::start(data_center.clone(), GuestSettings::default());
    until_answers("192.168.129.13:80").await;
    // More than the receiver can lag behind, without letting it run.
    data_center.change(instance(1), |view| view.state = VmState::Stopped);
    data_center.put(running(2, "192.168.129.14"));
    for _ in 0..100 {
        data_center.change(instance(2), |_| {});
    }
    until_answers("192.168.129.14:80").await;
    until_refuses("192.168.129.13:80").await;
}

#[tokio::test]
#[ignore = "runs in a private network"]
async fn a_user_script_runs_at_every_boot_and_may_end_the_guest_with_an_exit_code() {
    let mut view = running(1, "192.168.129.15");
    let script =
        "#!/bin/sh\nset -e\nmdata-get sim.seen || mdata-put sim.seen yes && mdata-put sim.boot again\n";
    view.metadata.insert("user-script".to_owned(), script.to_owned());
    let data_center = FakeDataCenter::new([view]);
    let _guests = Guests::start(data_center.clone(), GuestSettings::default());
    eventually("a first boot", async || data_center.metadata(instance(1), "sim.seen").is_some()).await;
    data_center.change(instance(1), |view| drop(view.metadata.remove("sim.boot")));
    data_center.guest_reboots(instance(1));
    eventually("a second boot", async || data_center.metadata(instance(1), "sim.boot").is_some()).await;
    assert_ne!(data_center.instance(instance(1)).unwrap().booted, Some(start()));
    until_answers("192.168.129.15:80").await;

    data_center.change(instance(1), |view| (view.state, view.booted) = (VmState::Stopped, None));
    data_center.change(instance(1), |view| {
        let job = "mdata-put k8s:exit-code 3\npoweroff\nmdata-put k8s:exit-code 0\n";
        view.metadata.insert("user-script".to_owned(), format!("{job}sleep 1h\n"));
        (view.state, view.booted) = (VmState::Running, Some(start()));
    });
    eventually("powered off", async || data_center.state(instance(1)) == VmState::Stopped).await;
    until_refuses("192.168.129.15:80").await;
    assert!(data_center.metadata(instance(1), "k8s:exit-code").is_some());
}

#[tokio::test]
#[ignore = "runs in a private network"]
async fn guests_of_a_simulator_leave_their_services_and_end_with_an_exit_code() {
    let stage = Stage::with(Settings { guests: true, ..Settings::preset(Preset::Instant) }).await;
    let ids = stage.simulator.ids();
    let make = async |name: &str, script: &str| {
        let body = json!({
            "name": name, "image": ids.ubuntu_lx, "package": "g1.nano", "networks": [ids.fabric],
            "tag.triton.cns.services": "web", "metadata.user-script": script,
        });
        let made = stage.ask("POST", "/my/machines", &body.to_string()).await;
        assert_eq!(made.status, 201, "{made:?}");
        format!("/my/machines/{}", made.json()["id"].as_str().expect("an id"))
    };
    let ready = make("ready", "mdata-put triton.cns.status up").await;
    make("not-ready", "mdata-put triton.cns.status down").await;
    let ends = make("ends", "mdata-put k8s:exit-code 3\npoweroff").await;
    stage.settle().await;
    let ip = stage.get(&ready).await.json()["primaryIp"].as_str().expect("an address").to_owned();
    until_answers(&format!("{ip}:22")).await;
    until_answers(&format!("{ip}:80")).await;
    let name = format!("web.svc.{}.dc1.cns.example.net", ids.acme);
    let server = stage.simulator.cns_address().expect("on");
    until(server, &name, hickory_resolver::proto::rr::RecordType::A, &[&ip]).await;
    eventually("the end", async || stage.get(&ends).await.json()["state"] == json!("stopped")).await;
    let metadata = stage.get(&format!("{ends}/metadata")).await.json();
    assert_eq!(metadata["k8s:exit-code"], json!("3"), "{metadata}");
    assert_eq!(stage.ask("DELETE", &ready, "").await.status, 204);
    until_refuses(&format!("{ip}:80")).await;
}
