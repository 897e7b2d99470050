//! Keeps the objects that Prometheus' operator needs to scrape CMON.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ObjectReference, Secret};
use kube::Api;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams};
use runtime::clients::ApiError;
use runtime::events::{EventRecorder, Happening, Severity};
use runtime::exit::one_line;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use triton::auth::Signer;
use triton::cmon::certificate::{CertificateError, issue};

use super::records::Record;
use crate::metrics::scrape::{Holder, KIND, LIFETIME_DAYS, Scrape, needs_certificate};
use crate::names::METRICS_CONTROLLER;

/// How often the objects are compared with what they should be.
const EVERY: Duration = Duration::from_secs(600);

/// What to scrape with.
#[derive(Debug, Clone)]
pub struct ScrapeSettings {
    /// The objects.
    pub scrape: Scrape,
    /// The account's login.
    pub account: String,
    /// An RSA or ECDSA key of the account, for CMON takes no other; another one when it is replaced.
    pub signer: watch::Receiver<Signer>,
}

/// Why an object is not as it should be.
#[derive(Debug, thiserror::Error)]
enum ScrapeError {
    #[error("cannot {doing} {object}{remedy}")]
    Kube { doing: &'static str, object: String, remedy: &'static str, source: ApiError },
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

/// Keeps a `ScrapeConfig` and its Secret.
pub(super) struct ScrapeKeeper {
    settings: ScrapeSettings,
    secrets: Api<Secret>,
    configs: Api<DynamicObject>,
    events: EventRecorder,
}

impl ScrapeKeeper {
    /// `client` is one that writes only while leading.
    pub(super) fn new(settings: ScrapeSettings, client: kube::Client, events: EventRecorder) -> Self {
        let (group, version, kind, plural) = KIND;
        let resource =
            ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural);
        let namespace = &settings.scrape.namespace;
        let secrets = Api::namespaced(client.clone(), namespace);
        let configs = Api::namespaced_with(client, namespace, &resource);
        Self { settings, secrets, configs, events }
    }

    /// Compares and writes, for ever, and at once when the key is replaced.
    pub(super) async fn work(&self) {
        let mut signers = self.settings.signer.clone();
        let (mut said, mut record) = (None, Record::<()>::default());
        loop {
            let signer = signers.borrow_and_update().clone();
            let next = match self.ensure(&signer).await {
                Ok(()) => {
                    said = None;
                    record.succeeded();
                    Instant::now() + EVERY
                }
                Err(error) => {
                    let text = one_line(&error);
                    // What stays so is said once.
                    if said.as_ref() != Some(&text) {
                        self.say(&text);
                    }
                    said = Some(text);
                    record.failed(Instant::now())
                }
            };
            let replaced = async {
                if signers.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            };
            let _ = timeout_at(next, replaced).await;
        }
    }

    async fn ensure(&self, signer: &Signer) -> Result<(), ScrapeError> {
        let Scrape { name, namespace, .. } = &self.settings.scrape;
        self.ensure_secret(signer).await?;
        let params = PatchParams::apply(METRICS_CONTROLLER).force();
        let config = self.settings.scrape.config(METRICS_CONTROLLER);
        let applied = self.configs.patch(name, &params, &Patch::Apply(config)).await.map_err(ApiError::from);
        applied.map(drop).map_err(|source| {
            let remedy = match source.code() {
                Some(404) => {
                    "; install the CustomResourceDefinitions of Prometheus' operator, or make the namespace"
                }
                Some(403) => "; apply deploy/triton-cloud-controller-manager/cmon-scrape-config.yaml",
                _ => "",
            };
            let object = format!("ScrapeConfig {namespace}/{name}");
            ScrapeError::Kube { doing: "apply", object, remedy, source }
        })
    }

    async fn ensure_secret(&self, signer: &Signer) -> Result<(), ScrapeError> {
        let scrape = &self.settings.scrape;
        let name = scrape.secret_name();
        let failed = |doing| {
            let object = format!("Secret {}/{name}", scrape.namespace);
            move |source: kube::Error| {
                let source = ApiError::from(source);
                let remedy = match source.code() {
                    Some(403) => "; apply deploy/triton-cloud-controller-manager/cmon-scrape-config.yaml",
                    _ => "",
                };
                ScrapeError::Kube { doing, object, remedy, source }
            }
        };
        let present = self.secrets.get_opt(&name).await.map_err(failed("read"))?;
        let now = Timestamp::now();
        let key = signer.public_key().fingerprint().to_string();
        let holder = Holder { account: self.settings.account.clone(), key };
        if !needs_certificate(present.as_ref(), &holder, now) {
            return Ok(());
        }
        let certificate = issue(signer, &holder.account, LIFETIME_DAYS).await?;
        let secret = scrape.secret(METRICS_CONTROLLER, &certificate, &holder, now);
        let params = PatchParams::apply(METRICS_CONTROLLER).force();
        self.secrets.patch(&name, &params, &Patch::Apply(secret)).await.map_err(failed("apply"))?;
        tracing::info!(secret = %name, namespace = %scrape.namespace, "wrote a client certificate for CMON");
        Ok(())
    }

    fn say(&self, text: &str) {
        tracing::warn!("{text}");
        let Scrape { name, namespace, .. } = &self.settings.scrape;
        let (group, version, kind, _) = KIND;
        self.events.record(Happening {
            regarding: ObjectReference {
                api_version: Some(format!("{group}/{version}")),
                kind: Some(kind.to_owned()),
                name: Some(name.clone()),
                namespace: Some(namespace.clone()),
                ..ObjectReference::default()
            },
            severity: Severity::Warning,
            reason: "ScrapeConfigNotKept".to_owned(),
            action: "Apply".to_owned(),
            note: text.to_owned(),
        });
    }
}
