//! All checks, one after the other.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use provider::credentials::{Load, SecretName};
use runtime::clients::{ApiError, Clients, ClientsError, Priority};
use runtime::exit::{Fatal, one_line};
use triton::config::Config;

use crate::output::show;
use crate::questions::{self, Scope};
use crate::rights::{Manifest, ManifestError, Right, review};
use crate::{Finding, Format, Level, Report, Settled};

/// Where the credentials come from.
#[derive(Clone)]
pub enum Credentials {
    /// The environment, or a profile.
    Settings(Box<Config>),
    /// A Secret of the cluster, and what makes settings of it.
    Secret(SecretName, Load),
}

/// What is to be checked.
pub struct Case {
    /// Where the cluster is.
    pub clients: Result<Clients, ClientsError>,
    /// What the program needs to be allowed.
    pub rights: Vec<Right>,
    /// The manifest that gives these rights.
    pub manifest: &'static str,
    /// How CloudAPI is reached.
    pub credentials: Credentials,
    /// What is asked of CloudAPI.
    pub scope: Scope,
}

/// The rights that manifests give, as a program that has these flags needs them: `adapt` drops or renames each.
///
/// # Errors
///
/// [`ManifestError`]
pub fn rights(
    manifests: &[Manifest],
    adapt: impl Fn(Right) -> Vec<Right>,
) -> Result<Vec<Right>, ManifestError> {
    let mut rights = Vec::new();
    for manifest in manifests {
        rights.extend(manifest.rights()?.into_iter().flat_map(&adapt));
    }
    Ok(rights)
}

/// Checks everything; one that fails does not hide the others.
pub async fn examine(case: Case) -> Report {
    let mut findings = Vec::new();
    let cluster = case.clients.and_then(|clients| {
        let client = clients.client("doctor", Priority::Normal)?;
        Ok((client, clients.server()))
    });
    let cluster = cluster.map_err(|error| one_line(&error));
    match settle(&cluster, case.credentials).await {
        Ok(settled) => findings.extend(questions::ask(&settled, case.scope).await.findings),
        Err(why) => findings.push(Finding::failure("credentials", why)),
    }
    match &cluster {
        Ok((client, server)) => {
            let remedy = format!("apply {}", case.manifest);
            findings.extend(review(client, server, &case.rights, &remedy).await);
        }
        Err(why) => findings.push(Finding::failure("kubernetes", why.clone())),
    }
    Report { findings }
}

/// Something that the program needs is missing.
#[derive(Debug, thiserror::Error)]
#[error("{0} of these checks failed")]
struct Failed(usize);

/// Checks everything, and shows what it finds. Whoever closed the output still gets the exit code.
///
/// # Errors
///
/// That something failed.
pub async fn tell(case: Case, format: Format) -> Result<(), Fatal> {
    let report = examine(case).await;
    show(&report, format, &mut std::io::stdout()).map_err(Fatal::failure)?;
    match report.count(Level::Failure) {
        0 => Ok(()),
        count => Err(Fatal::failure(Failed(count))),
    }
}

/// Finds the key. Why not, in one line.
async fn settle(
    cluster: &Result<(kube::Client, String), String>,
    credentials: Credentials,
) -> Result<Settled, String> {
    let (name, load) = match credentials {
        Credentials::Settings(config) => {
            return Settled::of_config(*config).await.map_err(|error| one_line(&error));
        }
        Credentials::Secret(name, load) => (name, load),
    };
    let (client, _) =
        cluster.as_ref().map_err(|_| format!("Secret {name} cannot be read without the cluster"))?;
    let secrets: Api<Secret> = Api::namespaced(client.clone(), &name.namespace);
    let secret = secrets.get(&name.name).await.map_err(|error| {
        let why = one_line(&ApiError::from(error));
        format!("Secret {name} cannot be read: {why}; make it with: credentials create --apply")
    })?;
    let load = Arc::clone(&load);
    Settled::of_secret(&name, &secret, |contents| load(contents)).await.map_err(|error| one_line(&error))
}
