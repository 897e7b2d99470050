//! The control plane that all lives share, and who sees what happens on it.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Node, Service};
use kube::{Api, Client};
use runtime::clients::{Clients, Limits, Priority, Source};
use suites::cloud_controller_manager::{SCRAPE_CONFIGS, install, install_scrape};
use suites::control_plane::{ControlPlane, Identity, Options};
use tempfile::TempDir;
use triton::auth::{PrivateKey, PublicKey};

use super::super::proxy::Upstream;
use super::onlooker::Onlooker;

/// Where what Prometheus' operator is given goes.
pub(super) const MONITORING: &str = "monitoring";

/// A control plane without nodes.
pub(super) struct Cluster {
    /// An administrator.
    pub(super) admin: Client,
    /// The API server as the cloud controller manager's account reaches it, and that account's token.
    pub(super) upstream: Upstream,
    pub(super) token: String,
    pub(super) nodes: Onlooker<Node>,
    pub(super) services: Onlooker<Service>,
    /// The key of every life's account, in PEM and as CloudAPI has it. CMON takes no certificates of Ed25519 keys.
    pub(super) key: (String, PublicKey),
    pub(super) folder: TempDir,
    _plane: ControlPlane,
}

impl Cluster {
    /// A control plane where lives of these names may keep a `ScrapeConfig`.
    pub(super) async fn start(lives: &[String]) -> anyhow::Result<Arc<Self>> {
        let options = Options { scheduler: false, controller_manager: false, ..Options::default() };
        let plane = ControlPlane::start(&options).await?;
        let kubeconfig = install(&plane).await?;
        let folder = tempfile::tempdir()?;
        let definition = folder.path().join("definition.yaml");
        std::fs::write(&definition, SCRAPE_CONFIGS)?;
        plane.kubectl(&["apply", "--filename", &definition.display().to_string()]).await?;
        plane.kubectl(&["create", "namespace", MONITORING]).await?;
        install_scrape(&plane, lives).await?;
        let (upstream, token) = Upstream::of_kubeconfig(&kubeconfig)?;
        let admin = Source::from_flag(Some(plane.kubeconfig(&Identity::Admin).await?));
        let limits = Limits { rate: 10_000.0, burst: 10_000 };
        let admin = Clients::new(&admin, "test/1", limits).await?.client("test", Priority::Normal)?;
        let (nodes, services) = (Api::all(admin.clone()), Api::default_namespaced(admin.clone()));
        let pem = rcgen::KeyPair::generate()?.serialize_pem();
        let public = PrivateKey::from_pem(&pem, None)?.public_key().clone();
        Ok(Arc::new(Self {
            nodes: Onlooker::start(nodes),
            services: Onlooker::start(services),
            admin,
            upstream,
            token,
            key: (pem, public),
            folder,
            _plane: plane,
        }))
    }
}
