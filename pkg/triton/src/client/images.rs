//! Images (reference 2.9).

use super::{Call, Client};
use crate::error::Result;
use crate::id::ImageId;
use crate::types::{CreateImage, DecodedList, ExportImage, Image, ImportImage, ListImages, UpdateImage};

impl Client {
    /// The images that meet the conditions.
    pub async fn list_images(&self, filter: &ListImages) -> Result<DecodedList<Image>> {
        let call = Call::get("ListImages", "images").path(["images"]).query(filter.query());
        self.send(call).await?.list()
    }

    /// One image.
    pub async fn get_image(&self, id: ImageId) -> Result<Image> {
        self.send(image(Call::get("GetImage", format!("image {id}")), id)).await?.object()
    }

    /// Makes an image of an instance, and answers with it in the state `creating`.
    pub async fn create_image(&self, create: &CreateImage) -> Result<Image> {
        let object = format!("image {}@{}", create.name, create.version);
        let call = Call::post("CreateImageFromMachine", object).path(["images"]).limited_json(create)?;
        self.send(call).await?.object()
    }

    /// Changes an image, and answers with it.
    pub async fn update_image(&self, id: ImageId, update: &UpdateImage) -> Result<Image> {
        let call = image(Call::post("UpdateImage", format!("image {id}")), id)
            .query([("action", "update")])
            .repeatable()
            .limited_json(update)?;
        self.send(call).await?.object()
    }

    /// Exports an image to object storage.
    pub async fn export_image(&self, id: ImageId, export: &ExportImage) -> Result<()> {
        let call = image(Call::post("ExportImage", format!("image {id}")), id)
            .query([("action", "export")])
            .json(export)?;
        self.send(call).await.map(drop)
    }

    /// Makes an own copy of an image that another account shares, and answers with the copy.
    pub async fn clone_image(&self, id: ImageId) -> Result<Image> {
        let call = image(Call::post("CloneImage", format!("image {id}")), id).query([("action", "clone")]);
        self.send(call).await?.object()
    }

    /// Copies an own image from another data centre, and answers with it.
    pub async fn import_image(&self, import: &ImportImage) -> Result<Image> {
        let object = format!("image {} of data centre {}", import.id, import.datacenter);
        let call = Call::post("ImportImageFromDatacenter", object)
            .path(["images"])
            .query([("action", "import-from-datacenter")])
            .query(import.query());
        self.send(call).await?.object()
    }

    /// Deletes an image.
    pub async fn delete_image(&self, id: ImageId) -> Result<()> {
        self.send(image(Call::delete("DeleteImage", format!("image {id}")), id)).await.map(drop)
    }
}

fn image(call: Call, id: ImageId) -> Call {
    call.path(["images", &id.to_string()])
}
