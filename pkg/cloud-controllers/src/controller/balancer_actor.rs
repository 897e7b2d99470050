//! Performs the steps of a plan for load balancers at CloudAPI. Every call has the client's deadline and needs leadership.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Service;
use provider::names::{metadata, tag};
use runtime::exit::one_line;
use runtime::leader::Claim;
use tokio::time::Instant;
use triton::budget::Priority;
use triton::client::Found;
use triton::reflector::{Lookup, Writes};
use triton::types::{InstanceAction, ListImages, ListInstances, ListNetworks, TagValue};
use triton::{Client, Error};

use crate::moirai::balancer::is_own;
use crate::moirai::status::Ingress;
use crate::moirai::supplies::Catalog;
use crate::moirai::{Outcome, Step};

/// Performs steps.
#[derive(Debug, Clone)]
pub(super) struct Actor {
    client: Client,
    writes: Writes,
    claim: Claim,
    cluster: String,
}

impl Actor {
    pub(super) fn new(client: Client, writes: Writes, claim: Claim, cluster: String) -> Self {
        Self { client, writes, claim, cluster }
    }

    /// Reads images and networks.
    pub(super) async fn learn(&self) -> Result<Catalog, Outcome> {
        let client = self.client.with_priority(Priority::Lifecycle);
        let images = client.list_images(&ListImages::default()).await.map_err(|error| failed(&error))?;
        let networks =
            client.list_networks(&ListNetworks::default()).await.map_err(|error| failed(&error))?;
        Ok(Catalog { images: images.items, networks: networks.items })
    }

    /// Performs a step for a Service.
    pub(super) async fn perform(&self, step: &Step, service: &Service) -> Outcome {
        let done = |()| Outcome::Done;
        let work = async {
            match step {
                Step::Learn => Ok(Outcome::Done),
                Step::Create(request) => self.writes.create(request).await.map(|_| Outcome::Done),
                Step::Find(name) => self.find(name, service).await,
                Step::SetTags(id, tags) => self.writes.add_tags(*id, tags).await.map(done),
                Step::SetMetadata(id, set) => {
                    let withdraws = set.contains_key(metadata::CNS_STATUS);
                    let priority = if withdraws { Priority::Withdraw } else { Priority::Status };
                    self.writes.add_metadata(*id, set, priority).await.map(done)
                }
                Step::RemoveMetadata(id, key) => self.writes.remove_metadata(*id, key).await.map(done),
                Step::Start(id) => self.writes.act(*id, &InstanceAction::Start).await.map(done),
                Step::Delete(id) => self.writes.delete(*id).await.map(done),
                Step::Read(id) => {
                    let begun = Instant::now();
                    match self.client.with_priority(Priority::Status).get_instance(*id).await? {
                        Found::Present(instance) => self.writes.store().found(instance, begun),
                        Found::Gone(last) => self.writes.store().gone(last),
                    }
                    Ok(Outcome::Done)
                }
                Step::Prove(id) => {
                    self.writes.store().recheck(*id);
                    Ok(Outcome::Done)
                }
                Step::Confirm => self.confirm(service).await,
            }
        };
        match self.claim.run(work).await {
            Ok(outcome) => outcome.unwrap_or_else(|error| failed(&error)),
            // Cut off under way: the server may have it.
            Err(not_leading) => {
                Outcome::Failed { kind: None, message: not_leading.to_string(), may_have_taken_effect: true }
            }
        }
    }

    async fn find(&self, name: &str, service: &Service) -> Result<Outcome, Error> {
        let (found, _) = self.writes.find(name).await?;
        let is_ours = |id: &&triton::id::InstanceId| match self.writes.store().get(**id) {
            Lookup::Present(entry) => is_own(entry.expected(), &self.cluster, service),
            Lookup::Gone(_) | Lookup::Unknown => false,
        };
        Ok(match (found.iter().find(is_ours), found.first()) {
            (Some(_), _) => Outcome::Done,
            (None, Some(other)) => Outcome::Anothers(*other),
            (None, None) => Outcome::NotFound,
        })
    }

    /// Whether anything is left of a Service's load balancers, by CloudAPI's own list. What is found is in the store then.
    ///
    /// The list has the destroyed ones as well: one that shows nothing of load balancers that the status names proves
    /// nothing.
    async fn confirm(&self, service: &Service) -> Result<Outcome, Error> {
        let begun = Instant::now();
        let uid = service.metadata.uid.as_deref().unwrap_or_default();
        let tags = BTreeMap::from([(tag::UID.to_owned(), TagValue::from(uid))]);
        let filter = ListInstances { tags, tombstone: true, ..ListInstances::default() };
        let listed = self.client.with_priority(Priority::Safety).list_all_instances(&filter).await?.items;
        if listed.is_empty() && !Ingress::of(service).addresses.is_empty() {
            let message = "CloudAPI shows nothing of the load balancers that the status names, not even that they are gone; \
                           should they be, remove the finalizer by hand";
            return Ok(Outcome::Failed {
                kind: None,
                message: message.to_owned(),
                may_have_taken_effect: false,
            });
        }
        let alive: Vec<_> = listed.into_iter().filter(|instance| instance.state.is_active()).collect();
        let outcome = if alive.is_empty() { Outcome::NotFound } else { Outcome::Done };
        alive.into_iter().for_each(|instance| self.writes.store().found(instance, begun));
        Ok(outcome)
    }
}

fn failed(error: &Error) -> Outcome {
    Outcome::Failed {
        kind: Some(error.kind()),
        message: one_line(error),
        may_have_taken_effect: error.may_have_taken_effect(),
    }
}
