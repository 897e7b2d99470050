//! CNS as its clients see it: over UDP and TCP, with hickory's client and with `dig`.

mod center;
pub mod client;

use std::time::Duration;

use hickory_resolver::proto::rr::RecordType::{A, AAAA, CNAME, PTR, SRV, TXT};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::{sleep, timeout};
use triton_sim::view::VmState;

use self::center::{ACCOUNT, Center, EXTERNAL, FABRIC, id, web};
use self::client::{answers, ask, dig, dig_is_here, eventually, resolver, until};

const PUBLIC_WEB: &str = "web.svc.ACCOUNT.dc1.triton.zone";
const PUBLIC_ONE: &str = "web-1.inst.ACCOUNT.dc1.triton.zone";
const ONE: &str = "203.0.113.1";
const TWO: &str = "203.0.113.2";

#[tokio::test]
async fn a_service_follows_states_status_tags_and_deletions() {
    let center = Center::new([web(1)]);
    let cns = center.cns(Duration::ZERO).await;
    let server = cns.address();
    assert_eq!(answers(server, PUBLIC_WEB, A).await, [ONE], "instances from before the start are there");

    center.put(web(2));
    until(server, PUBLIC_WEB, A, &[ONE, TWO]).await;
    center.change(1, |view| _ = view.metadata.insert("triton.cns.status".to_owned(), "down".to_owned()));
    until(server, PUBLIC_WEB, A, &[TWO]).await;
    let verifying = format!("verifying:{}", id(1));
    assert_eq!(answers(server, PUBLIC_WEB, TXT).await, [id(2).to_string(), verifying.clone()]);
    assert_eq!(answers(server, PUBLIC_ONE, A).await, [ONE], "its own name stays");

    center.change(1, |view| _ = view.metadata.insert("triton.cns.status".to_owned(), "up".to_owned()));
    until(server, PUBLIC_WEB, A, &[ONE, TWO]).await;
    center.change(2, |view| view.state = VmState::Stopped);
    until(server, PUBLIC_WEB, A, &[ONE]).await;
    assert_eq!(answers(server, "web-2.inst.ACCOUNT.dc1.triton.zone", A).await, [TWO]);

    center.change(1, |view| _ = view.tags.insert("triton.cns.services".to_owned(), "db:5432".into()));
    until(server, "db.svc.ACCOUNT.dc1.triton.zone", SRV, &[&format!("0 10 5432 {PUBLIC_ONE}.")]).await;
    assert_eq!(answers(server, PUBLIC_WEB, A).await, [""; 0], "only the stopped one's text is left");

    center.change(1, |view| view.state = VmState::Destroyed);
    until(server, PUBLIC_ONE, A, &["NXDomain"]).await;
    assert_eq!(answers(server, "db.svc.ACCOUNT.dc1.triton.zone", A).await, ["NXDomain"]);
    center.forget(2);
    until(server, PUBLIC_WEB, TXT, &["NXDomain"]).await;
}

#[tokio::test]
async fn every_kind_of_record_is_answered_over_both_transports() {
    let center = Center::new([web(1)]);
    let cns = center.cns(Duration::ZERO).await;
    let server = cns.address();
    let (id, cmon) = (id(1), "cmon.dc1.cns.example.net.");
    let cases = [
        ("web-1.inst.ACCOUNT.dc1.cns.example.net", A, vec!["192.168.128.1".to_owned()]),
        ("my-fabric-network.web.svc.ACCOUNT.dc1.cns.example.net", A, vec!["192.168.128.1".to_owned()]),
        ("WEB-1.inst.ACCOUNT.DC1.triton.zone", TXT, vec![id.to_string()]),
        (PUBLIC_WEB, SRV, vec![format!("0 10 8080 {PUBLIC_ONE}.")]),
        (&format!("{id}.cmon.dc1.cns.example.net"), CNAME, vec![cmon.to_owned()]),
        (&format!("{id}.cmon.dc1.cns.example.net"), A, vec!["192.0.2.9".to_owned(), cmon.to_owned()]),
        ("1.113.0.203.in-addr.arpa", PTR, vec![format!("{PUBLIC_ONE}.")]),
        ("cns.dc1.triton.zone", A, vec!["127.0.0.1".to_owned()]),
        (PUBLIC_WEB, AAAA, vec![]),
        ("svc.ACCOUNT.dc1.triton.zone", A, vec![]),
        ("web-9.inst.ACCOUNT.dc1.triton.zone", A, vec!["NXDomain".to_owned()]),
        ("web-1.inst.ACCOUNT.dc2.triton.zone", A, vec!["ServFail".to_owned()]),
    ];
    for (name, kind, expected) in cases {
        assert_eq!(answers(server, name, kind).await, expected, "{name} {kind}");
    }
    let reply = ask(server, PUBLIC_WEB, SRV).await;
    assert_eq!(reply.additionals[0].data.to_string(), ONE);
    assert!(reply.metadata.authoritative && reply.answers[0].ttl == 30 && reply.authorities[0].ttl == 3600);
}

#[tokio::test]
async fn dig_sees_the_same() {
    if !dig_is_here().await {
        return;
    }
    let center = Center::new([web(1), web(2)]);
    let cns = center.cns(Duration::ZERO).await;
    let server = cns.address();
    for transport in ["+notcp", "+tcp", "+noedns"] {
        let short = async |rest: &str| dig(server, &format!("{transport} +short {rest}")).await;
        assert_eq!(short(&format!("{PUBLIC_WEB} A")).await, [ONE, TWO]);
        let srv = [1, 2].map(|n| format!("0 10 8080 web-{n}.inst.ACCOUNT.dc1.triton.zone."));
        assert_eq!(short(&format!("{PUBLIC_WEB} SRV")).await, srv);
        assert_eq!(short(&format!("{PUBLIC_ONE} TXT")).await, [format!("\"{}\"", id(1))]);
        assert_eq!(short("-x 203.0.113.2").await, ["web-2.inst.ACCOUNT.dc1.triton.zone."]);
        assert_eq!(short("dc1.triton.zone NS").await, ["cns.dc1.triton.zone."]);
    }
    let all = dig(server, &format!("{PUBLIC_WEB} SRV")).await.join("\n");
    for part in ["status: NOERROR", "flags: qr aa rd;", "ANSWER: 2, AUTHORITY: 1, ADDITIONAL: 3", "udp: 1470"]
    {
        assert!(all.contains(part), "{part} not in\n{all}");
    }
    assert!(all.contains(&format!("{PUBLIC_ONE}. 30 IN A {ONE}")), "{all}");
    assert!(!all.contains("WARNING: Message") && !all.contains("extra bytes"), "{all}");
    let missing = dig(server, "nothing.dc1.triton.zone A").await.join("\n");
    assert!(
        missing.contains("status: NXDOMAIN") && missing.contains("dc1.triton.zone. 30 IN SOA"),
        "{missing}"
    );

    let zone = dig(server, "+noall +answer dc1.cns.example.net AXFR").await;
    assert!(zone[0].contains("IN SOA") && zone.last() == zone.first(), "{zone:#?}");
    assert!(zone.contains(&"cmon.dc1.cns.example.net. 30 IN A 192.0.2.9".to_owned()), "{zone:#?}");
    // Per instance: four names of its own and two of its service, with address and text, two ports, CMON.
    assert_eq!(zone.len(), 2 + 1 + 2 + 2 * (6 * 2 + 2 + 1), "{zone:#?}");

    center.change(1, |view| view.state = VmState::Destroyed);
    eventually("dig no longer sees the instance", async || {
        let found = dig(server, &format!("+short {PUBLIC_WEB} A")).await;
        (found == [TWO]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_resolver_turns_to_tcp_for_a_large_service() {
    let center = Center::new((0..250).map(web));
    let cns = center.cns(Duration::ZERO).await;
    let name = format!("{PUBLIC_WEB}.").replace("ACCOUNT", ACCOUNT);
    let found = resolver(cns.address()).lookup_ip(name).await.unwrap();
    assert_eq!(found.iter().count(), 250);
}

#[tokio::test(start_paused = true)]
async fn changes_are_committed_after_the_delay_and_together() {
    let center = Center::new([web(1)]);
    let cns = center.cns(triton_sim::cns::COMMIT_DELAY).await;
    assert_eq!(cns.dns_names(id(1)).len(), 9);
    let service = PUBLIC_WEB.replace("ACCOUNT", ACCOUNT);
    let is_in_service = |n| cns.dns_names(id(n)).contains(&service);
    assert!(is_in_service(1));

    center.change(1, |view| _ = view.metadata.insert("triton.cns.status".to_owned(), "down".to_owned()));
    sleep(Duration::from_secs(6)).await;
    center.put(web(2));
    sleep(Duration::from_millis(3900)).await;
    assert!(is_in_service(1) && cns.dns_names(id(2)).is_empty(), "9.9 s after the first change");
    sleep(Duration::from_millis(200)).await;
    assert!(!is_in_service(1) && is_in_service(2), "10.1 s after the first change");
    assert!(cns.dns_names(id(1)).iter().all(|name| !name.contains(".svc.")));

    center.forget(2);
    sleep(Duration::from_millis(10_100)).await;
    assert!(cns.dns_names(id(2)).is_empty());
}

#[tokio::test(start_paused = true)]
async fn missed_changes_are_made_up_for() {
    let center = Center::new((1..=5).map(web));
    let cns = center.cns(Duration::from_secs(1)).await;
    // Nothing yields here, so that all but the last few changes are lost.
    center.forget(1);
    for n in 10..200 {
        center.put(web(n));
    }
    sleep(Duration::from_secs(2)).await;
    let named = (0..300).filter(|n| !cns.dns_names(id(*n)).is_empty()).collect::<Vec<_>>();
    assert_eq!(named, (2..=5).chain(10..200).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn instances_of_a_lost_node_stay_in_their_services_for_an_hour() {
    let center = Center::new([web(1), web(2)]);
    let cns = center.cns(Duration::from_secs(1)).await;
    let service = PUBLIC_WEB.replace("ACCOUNT", ACCOUNT);
    let in_service = || [1, 2].map(|n| cns.dns_names(id(n)).contains(&service));
    for n in [1, 2] {
        center.change(n, |view| view.compute_node_up = false);
    }
    sleep(Duration::from_secs(2)).await;
    center.pass(Duration::from_secs(3590));
    sleep(Duration::from_secs(30)).await;
    assert_eq!(in_service(), [true, true]);
    center.pass(Duration::from_secs(20));
    sleep(Duration::from_secs(30)).await;
    assert_eq!(in_service(), [false, false]);

    // The data centre tells of one instance, but then the node is known to be back for the other, too.
    center.change_unseen(2, |view| view.compute_node_up = true);
    center.change(1, |view| view.compute_node_up = true);
    sleep(Duration::from_secs(10)).await;
    assert_eq!(in_service(), [true, true]);
}

#[tokio::test]
async fn suffixes_are_those_of_the_network() {
    let cns = Center::new([]).cns(Duration::ZERO).await;
    let of = |network: &str| cns.suffixes(network.parse().unwrap(), ACCOUNT.parse().unwrap(), "acme");
    let expected = |zone: &str| ["svc", "inst"].map(|kind| format!("{kind}.{ACCOUNT}.{zone}"));
    assert_eq!(of(EXTERNAL), expected("dc1.triton.zone"));
    assert_eq!(of(FABRIC), expected("dc1.cns.example.net"));
}

#[tokio::test]
async fn a_port_in_use_is_one_clear_line_and_a_port_is_free_afterwards() {
    let center = Center::new([]);
    let cns = center.cns(Duration::ZERO).await;
    let address = cns.address();
    let error = center.try_cns(Duration::ZERO, address.port()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "cannot listen for DNS on {address} over UDP; stop what uses this port, or choose another one \
             (0 for any free one)"
        )
    );
    drop(cns);
    eventually("the port is free for UDP", async || UdpSocket::bind(address).await.ok()).await;
    let tcp = eventually("the port is free for TCP", async || TcpListener::bind(address).await.ok()).await;
    let error = center.try_cns(Duration::ZERO, address.port()).await.unwrap_err();
    assert!(error.to_string().contains("over TCP"), "{error}");
    drop(tcp);
    let again = eventually("CNS on the same port", async || {
        center.try_cns(Duration::ZERO, address.port()).await.ok()
    });
    assert_eq!(again.await.address(), address);
}

#[tokio::test]
async fn neither_garbage_nor_idle_connections_keep_others_from_answers() {
    let center = Center::new([web(1)]);
    let cns = center.cns(Duration::ZERO).await;
    let server = cns.address();
    let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for length in [0, 1, 11, 12, 100, 5000] {
        udp.send_to(&vec![0x55; length], server).await.unwrap();
    }
    let mut idle = Vec::new();
    for _ in 0..100 {
        idle.push(TcpStream::connect(server).await.unwrap());
    }
    assert_eq!(answers(server, PUBLIC_WEB, A).await, [ONE]);

    let mut long = TcpStream::connect(server).await.unwrap();
    long.write_all(&[0xff, 0xff, 0, 0]).await.unwrap();
    assert_eq!(read_to_end(&mut long).await, 0, "a request that is too long ends the connection");
    assert_eq!(read_to_end(&mut idle[0]).await, 0, "so does silence");
}

async fn read_to_end(stream: &mut TcpStream) -> usize {
    let mut bytes = Vec::new();
    let read = timeout(Duration::from_secs(20), stream.read_to_end(&mut bytes)).await.expect("an end");
    // A connection that is closed with bytes unread is reset.
    read.unwrap_or_default()
}
