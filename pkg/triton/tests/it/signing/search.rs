//! Where a key is found that is configured by its fingerprint only.

use std::fs;
use std::path::Path;

use triton::auth::{AuthError, Authenticate as _, PublicKey, Signer, SshSignature};
use triton::config::{Config, Environment};

use super::tools::{self, Agent, HEAD, Key, PASSPHRASE, Workshop};

/// What `Config` finds for a key, given an agent, a home directory and a passphrase.
async fn find(
    wanted: &PublicKey,
    agent: Option<&Path>,
    home: Option<&Path>,
    passphrase: Option<&str>,
) -> Result<SshSignature, AuthError> {
    let text = |path: &Path| path.to_str().expect("unicode").to_owned();
    let environment: Environment = [
        ("TRITON_URL", Some("https://a".to_owned())),
        ("TRITON_ACCOUNT", Some("acme".to_owned())),
        ("TRITON_KEY_ID", Some(wanted.fingerprint().to_string())),
        ("SSH_AUTH_SOCK", agent.map(text)),
        ("HOME", home.map(text)),
        ("TRITON_KEY_PASSPHRASE", passphrase.map(str::to_owned)),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect();
    Config::load(&environment, None).expect("settings").authenticator().await
}

/// A home directory with these files in `.ssh`.
fn home(workshop: &Workshop, files: &[(&Path, &str)]) -> tempfile::TempDir {
    let home = tempfile::tempdir_in(workshop.root()).expect("a directory");
    fs::create_dir(home.path().join(".ssh")).expect("a directory");
    for (from, name) in files {
        fs::copy(from, home.path().join(".ssh").join(name)).expect("a copy");
    }
    home
}

fn public_file(key: &Key) -> std::path::PathBuf {
    key.file.with_extension("pub")
}

#[tokio::test]
async fn the_agent_is_asked_first_and_files_are_next() {
    if !tools::are_here() {
        return;
    }
    let workshop = Workshop::new();
    let agent = Agent::start(&workshop);
    let key = workshop.new_key("key", &["ed25519"]);
    let home = home(&workshop, &[(&key.file, "key"), (&public_file(&key), "key.pub")]);
    let gone = workshop.path("no agent");

    for socket in [Some(agent.socket.as_path()), Some(gone.as_path()), None] {
        let found = find(&key.public, socket, Some(home.path()), None).await.expect("the file");
        assert!(matches!(found.signer(), Signer::Key(_)));
    }
    agent.add(&key);
    let found = find(&key.public, Some(&agent.socket), Some(home.path()), None).await.expect("the agent");
    assert!(matches!(found.signer(), Signer::Agent(_)));
    workshop.check_header(&key.public, &found.authorization(HEAD).await.expect("a header"));
}

#[tokio::test]
async fn only_the_file_that_matches_needs_the_passphrase() {
    if !tools::are_here() {
        return;
    }
    let workshop = Workshop::new();
    let (wanted, locked) =
        (workshop.new_key("wanted", &["ed25519"]), workshop.new_key("locked", &["ed25519"]));
    let pkcs8 = workshop.convert(
        &workshop.new_key("pkcs8", &["rsa", "-b", "2048"]),
        "other",
        "other",
        &["-m", "PEM"],
    );
    let locked_file = workshop.convert(&locked, "locked.encrypted", PASSPHRASE, &[]);

    // With public halves beside them, without, and with a passphrase that opens none of the others.
    for files in [
        vec![
            (&*locked_file, "a"),
            (&public_file(&locked), "a.pub"),
            (&wanted.file, "b"),
            (&public_file(&wanted), "b.pub"),
        ],
        vec![(&*locked_file, "id_a"), (&*pkcs8, "id_b"), (&*wanted.file, "id_c")],
    ] {
        let home = home(&workshop, &files);
        for passphrase in [None, Some("of none of them")] {
            let found = find(&wanted.public, None, Some(home.path()), passphrase).await.expect("the key");
            assert_eq!(found.signer().public_key(), &wanted.public);
        }
        let error = find(&locked.public, None, Some(home.path()), None).await.expect_err("locked");
        let error = tools::chain(&error);
        assert!(error.contains("TRITON_KEY_PASSPHRASE") && error.contains(files[0].1), "{error}");
        let found = find(&locked.public, None, Some(home.path()), Some(PASSPHRASE)).await.expect("unlocked");
        assert_eq!(found.signer().public_key(), &locked.public);
    }
}

#[tokio::test]
async fn a_key_that_is_nowhere_says_where_it_was_looked_for() {
    if !tools::are_here() {
        return;
    }
    let workshop = Workshop::new();
    let agent = Agent::start(&workshop);
    let (wanted, other) = (workshop.new_key("wanted", &["ed25519"]), workshop.new_key("other", &["ed25519"]));
    agent.add(&other);
    let locked = workshop.convert(
        &workshop.new_key("rsa", &["rsa", "-b", "2048"]),
        "locked",
        PASSPHRASE,
        &["-m", "PEM"],
    );
    let missing = workshop.path("missing");

    let check = async |agent: Option<&Path>, home: Option<&Path>, expected: &[&str]| {
        let error = find(&wanted.public, agent, home, None).await.expect_err("nowhere");
        let error = tools::chain(&error);
        assert!(error.contains(&wanted.public.fingerprint().to_string()), "{error}");
        assert!(!error.contains('\n') && error.contains("TRITON_KEY_MATERIAL"), "{error}");
        for part in expected {
            assert!(error.contains(part), "{part}: {error}");
        }
    };
    let home_of = |files: &[(&Path, &str)]| home(&workshop, files);
    let held = format!("holds 1 key ({})", other.public.fingerprint());
    let empty = home_of(&[]);
    check(Some(&agent.socket), Some(empty.path()), &[&held, ".ssh has no such key"]).await;
    check(
        Some(&missing),
        Some(&missing),
        &["could not be asked", "no ssh-agent answers", ".ssh: entity not found"],
    )
    .await;
    let half = home_of(&[(&public_file(&wanted), "w.pub")]);
    check(
        None,
        Some(half.path()),
        &["SSH_AUTH_SOCK is not set", "w.pub is its public key, without the private one"],
    )
    .await;
    let sealed = home_of(&[(&locked, "id_rsa"), (&other.file, "id_other")]);
    check(None, Some(sealed.path()), &["unless it is among the 1 that could not be decrypted"]).await;
}

#[tokio::test]
async fn strange_files_in_the_directory_do_no_harm() {
    if !tools::are_here() {
        return;
    }
    let workshop = Workshop::new();
    let (wanted, other) = (workshop.new_key("wanted", &["ed25519"]), workshop.new_key("other", &["ed25519"]));
    let home =
        home(&workshop, &[(&wanted.file, "id_z"), (&other.file, "mixed"), (&public_file(&wanted), "z.pub")]);
    let ssh = home.path().join(".ssh");
    fs::write(ssh.join("id_binary"), [0xff; 64]).expect("a file");
    fs::write(ssh.join("id_huge"), vec![b'a'; 300_000]).expect("a file");
    fs::write(ssh.join("broken.pub"), "ssh-ed25519 nonsense").expect("a file");
    fs::create_dir(ssh.join("id_directory")).expect("a directory");
    fs::create_dir(ssh.join("directory.pub")).expect("a directory");
    let _socket = std::os::unix::net::UnixListener::bind(ssh.join("id_socket")).expect("a socket");
    let found = find(&wanted.public, None, Some(home.path()), None).await.expect("the key");
    assert_eq!(found.signer().public_key(), &wanted.public);

    // A public half beside the private half of another key.
    fs::rename(ssh.join("mixed"), ssh.join("z")).expect("renamed");
    let error = find(&wanted.public, None, Some(home.path()), None).await.expect_err("a mix-up");
    assert!(matches!(error, AuthError::Mismatch { .. }), "{error}");
}
