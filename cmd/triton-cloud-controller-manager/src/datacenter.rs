//! The name of the data centre, which provider IDs are made of: from the cloud-config, else from CloudAPI.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use runtime::exit::one_line;
use runtime::health::{Finding, Health, Probe};
use triton::Client;

/// The first and the longest pause between attempts.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// CloudAPI is too old to say its name.
#[derive(Debug, thiserror::Error)]
#[error(
    "CloudAPI does not say the name of its data centre; set \"datacenter\" in the file of --cloud-config"
)]
pub(super) struct Nameless;

/// The look for the name, which `/readyz` tells of.
pub(super) struct Search {
    configured: Option<String>,
    /// Why the name is not known yet.
    waiting: Arc<Mutex<Option<String>>>,
}

impl Search {
    /// Begins a look, which is over when the name is `configured`.
    pub(super) fn new(configured: Option<String>, health: &Health) -> Self {
        let waiting = Arc::new(Mutex::new(configured.is_none().then(|| "not asked yet".to_owned())));
        let told = Arc::clone(&waiting);
        health.add(Probe::Ready, "datacenter", move || {
            match told.lock().unwrap_or_else(PoisonError::into_inner).clone() {
                Some(why) => Finding::Failed(format!("the data centre's name is not known: {why}")),
                None => Finding::Ok,
            }
        });
        Self { configured, waiting }
    }

    /// Finds the name; tries for as long as CloudAPI does not answer, and has `/readyz` say why meanwhile.
    pub(super) async fn find(self, client: &Client) -> Result<String, Nameless> {
        let say = |why| *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = why;
        if let Some(name) = self.configured {
            return Ok(name);
        }
        let mut pause = PAUSE.0;
        loop {
            match client.get_datacenter_name().await {
                Ok(Some(name)) => {
                    say(None);
                    tracing::info!(datacenter = %name, "CloudAPI says where it is");
                    return Ok(name);
                }
                Ok(None) => return Err(Nameless),
                Err(error) => {
                    let error = one_line(&error);
                    tracing::warn!(%error, "the data centre's name cannot be had; trying again");
                    say(Some(error));
                }
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE.1);
        }
    }
}
