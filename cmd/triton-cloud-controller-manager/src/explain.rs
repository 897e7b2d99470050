//! The sub-command `explain`: what the controllers think of one object, and what they would do about it.

use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use cloud_controllers::controller::{Controllers, ExplainError, Kind, MetricsSettings, Parts};
use diagnostics::object::{self, ObjectName};
use diagnostics::output::{block_on, show};
use diagnostics::{Explanation, Format};
use provider::cns::ServiceKey;
use runtime::clients::Clients;
use runtime::exit::Fatal;
use runtime::health::Health;
use runtime::leader::Claim;
use runtime::metrics::Metrics;
use runtime::watching::Caches;
use tokio::time::timeout;
use triton::reflector::{self, Reflector};

use crate::cloud_config::CloudConfig;
use crate::cloudapi::Connection;
use crate::datacenter::Nameless;
use crate::flags::Flags;
use crate::{origin, place, program, settings, sub_commands};

/// The caches of a sound cluster are complete in seconds; those of 10,000 instances, throttled, in some more.
const FILLING: Duration = Duration::from_secs(60);

/// Shows what should be, what is, and what would be done, by the plans of the controllers; writes nothing. Exit codes: 0 as
/// it should be, 1 something would be done or warned of, 2 usage or no such object, 3 a server does not answer
#[derive(Debug, Parser)]
#[command(name = "triton-cloud-controller-manager explain", version)]
struct Arguments {
    /// What: service/NAMESPACE/NAME or node/NAME
    object: String,
    /// The namespace of a Service, where it is not said before its name; left out, default
    #[arg(long, short, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// How it is shown
    #[arg(long, short, value_enum, default_value_t, value_name = "FORMAT")]
    output: Format,
    #[command(flatten)]
    flags: Flags,
}

/// Why nothing can be shown, or that what is shown is not as it should be.
#[derive(Debug, thiserror::Error)]
enum Unsettled {
    /// The caches did not become complete.
    #[error("what is there is not known after {FILLING:?}: {0}")]
    Incomplete(String),
    /// CloudAPI did not answer in time.
    #[error("CloudAPI does not answer; nothing can be said")]
    Silent,
    /// There is something to do, or to warn of.
    #[error("{name} is not settled: {steps} steps to do, {warnings} warnings")]
    Differs { name: String, steps: usize, warnings: usize },
}

/// Runs the sub-command.
pub(super) fn run(arguments: Vec<OsString>) -> Result<(), Fatal> {
    let Some(arguments) = sub_commands::settings::<Arguments>(arguments)? else { return Ok(()) };
    let kinds = [object::SERVICE, object::NODE];
    let object = ObjectName::parse(&arguments.object, arguments.namespace.as_deref(), &kinds);
    let object = object.map_err(Fatal::usage)?;
    block_on(explain(object, arguments.output, arguments.flags))
}

async fn explain(object: ObjectName, output: Format, flags: Flags) -> Result<(), Fatal> {
    let controllers = look_only(flags).await?;
    let shown = match object.kind {
        "service" => {
            let (namespace, name) = (object.namespace.into(), object.name.into());
            controllers.explain_service(&ServiceKey { namespace, name }).await
        }
        _ => controllers.explain_node(&object.name).await,
    };
    let shown: Explanation = shown.map_err(|error| match error {
        ExplainError::Read { .. } => Fatal::unknown(error),
        ExplainError::Missing { .. } | ExplainError::Off { .. } => Fatal::usage(error),
    })?;
    show(&shown, output, &mut std::io::stdout()).map_err(Fatal::failure)?;
    if shown.is_settled() {
        return Ok(());
    }
    let (name, steps, warnings) =
        (format!("{}/{}", shown.kind, shown.name), shown.plan.len(), shown.warnings());
    Err(Fatal::failure(Unsettled::Differs { name, steps, warnings }))
}

/// The controllers of Nodes and Services with complete caches, and the claim of a process that only looks: no write can
/// be sent, and no event.
async fn look_only(flags: Flags) -> Result<Controllers, Fatal> {
    let cloud = Arc::new(CloudConfig::load(flags.cloud_config.as_deref()).map_err(Fatal::usage)?);
    let credentials = origin(&flags, &cloud)?;
    let make = settings(&flags).map_err(Fatal::usage)?;
    let clients = Clients::new(&flags.source(), &program(), flags.limits()).await.map_err(Fatal::unknown)?;
    let (health, metrics) = (Health::new(), Metrics::new().map_err(Fatal::failure)?);
    let connecting = async {
        let connection = Connection::look(credentials, &cloud, &clients, &health).await?;
        let (client, _) = connection.client(&metrics).await?;
        // Asked also where it is configured: an answer proves that the credentials are right.
        let said = client.get_datacenter_name().await.map_err(Fatal::unknown)?;
        let datacenter = cloud.datacenter.clone().or(said).ok_or_else(|| Fatal::usage(Nameless))?;
        Ok::<_, Fatal>((client, datacenter))
    };
    let connected = timeout(FILLING, connecting).await;
    let (client, datacenter) = connected.map_err(|_| Fatal::unknown(Unsettled::Silent))??;
    let reflector = Reflector::new(client.clone(), reflector::Settings::default());
    let caches = Caches::new();
    let parts = Parts {
        clients: &clients,
        claim: Claim::never(),
        identity: String::new(),
        caches: caches.clone(),
        metrics: &metrics,
        triton: client,
        instances: reflector.store(),
    };
    tokio::spawn(reflector.run());
    let mut settings = make(place(&cloud, datacenter), MetricsSettings::default());
    settings.controllers = [Kind::Node, Kind::NodeLifecycle, Kind::Service].into();
    let controllers = Controllers::start(settings, parts).map_err(Fatal::failure)?;
    match timeout(FILLING, caches.synced()).await {
        Ok(()) => Ok(controllers),
        Err(_) => Err(Fatal::unknown(Unsettled::Incomplete(caches.missing().join("; ")))),
    }
}
