//! `instance tag` and `instance metadata`.

use serde_json::{Value, json};
use tokio::join;
use triton_sim::cloudapi::Operation;

use super::stage::Stage;

#[tokio::test(flavor = "multi_thread")]
async fn tags() {
    let Some(stage) = Stage::up().await else { return };
    let id = stage.instance("web", &["-t", "role=web"]).await;

    let set =
        stage.json(&["inst", "tag", "set", "-w", "-j", "web", "tier=2", "canary=true", "note=a b"]).await;
    assert_eq!(set, json!({"role": "web", "tier": 2, "canary": true, "note": "a b"}));
    assert_eq!(stage.json(&["inst", "tag", "list", "-j", "web"]).await, set);
    assert_eq!(stage.json(&["inst", "tag", "get", "-j", &id, "note"]).await, "a b");

    let file = stage.cli.home().join("tags.json");
    std::fs::write(&file, r#"{"a.b/c": "ü", "tier": "2"}"#).unwrap();
    let file = file.to_str().unwrap();
    let replaced = stage.json(&["inst", "tag", "replace-all", "-w", "-j", "web", "-f", file, "n=1"]).await;
    assert_eq!(replaced, json!({"a.b/c": "ü", "tier": "2", "n": 1}));
    assert_eq!(stage.json(&["inst", "tags", "-j", "web"]).await, replaced);
    assert_eq!(stage.json(&["inst", "tag", "get", "-j", "web", "a.b/c"]).await, "ü");

    let said = stage.ok(&["inst", "tag", "delete", "-w", "web", "a.b/c", "n"]).await.out;
    assert!(said.contains("Deleted tag n on instance web\n"), "{said}");
    assert_eq!(stage.json(&["inst", "tag", "list", "-j", "web"]).await, json!({"tier": "2"}));
    let missing = stage.refused(3, &["inst", "tag", "get", "web", "n"]).await;
    assert!(missing.starts_with("triton instance tag get: error (ResourceNotFound): "), "{missing}");
    stage.ok(&["inst", "tag", "delete", "-w", "-a", "web"]).await;
    assert_eq!(stage.json(&["inst", "tag", "list", "-j", "web"]).await, json!({}));

    let refused = stage.refused(1, &["inst", "tag", "set", "web", "triton.nonsense=1"]).await;
    assert!(
        refused.contains(r#"Unrecognized special triton tag "triton.nonsense""#)
            && refused.starts_with("triton instance tag set: error (ValidationFailed): "),
        "{refused}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata() {
    let Some(stage) = Stage::up().await else { return };
    stage.instance("web", &["-m", "colour=blue"]).await;
    let of = |mut metadata: Value| {
        assert!(metadata.as_object_mut().unwrap().remove("root_authorized_keys").is_some(), "{metadata}");
        metadata
    };

    let set = stage.json(&["inst", "metadata", "set", "-j", "web", "a:b.c=ü", "n=1"]).await;
    assert_eq!(of(set), json!({"a:b.c": "ü", "n": 1, "colour": "blue"}));
    let listed = of(stage.json(&["inst", "metadata", "list", "-j", "web"]).await);
    assert_eq!(listed, json!({"a:b.c": "ü", "n": 1, "colour": "blue"}));
    assert_eq!(stage.json(&["inst", "metadata", "get", "-j", "web", "a:b.c"]).await, "ü");
    // Single values are given only when they are texts.
    let number = stage.refused(1, &["inst", "metadata", "get", "web", "n"]).await;
    assert_eq!(number, "triton instance metadata get: error (ResourceNotFound): n is not metadata\n");

    stage.ok(&["inst", "metadata", "delete", "-f", "web", "a:b.c", "n"]).await;
    assert_eq!(of(stage.json(&["inst", "metadatas", "-j", "web"]).await), json!({"colour": "blue"}));
    let kept = ["inst", "metadata", "delete", "-f", "web", "root_authorized_keys"];
    let kept = stage.refused(1, &kept).await;
    assert!(kept.starts_with("triton instance metadata delete: error (InvalidArgument): "), "{kept}");
}

#[tokio::test(flavor = "multi_thread")]
async fn waits_wait() {
    let Some(stage) = Stage::slow().await else { return };
    let stage = &stage;
    let (one, two) = join!(stage.instance("one", &[]), stage.instance("two", &[]));
    let tags = async {
        let set = stage.json(&["inst", "tag", "set", "-w", "-j", "one", "a=1"]).await;
        assert_eq!(set, json!({"a": 1}));
        assert!(stage.requests(Operation::ListMachineTags) > 1, "it asked more than once");
        assert_eq!(stage.json(&["inst", "tag", "list", "-j", &one]).await, set);
    };
    // The CLI waits for an entry in the audit that is later than the answer to its request.
    let metadata = async {
        stage.ok(&["inst", "metadata", "set", "-w", "-q", &two, "a=b", "c=d"]).await;
        assert_eq!(stage.json(&["inst", "metadata", "get", "-j", &two, "a"]).await, "b");
        stage.ok(&["inst", "metadata", "delete", "-f", "-w", &two, "a"]).await;
        let gone = stage.refused(1, &["inst", "metadata", "get", &two, "a"]).await;
        assert!(gone.starts_with("triton instance metadata get: error (ResourceNotFound): "), "{gone}");
        stage.ok(&["inst", "metadata", "delete", "-f", "-w", "-a", &two]).await;
        let left = stage.json(&["inst", "metadata", "list", "-j", &two]).await;
        assert_eq!(left.as_object().unwrap().keys().collect::<Vec<_>>(), ["root_authorized_keys"]);
    };
    join!(tags, metadata);
}
