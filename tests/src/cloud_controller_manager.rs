//! The cloud controller manager as a process of its own, with the rights that its manifest gives it.

use std::ffi::OsStr;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use tokio::process::Command;

use crate::control_plane::{ControlPlane, Identity};
use crate::process::{Process, Program};

/// The account that the manifest makes.
const ACCOUNT: Identity<'static> =
    Identity::ServiceAccount { namespace: "kube-system", name: "triton-cloud-controller-manager" };

/// Gives it its rights, by its own manifest, and returns a kubeconfig with just these.
///
/// # Errors
/// When kubectl refuses the manifest.
pub async fn install(plane: &ControlPlane) -> Result<PathBuf> {
    let manifest =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/triton-cloud-controller-manager/rbac.yaml");
    plane.kubectl(&["apply", "--filename", &manifest.display().to_string()]).await?;
    plane.kubeconfig(&ACCOUNT).await
}

/// Gives it the rights to keep a `ScrapeConfig` of each of these names in the namespace `monitoring`, by its manifest.
///
/// # Errors
/// When the manifest cannot be read, or kubectl refuses it.
pub async fn install_scrape(plane: &ControlPlane, names: &[String]) -> Result<()> {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../deploy/triton-cloud-controller-manager/cmon-scrape-config.yaml");
    let manifest = std::fs::read_to_string(manifest).context("cannot read the manifest")?;
    let secrets: Vec<String> = names.iter().map(|name| format!("{name}-client")).collect();
    // As the manifest says itself: other names take the place of those in it.
    let manifest = manifest
        .replace("[triton-cmon-client]", &format!("[{}]", secrets.join(", ")))
        .replace("[triton-cmon]", &format!("[{}]", names.join(", ")));
    let file = plane.folder().join("cmon-scrape-config.yaml");
    std::fs::write(&file, manifest).context("cannot write the manifest")?;
    plane.kubectl(&["apply", "--filename", &file.display().to_string()]).await?;
    Ok(())
}

/// The definition of `ScrapeConfig` of Prometheus' operator, as far as the API server needs one.
pub const SCRAPE_CONFIGS: &str = r"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: scrapeconfigs.monitoring.coreos.com
spec:
  group: monitoring.coreos.com
  names: {kind: ScrapeConfig, listKind: ScrapeConfigList, plural: scrapeconfigs, singular: scrapeconfig}
  scope: Namespaced
  versions:
    - name: v1alpha1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
";

/// A running cloud controller manager, killed when dropped.
#[derive(Debug)]
pub struct CloudControllerManager {
    process: Process,
    address: String,
}

impl CloudControllerManager {
    /// Starts one, and waits until it says on which port it listens. `variables` are all that it has.
    ///
    /// # Errors
    /// When it ends instead; its log is in the error.
    pub async fn start<N: AsRef<OsStr>, V: AsRef<OsStr>>(
        kubeconfig: &Path,
        variables: impl IntoIterator<Item = (N, V)>,
        arguments: &[&str],
    ) -> Result<Self> {
        let mut process = Process::spawn(Program::CloudControllerManager, kubeconfig, variables, arguments)?;
        let address = process.address().await?;
        Ok(Self { process, address })
    }

    /// The URL of a path of its port.
    pub fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }

    /// What a path of its port answers to curl with these options: status and body. Without any, its certificate goes
    /// unchecked and nobody says who they are.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn get(&self, path: &str, options: &[&str]) -> Result<(u16, String)> {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--max-time", "60", "--write-out", "\n%{http_code}"]);
        if !options.contains(&"--cacert") {
            curl.arg("--insecure");
        }
        curl.args(options).arg(self.url(path)).kill_on_drop(true);
        let output = curl.output().await.context("cannot run curl")?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            bail!("curl {path}: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        let (body, status) = text.rsplit_once('\n').context("curl says no status")?;
        Ok((status.parse().context("curl says no status")?, body.to_owned()))
    }
}

impl Deref for CloudControllerManager {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl DerefMut for CloudControllerManager {
    fn deref_mut(&mut self) -> &mut Process {
        &mut self.process
    }
}
