//! A private Kubernetes control plane: etcd, kube-apiserver, kube-controller-manager and kube-scheduler on loopback
//! ports of their own, with RBAC, service-account tokens and a client certificate for kubelets.
//!
//! It ends with the value that [`ControlPlane::start`] gives, also when a test panics or its process is killed: each
//! server is tied to a pipe that this process holds. Several can run side by side.

mod certificates;
mod flags;
mod kubeconfig;
mod process;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

use self::certificates::Certificates;
use self::process::Server;

/// A server that takes longer to be ready has failed.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// Ports are chosen before they are used; should somebody else take one in between, all is begun anew.
const ATTEMPTS: u32 = 3;

/// So many begin at the same time: to start is what costs most, and all of them together would be late.
static STARTING: Semaphore = Semaphore::const_new(2);

/// What a control plane is to be like.
#[derive(Debug, Clone)]
pub struct Options {
    /// Requests per second that the controller manager and the scheduler may send: raised where throughput is
    /// measured.
    pub client_qps: u32,
    /// Starts the scheduler.
    pub scheduler: bool,
    /// Starts the controller manager. Without it there is no service account `default`, and so no pods.
    pub controller_manager: bool,
    /// Further flags of the API server.
    pub apiserver_flags: Vec<String>,
    /// What the API server notes of its requests, as a `Policy` of `audit.k8s.io`, in `audit.log` of the folder.
    pub audit_policy: Option<serde_json::Value>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            client_qps: 200,
            scheduler: true,
            controller_manager: true,
            apiserver_flags: Vec::new(),
            audit_policy: None,
        }
    }
}

/// Who asks the API server.
#[derive(Debug, Clone)]
pub enum Identity<'a> {
    /// Everything is allowed (`system:masters`). For the test itself, never for what is tested.
    Admin,
    /// A user with a client certificate.
    User {
        /// Its name, such as `system:node:vk-0`.
        name: &'a str,
        /// Its groups, such as `system:nodes`.
        groups: &'a [&'a str],
    },
    /// A service account, which must exist; its token is good for an hour.
    ServiceAccount {
        /// Its namespace.
        namespace: &'a str,
        /// Its name.
        name: &'a str,
    },
}

/// A running control plane.
#[derive(Debug)]
pub struct ControlPlane {
    // Ended in this order, before the folder is removed.
    scheduler: Option<Server>,
    controller_manager: Option<Server>,
    apiserver: Server,
    etcd: Server,
    certificates: Certificates,
    binaries: PathBuf,
    admin: PathBuf,
    url: String,
    folder: TempDir,
}

impl ControlPlane {
    /// Starts a control plane and waits until it is ready; with a controller manager, until pods could be created in
    /// the namespace `default`.
    ///
    /// # Errors
    /// When the binaries cannot be had, or a server does not become ready; the end of its log is in the error.
    pub async fn start(options: &Options) -> Result<Self> {
        let binaries = binaries().await?;
        // The semaphore is never closed.
        let _place = STARTING.acquire().await?;
        let mut failure = None;
        for _ in 0..ATTEMPTS {
            match Self::attempt(options, &binaries).await {
                Ok(plane) => return Ok(plane),
                Err(error) if format!("{error:#}").contains("address already in use") => {
                    failure = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(failure.unwrap_or_else(|| anyhow::anyhow!("the control plane was not started")))
    }

    async fn attempt(options: &Options, binaries: &Path) -> Result<Self> {
        let folder = tempfile::tempdir().context("cannot make a folder for the control plane")?;
        let root = folder.path();
        let certificates = Certificates::make(root)?;
        let [etcd_port, peer_port, api_port, manager_port, scheduler_port] = free_ports()?;
        let etcd_url = format!("http://127.0.0.1:{etcd_port}");
        let url = format!("https://127.0.0.1:{api_port}");

        let etcd = Server::spawn(root, &binaries.join("etcd"), &flags::etcd(root, &etcd_url, peer_port))?;
        let mut flags = flags::apiserver(root, &etcd_url, api_port);
        flags.extend(options.apiserver_flags.iter().cloned());
        if let Some(policy) = &options.audit_policy {
            let file = root.join("audit-policy.json");
            std::fs::write(&file, policy.to_string()).context("cannot write the audit policy")?;
            flags.push(format!("--audit-policy-file={}", file.display()));
            flags.push(format!("--audit-log-path={}", root.join("audit.log").display()));
        }
        let apiserver = Server::spawn(root, &binaries.join("kube-apiserver"), &flags)?;

        let admin = certificates.kubeconfig(&url, "admin", &["system:masters"])?;
        until_ready(&[&etcd, &apiserver], || kubectl_ok(binaries, &admin, &["get", "--raw", "/readyz"]))
            .await?;

        let controller_manager = match options.controller_manager {
            false => None,
            true => {
                let config = certificates.kubeconfig(&url, "system:kube-controller-manager", &[])?;
                let flags = flags::controller_manager(root, &config, manager_port, options.client_qps);
                Some(Server::spawn(root, &binaries.join("kube-controller-manager"), &flags)?)
            }
        };
        let scheduler = match options.scheduler {
            false => None,
            true => {
                let config = certificates.kubeconfig(&url, "system:kube-scheduler", &[])?;
                let flags = flags::scheduler(&config, scheduler_port, options.client_qps);
                Some(Server::spawn(root, &binaries.join("kube-scheduler"), &flags)?)
            }
        };
        if let Some(controller_manager) = &controller_manager {
            // Without it, pods are refused.
            let account = ["get", "serviceaccount", "default", "--namespace", "default"];
            until_ready(&[&etcd, &apiserver, controller_manager], || kubectl_ok(binaries, &admin, &account))
                .await?;
        }

        let binaries = binaries.to_owned();
        Ok(Self {
            scheduler,
            controller_manager,
            apiserver,
            etcd,
            certificates,
            binaries,
            admin,
            url,
            folder,
        })
    }

    /// The API server's URL.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The folder of certificates, logs and data, gone with the control plane.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A kubeconfig file for this identity.
    ///
    /// # Errors
    /// When a service account's token cannot be had.
    pub async fn kubeconfig(&self, identity: &Identity<'_>) -> Result<PathBuf> {
        match identity {
            Identity::Admin => Ok(self.admin.clone()),
            Identity::User { name, groups } => self.certificates.kubeconfig(&self.url, name, groups),
            Identity::ServiceAccount { namespace, name } => {
                let token = self.kubectl(&["create", "token", name, "--namespace", namespace]).await?;
                self.certificates.token_kubeconfig(&self.url, &format!("{namespace}-{name}"), token.trim())
            }
        }
    }

    /// A kubeconfig file for whoever holds the token in `file`, which may be replaced by a newer one.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn token_file_kubeconfig(&self, name: &str, file: &Path) -> Result<PathBuf> {
        self.certificates.token_file_kubeconfig(&self.url, name, file)
    }

    /// The folder with `kubectl`, `helm` and the servers.
    pub fn binaries(&self) -> &Path {
        &self.binaries
    }

    /// Runs kubectl as [`Identity::Admin`] and gives what it prints.
    ///
    /// # Errors
    /// When kubectl fails; its own words are in the error.
    pub async fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        let output =
            kubectl(&self.binaries, &self.admin, arguments).output().await.context("cannot run kubectl")?;
        if !output.status.success() {
            bail!("kubectl {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Stops the API server in its tracks, as a machine that hangs, or lets it go on.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub fn freeze_apiserver(&self, frozen: bool) -> Result<()> {
        self.apiserver.signal(if frozen { "STOP" } else { "CONT" })
    }

    /// Kills the API server: its connections break, and new ones are refused.
    pub fn stop_apiserver(&mut self) {
        self.apiserver.stop();
    }

    /// Starts the API server again on the same port; returns when it is ready.
    ///
    /// # Errors
    /// When it does not become ready; the end of its log is in the error.
    pub async fn start_apiserver(&mut self) -> Result<()> {
        self.apiserver.start()?;
        self.until_apiserver_ready().await
    }

    /// Kills etcd. The API server goes on without what it stands on.
    pub fn stop_etcd(&mut self) {
        self.etcd.stop();
    }

    /// Starts etcd again with its data; returns when the API server is ready again.
    ///
    /// # Errors
    /// When that takes too long; the end of both logs is in the error.
    pub async fn start_etcd(&mut self) -> Result<()> {
        self.etcd.start()?;
        self.until_apiserver_ready().await
    }

    async fn until_apiserver_ready(&self) -> Result<()> {
        let ready = || kubectl_ok(&self.binaries, &self.admin, &["get", "--raw", "/readyz"]);
        until_ready(&[&self.etcd, &self.apiserver], ready).await
    }

    /// The end of every server's log, for the message of a test that fails.
    pub fn logs(&self) -> String {
        let (manager, scheduler) = (self.controller_manager.as_ref(), self.scheduler.as_ref());
        let servers = [Some(&self.etcd), Some(&self.apiserver), manager, scheduler];
        servers.into_iter().flatten().map(Server::end_of_log).collect()
    }
}

/// The folder with the binaries, built if need be, which takes minutes once.
async fn binaries() -> Result<PathBuf> {
    let build = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hack/control-plane/build");
    let output =
        Command::new(&build).stderr(Stdio::inherit()).output().await.context("cannot run the build")?;
    if !output.status.success() {
        bail!("the control plane's binaries cannot be had; hack/control-plane/build says why");
    }
    Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}

/// Ports that nobody uses now.
fn free_ports<const N: usize>() -> Result<[u16; N]> {
    // All are held until all are chosen, so that they differ.
    let mut held = Vec::new();
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind("127.0.0.1:0").context("no free port on loopback")?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}

async fn until_ready<F: Future<Output = bool>>(servers: &[&Server], ready: impl Fn() -> F) -> Result<()> {
    let deadline = Instant::now() + READY_WITHIN;
    loop {
        if ready().await {
            return Ok(());
        }
        let ended = servers.iter().find(|server| server.has_ended());
        if ended.is_some() || Instant::now() > deadline {
            let logs: String = servers.iter().map(|server| server.end_of_log()).collect();
            bail!("the control plane did not become ready:\n{logs}");
        }
        sleep(Duration::from_millis(100)).await;
    }
}

fn kubectl(binaries: &Path, kubeconfig: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(binaries.join("kubectl"));
    command.arg("--kubeconfig").arg(kubeconfig).args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    command
}

async fn kubectl_ok(binaries: &Path, kubeconfig: &Path, arguments: &[&str]) -> bool {
    kubectl(binaries, kubeconfig, arguments).output().await.is_ok_and(|output| output.status.success())
}
