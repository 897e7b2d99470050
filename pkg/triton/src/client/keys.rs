//! The SSH keys of the account (reference 2.8). A key is found by its fingerprint or its name.

use super::{Call, Client};
use crate::error::Result;
use crate::types::{CreateKey, DecodedList, Key};

impl Client {
    /// All keys.
    pub async fn list_keys(&self) -> Result<DecodedList<Key>> {
        self.send(Call::get("ListKeys", "keys").path(["keys"])).await?.list()
    }

    /// One key, by MD5 fingerprint or name.
    pub async fn get_key(&self, key: &str) -> Result<Key> {
        self.send(Call::get("GetKey", format!("key {key}")).path(["keys", key])).await?.object()
    }

    /// Adds a key, and answers with it. It may not sign requests for some seconds.
    ///
    /// # Errors
    /// [`Duplicate`](crate::Kind::Duplicate) or [`Invalid`](crate::Kind::Invalid): it is there already, or it
    /// cannot be read.
    pub async fn create_key(&self, key: &CreateKey) -> Result<Key> {
        let call = Call::post("CreateKey", "a new key").path(["keys"]).json(key)?;
        self.send(call).await?.object()
    }

    /// Removes a key, by MD5 fingerprint or name.
    pub async fn delete_key(&self, key: &str) -> Result<()> {
        let call = Call::delete("DeleteKey", format!("key {key}")).path(["keys", key]);
        self.send(call).await.map(drop)
    }
}
