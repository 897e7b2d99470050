//! The control plane itself: what it must offer to the suites that stand on it.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use suites::control_plane::{ControlPlane, Identity, Options};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use tokio::time::{Instant, sleep};

/// Waits for a condition with a bound.
async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition().await {
        assert!(Instant::now() < deadline, "a minute passed, but not: {what}");
        sleep(Duration::from_millis(100)).await;
    }
}

/// Runs kubectl with a kubeconfig of its own; true when it succeeds.
async fn kubectl(plane: &ControlPlane, kubeconfig: &Path, arguments: &[&str]) -> bool {
    let mut command = Command::new(plane.binaries().join("kubectl"));
    command.arg("--kubeconfig").arg(kubeconfig).args(arguments);
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().await.unwrap().success()
}

#[tokio::test]
async fn controllers_and_scheduler_work_and_rbac_is_on() {
    let plane = ControlPlane::start(&Options::default()).await.unwrap();
    let version = plane.kubectl(&["version", "--output=json"]).await.unwrap();
    let version: serde_json::Value = serde_json::from_str(&version).unwrap();
    assert_eq!(
        (&version["serverVersion"]["major"], &version["serverVersion"]["minor"]),
        (&"1".into(), &"36".into())
    );

    // The controller manager makes the Deployment's pod; the scheduler says that there is no node.
    plane.kubectl(&["create", "deployment", "web", "--image=web"]).await.unwrap();
    until("the scheduler has looked at the pod", async || {
        let events = plane.kubectl(&["get", "events", "--output=jsonpath={.items[*].reason}"]).await.unwrap();
        events.contains("FailedScheduling")
    })
    .await;

    let user = Identity::User { name: "jane", groups: &["developers"] };
    let jane = plane.kubeconfig(&user).await.unwrap();
    assert!(!kubectl(&plane, &jane, &["get", "pods"]).await, "nobody has given jane a role");
    plane
        .kubectl(&["create", "rolebinding", "dev", "--clusterrole=view", "--group=developers"])
        .await
        .unwrap();
    until("jane may see pods", async || kubectl(&plane, &jane, &["get", "pods"]).await).await;

    plane.kubectl(&["create", "serviceaccount", "robot"]).await.unwrap();
    let robot = Identity::ServiceAccount { namespace: "default", name: "robot" };
    let robot = plane.kubeconfig(&robot).await.unwrap();
    assert!(!kubectl(&plane, &robot, &["get", "pods"]).await, "nobody has given the robot a role");
    let binding = ["create", "rolebinding", "robot", "--clusterrole=view", "--serviceaccount=default:robot"];
    plane.kubectl(&binding).await.unwrap();
    until("the robot may see pods", async || kubectl(&plane, &robot, &["get", "pods"]).await).await;
}

#[tokio::test]
async fn two_run_side_by_side_and_one_that_freezes_goes_on_later() {
    let options = Options { scheduler: false, ..Options::default() };
    let (one, two) = tokio::join!(ControlPlane::start(&options), ControlPlane::start(&options));
    let (one, two) = (one.unwrap(), two.unwrap());
    one.kubectl(&["create", "namespace", "only-here"]).await.unwrap();
    assert!(two.kubectl(&["get", "namespace", "only-here"]).await.is_err());

    one.freeze_apiserver(true).unwrap();
    let asked = one.kubectl(&["get", "--raw", "/readyz", "--request-timeout=1s"]).await;
    assert!(asked.is_err(), "a frozen server answers nobody");
    one.freeze_apiserver(false).unwrap();
    until("it answers again", async || one.kubectl(&["get", "--raw", "/readyz"]).await.is_ok()).await;
    two.kubectl(&["get", "--raw", "/readyz"]).await.unwrap();
}

/// Runs the build with nothing in its cache and these variables: exit code, and what it says.
async fn build(cache: &Path, variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hack/control-plane/build");
    let mut command = Command::new(script);
    command.env_remove("KUBEBUILDER_ASSETS").env("XDG_CACHE_HOME", cache).envs(variables.iter().copied());
    let output = command.stdin(Stdio::null()).output().await.unwrap();
    assert!(output.stdout.is_empty(), "there is no folder to print");
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[tokio::test]
async fn with_neither_binaries_nor_network_the_build_says_what_is_missing_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    // All that the script calls before it needs Go.
    let tools = folder.path().join("tools");
    std::fs::create_dir(&tools).unwrap();
    for tool in ["bash", "cat", "cut", "dirname", "sha256sum"] {
        let path = std::env::var_os("PATH").unwrap();
        let found = std::env::split_paths(&path).map(|folder| folder.join(tool)).find(|file| file.exists());
        std::os::unix::fs::symlink(found.unwrap(), tools.join(tool)).unwrap();
    }
    let (tools, modules) = (tools.to_str().unwrap(), folder.path().join("modules"));
    let cache = folder.path().join("cache");
    let offline = [("GOPROXY", "off"), ("GOTOOLCHAIN", "local"), ("GOMODCACHE", modules.to_str().unwrap())];
    let remedy = "set KUBEBUILDER_ASSETS to a folder with \
                  etcd kubectl helm kube-scheduler kube-controller-manager kube-apiserver";
    for (variables, problem) in [
        (&[("PATH", tools)][..], "no Go and no binaries; install Go 1.26, or "),
        (
            &[("PATH", tools), ("KUBEBUILDER_ASSETS", "/nowhere")],
            "no Go and no binaries; install Go 1.26, or ",
        ),
        (&offline, "the modules cannot be had; with no network, "),
    ] {
        let (code, text) = build(&cache, variables).await;
        assert_eq!(code, Some(1), "{text}");
        let expected = format!("hack/control-plane/build: {problem}{remedy}");
        assert_eq!(text.lines().last(), Some(expected.as_str()), "{text}");
        assert!(!cache.exists(), "something was written");
    }
}

/// Set in the process that is going to be killed.
const VICTIM: &str = "SUITES_CONTROL_PLANE_VICTIM";

#[tokio::test]
async fn no_server_outlives_a_test_whose_process_is_killed() {
    if std::env::var_os(VICTIM).is_some() {
        let plane = ControlPlane::start(&Options::default()).await.unwrap();
        eprintln!("folder {}", plane.folder().display());
        std::future::pending::<()>().await;
    }
    let mut victim = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", "control_plane::no_server_outlives_a_test_whose_process_is_killed"])
        .env(VICTIM, "1")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(victim.stderr.take().unwrap()).lines();
    let folder = loop {
        let line = lines.next_line().await.unwrap().expect("the victim says where its control plane is");
        if let Some(folder) = line.strip_prefix("folder ") {
            break folder.to_owned();
        }
    };
    let servers = ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"];
    let processes = servers.map(|server| {
        let pid = std::fs::read_to_string(format!("{folder}/{server}.pid")).unwrap();
        Path::new("/proc").join(pid.trim())
    });
    assert!(processes.iter().all(|process| process.exists()));
    victim.kill().await.unwrap();
    until("all servers are gone", async || !processes.iter().any(|process| process.exists())).await;
    std::fs::remove_dir_all(folder).unwrap();
}
