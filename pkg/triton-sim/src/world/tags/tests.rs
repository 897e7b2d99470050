use serde_json::json;

use super::*;
use crate::world::error::Refusal;
use crate::world::testing::{Stage, caller, params, refusal};

fn fault(tags: Value) -> Option<String> {
    let tags = params(tags).into_iter().collect();
    check(&tags).err().map(|error| format!("{}: {}", error.field, error.message.unwrap()))
}

#[test]
fn tags_are_scalars_and_the_namespace_of_triton_is_closed() {
    for tags in [
        json!({}),
        json!({"a": "b", "n": 1.5, "t": true, "role": ""}),
        json!({"triton.cns.services": "web:8080,db"}),
        json!({"triton.cns.disable": false}),
        json!({"triton.cns.reverse_ptr": "www.example.com"}),
        json!({"triton.cmon.groups": "api,production"}),
        json!({"triton.network.public": "external", "triton.network.public_ipv4": "192.0.2.1"}),
        json!({"triton.placement.exclude_virtual_servers": true}),
        json!({"triton._test.x": 1}),
        json!({"tritonish": 1, "k8s.pod": "x"}),
    ] {
        assert_eq!(fault(tags.clone()), None, "{tags}");
    }
    for (tags, expected) in [
        (json!({"a": null}), "tags.a: Forbidden Data Type"),
        (json!({"a": ["b"]}), "tags.a: Forbidden Data Type"),
        (json!({"a": {}}), "tags.a: Forbidden Data Type"),
        (json!({"triton.x": "1"}), "tags: Unrecognized special triton tag \"triton.x\""),
        (json!({"triton.cns.instance": "1"}), "tags: Unrecognized special triton tag"),
        (json!({"triton.cns.disable": "true"}), "value must be a boolean: \"true\""),
        (json!({"triton.cns.services": true}), "value must be a string: true"),
        (json!({"triton.cns.services": "web:0"}), "tags: invalid \"triton.cns.services\" tag"),
        (json!({"triton.cns.reverse_ptr": "a..b"}), "tags: invalid DNS name"),
        (json!({"triton.cmon.groups": "a,a"}), "tags: invalid \"triton.cmon.groups\" tag"),
        (json!({"docker:label:triton.cns.services": "web:0"}), "tags: invalid"),
        (json!({"docker:label:com.example": "x"}), "Special tag"),
        (json!({"sdc_docker": true}), "Special tag \"sdc_docker\" not supported"),
    ] {
        let fault = fault(tags.clone()).unwrap_or_default();
        assert!(fault.contains(expected), "{tags}: {fault}");
    }
}

#[test]
fn writes_answer_before_they_are_applied_and_read_back_late() {
    let mut stage = Stage::new();
    let id = stage.running(json!({"tag.old": "1", "tag.keep": "1"}));
    let (now, acme) = (stage.now, stage.ids.acme);
    let path = json!({"account": "acme", "machine": id.to_string(), "keep": "2", "new": 3});
    let (_, merged) = stage.world.add_tags(now, acme, id, &params(path), &caller()).unwrap();
    assert_eq!(json!(merged), json!({"old": "1", "keep": "2", "new": 3}));
    assert_eq!(json!(stage.machine(id).tags), json!({"old": "1", "keep": "1"}));
    stage.settle();
    assert_eq!(json!(stage.machine(id).tags), json!({"old": "1", "keep": "2", "new": 3}));
    let now = stage.now;
    let (_, all) =
        stage.world.replace_tags(now, acme, id, &params(json!({"only": true})), &caller()).unwrap();
    assert_eq!(json!(all), json!({"only": true}));
    stage.settle();
    assert_eq!(json!(stage.machine(id).tags), json!({"only": true}));
    stage.world.delete_tag(stage.now, acme, id, "only", &caller()).unwrap();
    stage.settle();
    assert!(stage.machine(id).tags.is_empty());
    stage.world.delete_tags(stage.now, acme, id, &caller()).unwrap();
    stage.settle();
    assert_eq!(
        stage.audit(id),
        ["remove_tags yes", "remove_tags yes", "replace_tags yes", "set_tags yes", "provision yes"]
    );
}

#[test]
fn concurrent_replacements_lose_what_they_did_not_see() {
    let mut stage = Stage::new();
    let id = stage.running(json!({"tag.a": "1"}));
    let (now, acme) = (stage.now, stage.ids.acme);
    stage.world.replace_tags(now, acme, id, &params(json!({"a": "1", "b": "1"})), &caller()).unwrap();
    stage.world.replace_tags(now, acme, id, &params(json!({"c": "1"})), &caller()).unwrap();
    stage.settle();
    // The second did not know of b, so it did not remove it.
    assert_eq!(json!(stage.machine(id).tags), json!({"b": "1", "c": "1"}));
}

#[test]
fn what_docker_owns_cannot_be_removed() {
    let mut stage = Stage::new();
    let id = stage.running(json!({"tag.a": "1"}));
    stage.world.edit_silently(id, |machine| drop(machine.tags.insert("sdc_docker".into(), true.into())));
    let (now, acme) = (stage.now, stage.ids.acme);
    let failed = (409, "ValidationFailed".to_owned());
    let replaced = stage.world.replace_tags(now, acme, id, &params(json!({"b": "1"})), &caller());
    assert_eq!(refusal(replaced), failed);
    assert_eq!(refusal(stage.world.delete_tags(now, acme, id, &caller())), failed);
    assert_eq!(refusal(stage.world.delete_tag(now, acme, id, "sdc_docker", &caller())), failed);
    stage.world.delete_tag(now, acme, id, "a", &caller()).unwrap();
}

#[test]
fn errors_are_those_of_vmapi() {
    let mut stage = Stage::new();
    let id = stage.running(json!({}));
    let (now, acme) = (stage.now, stage.ids.acme);
    let error =
        stage.world.add_tags(now, acme, id, &params(json!({"triton.x": "1"})), &caller()).unwrap_err();
    let Refusal { status, message, errors, .. } = error.refusal().unwrap();
    assert_eq!((*status, message.as_str()), (409, "error adding tags: Invalid tag parameters"));
    assert_eq!((errors[0].field.as_str(), errors[0].code), ("tags", "Invalid"));
    let missing = stage.world.delete_tag(now, acme, id, "x", &caller()).unwrap_err();
    assert_eq!(missing.refusal().unwrap().message, "tag \"x\" not found");
    assert_eq!(stage.world.unfinished_jobs(id), 0);
}

#[test]
fn there_are_only_so_many() {
    let mut stage = Stage::new();
    let id = stage.running(json!({}));
    let acme = stage.ids.acme;
    let add = |stage: &mut Stage, key: &str| {
        let half = params(json!({key: "x".repeat(MAX_BYTES / 2)}));
        stage.world.add_tags(stage.now, acme, id, &half, &caller())
    };
    add(&mut stage, "a").unwrap();
    add(&mut stage, "b").unwrap();
    stage.settle();
    assert_eq!(stage.audit(id)[..2], ["set_tags no", "set_tags yes"]);
    assert_eq!(add(&mut stage, "b").unwrap_err().status(), 413);
}
