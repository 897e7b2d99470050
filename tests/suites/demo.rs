//! `hack/demo kubernetes` and `hack/demo machines`, the parts of `make demo` that need a control plane. The other part is
//! tested beside triton-sim.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use suites::triton_cli::TritonCli;
use suites::until::until;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

/// The script gives up by itself, step by step; this is for a script that does not.
const BOUND: Duration = Duration::from_secs(900);

/// A part of the demo with the programs beside this test, keeping its files in this folder. None where there is no
/// Node.js.
fn demo(part: &str, folder: &TempDir) -> Option<Command> {
    TritonCli::find().unwrap()?;
    let programs = Path::new(env!("CARGO_BIN_EXE_with-control-plane")).parent().unwrap();
    for program in ["triton-sim", "triton-virtual-kubelet", "triton-cloud-controller-manager"] {
        let built = programs.join(program).exists();
        assert!(built, "no {program} in {}; cargo test --workspace --no-run builds it", programs.display());
    }
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../hack/demo"));
    command
        .arg(part)
        .env("TRITON_DEMO_PROGRAMS", programs)
        .env("TMPDIR", folder.path())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    Some(command)
}

/// The steps that a line tells of: the word after the seconds.
fn step(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace();
    words.next()?.parse::<f64>().ok()?;
    (words.next()? == "s").then(|| words.next())?
}

/// What a part of the demo shows, when all is well.
async fn shown(part: &str) -> Option<String> {
    let folder = tempfile::tempdir().unwrap();
    let output = timeout(BOUND, demo(part, &folder)?.output()).await.expect("it ends").unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    until("every process has ended", async || processes_with(folder.path()) == 0).await;
    Some(out.into_owned())
}

#[tokio::test]
async fn the_demo_applies_scales_heals_and_deletes() {
    let Some(out) = shown("kubernetes").await else { return };
    let steps: Vec<&str> = out.lines().filter_map(step).collect();
    let joining = ["control", "rights", "account", "node"];
    let one = ["apply", "instance", "address", "ready", "ssh"];
    let three = ["scale", "ready", "CNS", "dig", "ssh"];
    let healing = ["stop", "noticed", "dig", "healed", "restarts", "dig"];
    let leaving = ["delete", "pods", "instances", "rules", "all"];
    assert_eq!(steps, [&joining[..], &one, &three, &healing, &leaving].concat(), "{out}");
    for part in [
        "system:serviceaccount:kube-system:triton-virtual-kubelet",
        "virtual-kubelet is Ready",
        "foo=bar bar=baz",
        "3 of ubuntu's pods ready",
        "2 of ubuntu's pods ready",
        "restartCount 1 of pod ubuntu-",
        "no instance is left",
        "no firewall rule is left",
    ] {
        assert!(out.contains(part), "{part} not in {out}");
    }
}

#[tokio::test]
async fn the_demo_has_machines_join_serve_stop_and_leave() {
    let Some(out) = shown("machines").await else { return };
    let steps: Vec<&str> = out.lines().filter_map(step).collect();
    let joining = ["control", "rights", "account", "machines", "kubelets", "initialised"];
    let serving = ["apply", "pods", "hostname", "dig", "SRV", "http"];
    let stopping = ["stop", "tainted", "dig", "start", "dig"];
    let draining = ["drain", "dig", "destroy", "node"];
    let leaving = ["delete", "CNS", "tags", "destroy", "nodes", "instances", "all"];
    assert_eq!(steps, [&joining[..], &serving, &stopping, &draining, &leaving].concat(), "{out}");
    for part in [
        "m1 m2 m3 joined, with the taint",
        "triton://dc1/",
        "web-default.svc.acc00001-",
        "m1 m2 m3 answer at port 30080",
        "m1 node.cloudprovider.kubernetes.io/shutdown",
        "Deleting node m2 because it does not exist",
        "no machine is in a CNS service",
        "no Node is left",
        "no instance is left",
    ] {
        assert!(out.contains(part), "{part} not in {out}");
    }
    // Whose addresses the name has: at first, after the stop and the start, after the drain.
    let names = |line: &str| -> Vec<String> {
        let answer = line.split_whitespace().skip(3).filter(|word| word.starts_with('m'));
        answer.map(str::to_owned).collect()
    };
    let answers: Vec<_> = out.lines().filter(|line| step(line) == Some("dig")).map(names).collect();
    let expected: [&[&str]; 4] = [&["m1", "m2", "m3"], &["m2", "m3"], &["m1", "m2", "m3"], &["m1", "m3"]];
    assert_eq!(answers, expected, "{out}");
}

#[tokio::test]
async fn an_interrupt_ends_the_demo_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let Some(mut demo) = demo("kubernetes", &folder) else { return };
    // As at a terminal: one process group, and all of it is interrupted.
    let mut demo = demo.stdout(Stdio::piped()).process_group(0).spawn().unwrap();
    let group = demo.id().unwrap();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines();
    let begun = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if step(&line) == Some("apply") {
                return true;
            }
        }
        false
    };
    assert!(timeout(BOUND, begun).await.expect("it goes on"), "it ends before the Deployment is applied");
    assert!(processes_with(folder.path()) > 0, "they can be seen");
    let sent = Command::new("kill").args(["-s", "INT", "--", &format!("-{group}")]).status().await.unwrap();
    assert!(sent.success());

    let status = timeout(BOUND, demo.wait()).await.expect("it ends").unwrap();
    assert_eq!((status.code(), status.signal()), (Some(130), None));
    until("every process has ended", async || processes_with(folder.path()) == 0).await;
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "its files are gone");
}

/// How many processes keep their files in this folder, by their environment.
fn processes_with(folder: &Path) -> usize {
    let variable = format!("TMPDIR={}", folder.display());
    let has = |environment: Vec<u8>| environment.split(|byte| *byte == 0).any(|it| it == variable.as_bytes());
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes.filter(|process| fs::read(process.path().join("environ")).is_ok_and(has)).count()
}
