//! Released leases, and client-go as the other candidate.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;
use tokio::sync::OnceCell;

use super::running::Running;
use super::{calm_plane, lease, make_counter, user};

/// How soon a released lease has its next holder: 1.2 retry periods of 2 s, and the requests.
const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(3);

/// client-go's leader elector as a program, built once.
async fn elector() -> &'static Path {
    static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
    let build = async || {
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("client-go-elector");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("client-go-elector");
        let mut go = Command::new("go");
        go.args(["build", "-mod=readonly", "-o"]).arg(&program).arg(".").current_dir(source);
        let built = go.status().await.expect("client-go's elector is built by Go 1.26; install it");
        assert!(built.success(), "client-go's elector cannot be built");
        program
    };
    BUILT.get_or_init(build).await
}

#[tokio::test]
async fn a_released_lease_is_taken_over_in_under_three_seconds() {
    let plane = calm_plane().await;
    make_counter(&plane, "released").await;
    let kubeconfig = user(&plane, "released").await;
    let mut leader = Running::candidate("0", "released", &kubeconfig, &[]).await;
    leader.until_ready_says(200, "ok").await;
    for successor in 1..=3 {
        let name = successor.to_string();
        let standby = Running::candidate(&name, "released", &kubeconfig, &[]).await;
        standby.until_ready_says(200, "standby").await;
        leader.signal("TERM").await;
        let (code, output) = leader.ends().await;
        assert_eq!(code, 0, "{output}");
        standby.ready_says_within(TAKEN_OVER_WITHIN, 200, "ok").await;
        assert_eq!(lease(&plane, "released", ".spec.holderIdentity").await, name);
        assert_eq!(lease(&plane, "released", ".spec.leaseTransitions").await, name);
        leader = standby;
    }
}

/// Shorter than the defaults, so that a lease runs out sooner.
const OURS: [&str; 3] = [
    "--leader-elect-lease-duration=9s",
    "--leader-elect-renew-deadline=6s",
    "--leader-elect-retry-period=1s",
];
const THEIRS: [&str; 3] = ["--lease-duration=9s", "--renew-deadline=6s", "--retry-period=1s"];

#[tokio::test]
async fn client_go_takes_over_from_us_and_we_from_it() {
    let plane = calm_plane().await;
    make_counter(&plane, "shared").await;
    let kubeconfig = user(&plane, "shared").await;
    let program = elector().await;
    let ours = async |name| Running::candidate(name, "shared", &kubeconfig, &OURS).await;
    let theirs = |name| Running::client_go(program, name, "shared", &kubeconfig, &THEIRS);
    let field = async |path| lease(&plane, "shared", path).await;

    let mut go = theirs("go-1");
    go.until_says("leading").await;
    let mut rust = ours("rust-1").await;
    rust.until_ready_says(200, "standby").await;
    rust.until_says(r#""leader":"go-1""#).await;

    // It releases; we take over.
    go.signal("TERM").await;
    assert_eq!(go.ends().await.0, 0);
    rust.ready_says_within(TAKEN_OVER_WITHIN, 200, "ok").await;
    assert_eq!(field(".spec.leaseTransitions").await, "1");

    // We release; it takes over.
    let mut go = theirs("go-2");
    go.until_says("leader rust-1").await;
    assert!(!go.says("leading"), "we lead");
    rust.signal("TERM").await;
    assert_eq!(rust.ends().await.0, 0);
    go.until_says("leading").await;
    assert_eq!(field(".spec.leaseTransitions").await, "2");

    // It is killed; we take over when its lease has run out.
    let mut rust = ours("rust-2").await;
    rust.until_ready_says(200, "standby").await;
    go.signal("KILL").await;
    go.ends().await;
    assert_eq!(rust.get("/readyz").await, (200, "standby".to_owned()), "its lease has not run out");
    rust.until_ready_says(200, "ok").await;
    assert_eq!(field(".spec.leaseTransitions").await, "3");

    // We are killed; it takes over when our lease has run out.
    let go = theirs("go-3");
    go.until_says("leader rust-2").await;
    rust.signal("KILL").await;
    rust.ends().await;
    assert!(!go.says("leading"), "our lease has not run out");
    go.until_says("leading").await;
    assert_eq!(field(".spec.holderIdentity").await, "go-3");
    assert_eq!(field(".spec.leaseTransitions").await, "4");
}
