use super::{ID, OTHER, check, check_get, check_objects, id, object, objects};
use crate::server::{Answer, Server};
use serde_json::{Value, json};
use std::time::Duration;
use triton::Kind;
use triton::client::{Deletion, Found};
use triton::types::{CreateInstance, InstanceAction, InstanceStateFilter, ListInstances};

fn destroyed(id: &str) -> Answer {
    Answer::json(410, json!({"id": id, "state": "deleted", "name": "web-1"}))
}

#[tokio::test(start_paused = true)]
async fn one_page_of_instances_is_listed_as_asked_for() {
    let filter = ListInstances {
        state: Some(InstanceStateFilter::Running),
        tags: [("k8s.cluster".into(), "a b".into())].into(),
        limit: Some(10),
        offset: Some(20),
        ..ListInstances::default()
    };
    let target = "/acme/machines?state=running&tag.k8s.cluster=a%20b&limit=10&offset=20";
    check_objects(&check_get(target, objects(), async |c| c.list_instances(&filter).await).await);
}

#[tokio::test(start_paused = true)]
async fn an_instance_is_present_or_gone_or_not_found() {
    let get = async |answer| {
        check("GET /acme/machines/ID", Value::Null, answer, async |c| c.get_instance(id()).await).await
    };
    let failed = get(Answer::json(200, json!({"id": ID, "state": "failed"}))).await.unwrap();
    assert!(matches!(&failed, Found::Present(instance) if instance.state.is_failed()), "{failed:?}");
    let gone = get(destroyed(ID)).await.unwrap();
    assert!(matches!(&gone, Found::Gone(instance) if &*instance.name == "web-1"), "{gone:?}");
    for (answer, kind) in [
        (Answer::error(404, "ResourceNotFound", "VM not found"), Kind::NotFound),
        // None of these proves that the instance is gone.
        (destroyed(OTHER), Kind::Protocol),
        (Answer::json(200, json!({"id": OTHER})), Kind::Protocol),
        (Answer::text(410, ""), Kind::Protocol),
        (Answer::json(410, json!({"code": "Gone"})), Kind::Protocol),
    ] {
        assert_eq!(get(answer).await.unwrap_err().kind(), kind);
    }
}

#[tokio::test(start_paused = true)]
async fn an_instance_is_made_once() {
    let create = CreateInstance { name: Some("web-1".into()), ..CreateInstance::new("g1.micro", id()) };
    let body = json!({"name": "web-1", "package": "g1.micro", "image": ID});
    let answer = Answer::json(201, json!({"id": ID, "state": "provisioning", "ips": []}));
    let instance =
        check("POST /acme/machines", body, answer, async |c| c.create_instance(&create).await).await.unwrap();
    assert!(instance.state.is_transitional());

    let server = Server::script([Answer::Closed]);
    let error = server.client().create_instance(&create).await.unwrap_err();
    assert!(error.may_have_taken_effect(), "{error}");
    assert_eq!(error.object(), "instance web-1");
    assert_eq!(server.seen().len(), 1, "a create that may have happened is not repeated");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_too_large_is_not_sent() {
    let mut create = CreateInstance::new("g1.micro", id());
    create.metadata.insert("user-data", "hunter2".repeat(15_000));
    let server = Server::script([]);
    let error = server.client().create_instance(&create).await.unwrap_err();
    assert_eq!((error.kind(), error.may_have_taken_effect()), (Kind::Invalid, false));
    assert!(error.to_string().contains("takes at most 100000"), "{error}");
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    assert_eq!(server.seen().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn each_action_is_posted_and_the_servers_clock_is_kept() {
    let date = "Mon, 02 Feb 2026 10:00:00 GMT";
    for action in [
        InstanceAction::Start,
        InstanceAction::Stop,
        InstanceAction::Reboot,
        InstanceAction::Rename { name: "web-2".into() },
        InstanceAction::Resize { package: "g1.xl".into() },
        InstanceAction::EnableFirewall,
        InstanceAction::DisableFirewall,
        InstanceAction::EnableDeletionProtection,
        InstanceAction::DisableDeletionProtection,
    ] {
        let body = serde_json::to_value(&action).unwrap();
        let answer = Answer::text(202, "").header("date", date);
        let accepted =
            check("POST /acme/machines/ID", body, answer, async |c| c.act_on_instance(id(), &action).await);
        assert_eq!(accepted.await.unwrap().at, Some("2026-02-02T10:00:00Z".parse().unwrap()));
    }
}

#[tokio::test(start_paused = true)]
async fn only_a_reboot_is_not_repeated_when_the_server_fails() {
    let fail_once = || Server::script([Answer::text(500, ""), Answer::text(202, "")]);
    let server = fail_once();
    server.client().start_instance(id()).await.unwrap();
    assert_eq!(server.seen().len(), 2);
    let server = fail_once();
    server.client().stop_instance(id()).await.unwrap();
    assert_eq!(server.seen().len(), 2);
    let server = fail_once();
    assert_eq!(server.client().reboot_instance(id()).await.unwrap_err().kind(), Kind::Server);
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_action_on_a_destroyed_instance_is_an_error_of_its_own_kind() {
    let error = check("POST /acme/machines/ID", json!({"action": "start"}), destroyed(ID), async |c| {
        c.start_instance(id()).await
    });
    assert_eq!(error.await.unwrap_err().kind(), Kind::Gone);
}

#[tokio::test(start_paused = true)]
async fn a_deletion_is_accepted_or_finds_the_instance_gone() {
    let delete = async |answer| {
        check("DELETE /acme/machines/ID", Value::Null, answer, async |c| c.delete_instance(id()).await).await
    };
    assert_eq!(delete(Answer::text(204, "")).await.unwrap(), Deletion::Accepted);
    let gone = delete(destroyed(ID)).await.unwrap();
    assert!(matches!(&gone, Deletion::Gone(instance) if instance.state.is_deleted()), "{gone:?}");
    for (answer, kind) in [
        (destroyed(OTHER), Kind::Protocol),
        (Answer::error(409, "CannotDestroyMachineError", "protected"), Kind::Conflict),
        (Answer::error(404, "ResourceNotFound", "VM not found"), Kind::NotFound),
    ] {
        assert_eq!(delete(answer).await.unwrap_err().kind(), kind);
    }
}

#[tokio::test(start_paused = true)]
async fn a_read_is_repeated_until_the_deadline() {
    let server = Server::script([
        Answer::text(503, ""),
        Answer::error(429, "TooManyRequestsError", "slow down"),
        Answer::Silent,
        Answer::Closed,
        Answer::json(200, object()),
    ]);
    server.client().with_deadline(Duration::from_secs(120)).get_instance(id()).await.unwrap();
    assert_eq!(server.seen().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn audit_and_firewall_rules_of_an_instance_are_listed() {
    let answer = json!([
        {"success": "no", "time": "2026-01-26T21:32:02.032Z", "action": "provision",
         "caller": {"type": "signature", "ip": "203.0.113.1", "keyId": "/acme/keys/aa:bb"}},
        {"success": "yes", "caller": null},
        "start",
    ]);
    let audit = check_get("/acme/machines/ID/audit", answer, async |c| c.list_audit(id()).await).await;
    assert_eq!(audit.undecodable.len(), 1);
    assert_eq!(audit.items[0].success, triton::types::AuditOutcome::Failed);
    let caller = audit.items[0].caller.as_ref().unwrap();
    assert_eq!(caller.key_id.as_deref(), Some("/acme/keys/aa:bb"));
    let rules = check_get("/acme/machines/ID/fwrules", objects(), async |c| {
        c.list_instance_firewall_rules(id()).await
    });
    check_objects(&rules.await);
}

#[tokio::test(start_paused = true)]
async fn migrations_are_listed_and_read_by_instance() {
    let migration = json!({"machine": ID, "phase": "sync", "state": "paused", "progress_percent": "12.5"});
    let answer = json!([migration, {}]);
    let all = check_get("/acme/migrations", answer, async |c| c.list_migrations().await).await;
    assert_eq!((all.items.len(), all.undecodable.len()), (1, 1));
    let one = check_get("/acme/migrations/ID", migration, async |c| c.get_migration(id()).await).await;
    assert_eq!(one.progress_percent, Some(12.5));
}
