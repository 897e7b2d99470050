//! The snapshots of instances (reference 2.20).

use super::instances::instance;
use super::{Call, Client};
use crate::error::Result;
use crate::id::InstanceId;
use crate::types::{CreateSnapshot, DecodedList, Snapshot};

impl Client {
    /// The snapshots of an instance.
    pub async fn list_snapshots(&self, id: InstanceId) -> Result<DecodedList<Snapshot>> {
        let call = Call::get("ListMachineSnapshots", format!("snapshots of instance {id}"));
        self.send(snapshots(call, id)).await?.list()
    }

    /// One snapshot of an instance.
    pub async fn get_snapshot(&self, id: InstanceId, name: &str) -> Result<Snapshot> {
        let call = Call::get("GetMachineSnapshot", subject(id, name));
        self.send(snapshots(call, id).path([name])).await?.object()
    }

    /// Makes a snapshot of an instance, and answers with it in the state `queued`.
    pub async fn create_snapshot(&self, id: InstanceId, create: &CreateSnapshot) -> Result<Snapshot> {
        let call = Call::post("CreateMachineSnapshot", format!("snapshots of instance {id}"));
        self.send(snapshots(call, id).json(create)?).await?.object()
    }

    /// Returns an instance to a snapshot, and starts it. What was written since is lost.
    pub async fn start_from_snapshot(&self, id: InstanceId, name: &str) -> Result<()> {
        let call = Call::post("StartMachineFromSnapshot", subject(id, name));
        self.send(snapshots(call, id).path([name])).await.map(drop)
    }

    /// Deletes a snapshot of an instance.
    pub async fn delete_snapshot(&self, id: InstanceId, name: &str) -> Result<()> {
        let call = Call::delete("DeleteMachineSnapshot", subject(id, name));
        self.send(snapshots(call, id).path([name])).await.map(drop)
    }
}

fn subject(id: InstanceId, name: &str) -> String {
    format!("snapshot {name:?} of instance {id}")
}

fn snapshots(call: Call, id: InstanceId) -> Call {
    instance(call, id).path(["snapshots"])
}
