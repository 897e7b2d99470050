//! The Secret in the cluster.

use std::path::PathBuf;

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use kube::api::{Patch, PatchParams};
use provider::credentials::SecretName;
use runtime::clients::{ApiError, Clients, Limits, Priority, Source};
use runtime::exit::Fatal;

use crate::{PROGRAM, program};

/// A call for the Secret failed.
#[derive(Debug, thiserror::Error)]
enum ClusterError {
    #[error("cannot read Secret {name} from {server}")]
    Get { name: SecretName, server: String, source: ApiError },
    #[error("cannot apply Secret {name} to {server}")]
    Apply { name: SecretName, server: String, source: ApiError },
    #[error("no cluster is named; give --kubeconfig, or set KUBECONFIG")]
    NoCluster,
}

/// Clients of the cluster that kubectl would take. A person names it here; controllers never guess.
async fn clients(file: Option<PathBuf>) -> Result<Clients, Fatal> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let file = file.or_else(|| set("KUBECONFIG").map(PathBuf::from));
    let home =
        || set("HOME").map(|home| PathBuf::from(home).join(".kube/config")).filter(|file| file.exists());
    let file = file.or_else(home).ok_or_else(|| Fatal::usage(ClusterError::NoCluster))?;
    let source = Source::Kubeconfig { file, context: None };
    Clients::new(&source, &program(), Limits::default()).await.map_err(Fatal::failure)
}

/// Reads the Secret.
pub(super) async fn get(file: Option<PathBuf>, name: &SecretName) -> Result<Secret, Fatal> {
    let clients = clients(file).await?;
    let client = clients.client("credentials", Priority::Normal).map_err(Fatal::failure)?;
    let secrets: Api<Secret> = Api::namespaced(client, &name.namespace);
    let failed = |error: kube::Error| {
        let (name, server, source) = (name.clone(), clients.server(), error.into());
        Fatal::failure(ClusterError::Get { name, server, source })
    };
    secrets.get(&name.name).await.map_err(failed)
}

/// Makes the Secret, or changes it to this; says where.
pub(super) async fn apply(
    file: Option<PathBuf>,
    name: &SecretName,
    secret: &Secret,
) -> Result<String, Fatal> {
    let clients = clients(file).await?;
    let client = clients.client("credentials", Priority::Normal).map_err(Fatal::failure)?;
    let secrets: Api<Secret> = Api::namespaced(client, &name.namespace);
    // Whoever asks for it here means it, whatever made the Secret before.
    let params = PatchParams::apply(PROGRAM).force();
    let failed = |error: kube::Error| {
        let (name, server, source) = (name.clone(), clients.server(), error.into());
        Fatal::failure(ClusterError::Apply { name, server, source })
    };
    secrets.patch(&name.name, &params, &Patch::Apply(secret)).await.map_err(failed)?;
    Ok(clients.server())
}
