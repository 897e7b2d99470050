//! `profile cmon-certgen`: the certificate with which CMON is asked, signed by a key in an ssh-agent.

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

/// A data centre that says that it has CMON, and an agent with the key.
async fn stage_with_agent(kind: KeyType) -> Option<(Stage, Agent)> {
    let mut stage = Stage::with(kind, |settings| {
        settings.services.insert("cmon".to_owned(), "https://cmon.dc1.example.com:9163".to_owned());
    })
    .await?;
    let agent = Agent::start(&stage, &stage.key).await;
    stage.cli.set("SSH_AUTH_SOCK", agent.socket.to_str().unwrap());
    Some((stage, agent))
}

fn openssl(arguments: &[&str], file: &Path) -> String {
    tool(Command::new("openssl").args(arguments).arg("-in").arg(file))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_for_cmon() {
    for kind in [KeyType::Rsa, KeyType::Ecdsa] {
        let Some((stage, _agent)) = stage_with_agent(kind).await else { return };
        let said = stage.ok(&["profile", "cmon-certgen", "-y", "-t", "30"]).await.out;
        assert!(
            said.contains("CMON authentication certificate and key have been placed in files\n"),
            "{said}"
        );

        let certificate = stage.cli.home().join("cmon-acme-cert.pem");
        let names = openssl(&["x509", "-noout", "-subject", "-issuer", "-nameopt", "RFC2253"], &certificate);
        // OpenSSL escapes some of the characters of Base64.
        let names = names.replace('\\', "");
        // The issuer is the signing key, by its MD5 fingerprint.
        let digits = stage.key.fingerprint.replace(':', "");
        let bytes: Vec<u8> =
            (0..16).map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap()).collect();
        assert_eq!(
            names,
            format!("subject=CN=acme\nissuer=CN=MD5:{}\n", STANDARD_NO_PAD.encode(bytes)),
            "{kind:?}"
        );
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
        assert!(prometheus.contains("endpoint: cmon.dc1.example.com\n"), "{prometheus}");
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
async fn without_the_service_there_is_only_a_warning() {
    let Some(mut stage) = Stage::up().await else { return };
    let agent = Agent::start(&stage, &stage.key).await;
    stage.cli.set("SSH_AUTH_SOCK", agent.socket.to_str().unwrap());
    let said = stage.cli.run(&["profile", "cmon-certgen", "-y"]).await.unwrap();
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.err.contains("no \"cmon\" service on this datacenter"), "{said:?}");
}
