//! The independent implementations: OpenSSH and OpenSSL, run as programs, in a directory of the test's own.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use triton::auth::signature::{Algorithm, Authorization, Signature};
use triton::auth::{KeyKind, PublicKey, RequestHead};

pub(crate) const PASSPHRASE: &str = "correct horse";

/// The request that is signed everywhere.
pub(crate) const HEAD: RequestHead<'static> = RequestHead {
    method: "POST",
    target: "/acme/machines?as-role=ops&name=a%20b",
    date: "Mon, 02 Feb 2026 10:00:00 GMT",
};

/// Whether the programs are there. In CI they must be; elsewhere the test says that it is skipped.
pub(crate) fn are_here() -> bool {
    let missing: Vec<_> = ["ssh-keygen", "ssh-agent", "ssh-add", "openssl"]
        .into_iter()
        .filter(|program| Command::new(program).arg("-?").stdin(Stdio::null()).output().is_err())
        .collect();
    if missing.is_empty() {
        return true;
    }
    let message = format!("{} not found: install OpenSSH and OpenSSL", missing.join(", "));
    assert!(std::env::var_os("CI").is_none(), "{message}");
    eprintln!("skipped: {message}");
    false
}

/// Runs a program and returns what it prints; it must succeed.
pub(crate) fn run(program: &str, arguments: &[&dyn AsRef<OsStr>]) -> String {
    let output = output(program, arguments);
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let arguments: Vec<_> = arguments.iter().map(AsRef::as_ref).collect();
    assert!(output.status.success(), "{program} {arguments:?}: {stdout}{stderr}");
    stdout.into_owned()
}

fn output(program: &str, arguments: &[&dyn AsRef<OsStr>]) -> Output {
    let mut command = Command::new(program);
    command.args(arguments.iter().map(AsRef::as_ref)).stdin(Stdio::null());
    // Without a terminal and without this, ssh-add would look for a window to ask in.
    command.env_remove("DISPLAY").env_remove("SSH_ASKPASS");
    command.output().unwrap_or_else(|error| panic!("{program}: {error}"))
}

/// A directory of keys that is removed at the end.
pub(crate) struct Workshop(tempfile::TempDir);

impl Workshop {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn root(&self) -> &Path {
        self.0.path()
    }

    /// A new key in OpenSSH's format, with `NAME.pub` beside it. `kind` is what follows `-t`.
    pub(crate) fn new_key(&self, name: &str, kind: &[&str]) -> Key {
        let file = self.path(name);
        let mut arguments: Vec<&dyn AsRef<OsStr>> =
            vec![&"-q", &"-N", &"", &"-C", &"a comment", &"-f", &file, &"-t"];
        arguments.extend(kind.iter().map(|it| it as &dyn AsRef<OsStr>));
        run("ssh-keygen", &arguments);
        let line = fs::read_to_string(self.path(&format!("{name}.pub"))).expect("a public key");
        Key { public: PublicKey::from_openssh(&line).expect("a public key"), file }
    }

    /// A copy of a key that `ssh-keygen -p` has changed. Few rounds, because these are not optimised builds.
    pub(crate) fn convert(&self, key: &Key, name: &str, passphrase: &str, options: &[&str]) -> PathBuf {
        let copy = self.path(name);
        fs::copy(&key.file, &copy).expect("a copy");
        let mut arguments: Vec<&dyn AsRef<OsStr>> = vec![&"-q", &"-p", &"-P", &"", &"-N", &passphrase];
        arguments.extend([&"-a" as &dyn AsRef<OsStr>, &"2", &"-f", &copy]);
        arguments.extend(options.iter().map(|it| it as &dyn AsRef<OsStr>));
        run("ssh-keygen", &arguments);
        copy
    }

    /// What `openssl SUBCOMMAND -in FILE OPTIONS` writes, in a file. `PASSPHRASE` is the new passphrase.
    pub(crate) fn openssl(&self, subcommand: &str, from: &Path, name: &str, options: &[&str]) -> PathBuf {
        let to = self.path(name);
        let passphrase = format!("pass:{PASSPHRASE}");
        let mut arguments: Vec<&dyn AsRef<OsStr>> =
            vec![&subcommand, &"-in", &from, &"-out", &to, &"-passout", &passphrase];
        arguments.extend(options.iter().map(|it| it as &dyn AsRef<OsStr>));
        run("openssl", &arguments);
        to
    }

    /// Whether OpenSSL takes a signature for one of `message` by `key`.
    pub(crate) fn openssl_verifies(&self, key: &PublicKey, message: &str, signature: &Signature) -> bool {
        let public = self.public_pem(key);
        let (message_file, signature_file) = (self.path("message"), self.path("signature"));
        fs::write(&message_file, message).expect("a file");
        fs::write(&signature_file, &signature.bytes).expect("a file");
        let digest = match signature.algorithm {
            Algorithm::RsaSha256 | Algorithm::EcdsaSha256 => "-sha256",
            Algorithm::EcdsaSha512 => "-sha512",
            _ => {
                let arguments: [&dyn AsRef<OsStr>; 10] = [
                    &"pkeyutl",
                    &"-verify",
                    &"-pubin",
                    &"-inkey",
                    &public,
                    &"-rawin",
                    &"-in",
                    &message_file,
                    &"-sigfile",
                    &signature_file,
                ];
                return output("openssl", &arguments).status.success();
            }
        };
        let arguments: [&dyn AsRef<OsStr>; 7] =
            [&"dgst", &digest, &"-verify", &public, &"-signature", &signature_file, &message_file];
        output("openssl", &arguments).status.success()
    }

    /// The public key as OpenSSL reads it.
    fn public_pem(&self, key: &PublicKey) -> PathBuf {
        let (line, pem) = (self.path("public"), self.path("public.pem"));
        fs::write(&line, key.to_openssh()).expect("a file");
        let text = match key.kind() {
            // ssh-keygen does not convert these; OpenSSL's form is twelve bytes before the point.
            KeyKind::Ed25519 => {
                let prefix = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
                let der = self.path("public.der");
                let point = key.wire().last_chunk::<32>().expect("a point");
                fs::write(&der, [&prefix[..], point].concat()).expect("a file");
                run("openssl", &[&"pkey", &"-pubin", &"-inform", &"DER", &"-in", &der])
            }
            _ => run("ssh-keygen", &[&"-e", &"-m", &"PKCS8", &"-f", &line]),
        };
        fs::write(&pem, text).expect("a file");
        pem
    }

    /// What `ssh-keygen -l` says of a key.
    pub(crate) fn fingerprint(&self, key: &PublicKey, hash: &str) -> String {
        let line = self.path("public");
        fs::write(&line, key.to_openssh()).expect("a file");
        let printed = run("ssh-keygen", &[&"-l", &"-E", &hash, &"-f", &line]);
        printed.split(' ').nth(1).expect("a fingerprint").to_owned()
    }

    /// Both implementations take a header for the signature of [`HEAD`] by a key.
    #[track_caller]
    pub(crate) fn check_header(&self, key: &PublicKey, header: &http::HeaderValue) {
        let parsed = Authorization::parse(header.to_str().expect("text")).expect("a header");
        let message = HEAD.signing_string();
        assert_eq!(
            parsed.signing_string(HEAD.method, HEAD.target, |name| (name == "date").then_some(HEAD.date)),
            Ok(message.clone())
        );
        assert_eq!(Ok(parsed.algorithm()), key.signing_algorithm());
        assert_eq!(triton::auth::signature::verify(key, message.as_bytes(), parsed.signature()), Ok(()));
        assert!(self.openssl_verifies(key, &message, parsed.signature()), "{header:?} by {key:?}");
    }
}

/// A key that `ssh-keygen` made.
pub(crate) struct Key {
    pub(crate) file: PathBuf,
    pub(crate) public: PublicKey,
}

/// A real ssh-agent, which is ended when this goes away, also when the test fails.
pub(crate) struct Agent {
    pub(crate) socket: PathBuf,
    process: String,
}

impl Agent {
    pub(crate) fn start(workshop: &Workshop) -> Self {
        let socket = workshop.path("agent.socket");
        // It returns when the socket is there, and prints the process that listens.
        let printed = run("ssh-agent", &[&"-s", &"-a", &socket]);
        let process = printed
            .split("SSH_AGENT_PID=")
            .nth(1)
            .and_then(|rest| rest.split(';').next())
            .unwrap_or_else(|| panic!("no process id: {printed}"))
            .to_owned();
        Self { socket, process }
    }

    pub(crate) fn add(&self, key: &Key) {
        let output =
            Command::new("ssh-add").arg("-q").arg(&key.file).env("SSH_AUTH_SOCK", &self.socket).output();
        let output = output.expect("ssh-add runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let end = Command::new("ssh-agent").arg("-k").env("SSH_AGENT_PID", &self.process).output();
        if let Err(error) = end {
            eprintln!("the ssh-agent {} goes on: {error}", self.process);
        }
    }
}

/// An error and its causes, as they are printed at the edge.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
