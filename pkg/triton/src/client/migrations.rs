//! Migrations, for reading (reference 2.24).

use super::{Call, Client};
use crate::error::Result;
use crate::id::InstanceId;
use crate::types::{DecodedList, Migration};

impl Client {
    /// The migrations of the account's instances.
    pub async fn list_migrations(&self) -> Result<DecodedList<Migration>> {
        self.send(Call::get("ListMigrations", "migrations").path(["migrations"])).await?.list()
    }

    /// The migration of one instance.
    ///
    /// # Errors
    /// [`NotFound`](crate::Kind::NotFound): it is not migrating.
    pub async fn get_migration(&self, id: InstanceId) -> Result<Migration> {
        let call = Call::get("GetMigration", format!("migration of instance {id}"));
        self.send(call.path(["migrations", &id.to_string()])).await?.object()
    }
}
