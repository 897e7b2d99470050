//! Where the API server is, and who we are to it.

use std::path::PathBuf;

use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig};

use super::ClientsError;

/// Where a configuration comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The service account of the pod that this process runs in. Its token is read again as it is renewed.
    InCluster,
    /// A kubeconfig file.
    Kubeconfig {
        /// The file.
        file: PathBuf,
        /// The context to use instead of the file's current one.
        context: Option<String>,
    },
}

impl Source {
    /// What `--kubeconfig` says: a file, or, left out, the pod's service account. `~/.kube/config` is not looked for: a
    /// controller that takes whichever cluster a user was last in does harm.
    pub fn from_flag(file: Option<PathBuf>) -> Self {
        match file {
            Some(file) => Self::Kubeconfig { file, context: None },
            None => Self::InCluster,
        }
    }

    pub(super) async fn load(&self) -> Result<Config, ClientsError> {
        match self {
            Self::InCluster => Config::incluster().map_err(|source| ClientsError::InCluster { source }),
            Self::Kubeconfig { file, context } => {
                let wrong = |source| ClientsError::Kubeconfig {
                    file: file.display().to_string(),
                    source: Box::new(source),
                };
                let kubeconfig = Kubeconfig::read_from(file).map_err(wrong)?;
                let options = KubeConfigOptions { context: context.clone(), ..KubeConfigOptions::default() };
                Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(wrong)
            }
        }
    }
}
