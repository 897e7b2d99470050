//! A cluster with a virtual node: control plane, data centre, and the program with the role that it ships with.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use suites::control_plane::{ControlPlane, Options};
use suites::virtual_kubelet::{VirtualKubelet, dry_run, install_pools, run};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::{Instant, sleep};
use triton::Client;
use triton::budget::{Budget, Limits};
use triton::config::{Config, Environment};
use triton::types::{FirewallRule, Instance, ListInstances, TagValue};
use triton_sim::{Preset, Settings, Simulator};

/// No condition takes longer, on a machine that does other things as well.
const BOUND: Duration = Duration::from_secs(120);

/// The node's default name, which the manifest gives rights to.
pub(super) const NODE: &str = "virtual-kubelet";

/// A cluster with a virtual node.
pub(super) struct Stage {
    pub(super) kubelets: Vec<VirtualKubelet>,
    pub(super) simulator: Simulator,
    pub(super) plane: ControlPlane,
    /// The account, seen from outside.
    pub(super) account: Client,
    kubeconfig: PathBuf,
    folder: TempDir,
}

impl Stage {
    /// A cluster with one replica of the virtual kubelet.
    pub(super) async fn set() -> Self {
        Self::with(Settings::preset(Preset::Development), &[]).await
    }

    /// The same with settings of the data centre and flags of the kubelet.
    pub(super) async fn with(settings: Settings, flags: &[&str]) -> Self {
        let mut settings = settings;
        settings.guests = true;
        let mut stage = Self::empty(settings, &Options::default(), &[NODE]).await;
        stage.start_kubelet(flags).await;
        stage.until_ready(NODE).await;
        stage
    }

    /// A cluster without a kubelet yet, with rights for these nodes. Outside of a private network the settings must be
    /// without guests.
    pub(super) async fn empty(settings: Settings, options: &Options, nodes: &[&str]) -> Self {
        let (plane, simulator) = tokio::join!(ControlPlane::start(options), Simulator::start(settings));
        let (plane, simulator) = (plane.unwrap(), simulator.unwrap());
        let kubeconfig = install_pools(&plane, nodes).await.unwrap();
        let account = account(&simulator).await;
        let folder = tempfile::tempdir().unwrap();
        Self { kubelets: Vec::new(), simulator, plane, account, kubeconfig, folder }
    }

    /// Waits until a node is ready.
    pub(super) async fn until_ready(&self, node: &str) {
        let ready = ["wait", "--for=condition=Ready", "--timeout=60s", "node", node];
        self.until("the node is ready", async || self.plane.kubectl(&ready).await.is_ok()).await;
    }

    /// What a dry run prints, which must end well by itself.
    pub(super) async fn dry_run(&self, flags: &[&str]) -> String {
        let output = dry_run(&self.kubeconfig, &self.simulator.environment(), flags).await.unwrap();
        let (shown, said) = (String::from_utf8(output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{}: {said}", output.status);
        shown.unwrap()
    }

    /// How a sub-command ends: its exit code, and what it prints.
    pub(super) async fn sub_command(&self, arguments: &[&str]) -> (i32, String) {
        let output = run(&self.kubeconfig, &self.simulator.environment(), arguments).await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap() + &said)
    }

    /// A file for the kubelet, as the argument that names it.
    pub(super) fn file(&self, name: &str, text: &str) -> String {
        let file = self.folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        file.display().to_string()
    }

    /// Starts one more replica.
    pub(super) async fn start_kubelet(&mut self, flags: &[&str]) {
        let variables = self.simulator.environment();
        // The account's key admits to the guests, too.
        let key = self.folder.path().join("ssh-key");
        let (_, text) = variables.iter().find(|(name, _)| name == "TRITON_KEY_MATERIAL").unwrap();
        std::fs::write(&key, text).unwrap();
        let arguments = ["--nodename", NODE, "--ssh-key", key.to_str().unwrap()];
        let arguments: Vec<&str> = arguments.into_iter().chain(flags.iter().copied()).collect();
        let kubelet = VirtualKubelet::start(&self.kubeconfig, &variables, &arguments).await.unwrap();
        self.kubelets.push(kubelet);
    }

    /// Waits for a condition with a bound; on failure all that the kubelets said is shown.
    pub(super) async fn until(&self, what: &str, condition: impl AsyncFn() -> bool) {
        let deadline = Instant::now() + BOUND;
        while !condition().await {
            if Instant::now() > deadline {
                let pods = self.plane.kubectl(&["describe", "pods", "--all-namespaces"]).await;
                let said: Vec<String> = self.kubelets.iter().map(|kubelet| kubelet.log()).collect();
                panic!(
                    "not within {BOUND:?}: {what}\n{}\n{}",
                    pods.unwrap_or_default(),
                    said.join("\n---\n")
                );
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Applies a manifest.
    pub(super) async fn apply(&self, manifest: &str) {
        let mut file = tempfile::NamedTempFile::new_in(&self.folder).unwrap();
        file.write_all(manifest.as_bytes()).unwrap();
        self.kubectl(&["apply", "--filename", file.path().to_str().unwrap()]).await;
    }

    /// What kubectl prints.
    pub(super) async fn kubectl(&self, arguments: &[&str]) -> String {
        self.plane.kubectl(arguments).await.unwrap()
    }

    /// One field of an object, by its JSON path; empty when there is none.
    pub(super) async fn field(&self, object: &str, path: &str) -> String {
        let output = format!("--output=jsonpath={path}");
        self.kubectl(&["get", object, "--ignore-not-found", &output]).await
    }

    /// The same of an object in another namespace than `default`.
    pub(super) async fn field_in(&self, namespace: &str, object: &str, path: &str) -> String {
        let (namespace, output) = (format!("--namespace={namespace}"), format!("--output=jsonpath={path}"));
        self.kubectl(&["get", object, &namespace, "--ignore-not-found", &output]).await
    }

    /// A JSON path of the list of pods with this label.
    pub(super) async fn of_pods(&self, namespace: &str, label: &str, path: &str) -> String {
        let (namespace, output) = (format!("--namespace={namespace}"), format!("--output=jsonpath={path}"));
        self.kubectl(&["get", "pods", &namespace, "--selector", label, &output]).await
    }

    /// Waits until a field of an object in another namespace than `default` is this.
    pub(super) async fn until_field_in(&self, namespace: &str, object: &str, path: &str, value: &str) {
        let what = format!("{path} of {object} in {namespace} is {value:?}");
        self.until(&what, async || self.field_in(namespace, object, path).await == value).await;
    }

    /// Waits until a field of an object is this.
    pub(super) async fn until_field(&self, object: &str, path: &str, value: &str) {
        let what = format!("{path} of {object} is {value:?}");
        self.until(&what, async || self.field(object, path).await == value).await;
    }

    /// The instances of the account that are not destroyed.
    pub(super) async fn instances(&self) -> Vec<Instance> {
        self.account.list_all_instances(&ListInstances::default()).await.unwrap().items
    }

    /// Those of the pods of a namespace.
    pub(super) async fn instances_of(&self, namespace: &str) -> Vec<Instance> {
        let ours = |instance: &Instance| {
            instance.tags.get("k8s.namespace").and_then(TagValue::as_str) == Some(namespace)
        };
        self.instances().await.into_iter().filter(ours).collect()
    }

    /// The instance of a pod.
    pub(super) async fn instance_of(&self, namespace: &str, pod: &str) -> Instance {
        let mut instances = self.instances_of(namespace).await;
        instances.retain(|instance| instance.tags.get("k8s.pod").and_then(TagValue::as_str) == Some(pod));
        let [instance] = instances.as_slice() else { panic!("not one instance of {pod}: {instances:#?}") };
        instance.clone()
    }

    /// The addresses of a CNS service, by `dig`.
    pub(super) async fn resolve(&self, service: &str) -> BTreeSet<IpAddr> {
        let cns = self.simulator.cns_address().unwrap();
        let mut addresses = BTreeSet::new();
        for zone in ["dc1.triton.zone", "dc1.cns.example.net"] {
            let name = format!("{service}.svc.{}.{zone}", self.simulator.ids().acme);
            let server = format!("@{}", cns.ip());
            let port = cns.port().to_string();
            let output =
                Command::new("dig").args([&server, "-p", &port, "+short", &name]).output().await.unwrap();
            let output = String::from_utf8_lossy(&output.stdout);
            addresses.extend(output.lines().filter_map(|line| line.parse::<IpAddr>().ok()));
        }
        addresses
    }

    /// Waits until a CNS service answers with the addresses of these pods, and no others.
    pub(super) async fn until_resolved(&self, service: &str, namespace: &str, pods: &[&str]) {
        let mut expected = BTreeSet::new();
        for pod in pods {
            expected.insert(self.instance_of(namespace, pod).await.primary_ip.unwrap());
        }
        let what = format!("CNS service {service} answers with {pods:?}");
        self.until(&what, async || self.resolve(service).await == expected).await;
    }

    /// Waits until there is an event of this reason about an object, and returns the messages of all of them.
    pub(super) async fn until_event(&self, namespace: &str, object: &str, reason: &str) -> String {
        let (namespace, selector) = (
            format!("--namespace={namespace}"),
            format!("--field-selector=involvedObject.name={object},reason={reason}"),
        );
        let messages = "--output=jsonpath={.items[*].message}";
        let read = async || self.kubectl(&["get", "events", &namespace, &selector, messages]).await;
        self.until(&format!("an event {reason} about {object}"), async || !read().await.is_empty()).await;
        read().await
    }

    /// The firewall rules of the account.
    pub(super) async fn rules(&self) -> Vec<FirewallRule> {
        self.account.list_firewall_rules().await.unwrap().items
    }
}

/// A client of the account with nothing of the kubelet's in between.
async fn account(simulator: &Simulator) -> Client {
    let environment: Environment = simulator.environment().into_iter().collect();
    let config = Config::load(&environment, None).unwrap();
    let budget = Budget::new(Limits { rate: 10_000.0, burst: 10_000 });
    Client::configured(&config).await.unwrap().budget(budget).build().unwrap()
}
