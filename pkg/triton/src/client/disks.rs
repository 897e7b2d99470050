//! The disks of bhyve instances, which must be stopped to change them (reference 2.20).

use super::instances::instance;
use super::{Call, Client};
use crate::error::Result;
use crate::id::{DiskId, InstanceId};
use crate::types::{CreateDisk, DecodedList, Disk, ResizeDisk};

impl Client {
    /// The disks of an instance.
    pub async fn list_disks(&self, id: InstanceId) -> Result<DecodedList<Disk>> {
        let call = Call::get("ListMachineDisks", format!("disks of instance {id}"));
        self.send(disks(call, id)).await?.list()
    }

    /// One disk of an instance.
    pub async fn get_disk(&self, id: InstanceId, disk: DiskId) -> Result<Disk> {
        let call = Call::get("GetMachineDisk", subject(id, disk));
        self.send(one(call, id, disk)).await?.object()
    }

    /// Adds a disk to an instance. The server answers with it only when its place was chosen
    /// ([`CreateDisk::pci_slot`]); otherwise look at the list.
    pub async fn create_disk(&self, id: InstanceId, create: &CreateDisk) -> Result<Option<Disk>> {
        let call = disks(Call::post("CreateMachineDisk", format!("disks of instance {id}")), id);
        let reply = self.send(call.json(create)?).await?;
        if reply.body.trim_ascii().is_empty() {
            return Ok(None);
        }
        reply.object().map(Some)
    }

    /// Resizes a disk of an instance.
    pub async fn resize_disk(&self, id: InstanceId, disk: DiskId, resize: &ResizeDisk) -> Result<()> {
        let call = one(Call::post("ResizeMachineDisk", subject(id, disk)), id, disk).repeatable();
        self.send(call.json(resize)?).await.map(drop)
    }

    /// Deletes a disk of an instance. It is gone when reading it is an error of kind
    /// [`NotFound`](crate::Kind::NotFound).
    pub async fn delete_disk(&self, id: InstanceId, disk: DiskId) -> Result<()> {
        let call = Call::delete("DeleteMachineDisk", subject(id, disk));
        self.send(one(call, id, disk)).await.map(drop)
    }
}

fn subject(id: InstanceId, disk: DiskId) -> String {
    format!("disk {disk} of instance {id}")
}

fn disks(call: Call, id: InstanceId) -> Call {
    instance(call, id).path(["disks"])
}

fn one(call: Call, id: InstanceId, disk: DiskId) -> Call {
    disks(call, id).path([disk.to_string()])
}
