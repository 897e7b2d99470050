//! Performs the steps of a plan at CloudAPI. Every call has the client's deadline and needs leadership.

use runtime::leader::Claim;
use triton::budget::Priority;
use triton::id::InstanceId;
use triton::reflector::{Store, Writes};
use triton::types::Metadata;
use triton::{Client, Error};

use crate::lifecycle::{Outcome, Step};

/// Writes to instances, and notes in the store what was written.
#[derive(Debug, Clone)]
pub(super) struct Actor {
    writes: Writes,
    instances: Store,
    claim: Claim,
}

impl Actor {
    pub(super) fn new(client: Client, instances: Store, claim: Claim) -> Self {
        Self { writes: Writes::new(client, instances.clone()), instances, claim }
    }

    /// Performs a step that is for CloudAPI; `None` for the others.
    pub(super) async fn perform(&self, step: &Step) -> Option<Outcome> {
        let work = async {
            match step {
                Step::Create(request) => self.writes.create(request).await.map(Outcome::Found),
                Step::FindByName(name) => self.find(name).await,
                Step::Act { id, action } => done(self.writes.act(*id, action).await),
                Step::AddTags { id, tags } => done(self.writes.add_tags(*id, tags).await),
                Step::RemoveTag { id, key } => done(self.writes.remove_tag(*id, key).await),
                Step::AddMetadata { id, metadata } => done(self.add_metadata(*id, metadata).await),
                Step::RemoveMetadata { id, key } => done(self.writes.remove_metadata(*id, key).await),
                Step::Delete(id) => done(self.writes.delete(*id).await),
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

    async fn find(&self, name: &str) -> Result<Outcome, Error> {
        let (found, begun) = self.writes.find(name).await?;
        Ok(found.first().map_or(Outcome::NotFound(begun), |first| Outcome::Found(*first)))
    }

    async fn add_metadata(&self, id: InstanceId, metadata: &Metadata) -> Result<(), Error> {
        use provider::names::metadata::CNS_STATUS;
        let withdraws = metadata.get(CNS_STATUS).is_some_and(|status| status != "up");
        let priority = if withdraws { Priority::Withdraw } else { Priority::Status };
        self.writes.add_metadata(id, metadata, priority).await
    }
}

fn done(answer: Result<(), Error>) -> Result<Outcome, Error> {
    answer.map(|()| Outcome::Done)
}

fn failed(error: &Error) -> Outcome {
    Outcome::Failed {
        kind: Some(error.kind()),
        message: error.to_string(),
        may_have_taken_effect: error.may_have_taken_effect(),
    }
}
