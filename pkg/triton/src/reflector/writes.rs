//! Writes to instances that the store knows of as soon as CloudAPI has accepted them.

use tokio::time::Instant;

use super::pending::Expectation;
use super::store::Store;
use crate::budget::Priority;
use crate::client::{Client, Deletion};
use crate::error::{Kind, Result};
use crate::id::InstanceId;
use crate::types::{CreateInstance, InstanceAction, InstanceState, ListInstances, Metadata, Tags};

/// A client whose writes are noted in a store, so that no plan repeats them before a read shows them. Cloning gives another
/// handle on the same.
#[derive(Debug, Clone)]
pub struct Writes {
    client: Client,
    store: Store,
}

impl Writes {
    /// Writes by this client, noted in this store.
    pub fn new(client: Client, store: Store) -> Self {
        Self { client, store }
    }

    /// Where writes are noted.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Makes an instance.
    ///
    /// # Errors
    /// As [`Client::create_instance`]: one that may have taken effect is looked for by [`Writes::find`] before another try.
    pub async fn create(&self, request: &CreateInstance) -> Result<InstanceId> {
        let instance = self.client.with_priority(Priority::Lifecycle).create_instance(request).await?;
        let id = instance.id;
        self.store.created(instance);
        Ok(id)
    }

    /// Puts the instances of exactly this name into the store, and names them by id. With when the list began.
    pub async fn find(&self, name: &str) -> Result<(Vec<InstanceId>, Instant)> {
        let begun = Instant::now();
        let filter = ListInstances { name_prefix: Some(name.to_owned()), ..ListInstances::default() };
        let listed = self.client.with_priority(Priority::Safety).list_all_instances(&filter).await?;
        // The filter is a prefix.
        let mut found: Vec<_> = listed.items.into_iter().filter(|instance| &*instance.name == name).collect();
        found.sort_by_key(|instance| instance.id);
        let ids = found.iter().map(|instance| instance.id).collect();
        for instance in found {
            self.store.found(instance, begun);
        }
        Ok((ids, begun))
    }

    /// Does something to an instance.
    pub async fn act(&self, id: InstanceId, action: &InstanceAction) -> Result<()> {
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
            self.store.expect(id, expected);
        }
        Ok(())
    }

    /// Sets tags.
    pub async fn add_tags(&self, id: InstanceId, tags: &Tags) -> Result<()> {
        self.client.with_priority(Priority::Status).add_tags(id, tags).await?;
        self.store.expect(id, Expectation::Tags { set: tags.clone(), removed: [].into() });
        Ok(())
    }

    /// Removes a tag. What is not there need not be removed.
    pub async fn remove_tag(&self, id: InstanceId, key: &str) -> Result<()> {
        done_if_absent(self.client.with_priority(Priority::Status).delete_tag(id, key).await)?;
        self.store.expect(id, Expectation::Tags { set: Tags::new(), removed: [key.to_owned()].into() });
        Ok(())
    }

    /// Sets metadata, with this priority.
    pub async fn add_metadata(&self, id: InstanceId, metadata: &Metadata, priority: Priority) -> Result<()> {
        self.client.with_priority(priority).add_metadata(id, metadata).await?;
        self.store.expect(id, Expectation::Metadata { set: metadata.clone(), removed: [].into() });
        Ok(())
    }

    /// Removes a key of the metadata. What is not there need not be removed.
    pub async fn remove_metadata(&self, id: InstanceId, key: &str) -> Result<()> {
        done_if_absent(self.client.with_priority(Priority::Status).delete_metadata(id, key).await)?;
        let removed = [key.to_owned()].into();
        self.store.expect(id, Expectation::Metadata { set: Metadata::new(), removed });
        Ok(())
    }

    /// Deletes an instance. It is gone when the store says so.
    pub async fn delete(&self, id: InstanceId) -> Result<()> {
        self.store.deleting(id);
        match self.client.with_priority(Priority::Withdraw).delete_instance(id).await? {
            Deletion::Accepted => self.store.expect(id, Expectation::Gone),
            Deletion::Gone(last) => self.store.gone(*last),
        }
        Ok(())
    }
}

fn done_if_absent(answer: Result<()>) -> Result<()> {
    match answer {
        Err(error) if error.kind() == Kind::NotFound => Ok(()),
        answer => answer,
    }
}
