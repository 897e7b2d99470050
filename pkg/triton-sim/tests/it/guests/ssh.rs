use std::collections::BTreeMap;

use russh::Sig;
use serde_json::json;
use triton::auth::PublicKey;
use triton_sim::guests::{GuestSettings, Guests};
use triton_sim::view::{InstanceView, VmState};

use super::ssh_client::{Client, Done, finish, key, public_line, shows};
use super::{eventually, get, until_refuses};
use crate::data_center::{FakeDataCenter, account, instance, running};

/// A running instance that admits the key 1.
fn guest(number: u128, ip: &str) -> InstanceView {
    let mut view = running(number, ip);
    view.metadata
        .insert("root_authorized_keys".to_owned(), format!("# a comment\n{}\n", public_line(&key(1))));
    view.image_tags = BTreeMap::from([("default_user".to_owned(), json!("ubuntu"))]);
    view
}

#[tokio::test]
#[ignore = "runs in a private network"]
async fn a_guest_admits_its_keys_and_those_of_its_account_and_no_others() {
    let data_center = FakeDataCenter::new([guest(1, "192.168.130.10"), guest(2, "192.168.130.11")]);
    let of_account = PublicKey::from_openssh(&public_line(&key(2))).unwrap();
    data_center.set_keys("acme", account(0xa), vec![of_account]);
    let _guests = Guests::start(data_center, GuestSettings::default());
    let connect = async |user: &str, number| Client::connect("192.168.130.10:22", user, key(number)).await;
    for (user, number) in [("root", 1), ("root", 2), ("ubuntu", 1)] {
        let client = connect(user, number).await.expect(user);
        assert_eq!(client.run("whoami", b"").await.out, format!("{user}\n").as_bytes());
    }
    for (user, number) in [("root", 3), ("joe", 1), ("", 1)] {
        assert!(connect(user, number).await.is_none(), "{user} {number}");
    }
}

#[tokio::test]
#[ignore = "runs in a private network"]
async fn each_guest_has_a_host_key_that_stays() {
    let host_key = async |seed, ip: &str| {
        let settings = GuestSettings { host_key_seed: seed, ..GuestSettings::default() };
        let data_center = FakeDataCenter::new([guest(1, "192.168.130.12"), guest(2, "192.168.130.13")]);
        let guests = Guests::start(data_center, settings);
        let address = format!("{ip}:22");
        let key = Client::connect(&address, "root", key(1)).await.unwrap().host_key().clone();
        drop(guests);
        until_refuses(&address).await;
        key
    };
    let first = host_key(7, "192.168.130.12").await;
    assert_eq!(host_key(7, "192.168.130.12").await, first);
    assert_ne!(host_key(7, "192.168.130.13").await, first);
    assert_ne!(host_key(8, "192.168.130.12").await, first);
}

#[tokio::test]
#[ignore = "runs in a private network"]
async fn commands_have_outputs_an_input_and_a_status() {
    let data_center = FakeDataCenter::new([guest(1, "192.168.130.14")]);
    let _guests = Guests::start(data_center.clone(), GuestSettings::default());
    let client = Client::connect("192.168.130.14:22", "root", key(1)).await.unwrap();
    let check = async |command: &str, input: &str, out: &str, err: &str, status: u32| {
        let expected = Done { out: out.into(), err: err.into(), status: Some(status), signal: None };
        assert_eq!(client.run(command, input.as_bytes()).await, expected, "{command}");
    };
    check("echo out; echo err >&2; exit 3", "", "out\n", "err\n", 3).await;
    check("cat; echo end", "some input", "some inputend\n", "", 0).await;
    check("nope", "", "", "sh: nope: command not found\n", 127).await;
    check("mdata-put sim.http-status /readyz=503", "", "", "", 0).await;
    assert_eq!(get("192.168.130.14:80", "/readyz").await.0, 503);
    check("mdata-get sdc:alias; mdata-get none", "", "web1\n", "No metadata for 'none'\n", 1).await;

    let channel = client.open().await;
    channel.set_env(true, "COLOR", "blue").await.unwrap();
    channel.request_shell(true).await.unwrap();
    let done = finish(channel, b"echo $COLOR\nfalse\n").await;
    assert_eq!((done.out.as_slice(), done.status), (b"blue\n".as_slice(), Some(1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs in a private network"]
async fn megabytes_pass_unharmed_in_both_directions_at_once() {
    let _guests = Guests::start(FakeDataCenter::new([guest(1, "192.168.130.15")]), GuestSettings::default());
    let client = Client::connect("192.168.130.15:22", "root", key(1)).await.unwrap();
    let data: Vec<u8> = (0..8_000_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    assert_eq!(client.run("wc -c", &data).await.out, b"8000000\n");
    let sent = client.run("yes 0123456789abcde | head -c 8000000", b"").await;
    assert_eq!((sent.out.len(), sent.status), (8_000_000, Some(0)));
    assert!(client.run("cat", &data).await.out == data);
    assert_eq!(client.run("true", &data).await.status, Some(0), "nobody reads the input");
}

#[tokio::test]
#[ignore = "runs in a private network"]
async fn a_programs_output_has_a_limit() {
    let settings = GuestSettings { output: 100_000, ..GuestSettings::default() };
    let _guests = Guests::start(FakeDataCenter::new([guest(1, "192.168.130.16")]), settings);
    let client = Client::connect("192.168.130.16:22", "root", key(1)).await.unwrap();
    let done = client.run("yes", b"").await;
    assert!(done.out.len() <= 100_000);
    assert_eq!(done.status, Some(141), "128 and SIGPIPE");
}

#[tokio::test]
#[ignore = "runs in a private network"]
async fn a_terminal_has_a_size_an_echo_and_control_c() {
    const PROMPT: &str = "root@web1:~# ";
    let _guests = Guests::start(FakeDataCenter::new([guest(1, "192.168.130.17")]), GuestSettings::default());
    let client = Client::connect("192.168.130.17:22", "root", key(1)).await.unwrap();
    let mut channel = client.open().await;
    channel.request_pty(true, "xterm", 80, 24, 0, 0, &[]).await.unwrap();
    channel.request_shell(true).await.unwrap();
    shows(&mut channel, PROMPT).await;
    channel.data(&b"stty size; echo $TERM\r"[..]).await.unwrap();
    let expected = format!("stty size; echo $TERM\r\n24 80\r\nxterm\r\n{PROMPT}");
    assert_eq!(shows(&mut channel, PROMPT).await, expected);
    channel.window_change(132, 50, 0, 0).await.unwrap();
    channel.data(&b"stty size\r"[..]).await.unwrap();
    assert_eq!(shows(&mut channel, PROMPT).await, format!("stty size\r\n50 132\r\n{PROMPT}"));
    channel.data(&b"sleep 1h\r"[..]).await.unwrap();
    shows(&mut channel, "sleep 1h\r\n").await;
    channel.data(&b"\x03"[..]).await.unwrap();
    shows(&mut channel, PROMPT).await;
    channel.data(&b"exit 9\r"[..]).await.unwrap();
    assert_eq!(finish(channel, b"").await.status, Some(9));
}

#[tokio::test]
#[ignore = "runs in a private network"]
async fn a_signal_ends_a_command_and_so_does_a_client_that_goes() {
    let data_center = FakeDataCenter::new([guest(1, "192.168.130.18")]);
    let _guests = Guests::start(data_center.clone(), GuestSettings::default());
    let client = Client::connect("192.168.130.18:22", "root", key(1)).await.unwrap();
    let channel = client.open().await;
    channel.exec(true, "sleep infinity").await.unwrap();
    channel.signal(Sig::TERM).await.unwrap();
    let done = finish(channel, b"").await;
    assert_eq!((done.status, done.signal.as_deref()), (None, Some("TERM")));

    let mut channel = client.open().await;
    channel.exec(true, "echo on; cat; mdata-put sim.survived yes").await.unwrap();
    shows(&mut channel, "on\n").await;
    channel.close().await.unwrap();
    // If it had been left its end of input, it would have done its last command before this one.
    client.run("mdata-put sim.later yes", b"").await;
    assert_eq!(data_center.metadata(instance(1), "sim.later").as_deref(), Some("yes"));
    assert_eq!(data_center.metadata(instance(1), "sim.survived"), None);
}

#[tokio::test]
#[ignore = "runs in a private network"]
async fn a_guest_that_powers_off_takes_its_connections_along() {
    let data_center = FakeDataCenter::new([guest(1, "192.168.130.19")]);
    let _guests = Guests::start(data_center.clone(), GuestSettings::default());
    let client = Client::connect("192.168.130.19:22", "root", key(1)).await.unwrap();
    let channel = client.open().await;
    channel.exec(true, "mdata-put k8s:exit-code 4 && poweroff && sleep infinity").await.unwrap();
    let done = finish(channel, b"").await;
    assert_eq!((done.status, data_center.state(instance(1))), (None, VmState::Stopped));
    assert_eq!(data_center.metadata(instance(1), "k8s:exit-code").as_deref(), Some("4"));
    until_refuses("192.168.130.19:22").await;
    data_center.change(instance(1), |view| view.state = VmState::Running);
    eventually("an answer", || super::answers("192.168.130.19:22")).await;
}

#[tokio::test]
#[ignore = "runs in a private network"]
async fn what_there_is_not_is_refused_and_the_connection_goes_on() {
    let _guests = Guests::start(FakeDataCenter::new([guest(1, "192.168.130.20")]), GuestSettings::default());
    let client = Client::connect("192.168.130.20:22", "root", key(1)).await.unwrap();
    let mut channel = client.open().await;
    channel.request_subsystem(true, "sftp").await.unwrap();
    assert!(matches!(channel.wait().await, Some(russh::ChannelMsg::Failure)));
    let mut others = Vec::new();
    for _ in 0..9 {
        others.push(client.open().await);
    }
    let mut one = others.pop().unwrap();
    one.exec(true, "true").await.unwrap();
    while one.wait().await.is_some() {}
    assert_eq!(client.run("echo on", b"").await.out, b"on\n");
}
