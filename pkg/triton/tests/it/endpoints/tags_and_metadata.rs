use super::{check, check_delete, check_get, id};
use crate::server::{Answer, Server};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use triton::Kind;
use triton::types::{Metadata, RESERVED_METADATA, RESERVED_TAGS, TagValue, Tags};

#[tokio::test(start_paused = true)]
async fn tags_are_read_with_their_types() {
    let answer = json!({"role": "web", "tier": 2, "up": true, "odd": null});
    let tags = check_get("/acme/machines/ID/tags", answer, async |c| c.list_tags(id()).await).await;
    let expected: Tags =
        [("role".into(), "web".into()), ("tier".into(), 2.into()), ("up".into(), true.into())].into();
    assert_eq!(tags, expected);
    let target = "/acme/machines/ID/tags/triton.cns.services";
    let tag = check_get(target, json!("web"), async |c| c.get_tag(id(), "triton.cns.services").await).await;
    assert_eq!(tag, TagValue::from("web"));
}

#[tokio::test(start_paused = true)]
async fn tags_are_merged_replaced_and_removed() {
    let tags: Tags = [("role".into(), "web".into())].into();
    let body = json!({"role": "web"});
    let all = json!({"role": "web", "old": 1});
    let merged = check("POST /acme/machines/ID/tags", body.clone(), Answer::json(200, all), async |c| {
        c.add_tags(id(), &tags).await
    });
    assert_eq!(merged.await.unwrap().len(), 2);
    let replaced = check("PUT /acme/machines/ID/tags", body.clone(), Answer::json(200, body), async |c| {
        c.replace_tags(id(), &tags).await
    });
    assert_eq!(replaced.await.unwrap(), tags);
    check_delete("/acme/machines/ID/tags", async |c| c.delete_all_tags(id()).await).await;
    check_delete("/acme/machines/ID/tags/a%2Fb%20c", async |c| c.delete_tag(id(), "a/b c").await).await;
}

#[tokio::test(start_paused = true)]
async fn metadata_is_read_with_and_without_credentials() {
    let target = "/acme/machines/ID/metadata";
    let answer = json!({"a": "1", "credentials": {"root": "hunter2"}});
    let metadata = check_get(target, json!({"a": 1}), async |c| c.list_metadata(id(), false).await).await;
    assert_eq!((metadata.get("a"), metadata.credentials().is_none()), (Some("1"), true));
    let target = "/acme/machines/ID/metadata?credentials=true";
    let metadata = check_get(target, answer, async |c| c.list_metadata(id(), true).await).await;
    let password = metadata.credentials().unwrap().password("root").unwrap();
    assert_eq!(password.expose_secret(), "hunter2");
    let target = "/acme/machines/ID/metadata/k8s%3Aexit-code";
    let value = check_get(target, json!("0"), async |c| c.get_metadata(id(), "k8s:exit-code").await).await;
    assert_eq!(value, "0");
}

#[tokio::test(start_paused = true)]
async fn metadata_is_merged_and_removed() {
    let add: Metadata = [("k8s:exit-code", "0")].into_iter().collect();
    let body = json!({"k8s:exit-code": "0"});
    let all = json!({"k8s:exit-code": "0", "user-script": "x"});
    let merged = check("POST /acme/machines/ID/metadata", body, Answer::json(200, all), async |c| {
        c.add_metadata(id(), &add).await
    });
    assert_eq!(merged.await.unwrap().len(), 2);
    check_delete("/acme/machines/ID/metadata/a", async |c| c.delete_metadata(id(), "a").await).await;
    check_delete("/acme/machines/ID/metadata", async |c| c.delete_all_metadata(id()).await).await;
}

#[tokio::test(start_paused = true)]
async fn names_that_are_parameters_of_the_request_are_not_sent() {
    let server = Server::script([]);
    let client = server.client();
    for name in RESERVED_TAGS {
        let tags: Tags = [((*name).into(), "x".into()), ("role".into(), "web".into())].into();
        for error in [client.add_tags(id(), &tags).await, client.replace_tags(id(), &tags).await] {
            let error = error.unwrap_err();
            assert_eq!((error.kind(), error.may_have_taken_effect()), (Kind::Invalid, false));
            assert!(error.message().contains(name), "{error}");
        }
    }
    for key in RESERVED_METADATA.iter().chain(&["root_pw"]) {
        let metadata: Metadata = [(*key, "x")].into_iter().collect();
        let error = client.add_metadata(id(), &metadata).await.unwrap_err();
        assert_eq!((error.kind(), error.may_have_taken_effect()), (Kind::Invalid, false));
    }
    assert_eq!(server.seen().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_merge_is_repeated_because_it_is_harmless_twice() {
    let server =
        Server::script([Answer::text(500, ""), Answer::Closed, Answer::json(200, json!({"a": "1"}))]);
    let tags: Tags = [("a".into(), "1".into())].into();
    server.client().add_tags(id(), &tags).await.unwrap();
    assert_eq!(server.seen().len(), 3);
    assert!(server.seen().iter().all(|seen| seen.json() == json!({"a": "1"})));
}

#[tokio::test(start_paused = true)]
async fn what_is_no_map_is_no_answer() {
    for body in [json!([]), json!("web"), Value::Null] {
        let error = check("GET /acme/machines/ID/tags", Value::Null, Answer::json(200, body), async |c| {
            c.list_tags(id()).await
        });
        assert_eq!(error.await.unwrap_err().kind(), Kind::Protocol);
    }
}
