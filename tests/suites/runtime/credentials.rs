//! Service-account tokens that expire, and a file in which they are renewed, as the kubelet does it.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use suites::control_plane::ControlPlane;

use super::running::{Running, verdict};
use super::{audit, calm_plane, lease, make_counter, until};

/// A token of the service account `robot` that is good for as long as the Secret of this name exists: the API server
/// takes no token that expires sooner than in ten minutes.
async fn token(plane: &ControlPlane, secret: &str) -> String {
    plane.kubectl(&["create", "secret", "generic", secret]).await.unwrap();
    let bound = ["--bound-object-kind=Secret", "--bound-object-name", secret];
    let mut arguments = vec!["create", "token", "robot"];
    arguments.extend(bound);
    plane.kubectl(&arguments).await.unwrap().trim().to_owned()
}

/// The id of a token, as the audit log names it.
fn id(token: &str) -> String {
    let claims = token.split('.').nth(1).unwrap();
    let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
    format!("JTI={}", claims["jti"].as_str().unwrap())
}

/// Puts a token into the file in one step, as the kubelet does.
fn put(file: &Path, token: &str) {
    let new = file.with_extension("new");
    std::fs::write(&new, token).unwrap();
    std::fs::rename(new, file).unwrap();
}

async fn make_robot(plane: &ControlPlane) {
    plane.kubectl(&["create", "serviceaccount", "robot"]).await.unwrap();
    for role in ["candidate", "counter"] {
        let name = format!("robot-{role}");
        let role = format!("--role={role}");
        let of = "--serviceaccount=default:robot";
        plane.kubectl(&["create", "rolebinding", &name, &role, of]).await.unwrap();
    }
}

/// A file with a token in it, and a kubeconfig that names the file.
fn credentials(plane: &ControlPlane, name: &str, token: &str) -> (PathBuf, PathBuf) {
    let file = plane.folder().join(format!("{name}.token"));
    put(&file, token);
    let kubeconfig = plane.token_file_kubeconfig(name, &file).unwrap();
    (file, kubeconfig)
}

#[tokio::test]
async fn a_token_renewed_in_time_is_not_noticed_and_one_renewed_late_costs_the_leadership() {
    let plane = calm_plane().await;
    make_robot(&plane).await;
    // Both take most of a minute, in which the client reads its file again.
    tokio::join!(renewed_in_time(&plane), renewed_late(&plane));
}

async fn renewed_in_time(plane: &ControlPlane) {
    make_counter(plane, "in-time").await;
    let (old, new) = (token(plane, "in-time-old").await, token(plane, "in-time-new").await);
    let (file, kubeconfig) = credentials(plane, "in-time", &old);
    let leader = Running::candidate("one", "in-time", &kubeconfig, &[]).await;
    leader.until_ready_says(200, "ok").await;
    let standby = Running::candidate("two", "in-time", &kubeconfig, &[]).await;
    standby.until_ready_says(200, "standby").await;

    put(&file, &new);
    let new = id(&new);
    let used = |verb| {
        let requests = audit::accepted(plane, "in-time");
        requests.iter().any(|request| request.verb == verb && request.credential == new)
    };
    until("the leader writes with the new token", async || used("patch")).await;
    until("the standby reads with the new token", async || used("get")).await;
    plane.kubectl(&["delete", "secret", "in-time-old"]).await.unwrap();
    let renewed = lease(plane, "in-time", ".spec.renewTime").await;
    until("the lease is renewed", async || lease(plane, "in-time", ".spec.renewTime").await != renewed).await;
    for (candidate, word) in [(&leader, "ok"), (&standby, "standby")] {
        assert_eq!(candidate.get("/readyz").await, (200, word.to_owned()));
        assert!(!candidate.says("leader election attempt failed"), "{}", candidate.output());
    }
}

async fn renewed_late(plane: &ControlPlane) {
    make_counter(plane, "late").await;
    let old = token(plane, "late-old").await;
    let (file, kubeconfig) = credentials(plane, "late", &old);
    let mut leader = Running::candidate("one", "late", &kubeconfig, &[]).await;
    leader.until_ready_says(200, "ok").await;
    let standby = Running::candidate("two", "late", &kubeconfig, &[]).await;
    standby.until_ready_says(200, "standby").await;

    plane.kubectl(&["delete", "secret", "late-old"]).await.unwrap();
    standby.until_ready_says(500, "cannot read lease default/late: Unauthorized (401").await;
    let (code, output) = leader.ends().await;
    assert_eq!(code, 1, "{output}");
    let last = verdict(&output);
    assert!(last.starts_with("candidate: lost lease default/late: ") && last.contains("401"), "{output}");
    assert!(!output.contains(&old), "a token is in the output");
    assert_eq!(standby.get("/livez").await, (200, "ok".to_owned()));

    put(&file, &token(plane, "late-new").await);
    standby.until_ready_says(200, "ok").await;
    assert_eq!(lease(plane, "late", ".spec.holderIdentity").await, "two");
}
