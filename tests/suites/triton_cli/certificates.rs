//! `profile cmon-certgen` and `profile docker-setup`: client certificates that the key of the account signs.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use suites::triton_cli::{KeyFiles, KeyType};

use super::stage::Stage;

/// Runs a tool that must succeed; what it printed.
fn tool(command: &mut Command) -> String {
    let done = command.stdin(Stdio::null()).output().unwrap();
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8(done.stdout).unwrap()
}

/// An ssh-agent of the test's own, with one key.
struct Agent {
    child: Child,
    socket: PathBuf,
}

impl Agent {
    async fn start(stage: &Stage, key: &KeyFiles) -> Self {
        let socket = stage.cli.home().join("agent");
        let mut command = Command::new("ssh-agent");
        let child = command.arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).spawn().unwrap();
        let agent = Self { child, socket };
        stage.until("the agent listens", || agent.socket.exists()).await;
        tool(Command::new("ssh-add").arg("-q").arg(&key.path).env("SSH_AUTH_SOCK", &agent.socket));
        agent
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A data centre with CMON, and an agent with the key.
async fn stage_with_agent(kind: KeyType) -> Option<(Stage, Agent)> {
    let mut stage = Stage::with(kind, |_| ()).await?;
    let agent = Agent::start(&stage, &stage.key).await;
    stage.cli.set("SSH_AUTH_SOCK", agent.socket.to_str().unwrap());
    Some((stage, agent))
}

fn openssl(arguments: &[&str], file: &Path) -> String {
    tool(Command::new("openssl").args(arguments).arg("-in").arg(file))
}

/// Asserts that a certificate is for the account, and issued by its key: the issuer is the key's MD5 fingerprint.
fn assert_names(certificate: &Path, key: &KeyFiles) {
    let names = openssl(&["x509", "-noout", "-subject", "-issuer", "-nameopt", "RFC2253"], certificate);
    // OpenSSL escapes some of the characters of Base64.
    let names = names.replace('\\', "");
    let digits = key.fingerprint.replace(':', "");
    let bytes: Vec<u8> =
        (0..16).map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap()).collect();
    assert_eq!(names, format!("subject=CN=acme\nissuer=CN=MD5:{}\n", STANDARD_NO_PAD.encode(bytes)));
}

/// Asks CMON which instances there are, with `openssl` as the client; the answer, with its head.
fn discover(stage: &Stage, identity: Option<(&Path, &Path)>) -> String {
    let cmon = stage.simulator.cmon().unwrap();
    let authority = stage.cli.home().join("cmon-ca.pem");
    std::fs::write(&authority, cmon.ca_pem()).unwrap();
    let mut command = Command::new("openssl");
    command.args(["s_client", "-quiet", "-verify_return_error", "-connect", &cmon.address().to_string()]);
    command.args(["-verify_hostname", "cmon.dc1.triton.zone", "-CAfile"]).arg(authority);
    if let Some((certificate, key)) = identity {
        command.arg("-cert").arg(certificate).arg("-key").arg(key);
    }
    let streams = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = streams.spawn().unwrap();
    let request = b"GET /v1/discover HTTP/1.1\r\nhost: cmon.dc1.triton.zone\r\nconnection: close\r\n\r\n";
    // Who is refused in the handshake may be gone before it can ask.
    let _ = child.stdin.take().unwrap().write_all(request);
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_for_cmon() {
    for kind in [KeyType::Rsa, KeyType::Ecdsa] {
        let Some((stage, _agent)) = stage_with_agent(kind).await else { return };
        let web = stage.instance("web", &[]).await;
        let said = stage.ok(&["profile", "cmon-certgen", "-y", "-t", "30"]).await.out;
        assert!(
            said.contains("CMON authentication certificate and key have been placed in files\n"),
            "{said}"
        );

        let certificate = stage.cli.home().join("cmon-acme-cert.pem");
        assert_names(&certificate, &stage.key);
        let ends = ["x509", "-noout", "-checkend"];
        let day = 24 * 60 * 60;
        openssl(&[&ends[..], &[&(29 * day).to_string()]].concat(), &certificate);
        let text = openssl(&["x509", "-noout", "-text"], &certificate);
        assert!(
            text.contains("Public-Key: (256 bit)") && text.contains("TLS Web Client Authentication"),
            "{text}"
        );

        let private = stage.cli.home().join("cmon-acme-key.pem");
        let of_key = openssl(&["pkey", "-pubout"], &private);
        let of_certificate = openssl(&["x509", "-noout", "-pubkey"], &certificate);
        assert_eq!(of_key, of_certificate, "{kind:?}");
        let prometheus = std::fs::read_to_string(stage.cli.home().join("cmon-acme-prometheus.yml")).unwrap();
        assert!(prometheus.contains("endpoint: cmon.dc1.triton.zone\n"), "{prometheus}");

        // It opens CMON, which is closed without it.
        let found = discover(&stage, Some((&certificate, &private)));
        assert!(found.starts_with("HTTP/1.1 200 OK\r\n") && found.contains(&web), "{kind:?}: {found}");
        let refused = discover(&stage, None);
        assert!(!refused.starts_with("HTTP/1.1 200"), "{kind:?}: {refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cli_itself_refuses_ed25519() {
    let Some((stage, _agent)) = stage_with_agent(KeyType::Ed25519).await else { return };
    let refused = stage.refused(1, &["profile", "cmon-certgen", "-y"]).await;
    assert!(refused.contains("ED25519 not supported."), "{refused}");
    assert!(!stage.cli.home().join("cmon-acme-cert.pem").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_services_there_are_no_certificates() {
    let Some(mut stage) = Stage::with(KeyType::Ecdsa, |settings| settings.cmon = None).await else { return };
    let agent = Agent::start(&stage, &stage.key).await;
    stage.cli.set("SSH_AUTH_SOCK", agent.socket.to_str().unwrap());
    // The CLI says so, and that all went well.
    let said = stage.cli.run(&["profile", "cmon-certgen", "-y"]).await.unwrap();
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.err.contains("no \"cmon\" service on this datacenter"), "{said:?}");
    let refused = stage.refused(1, &["profile", "docker-setup", "-y"]).await;
    let expected = "triton profile docker-setup: error (Setup): no \"docker\" service on this datacenter";
    assert!(refused.starts_with(expected), "{refused}");
}

/// A Docker engine as far as the CLI asks it, which is for the certificate of its authority.
struct Docker {
    child: Child,
    /// Host and port.
    address: String,
}

impl Docker {
    /// Serves the files of a folder, among them `ca.pem`, made here.
    fn start(folder: &Path) -> Self {
        let mut make = Command::new("openssl");
        make.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]);
        make.args(["-subj", "/CN=docker", "-keyout", "docker.pem", "-out", "ca.pem"]);
        tool(make.current_dir(folder));
        let mut serve = Command::new("openssl");
        serve.args(["s_server", "-accept", "127.0.0.1:0", "-WWW", "-cert", "ca.pem", "-key", "docker.pem"]);
        serve.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = serve.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let accepts = |line: std::io::Result<String>| Some(line.unwrap().strip_prefix("ACCEPT ")?.to_owned());
        let address = lines.find_map(accepts).unwrap();
        Self { child, address }
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_for_docker() {
    let folder = tempfile::tempdir().unwrap();
    let docker = Docker::start(folder.path());
    let host = format!("tcp://{}", docker.address);
    let stage = Stage::with(KeyType::Ecdsa, |settings| {
        settings.services.insert("docker".to_owned(), host.clone());
    });
    let Some(mut stage) = stage.await else { return };
    // Nobody vouches for that authority yet.
    stage.cli.set("TRITON_TLS_INSECURE", "1");
    let said = stage.ok(&["profile", "docker-setup", "-y"]).await.out;
    assert!(said.contains("Successfully setup profile \"env\" to use Docker"), "{said}");

    let exports = stage.ok(&["env", "--docker"]).await.out;
    assert!(exports.contains(&format!("export DOCKER_HOST={host}\n")), "{exports}");
    let files = exports.lines().find_map(|line| line.strip_prefix("export DOCKER_CERT_PATH=")).unwrap();
    let files = Path::new(files);
    let authority = std::fs::read_to_string(files.join("ca.pem")).unwrap();
    assert_eq!(authority, std::fs::read_to_string(folder.path().join("ca.pem")).unwrap());
    assert_names(&files.join("cert.pem"), &stage.key);
    let of_key = openssl(&["pkey", "-pubout"], &files.join("key.pem"));
    assert_eq!(of_key, openssl(&["x509", "-noout", "-pubkey"], &files.join("cert.pem")));
}
