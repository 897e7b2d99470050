//! Performs the steps of a plan at CloudAPI. Every call has the client's deadline and needs leadership.

use runtime::leader::Claim;
use tokio::time::Instant;
use triton::budget::Priority;
use triton::client::Deletion;
use triton::id::InstanceId;
use triton::reflector::{Expectation, Store};
use triton::types::{CreateInstance, InstanceAction, InstanceState, ListInstances, Metadata, Tags};
use triton::{Client, Error};

use crate::lifecycle::{Outcome, Step};

/// Writes to instances, and notes in the store what was written.
#[derive(Debug, Clone)]
pub(super) struct Actor {
    client: Client,
    instances: Store,
    claim: Claim,
}

impl Actor {
    pub(super) fn new(client: Client, instances: Store, claim: Claim) -> Self {
        Self { client, instances, claim }
    }

    /// Performs a step that is for CloudAPI; `None` for the others.
    pub(super) async fn perform(&self, step: &Step) -> Option<Outcome> {
        let work = async {
            match step {
                Step::Create(request) => self.create(request).await,
                Step::FindByName(name) => self.find(name).await,
                Step::Act { id, action } => self.act(*id, action).await,
                Step::AddTags { id, tags } => self.add_tags(*id, tags).await,
                Step::RemoveTag { id, key } => self.remove_tag(*id, key).await,
                Step::AddMetadata { id, metadata } => self.add_metadata(*id, metadata).await,
                Step::RemoveMetadata { id, key } => self.remove_metadata(*id, key).await,
                Step::Delete(id) => self.delete(*id).await,
                Step::Recheck(id) => {
                    self.instances.recheck(*id);
                    Ok(Outcome::Done)
                }
                Step::PreStop(_) | Step::RemovePod => return None,
            }
            .map_or_else(|error| Some(failed(&error)), Some)
        };
        // Boxed, because it is moved about and large.
        match self.claim.run(Box::pin(work)).await {
            Ok(outcome) => outcome,
            // Cut off under way: the server may have it.
            Err(not_leading) => Some(Outcome::Failed {
                kind: None,
                message: not_leading.to_string(),
                may_have_taken_effect: true,
            }),
        }
    }

    async fn create(&self, request: &CreateInstance) -> Result<Outcome, Error> {
        let instance = self.client.with_priority(Priority::Lifecycle).create_instance(request).await?;
        let id = instance.id;
        self.instances.created(instance);
        Ok(Outcome::Found(id))
    }

    async fn find(&self, name: &str) -> Result<Outcome, Error> {
        let begun = Instant::now();
        let filter = ListInstances { name_prefix: Some(name.to_owned()), ..ListInstances::default() };
        let listed = self.client.with_priority(Priority::Safety).list_all_instances(&filter).await?;
        // The filter is a prefix.
        let mut found: Vec<_> = listed.items.into_iter().filter(|instance| &*instance.name == name).collect();
        found.sort_by_key(|instance| instance.id);
        let outcome = found.first().map_or(Outcome::NotFound(begun), |first| Outcome::Found(first.id));
        for instance in found {
            self.instances.found(instance, begun);
        }
        Ok(outcome)
    }

    async fn act(&self, id: InstanceId, action: &InstanceAction) -> Result<Outcome, Error> {
        let priority = match action {
            InstanceAction::Stop | InstanceAction::DisableDeletionProtection => Priority::Withdraw,
            _ => Priority::Lifecycle,
        };
        self.client.with_priority(priority).act_on_instance(id, action).await?;
        let expected = match action {
            InstanceAction::Start => Some(Expectation::State(InstanceState::Running)),
            InstanceAction::Stop => Some(Expectation::State(InstanceState::Stopped)),
            // Its state may stay as it is throughout.
            InstanceAction::Reboot => None,
            InstanceAction::Rename { name } => Some(Expectation::Name(name.as_str().into())),
            InstanceAction::Resize { package } => Some(Expectation::Package(package.as_str().into())),
            InstanceAction::EnableFirewall => Some(Expectation::FirewallEnabled(true)),
            InstanceAction::DisableFirewall => Some(Expectation::FirewallEnabled(false)),
            InstanceAction::EnableDeletionProtection => Some(Expectation::DeletionProtection(true)),
            InstanceAction::DisableDeletionProtection => Some(Expectation::DeletionProtection(false)),
        };
        if let Some(expected) = expected {
            self.instances.expect(id, expected);
        }
        Ok(Outcome::Done)
    }

    async fn add_tags(&self, id: InstanceId, tags: &Tags) -> Result<Outcome, Error> {
        self.client.with_priority(Priority::Status).add_tags(id, tags).await?;
        self.instances.expect(id, Expectation::Tags { set: tags.clone(), removed: [].into() });
        Ok(Outcome::Done)
    }

    async fn remove_tag(&self, id: InstanceId, key: &str) -> Result<Outcome, Error> {
        done_if_absent(self.client.with_priority(Priority::Status).delete_tag(id, key).await)?;
        self.instances.expect(id, Expectation::Tags { set: Tags::new(), removed: [key.to_owned()].into() });
        Ok(Outcome::Done)
    }

    async fn add_metadata(&self, id: InstanceId, metadata: &Metadata) -> Result<Outcome, Error> {
        use provider::names::metadata::CNS_STATUS;
        let withdraws = metadata.get(CNS_STATUS).is_some_and(|status| status != "up");
        let priority = if withdraws { Priority::Withdraw } else { Priority::Status };
        self.client.with_priority(priority).add_metadata(id, metadata).await?;
        self.instances.expect(id, Expectation::Metadata { set: metadata.clone(), removed: [].into() });
        Ok(Outcome::Done)
    }

    async fn remove_metadata(&self, id: InstanceId, key: &str) -> Result<Outcome, Error> {
        done_if_absent(self.client.with_priority(Priority::Status).delete_metadata(id, key).await)?;
        let removed = [key.to_owned()].into();
        self.instances.expect(id, Expectation::Metadata { set: Metadata::new(), removed });
        Ok(Outcome::Done)
    }

    async fn delete(&self, id: InstanceId) -> Result<Outcome, Error> {
        self.instances.deleting(id);
        match self.client.with_priority(Priority::Withdraw).delete_instance(id).await? {
            Deletion::Accepted => self.instances.expect(id, Expectation::Gone),
            Deletion::Gone(last) => self.instances.gone(*last),
        }
        Ok(Outcome::Done)
    }
}

/// What is not there need not be removed.
fn done_if_absent(answer: Result<(), Error>) -> Result<(), Error> {
    match answer {
        Err(error) if error.kind() == triton::Kind::NotFound => Ok(()),
        answer => answer,
    }
}

fn failed(error: &Error) -> Outcome {
    Outcome::Failed {
        kind: Some(error.kind()),
        message: error.to_string(),
        may_have_taken_effect: error.may_have_taken_effect(),
    }
}
