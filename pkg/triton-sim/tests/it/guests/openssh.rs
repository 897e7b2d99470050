//! OpenSSH's client, which is what people have.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use triton_sim::guests::{GuestSettings, Guests};

use super::ssh_client::public_line;
use super::{ssh_client, until_answers};
use crate::data_center::{FakeDataCenter, running};

/// Whether `ssh` is there. In CI it must be.
fn is_here() -> bool {
    if Command::new("ssh").arg("-V").output().is_ok() {
        return true;
    }
    assert!(std::env::var_os("CI").is_none(), "ssh not found: install OpenSSH");
    eprintln!("skipped: ssh not found: install OpenSSH");
    false
}

/// Runs `ssh OPTIONS root@ADDRESS COMMAND`.
fn ssh(directory: &Path, options: &[&str], address: &str, command: &str, input: &[u8]) -> Output {
    let known_hosts = format!("UserKnownHostsFile={}", directory.join("known_hosts").display());
    let mut child = Command::new("ssh")
        .args(["-F", "none", "-o", "StrictHostKeyChecking=accept-new", "-o", &known_hosts])
        .args(["-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR", "-i"])
        .arg(directory.join("key"))
        .args(options)
        .args([&format!("root@{address}"), command])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // A command that does not read its input breaks the pipe.
    let writing = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap();
    output
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs in a private network"]
async fn openssh_runs_commands_in_guests() {
    if !is_here() {
        return;
    }
    let address = "203.0.113.10";
    let key = ssh_client::key(1);
    let mut view = running(1, address);
    view.metadata.insert("root_authorized_keys".to_owned(), public_line(&key));
    let _guests = Guests::start(FakeDataCenter::new([view]), GuestSettings::default());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("key");
    std::fs::write(&file, key.to_openssh(Default::default()).unwrap().as_bytes()).unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    until_answers(&format!("{address}:22")).await;

    let path = directory.path().to_owned();
    let run = async move |options: &'static [&str], command: &'static str, input: Vec<u8>| {
        let path = path.clone();
        tokio::task::spawn_blocking(move || ssh(&path, options, address, command, &input)).await.unwrap()
    };
    let done = run(&[], "echo out; echo err >&2; exit 3", Vec::new()).await;
    let (out, err) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert_eq!((&*out, &*err, done.status.code()), ("out\n", "err\n", Some(3)));

    let data: Vec<u8> = (0..20_000_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    let done = run(&[], "cat", data.clone()).await;
    assert!(done.stdout == data && done.status.success(), "{} {done:?}", done.stdout.len());

    let done = run(&["-tt"], "stty size && tty; exit 4", Vec::new()).await;
    let out = String::from_utf8_lossy(&done.stdout);
    assert!(out.ends_with("\r\n/dev/pts/0\r\n"), "{out:?}");
    assert_eq!(done.status.code(), Some(4));

    let done = run(&[], "sh", b"echo a\nexit 5\n".to_vec()).await;
    assert_eq!((done.stdout.as_slice(), done.status.code()), (b"a\n".as_slice(), Some(5)));
}
