//! The connector against a server on the loopback.

mod server;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rstest::rstest;
use runtime::exit::one_line;
use russh::keys::PrivateKey;
use russh::keys::ssh_key::private::Ed25519Keypair;
use secrecy::SecretString;
use tokio::net::TcpListener;
use uuid::Uuid;

use self::server::Server;
use super::*;

/// No condition takes longer.
const BOUND: Duration = Duration::from_secs(30);

/// A key by number.
pub(super) fn host_key(number: u8) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[number; 32]))
}

/// The one that servers admit is number 1.
fn connector(key: u8) -> Connector {
    Connector::new(Identity::new(host_key(key)))
}

fn target(address: SocketAddr) -> Target {
    let instance = Uuid::from_u128(7).to_string().parse().unwrap();
    Target { route: Route { instance, address, user: "ubuntu".into() }, host_key: None }
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(BOUND, waiting).await.is_ok(), "{what}");
}

#[rstest]
#[case("exit 0", Exit::Code(0), 0)]
#[case("exit 3", Exit::Code(3), 3)]
#[case("exit 4294967295", Exit::Code(u32::MAX), i32::MAX)]
#[case("signal KILL", Exit::Signal("KILL".into()), 137)]
#[case("signal TERM", Exit::Signal("TERM".into()), 143)]
#[case("signal ODD", Exit::Signal("ODD".into()), 255)]
// More than a channel may have under way: it must be read to its end.
#[case("flood", Exit::Code(0), 0)]
#[tokio::test]
async fn a_command_ends_as_the_server_says(#[case] line: &str, #[case] exit: Exit, #[case] code: i32) {
    let server = Server::start(2).await;
    let got = connector(1).run(&target(server.address), line).await.unwrap();
    assert_eq!((got.code(), got), (code, exit));
}

#[tokio::test]
async fn commands_share_a_connection_until_it_is_idle() {
    let server = Server::start(2).await;
    let limits = Limits { idle: Duration::from_millis(300), ..Limits::default() };
    let connector = Connector::with_limits(Identity::new(host_key(1)), limits);
    let target = target(server.address);
    let all = (0..5).map(|_| connector.run(&target, "exit 0"));
    for exit in futures::future::join_all(all).await {
        assert_eq!(exit, Ok(Exit::Code(0)));
    }
    assert_eq!(server.connections(), 1);
    until("the connection is given up", || connector.is_empty()).await;
    until("the connection is closed", || server.open() == 0).await;
    assert_eq!(connector.run(&target, "exit 0").await, Ok(Exit::Code(0)));
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn another_user_or_address_has_a_connection_of_its_own() {
    let server = Server::start(2).await;
    let (connector, mut target) = (connector(1), target(server.address));
    connector.run(&target, "exit 0").await.unwrap();
    target.route.user = "root".into();
    connector.run(&target, "exit 0").await.unwrap();
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn the_next_command_connects_anew_when_the_connection_was_lost() {
    let server = Server::start(2).await;
    let (connector, target) = (connector(1), target(server.address));
    let lost = connector.run(&target, "drop").await;
    assert_eq!(lost, Err(Error::Interrupted { route: target.route.clone() }));
    assert_eq!(connector.run(&target, "exit 0").await, Ok(Exit::Code(0)));
    let vague = connector.run(&target, "close").await;
    assert_eq!(vague, Err(Error::Interrupted { route: target.route.clone() }));
}

#[tokio::test]
async fn a_command_that_nobody_waits_for_is_killed() {
    let server = Server::start(2).await;
    let (connector, target) = (connector(1), target(server.address));
    {
        let running = connector.run(&target, "hang");
        tokio::pin!(running);
        tokio::select! {
            ended = &mut running => panic!("{ended:?}"),
            () = until("it runs", || server.commands().contains(&"hang".to_owned())) => {}
        }
    }
    until("it is killed", || server.commands().contains(&"KILL".to_owned())).await;
    until("its session is closed", || server.commands().contains(&"closed".to_owned())).await;
    assert_eq!(connector.run(&target, "exit 0").await, Ok(Exit::Code(0)));
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_server_that_shows_another_key_is_refused_until_the_pod_says_otherwise() {
    let connector = connector(1);
    let server = Server::start(2).await;
    connector.run(&target(server.address), "exit 0").await.unwrap();
    // Another server, for the same instance.
    let server = Server::start(3).await;
    let mut target = target(server.address);
    let learned = connector.take_learned(target.route.instance).unwrap();
    assert_eq!(connector.take_learned(target.route.instance), None);
    connector.untake(target.route.instance);
    assert_eq!(connector.take_learned(target.route.instance), Some(learned.clone()));

    let error = connector.run(&target, "exit 0").await.unwrap_err();
    let message = error.to_string();
    assert!(matches!(&error, Error::HostKeyChanged { known, .. } if **known == learned), "{error:?}");
    assert!(
        message.contains("SHA256:") && message.contains("tritondatacenter.com/ssh-host-key"),
        "{message}"
    );
    assert_eq!(server.commands(), [""; 0]);

    target.host_key = Some(HostKey::new(host_key(3).public_key()));
    assert_eq!(connector.run(&target, "exit 0").await, Ok(Exit::Code(0)));
    // What the pod says goes before what was learned, and is not learned.
    assert_eq!(connector.take_learned(target.route.instance), None);
    connector.forget_all_but(|_| false);
    connector.untake(target.route.instance);
    assert_eq!(connector.take_learned(target.route.instance), None);
}

#[tokio::test]
async fn whoever_is_not_admitted_is_told_which_key_and_which_user() {
    let server = Server::start(2).await;
    let (connector, target) = (connector(9), target(server.address));
    let error = connector.run(&target, "exit 0").await.unwrap_err();
    let message = error.to_string();
    assert!(matches!(error, Error::NotAdmitted { .. }), "{error:?}");
    let fingerprint = Identity::new(host_key(9)).fingerprint();
    assert!(message.contains("ubuntu@127.0.0.1") && message.contains(&fingerprint), "{message}");
    assert!(connector.is_empty());
}

#[tokio::test]
async fn who_does_not_answer_is_named() {
    // A backlog, and nobody who takes from it.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let limits = Limits { connect: Duration::from_millis(200), ..Limits::default() };
    let connector = Connector::with_limits(Identity::new(host_key(1)), limits);
    let target = target(silent.local_addr().unwrap());
    let expected = Error::Deadline { route: target.route.clone(), limit: limits.connect };
    assert_eq!(connector.run(&target, "exit 0").await, Err(expected));
    drop(silent);
    let error = connector.run(&target, "exit 0").await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error:?}");
    assert!(connector.is_empty());
}

#[tokio::test]
async fn connecting_goes_on_when_nobody_waits() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (connector, target) = (connector(1), target(address));
    // As a probe whose limit is short.
    let short = Duration::from_millis(50);
    assert!(tokio::time::timeout(short, connector.run(&target, "exit 0")).await.is_err());
    let server = Server::serve(listener, 2);
    assert_eq!(connector.run(&target, "exit 0").await, Ok(Exit::Code(0)));
    assert_eq!(server.connections(), 1);
}

/// As the user makes them.
fn make_key(passphrase: &str, path: &Path) {
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-t", "ed25519", "-N", passphrase, "-f"]).arg(path);
    assert!(command.status().unwrap().success());
}

#[test]
fn a_key_is_read_from_a_file_and_is_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    make_key("", &path);
    let identity = Identity::load(&path, None).unwrap();
    assert_eq!(format!("{identity:?}"), format!("Identity({})", identity.fingerprint()));
    assert!(identity.fingerprint().starts_with("SHA256:"));
}

#[test]
fn an_encrypted_key_needs_its_passphrase() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    make_key("sesame", &path);
    let load = |passphrase: Option<&str>| {
        let passphrase = passphrase.map(SecretString::from);
        Identity::load(&path, passphrase.as_ref()).map(drop).map_err(|error| one_line(&error))
    };
    assert_eq!(load(Some("sesame")), Ok(()));
    let missing = load(None).unwrap_err();
    assert!(missing.ends_with("is encrypted: set TRITON_VK_SSH_KEY_PASSPHRASE"), "{missing}");
    let wrong = load(Some("swordfish")).unwrap_err();
    assert!(wrong.contains("its passphrase is wrong") && !wrong.contains("swordfish"), "{wrong}");
}
