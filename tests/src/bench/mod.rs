//! What the benchmarks of both binaries stand on: a data centre and the measured programs as processes of their own,
//! and counts of what these ask for.

pub mod audit;
pub mod data_centre;
pub mod process;

use std::time::Duration;

use anyhow::Result;
use kube::config::{KubeConfigOptions, Kubeconfig};

use crate::control_plane::{ControlPlane, Identity};

/// An administrator's client, without limits.
///
/// # Errors
/// When it cannot be made.
pub async fn client(plane: &ControlPlane) -> Result<kube::Client> {
    let file = plane.kubeconfig(&Identity::Admin).await?;
    let options = KubeConfigOptions::default();
    let config = kube::Config::from_custom_kubeconfig(Kubeconfig::read_from(file)?, &options).await?;
    Ok(kube::Client::try_from(config)?)
}

/// What so many of a hundred do not exceed.
pub fn percentile(of: &mut [Duration], percent: usize) -> Duration {
    of.sort_unstable();
    let last = of.len().saturating_sub(1);
    of.get((of.len() * percent / 100).min(last)).copied().unwrap_or_default()
}
