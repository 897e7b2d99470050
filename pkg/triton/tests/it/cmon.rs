//! CMON's client against the scripted server; the client certificate is tested against a real one elsewhere.

use std::sync::Arc;

use serde_json::json;
use triton::client::TlsSettings;
use triton::cmon::CmonClient;
use triton::error::Kind;

use crate::cloud::id;
use crate::server::{Answer, Server};

fn client(server: &Server) -> CmonClient {
    CmonClient::builder("https://cmon.test:9163".parse().unwrap(), TlsSettings::default())
        .connect(Arc::new(server.clone()))
        .build()
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn discovery_gives_the_containers_that_can_be_read() {
    let server = Server::script([Answer::json(
        200,
        json!({"containers": [
            {"vm_uuid": id(1), "vm_alias": "web-1", "vm_brand": "lx", "server_uuid": id(9), "groups": ["a", "b"],
             "source": true, "cached_date": 1, "has_core_tag": false},
            {"vm_uuid": "nonsense"},
            {"vm_uuid": id(2), "vm_alias": 17, "groups": null},
        ]}),
    )]);
    let discovery = client(&server).discover(&["a", "b"]).await.unwrap();
    let [one, two] = &discovery.containers[..] else { panic!("two containers: {discovery:?}") };
    assert_eq!((one.id, one.name.as_deref(), one.groups.len()), (id(1), Some("web-1"), 2));
    assert_eq!((two.id, two.name.as_deref(), two.groups.len()), (id(2), None, 0));
    assert_eq!(discovery.undecodable, 1);
    assert_eq!(server.seen()[0].target, "/v1/discover?groups=a,b");
}

#[tokio::test(start_paused = true)]
async fn metrics_are_asked_of_the_host_that_carries_the_instance_s_id() {
    let server = Server::script([Answer::text(200, "# TYPE mem_agg_usage gauge\nmem_agg_usage 42\n")]);
    let metrics = client(&server).metrics(id(1)).await.unwrap();
    assert_eq!(metrics.value("mem_agg_usage"), Some(42.0));
    let seen = &server.seen()[0];
    assert_eq!(seen.target, "/metrics");
    assert_eq!(seen.headers["host"], format!("{}.cmon.test:9163", id(1)));
}

#[tokio::test(start_paused = true)]
async fn refusals_and_nonsense_have_their_kinds() {
    let cases = [
        (Answer::text(401, ""), Kind::Unauthorized),
        (Answer::text(404, ""), Kind::NotFound),
        (Answer::text(400, ""), Kind::Invalid),
        (Answer::text(429, ""), Kind::Throttled),
        (Answer::text(503, "<html>"), Kind::Unavailable),
        (Answer::text(302, ""), Kind::Protocol),
        (Answer::text(200, "<html>"), Kind::Protocol),
        (Answer::json(200, json!({"containers": {}})), Kind::Protocol),
        (Answer::Torn("{".into()), Kind::Interrupted),
        (Answer::Silent, Kind::Timeout),
    ];
    for (n, (answer, kind)) in cases.into_iter().enumerate() {
        let error = client(&Server::script([answer])).discover(&[]).await.expect_err("an error");
        assert_eq!(error.kind(), kind, "case {n}: {error}");
    }
}
