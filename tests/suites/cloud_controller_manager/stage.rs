//! A control plane and a data centre for processes.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::json;
use suites::cloud_controller_manager::{CloudControllerManager, install};
use suites::control_plane::{ControlPlane, Options};
use suites::process::Program;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::{Instant, sleep};
use triton::Client;
use triton::config::{Config, Environment};
use triton::types::{CreateInstance, InstanceState};
use triton_sim::{Preset, Settings, Simulator};

/// No condition takes longer, on a machine that does other things as well.
const BOUND: Duration = Duration::from_secs(90);

/// How a sub-command ended.
pub(super) struct Ended {
    pub(super) code: i32,
    pub(super) out: String,
    pub(super) err: String,
}

/// Whether a line begins with this level and has this part.
pub(super) fn has_line(text: &str, level: &str, part: &str) -> bool {
    text.lines().any(|line| line.starts_with(level) && line.contains(part))
}

/// Where processes run.
pub(super) struct Stage {
    pub(super) plane: ControlPlane,
    pub(super) simulator: Simulator,
    /// With the rights of the manifest.
    pub(super) kubeconfig: PathBuf,
    /// For files of the test.
    pub(super) folder: TempDir,
}

impl Stage {
    /// Without any process yet.
    pub(super) async fn set() -> Self {
        Self::with(Settings::preset(Preset::Instant)).await
    }

    /// The same with settings of the data centre.
    pub(super) async fn with(settings: Settings) -> Self {
        let options = Options { scheduler: false, controller_manager: false, ..Options::default() };
        let (plane, simulator) = tokio::join!(ControlPlane::start(&options), Simulator::start(settings));
        let (plane, simulator) = (plane.unwrap(), simulator.unwrap());
        let kubeconfig = install(&plane).await.unwrap();
        Self { plane, simulator, kubeconfig, folder: tempfile::tempdir().unwrap() }
    }

    /// Starts a process that has its credentials from the environment.
    pub(super) async fn start(&self, arguments: &[&str]) -> CloudControllerManager {
        let variables = self.simulator.environment();
        CloudControllerManager::start(&self.kubeconfig, variables, arguments).await.unwrap()
    }

    /// Runs the program with these arguments, and only these variables, to its end.
    pub(super) async fn sub_command(&self, variables: &[(String, String)], arguments: &[&str]) -> Ended {
        let mut command = Command::new(Program::CloudControllerManager.binary().unwrap());
        command.env_clear().envs(variables.iter().cloned()).args(arguments);
        let ended = command.stdin(Stdio::null()).kill_on_drop(true).output().await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ended { code: ended.status.code().unwrap(), out: text(ended.stdout), err: text(ended.stderr) }
    }

    /// What kubectl prints.
    pub(super) async fn kubectl(&self, arguments: &[&str]) -> String {
        self.plane.kubectl(arguments).await.unwrap()
    }

    /// Applies a manifest.
    pub(super) async fn apply(&self, manifest: &str) {
        let file = self.file("manifest", manifest);
        self.kubectl(&["apply", "--filename", &file]).await;
    }

    /// Writes a file; gives its path.
    pub(super) fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// A client of the account by the key that it has from the start.
    pub(super) async fn account(&self) -> Client {
        self.account_by(&self.first_key()).await
    }

    /// The key that the account has from the start.
    pub(super) fn first_key(&self) -> String {
        let variables = self.simulator.environment();
        let (_, key) = variables.into_iter().find(|(name, _)| name == "TRITON_KEY_MATERIAL").unwrap();
        key
    }

    /// A client of the account by this key.
    pub(super) async fn account_by(&self, key: &str) -> Client {
        let place =
            self.simulator.environment().into_iter().filter(|(name, _)| !name.starts_with("TRITON_KEY"));
        let key = ("TRITON_KEY_MATERIAL".to_owned(), key.to_owned());
        let config = Config::load(&place.chain([key]).collect::<Environment>(), None).unwrap();
        Client::configured(&config).await.unwrap().build().unwrap()
    }

    /// Makes a machine that runs; gives its id.
    pub(super) async fn machine(&self, account: &Client, name: &str) -> String {
        let ids = self.simulator.ids();
        let networks = vec![ids.external.into(), ids.fabric.into()];
        let request = CreateInstance {
            name: Some(name.to_owned()),
            networks,
            ..CreateInstance::new("g1.micro", ids.base_64)
        };
        let id = account.create_instance(&request).await.unwrap().id;
        let deadline = Instant::now() + Duration::from_secs(60);
        while account.get_instance(id).await.unwrap().into_instance().state != InstanceState::Running {
            assert!(Instant::now() < deadline, "{name} does not run");
            sleep(Duration::from_millis(50)).await;
        }
        id.to_string()
    }

    /// Registers a Node for it, as its kubelet does.
    pub(super) async fn register(&self, name: &str, id: &str) {
        let node = json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {"name": name},
            "spec": {
                "providerID": format!("triton:///{id}"),
                "taints": [{
                    "key": "node.cloudprovider.kubernetes.io/uninitialized", "value": "true", "effect": "NoSchedule",
                }],
            },
        });
        self.apply(&node.to_string()).await;
    }

    async fn is_initialised(&self, name: &str) -> bool {
        let taints = ["get", "node", name, "--output=jsonpath={.spec.taints[*].key}"];
        !self.kubectl(&taints).await.contains("node.cloudprovider.kubernetes.io/uninitialized")
    }

    pub(super) async fn until_initialised(&self, process: &CloudControllerManager, name: &str) {
        until(|| process.log(), &format!("{name} is initialised"), async || self.is_initialised(name).await)
            .await;
    }
}

/// Waits for a condition with a bound; what the process said is shown when it does not come.
pub(super) async fn until(log: impl Fn() -> String, what: &str, condition: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + BOUND;
    while !condition().await {
        assert!(Instant::now() < deadline, "not within {BOUND:?}: {what}\n{}", log());
        sleep(Duration::from_millis(100)).await;
    }
}

/// Waits until `/readyz` has this status and text.
pub(super) async fn until_ready_says(process: &CloudControllerManager, status: u16, text: &str) {
    let so = async || {
        let (code, body) = process.get("/readyz", &[]).await.unwrap();
        code == status && body.contains(text)
    };
    until(|| process.log(), &format!("/readyz is {status} {text:?}"), so).await;
}
