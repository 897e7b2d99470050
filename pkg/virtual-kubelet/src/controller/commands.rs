//! Runs commands in the instances of pods, over SSH.

use async_trait::async_trait;
use runtime::exit::one_line;
use triton::id::InstanceId;
use triton::reflector::{Lookup, Store};

use super::pods::PodWriter;
use super::watched::Pods;
use crate::catalog::CatalogKeeper;
use crate::lifecycle::recorded_instance;
use crate::pod::PodKey;
use crate::probes::run::Exec;
use crate::ssh::{Connector, Target, command_line};

/// Finds the instance of a pod, and runs commands there.
pub(super) struct Commands {
    pub(super) connector: Connector,
    pub(super) pods: Pods,
    pub(super) instances: Store,
    pub(super) catalog: CatalogKeeper,
    pub(super) writer: PodWriter,
}

#[async_trait]
impl Exec for Commands {
    async fn exec(&self, pod: &PodKey, command: &[String]) -> Result<i32, String> {
        let line = command_line(command).map_err(|error| error.to_string())?;
        let target = self.target(pod)?;
        let exit = self.connector.run(&target, &line).await;
        if let Some(key) = self.connector.take_learned(target.route.instance) {
            self.pin(pod, target.route.instance, key.to_annotation(target.route.instance));
        }
        Ok(exit.map_err(|error| one_line(&error))?.code())
    }
}

impl Commands {
    /// Where to run the commands of a pod.
    fn target(&self, key: &PodKey) -> Result<Target, String> {
        let pod = self.pods.get(key).ok_or("the pod is gone")?;
        let id = recorded_instance(&pod).ok_or("the pod has no instance yet")?;
        let Lookup::Present(entry) = self.instances.get(id) else {
            return Err(format!("the instance {id} is not there"));
        };
        // Without the image, its user would be mistaken for root.
        let catalog = self.catalog.catalog().ok_or("the images of the account are not known yet")?;
        let image = catalog.images.iter().find(|image| Some(image.id) == entry.expected().image);
        let user = image.and_then(|image| Target::image_user(&image.tags));
        Target::of(&pod, id, user).map_err(|error| one_line(&error))
    }

    /// Keeps a host key that was trusted on first use where it outlives this process. The command does not wait for it.
    fn pin(&self, key: &PodKey, instance: InstanceId, text: Option<String>) {
        let Some(text) = text else { return };
        let (writer, connector, key) = (self.writer.clone(), self.connector.clone(), key.clone());
        tokio::spawn(async move {
            match writer.pin_host_key(&key, &text).await {
                Ok(()) => tracing::info!(pod = %key, %instance, "trusted the instance's SSH host key"),
                Err(error) => {
                    tracing::warn!(pod = %key, error = %one_line(&error), "the SSH host key could not be kept");
                    connector.untake(instance);
                }
            }
        });
    }
}
