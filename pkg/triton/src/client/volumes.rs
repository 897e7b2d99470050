//! Volumes (reference 2.23). Where the operator does not offer them the server has no such paths, and all of
//! this is an error of kind [`NotSupported`](crate::Kind::NotSupported) or [`NotFound`](crate::Kind::NotFound).

use super::{Call, Client};
use crate::error::Result;
use crate::id::VolumeId;
use crate::types::{CreateVolume, DecodedList, ListVolumes, UpdateVolume, Volume, VolumeSize};

impl Client {
    /// The volumes that meet the conditions; failed ones only when asked for.
    pub async fn list_volumes(&self, filter: &ListVolumes) -> Result<DecodedList<Volume>> {
        let call = Call::get("ListVolumes", "volumes").path(["volumes"]).query(filter.query());
        self.send(call).await?.list()
    }

    /// One volume.
    pub async fn get_volume(&self, id: VolumeId) -> Result<Volume> {
        self.send(volume(Call::get("GetVolume", format!("volume {id}")), id)).await?.object()
    }

    /// Makes a volume, and answers with it in the state `creating`.
    ///
    /// # Errors
    /// [`Duplicate`](crate::Kind::Duplicate): the name is taken. [`Invalid`](crate::Kind::Invalid): the size is
    /// not one of [`Client::list_volume_sizes`], or a network is not a fabric network of the account.
    pub async fn create_volume(&self, create: &CreateVolume) -> Result<Volume> {
        let object = match &create.name {
            Some(name) => format!("volume {name}"),
            None => "a new volume".to_owned(),
        };
        let call = Call::post("CreateVolume", object).path(["volumes"]).limited_json(create)?;
        self.send(call).await?.object()
    }

    /// Renames a volume, and answers with it.
    pub async fn update_volume(&self, id: VolumeId, update: &UpdateVolume) -> Result<Volume> {
        let call = volume(Call::post("UpdateVolume", format!("volume {id}")), id)
            .query([("action", "update")])
            .repeatable()
            .json(update)?;
        self.send(call).await?.object()
    }

    /// Deletes a volume. It is gone when reading it is an error of kind [`NotFound`](crate::Kind::NotFound).
    ///
    /// # Errors
    /// [`Conflict`](crate::Kind::Conflict): instances mount it.
    pub async fn delete_volume(&self, id: VolumeId) -> Result<()> {
        self.send(volume(Call::delete("DeleteVolume", format!("volume {id}")), id)).await.map(drop)
    }

    /// The sizes that volumes can have.
    pub async fn list_volume_sizes(&self) -> Result<DecodedList<VolumeSize>> {
        self.send(Call::get("ListVolumeSizes", "volume sizes").path(["volumesizes"])).await?.list()
    }
}

fn volume(call: Call, id: VolumeId) -> Call {
    call.path(["volumes", &id.to_string()])
}
