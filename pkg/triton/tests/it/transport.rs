//! What happens around a call: headers, deadlines, repeats, the budget, hostile answers.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;
use triton::budget::{Budget, Limits, Priority};
use triton::client::Found;
use triton::error::{Error, Kind};
use triton::types::ListInstances;

use crate::cloud::id;
use crate::server::{Answer, Server};

fn instance() -> Answer {
    Answer::json(200, json!({"id": id(1), "name": "web-1", "state": "running"}))
}

fn throttled() -> Answer {
    Answer::error(429, "TooManyRequestsError", "You have exceeded your request rate of 10 r/s.")
}

/// The error of a read of instance 1.
async fn read_error(server: &Server) -> Error {
    server.client().get_instance(id(1)).await.expect_err("an error")
}

#[tokio::test(start_paused = true)]
async fn a_request_carries_what_cloudapi_asks_for() {
    let server = Server::script([instance(), Answer::json(200, json!([]))]);
    let client = server.client_builder().roles(["ops", "dev"]).build().unwrap();
    client.get_instance(id(1)).await.unwrap();
    client.list_instances(&ListInstances { limit: Some(5), ..ListInstances::default() }).await.unwrap();

    let [read, list] = &server.seen()[..] else { panic!("two requests") };
    assert_eq!((read.method.as_str(), read.path()), ("GET", &*format!("/acme/machines/{}", id(1))));
    assert_eq!(read.query("as-role"), Some("ops,dev"));
    assert_eq!((list.query("limit"), list.query("as-role")), (Some("5"), Some("ops,dev")));
    for (name, expected) in
        [("accept", "application/json"), ("accept-version", "~9||~8"), ("host", "cloudapi.test")]
    {
        assert_eq!(read.headers.get(name).unwrap(), expected, "{name}");
    }
    assert!(read.headers.get("date").unwrap().to_str().unwrap().ends_with(" GMT"));
    assert!(read.headers.get("authorization").unwrap().to_str().unwrap().starts_with("Signature "));
    assert!(read.body.is_empty() && !read.headers.contains_key("content-type"));
}

#[tokio::test(start_paused = true)]
async fn a_throttled_call_is_repeated_with_growing_delays() {
    let server = Server::script([throttled(), throttled(), throttled(), instance()]);
    let client = server.client();
    client.get_instance(id(1)).await.unwrap();
    let times: Vec<Instant> = server.seen().iter().map(|seen| seen.at).collect();
    let gaps: Vec<Duration> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    for (gap, least) in gaps.iter().zip([250, 500, 1000]) {
        assert!(*gap >= Duration::from_millis(least), "{gaps:?}");
    }
    let usage = client.budget().usage();
    assert_eq!(usage.throttled, 3);
    assert!(usage.rate < 10.0, "the budget gives less: {usage:?}");
}

#[tokio::test(start_paused = true)]
async fn retry_after_holds_back_every_call_of_the_account() {
    let server = Server::script([throttled().header("retry-after", "20"), instance(), instance()]);
    let client = server.client();
    let other = client.clone();
    let start = Instant::now();
    let (first, second) = tokio::join!(client.get_instance(id(1)), async {
        // Begins after the first was refused.
        tokio::time::sleep(Duration::from_secs(1)).await;
        other.get_instance(id(1)).await
    });
    first.unwrap();
    second.unwrap();
    let seen = server.seen();
    assert!(seen[0].at - start < Duration::from_secs(1));
    assert!(seen[1..].iter().all(|seen| seen.at - start >= Duration::from_secs(20)), "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn maintenance_holds_back_writes_but_not_reads() {
    let server = Server::new(|seen| match seen.method.as_str() {
        "GET" => instance(),
        _ => Answer::error(503, "ServiceUnavailableError", "read-only").header("retry-after", "3600"),
    });
    let client = server.client();
    let error = client.reboot_instance(id(1)).await.expect_err("read-only");
    assert_eq!(error.kind(), Kind::Unavailable);
    let start = Instant::now();
    client.get_instance(id(1)).await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn what_must_not_happen_twice_is_repeated_only_after_a_refusal() {
    // The first answer to a reboot, whether it is repeated, and whether it may have taken effect.
    type Case = (fn() -> Answer, bool, bool);
    let cases: [Case; 6] = [
        (throttled, true, false),
        (|| Answer::error(503, "ServiceUnavailableError", "down"), false, true),
        (|| Answer::error(500, "InternalError", "oops"), false, true),
        (|| Answer::Closed, false, true),
        (|| Answer::Silent, false, true),
        (|| Answer::error(409, "UnallocatedVM", "provisioning"), false, false),
    ];
    for (n, (first, repeated, effect)) in cases.into_iter().enumerate() {
        let server = Server::script([first(), Answer::text(202, "")]);
        let result = server.client().reboot_instance(id(1)).await;
        assert_eq!(server.seen().len(), if repeated { 2 } else { 1 }, "case {n}");
        assert_eq!(result.is_ok(), repeated, "case {n}");
        if let Err(error) = result {
            assert_eq!(error.may_have_taken_effect(), effect, "case {n}: {error}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_read_survives_broken_connections_and_failing_servers() {
    let server = Server::script([
        Answer::Closed,
        Answer::Torn("{\"id\":".into()),
        Answer::error(500, "InternalError", "oops"),
        Answer::text(504, "<html>"),
        Answer::Silent,
        instance(),
    ]);
    let client = server.client().with_deadline(Duration::from_secs(300));
    assert!(matches!(client.get_instance(id(1)).await, Ok(Found::Present(_))));
    assert_eq!(server.seen().len(), 6);
}

#[tokio::test(start_paused = true)]
async fn no_call_outlives_its_deadline() {
    let answers: [fn() -> Answer; 3] =
        [|| Answer::Silent, || Answer::error(503, "ServiceUnavailableError", "down"), throttled];
    for answer in answers {
        let server = Server::new(move |_| answer());
        let client = server.client().with_deadline(Duration::from_secs(7));
        let start = Instant::now();
        client.get_instance(id(1)).await.expect_err("an error");
        assert!(start.elapsed() <= Duration::from_secs(8), "{:?}", start.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_for_the_budget_counts_and_sends_nothing() {
    let server = Server::new(|_| instance());
    let budget = Budget::new(Limits { rate: 0.01, burst: 1 });
    let client = server.client_builder().budget(budget).build().unwrap();
    client.get_instance(id(1)).await.unwrap();
    let error = client.with_priority(Priority::Safety).get_instance(id(1)).await.expect_err("no turn");
    assert_eq!((error.kind(), error.may_have_taken_effect()), (Kind::Timeout, false));
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refused_connection_is_unreachable_and_took_no_effect() {
    let server = Server::new(|_| instance());
    server.refuse_connections(true);
    let error = server.client().reboot_instance(id(1)).await.expect_err("refused");
    assert_eq!((error.kind(), error.may_have_taken_effect()), (Kind::Unreachable, false));
    let text = error.to_string();
    assert!(text.contains("http://cloudapi.test") && text.contains("check the CloudAPI URL"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn only_a_410_of_that_very_instance_proves_its_end() {
    let gone = |n| Answer::json(410, json!({"id": id(n), "name": "web-1", "state": "deleted"}));
    let server = Server::script([gone(1)]);
    assert!(matches!(server.client().get_instance(id(1)).await, Ok(Found::Gone(last)) if last.id == id(1)));

    let lies = [
        gone(2),
        Answer::text(410, ""),
        Answer::text(410, "<html>gone</html>"),
        Answer::json(410, json!({"code": "ResourceGone", "message": "gone"})),
        Answer::json(410, json!([])),
        Answer::json(200, json!({"id": id(2), "state": "running"})),
        Answer::text(200, "{\"id\":"),
        Answer::text(200, ""),
        Answer::text(200, "[".repeat(100_000)),
        Answer::text(200, vec![0xff; 1000]),
        Answer::text(204, ""),
    ];
    for (n, lie) in lies.into_iter().enumerate() {
        let error = read_error(&Server::script([lie])).await;
        assert_eq!(error.kind(), Kind::Protocol, "lie {n}: {error}");
    }
    let error = read_error(&Server::script([Answer::error(404, "ResourceNotFound", "VM not found")])).await;
    assert_eq!(error.kind(), Kind::NotFound);
}

#[tokio::test(start_paused = true)]
async fn an_error_names_operation_object_code_and_request() {
    let answer =
        Answer::error(403, "NotAuthorized", "You do not have permission to access /acme (getmachine)")
            .header("request-id", "b4bb1880-8c2c-11e5-8994-28cfe91f7baf");
    let error = read_error(&Server::script([answer])).await;
    assert_eq!(
        error.to_string(),
        format!(
            "GetMachine for instance {}: You do not have permission to access /acme (getmachine) (403 NotAuthorized, \
             request b4bb1880-8c2c-11e5-8994-28cfe91f7baf); check the sub-user's roles and policies, or name a role \
             with as-role",
            id(1)
        )
    );
    assert_eq!((error.kind().as_str(), error.code()), ("forbidden", Some("NotAuthorized")));
}

#[tokio::test(start_paused = true)]
async fn every_attempt_is_reported_to_the_observer() {
    let server = Server::script([throttled(), instance()]);
    let outcomes = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&outcomes);
    let client = server
        .client_builder()
        .observer(move |outcome| seen.lock().unwrap().push((outcome.operation, outcome.error)))
        .build()
        .unwrap();
    client.get_instance(id(1)).await.unwrap();
    assert_eq!(*outcomes.lock().unwrap(), [("GetMachine", Some(Kind::Throttled)), ("GetMachine", None)]);
}
