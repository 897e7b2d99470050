//! Credentials in a Secret, and their rotation while the process works.

use serde_json::json;
use suites::virtual_kubelet::{self, VirtualKubelet};
use triton::Client;
use triton::auth::PrivateKey;
use triton::types::CreateKey;

use super::stage::{Stage, until, until_ready_says};

const SECRET: &str = "--credentials-secret=kube-system/triton-credentials";

impl Stage {
    /// Makes the Secret say this, beside where CloudAPI is.
    async fn say(&self, more: &[(&str, &str)]) {
        let mut data = serde_json::Map::new();
        for (name, value) in self.simulator.environment() {
            if ["TRITON_URL", "TRITON_ACCOUNT"].contains(&name.as_str()) {
                data.insert(name, value.into());
            }
        }
        data.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())));
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "triton-credentials", "namespace": "kube-system"},
            "stringData": data,
        });
        self.apply(&secret.to_string()).await;
    }

    /// Makes a key that the account does not have; gives the private and the public half.
    pub(super) async fn new_key(&self, name: &str, passphrase: &str) -> (String, String) {
        let path = self.folder.path().join(name);
        let mut command = tokio::process::Command::new("ssh-keygen");
        command.args(["-q", "-t", "ecdsa", "-b", "256", "-C", name, "-N", passphrase, "-f"]).arg(&path);
        assert!(command.status().await.unwrap().success());
        let read = |path| std::fs::read_to_string(path).unwrap();
        (read(path.clone()), read(path.with_extension("pub")))
    }

    /// The notes of the events about the Secret with this reason.
    async fn notes(&self, reason: &str) -> String {
        let selector = format!("--field-selector=reason={reason},regarding.name=triton-credentials");
        let output = "--output=jsonpath={range .items[*]}{.note}{\"\\n\"}{end}";
        self.kubectl(&["get", "events.events.k8s.io", "--namespace=kube-system", &selector, output]).await
    }

    async fn until_noted(&self, log: impl Fn() -> String, reason: &str, text: &str) {
        let noted = async || self.notes(reason).await.contains(text);
        until(log, &format!("an event {reason} says {text:?}"), noted).await;
    }

    /// Gives the account this key, and takes the first one.
    async fn give(&self, account: &Client, public: String) {
        let key = CreateKey { name: Some("second".to_owned()), key: public };
        account.create_key(&key).await.unwrap();
    }

    /// Takes all keys but that from the account, and has everybody connect anew.
    async fn take_first(&self, account: &Client) {
        let keys = account.list_keys().await.unwrap().items;
        let first = keys.iter().find(|key| &*key.name != "second").unwrap();
        account.delete_key(&first.fingerprint).await.unwrap();
        account.get_account().await.unwrap_err();
        self.simulator.control().cut_feeds();
    }

    async fn until_followed(&self, log: impl Fn() -> String) {
        until(log, "changes are followed again", async || self.simulator.control().feed_clients() > 0).await;
    }
}

#[tokio::test]
async fn the_virtual_kubelet_reads_the_same_secret() {
    let stage = Stage::set().await;
    let kubeconfig = virtual_kubelet::install(&stage.plane).await.unwrap();
    stage.say(&[("TRITON_KEY_MATERIAL", &stage.first_key())]).await;
    let kubelet = VirtualKubelet::start(&kubeconfig, &[], &[SECRET]).await.unwrap();
    let ready = async || kubelet.get("/readyz").await.unwrap() == "ok";
    until(|| kubelet.log(), "it is ready", ready).await;
    let account = stage.account().await;
    let (second, public) = stage.new_key("second", "").await;
    stage.give(&account, public).await;
    stage.say(&[("TRITON_KEY_MATERIAL", &second)]).await;
    stage.until_noted(|| kubelet.log(), "CredentialsReplaced", "signed with the new key").await;
    stage.take_first(&account).await;
    stage.until_followed(|| kubelet.log()).await;
    assert!(ready().await, "{}", kubelet.log());
}

/// The operator's objects are kept with the key that signs, by the rights of their manifest.
const CMON: &str = "--cmon-scrape-config=monitoring/triton-cmon";
const CMON_RIGHTS: &str =
    include_str!("../../../deploy/triton-cloud-controller-manager/cmon-scrape-config.yaml");

#[tokio::test]
async fn a_key_is_rotated_by_a_change_of_the_secret_and_a_bad_one_changes_nothing() {
    let stage = Stage::set().await;
    // It starts before there is a Secret.
    stage.kubectl(&["create", "namespace", "monitoring"]).await;
    stage.apply(CMON_RIGHTS).await;
    let process = stage.start(&[SECRET, CMON]).await;
    let log = || process.log();
    until_ready_says(&process, 500, "Secret kube-system/triton-credentials: it is not there; make it with")
        .await;
    stage.say(&[("TRITON_KEY_MATERIAL", "/a/path")]).await;
    until_ready_says(&process, 500, "must hold the private key itself").await;
    stage.say(&[("TRITON_KEY_MATERIAL", &stage.first_key())]).await;
    until_ready_says(&process, 200, "ok").await;

    // What cannot work changes nothing, and is told.
    stage.say(&[("TRITON_KEY_MATERIAL", "-----BEGIN NOTHING-----")]).await;
    stage.until_noted(log, "CredentialsRefused", "cannot use the private key").await;
    let account = stage.account().await;
    let (second, public) = stage.new_key("second", "").await;
    stage.say(&[("TRITON_KEY_MATERIAL", &second)]).await;
    stage.until_noted(log, "CredentialsRefused", "CloudAPI does not answer").await;
    stage.say(&[("TRITON_KEY_MATERIAL", &second), ("TRITON_ACT_AS", "somebody")]).await;
    stage.until_noted(log, "CredentialsRefused", "TRITON_ACT_AS changed").await;
    let still = process.get("/readyz", &[]).await.unwrap();
    assert_eq!(still, (200, "ok".to_owned()), "{}", process.log());

    // The account gets the key late: it is taken up all the same.
    stage.kubectl(&["delete", "secret", "triton-credentials", "--namespace=kube-system"]).await;
    stage.until_noted(log, "CredentialsRefused", "it was deleted").await;
    stage.say(&[("TRITON_KEY_MATERIAL", &second)]).await;
    stage.give(&account, public).await;
    stage.until_noted(log, "CredentialsReplaced", "signed with the new key").await;

    // CMON takes no certificate by the first key, which is of Ed25519; now there is one by the second, by which it is the
    // account's.
    let certificate = async || {
        let get = ["get", "secret", "triton-cmon-client", "--namespace=monitoring", "--ignore-not-found"];
        let key = "--output=jsonpath={.metadata.annotations.tritondatacenter\\.com/cmon-key}";
        stage.kubectl(&[&get[..], &[key]].concat()).await
    };
    let fingerprint = PrivateKey::from_pem(&second, None).unwrap().public_key().fingerprint().to_string();
    until(log, "the certificate is by the second key", async || certificate().await == fingerprint).await;

    // The first one goes, and the process works on, although all its connections were signed by it.
    stage.take_first(&account).await;
    stage.until_followed(log).await;
    let machine = stage.machine(&stage.account_by(&second).await, "m1").await;
    stage.register("m1", &machine).await;
    stage.until_initialised(&process, "m1").await;
    let told = process.log() + &stage.notes("CredentialsRefused").await;
    let secret = second.lines().nth(1).unwrap();
    assert!(!told.contains(secret), "a private key is told: {told}");
}
