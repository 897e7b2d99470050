//! `credentials create` and `credentials verify`.

use std::process::Stdio;

use suites::cloud_controller_manager::CloudControllerManager;
use suites::control_plane::Identity;
use suites::process::Program;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use triton::types::{CreateKey, UpdateAccount};
use triton_sim::{Preset, Settings};

use super::stage::{Ended, Stage, has_line, until_ready_says};

impl Stage {
    /// Runs `credentials` with these arguments, and only these variables.
    async fn credentials(&self, variables: &[(String, String)], arguments: &[&str]) -> Ended {
        let arguments: Vec<&str> = ["credentials"].iter().chain(arguments).copied().collect();
        self.sub_command(variables, &arguments).await
    }

    /// What CMON answers to whoever has the certificate of the Secret: the status.
    async fn cmon_answers(&self) -> String {
        let value = async |key: &str| {
            let output = format!("--output=go-template={{{{index .data \"{key}\" | base64decode}}}}");
            let get = ["get", "secret", "triton-credentials", "--namespace=kube-system", &output];
            self.file(key, &self.kubectl(&get).await)
        };
        let (certificate, key) = (value("cmon-cert.pem").await, value("cmon-key.pem").await);
        let cmon = self.simulator.cmon().unwrap();
        let (url, address) = (cmon.url(), cmon.address());
        let resolve = format!("{}:{}", url.trim_start_matches("https://"), address.ip());
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--insecure", "--output", "/dev/null", "--write-out", "%{http_code}"]);
        curl.args(["--cert", &certificate, "--key", &key, "--resolve", &resolve]);
        let output = curl.arg(format!("{url}/v1/discover")).output().await.unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    /// The home folder of a user with a profile of the official client, and the key that it names in `~/.ssh`.
    fn home(&self, private: &str, public: &str) -> Vec<(String, String)> {
        let home = self.folder.path().join("home");
        for folder in [".ssh", ".triton/profiles.d"] {
            std::fs::create_dir_all(home.join(folder)).unwrap();
        }
        std::fs::write(home.join(".ssh/id_ecdsa"), private).unwrap();
        std::fs::write(home.join(".ssh/id_ecdsa.pub"), public).unwrap();
        let fingerprint = triton::auth::PublicKey::from_openssh(public.trim()).unwrap().fingerprint();
        let variables = self.simulator.environment();
        let of = |name: &str| &variables.iter().find(|(it, _)| it == name).unwrap().1;
        let profile = serde_json::json!({
            "url": of("TRITON_URL"), "account": of("TRITON_ACCOUNT"), "keyId": fingerprint.to_string(),
        });
        std::fs::write(home.join(".triton/profiles.d/work.json"), profile.to_string()).unwrap();
        vec![("HOME".to_owned(), home.to_str().unwrap().to_owned())]
    }
}

#[tokio::test]
async fn what_is_created_is_what_the_process_starts_with() {
    let mut settings = Settings::preset(Preset::Instant);
    settings.cmon = Some("127.0.0.1:0".parse().unwrap());
    let stage = Stage::with(settings).await;
    let (private, public) = stage.new_key("mine", "open sesame").await;
    let key = CreateKey { name: None, key: public.clone() };
    stage.account().await.create_key(&key).await.unwrap();
    let mut home = stage.home(&private, &public);

    // Without a terminal nobody can be asked.
    let ended = stage.credentials(&home, &["create", "--profile=work"]).await;
    assert_eq!((ended.code, ended.out.as_str()), (1, ""), "{}", ended.err);
    assert!(ended.err.contains("id_ecdsa is encrypted; run this in a terminal"), "{}", ended.err);

    // From the variable, or typed.
    home.push(("TRITON_KEY_PASSPHRASE".to_owned(), "open sesame".to_owned()));
    let created = stage.credentials(&home, &["create", "--profile=work"]).await;
    assert_eq!(created.code, 0, "{}", created.err);
    for part in [
        "key: ",
        "account: ",
        "cns: on",
        "data centre: ",
        "permission: listmachines",
        "permission: changefeed",
    ] {
        assert!(has_line(&created.err, "ok", part), "{part}\n{}", created.err);
    }
    assert!(!created.err.contains("open sesame") && !created.err.contains("PRIVATE"), "{}", created.err);
    assert!(
        created.out.contains("kind: Secret") && created.out.contains("name: triton-credentials"),
        "{}",
        created.out
    );
    stage.apply(&created.out).await;
    let typed = typed(&home[..1], "open sesame").await;
    assert!(typed.contains("Passphrase of") && typed.contains("kind: Secret"), "{typed}");

    // The process works with it.
    let secret = "kube-system/triton-credentials";
    let flag = format!("--credentials-secret={secret}");
    let none: [(&str, &str); 0] = [];
    let process = CloudControllerManager::start(&stage.kubeconfig, none, &[&flag]).await.unwrap();
    until_ready_says(&process, 200, "ok").await;

    // Applied, with CMON's certificate, which CMON takes.
    let admin = stage.plane.kubeconfig(&Identity::Admin).await.unwrap();
    let to = ["--kubeconfig", admin.to_str().unwrap()];
    let mut arguments = vec!["create", "--apply", "--cmon"];
    arguments.extend(to);
    let mut variables = stage.simulator.environment();
    variables.retain(|(name, _)| !name.starts_with("TRITON_KEY"));
    let more = [("TRITON_KEY_MATERIAL", private.as_str()), ("TRITON_KEY_PASSPHRASE", "open sesame")];
    variables.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let applied = stage.credentials(&variables, &arguments).await;
    assert_eq!((applied.code, applied.out.as_str()), (0, ""), "{}", applied.err);
    // This machine's resolver does not know CMON's name.
    assert!(has_line(&applied.err, "warning", "cannot be asked from here"), "{}", applied.err);
    assert_eq!(stage.cmon_answers().await, "200");

    // What is there is verified, and what is wrong is said.
    let mut arguments = vec!["verify", flag.as_str()];
    arguments.extend(to);
    let verified = stage.credentials(&[], &arguments).await;
    assert_eq!((verified.code, verified.err.as_str()), (0, ""), "{}", verified.out);
    assert!(has_line(&verified.out, "ok", "account: "), "{}", verified.out);
    assert!(has_line(&verified.out, "warning", "cmon: "), "{}", verified.out);
    let off = UpdateAccount { triton_cns_enabled: Some(false), ..UpdateAccount::default() };
    stage.account().await.update_account(&off).await.unwrap();
    let verified = stage.credentials(&[], &arguments).await;
    assert_eq!(verified.code, 0, "{}", verified.out);
    assert!(has_line(&verified.out, "warning", "triton_cns_enabled=true"), "{}", verified.out);
    let (stranger, _) = stage.new_key("stranger", "").await;
    let mut wrong = stage.simulator.environment();
    wrong.retain(|(name, _)| !name.starts_with("TRITON_KEY"));
    wrong.push(("TRITON_KEY_MATERIAL".to_owned(), stranger));
    let verified = stage.credentials(&wrong, &["verify"]).await;
    assert_eq!(verified.code, 1, "{}", verified.out);
    assert!(has_line(&verified.out, "failure", "that the key is on the account"), "{}", verified.out);
}

/// Creates with a passphrase that is typed on a terminal: all that is seen on it.
async fn typed(variables: &[(String, String)], passphrase: &str) -> String {
    let command = format!(
        "'{}' credentials create --profile=work",
        Program::CloudControllerManager.binary().unwrap().display()
    );
    let mut script = Command::new("script");
    script.env_clear().envs(variables.iter().cloned()).env("PATH", std::env::var("PATH").unwrap());
    script.args(["--quiet", "--return", "--command", &command, "/dev/null"]);
    let mut child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(format!("{passphrase}\n").as_bytes()).await.unwrap();
    let ended = child.wait_with_output().await.unwrap();
    drop(input);
    let seen = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert!(ended.status.success(), "{seen}");
    seen
}
