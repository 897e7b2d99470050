//! The example `idle` as a real process: what bad input gets, and signals.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

/// The example beside this test, where `cargo test` builds it. Asked for this test alone, cargo does not: then it is
/// built here, and an old one is taken as it is.
fn idle() -> Command {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    let path = PATH.get_or_init(|| {
        // `<profile>/deps/it-<hash>` and `<profile>/examples/idle`
        let test = std::env::current_exe().unwrap();
        let path = test.parent().unwrap().with_file_name("examples").join("idle");
        if !path.exists() {
            let build = ["build", "--quiet", "--package", "runtime", "--example", "idle"];
            assert!(Command::new(env!("CARGO")).args(build).status().unwrap().success());
        }
        path
    });
    let mut command = Command::new(path);
    command.env_clear().stdin(Stdio::null());
    command
}

/// Runs to the end, which must come by itself and soon.
async fn ends(command: Command) -> (i32, String) {
    let mut command = tokio::process::Command::from(command);
    let ended = tokio::time::timeout(Duration::from_secs(60), command.kill_on_drop(true).output()).await;
    let Output { status, stderr, stdout } = ended.expect("it goes on").unwrap();
    assert!(stdout.is_empty(), "{stdout:?}");
    (status.code().unwrap_or(-1), String::from_utf8(stderr).unwrap())
}

/// A running process, killed when the test ends.
struct Running {
    child: Child,
    address: String,
}

impl Running {
    /// Starts it on a free port and reads its logs until it says which.
    fn start(arguments: &[&str]) -> Self {
        let mut command = idle();
        command.args(["--admin-address", "127.0.0.1:0", "--log-format", "json"]).args(arguments);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let logs = BufReader::new(child.stderr.take().unwrap());
        let mut address = None;
        let mut lines = logs.lines();
        while address.is_none() {
            let line = lines.next().expect("it ended").unwrap();
            let line: serde_json::Value = serde_json::from_str(&line).expect("a line of JSON");
            address = line["address"].as_str().map(str::to_owned);
        }
        // Somebody has to read what it goes on to say.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address: address.unwrap() }
    }

    fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.split_once("\r\n\r\n").unwrap().1.to_owned()
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Gone already in most tests.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A kubeconfig with this cluster and this user.
fn kubeconfig_text(cluster: &str, user: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{{name: k, cluster: {{{cluster}}}}}]\n\
         users: [{{name: u, user: {{{user}}}}}]\ncontexts: [{{name: c, context: {{cluster: k, user: u}}}}]\n"
    )
}

#[tokio::test]
async fn bad_input_gets_one_line_and_a_code() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let settings = file("settings.toml", "log-level = 'info'\n\nadmin-adress = 'x'\n");
    let broken = file("broken.toml", "log-level = \n");
    let kubeconfig = file("kubeconfig", "{}");
    let garbage = file("garbage", "\u{0}: [");
    let kubeconfig_with = |name: &str, cluster: &str, user: &str| file(name, &kubeconfig_text(cluster, user));
    let nobody = "server: 'http://127.0.0.1:1'";
    let authority = "server: 'https://127.0.0.1:1', certificate-authority-data: bm90IGEgUEVN";
    let reachable = kubeconfig_with("reachable", nobody, "");
    let wrong_authority = kubeconfig_with("wrong-authority", authority, "");
    let missing_token = kubeconfig_with("missing-token", nobody, "tokenFile: /nowhere/token");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let alone = ["--leader-elect=false", "--admin-address"];
    for (arguments, code, line) in [
        (
            vec!["--watch-nothing"],
            2,
            "idle: unexpected argument '--watch-nothing' found; try --help\n".to_owned(),
        ),
        (
            vec!["--config", &settings],
            2,
            format!(
                "idle: {settings}:3: unknown key \"admin-adress\"; keys are the names of the flags that --help lists\n"
            ),
        ),
        (vec!["--log-level", "a=loud"], 2, "idle: \"a=loud\" is not a level".to_owned()),
        (
            vec!["--otlp-endpoint", "collector"],
            2,
            "idle: \"collector\" is not an http or https address".to_owned(),
        ),
        (
            vec![alone[0], alone[1], &address],
            1,
            format!("idle: cannot listen on {address} for health and metrics; "),
        ),
        (vec![alone[1], "127.0.0.1:0"], 1, "idle: no --kubeconfig is given, and this is no pod".to_owned()),
        (
            vec![alone[1], "127.0.0.1:0", "--kubeconfig", &kubeconfig],
            1,
            "idle: cannot use kubeconfig ".to_owned(),
        ),
        (
            vec![alone[1], "127.0.0.1:0", "--kubeconfig", "/nowhere/kubeconfig"],
            1,
            "idle: cannot use kubeconfig /nowhere/kubeconfig; check --kubeconfig".to_owned(),
        ),
        (
            vec![alone[1], "127.0.0.1:0", "--kubeconfig", &garbage],
            1,
            format!("idle: cannot use kubeconfig {garbage}; check --kubeconfig"),
        ),
        (
            vec![alone[1], "127.0.0.1:0", "--kubeconfig", &wrong_authority],
            1,
            "idle: the certificate authority of https://127.0.0.1:1/ holds no certificate in PEM; ".to_owned(),
        ),
        (
            vec![alone[1], "127.0.0.1:0", "--kubeconfig", &missing_token],
            1,
            "idle: cannot make a client for http://127.0.0.1:1/; check its certificate authority and credentials"
                .to_owned(),
        ),
        (vec!["--config", &broken], 2, format!("idle: {broken}:1: not valid TOML: ")),
        (
            vec!["--config", "/nowhere/settings"],
            1,
            "idle: cannot read the configuration file /nowhere/settings; ".to_owned(),
        ),
        (
            vec![
                alone[1],
                "127.0.0.1:0",
                "--kubeconfig",
                &reachable,
                "--leader-elect-renew-deadline=20s",
            ],
            2,
            "idle: leader election cannot work: lease duration 15s must be greater than renew deadline 20s; "
                .to_owned(),
        ),
        (
            vec![alone[1], "nowhere"],
            2,
            "idle: invalid value 'nowhere' for '--admin-address <ADDRESS>': ".to_owned(),
        ),
    ] {
        let mut command = idle();
        command.args(&arguments);
        let (ended, text) = ends(command).await;
        assert_eq!(ended, code, "{arguments:?}: {text}");
        assert!(text.starts_with(&line) && text.lines().count() == 1, "{arguments:?}: {text}");
    }
}

#[test]
fn the_first_signal_ends_it_well() {
    for name in ["TERM", "INT"] {
        let mut running = Running::start(&["--leader-elect=false"]);
        assert_eq!(running.get("/readyz"), "ok");
        running.signal(name);
        assert_eq!(running.child.wait().unwrap().code(), Some(0), "{name}");
    }
}

#[test]
fn an_api_server_that_cannot_be_reached_shows_in_readyz_and_not_in_livez() {
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    // Port 1 of this machine is nobody's.
    let text = kubeconfig_text("server: 'http://127.0.0.1:1'", "");
    std::fs::write(&kubeconfig, text).unwrap();
    let mut running = Running::start(&["--kubeconfig", kubeconfig.to_str().unwrap()]);
    let failed = "[-]leader-election failed: cannot read lease kube-system/idle: ";
    let mut ready = String::new();
    for _ in 0..1000 {
        ready = running.get("/readyz");
        if ready.starts_with(failed) {
            break;
        }
    }
    assert!(ready.starts_with(failed), "{ready}");
    assert_eq!(running.get("/livez"), "ok");
    assert!(running.get("/metrics").contains("leader_election_master_status{name=\"idle\"} 0"));
    running.signal("TERM");
    assert_eq!(running.child.wait().unwrap().code(), Some(0));
}
