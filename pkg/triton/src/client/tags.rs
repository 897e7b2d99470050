//! The tags of instances (reference 2.17).
//!
//! Writes are carried out later: reads may show the old tags for some seconds. There is no precondition to
//! send, so an instance's tags should have one writer.

use super::instances::instance;
use super::{Call, Client};
use crate::budget::Priority;
use crate::error::Result;
use crate::id::InstanceId;
use crate::types::{RESERVED_TAGS, TagMap, TagValue, Tags};

impl Client {
    /// All tags of an instance.
    pub async fn list_tags(&self, id: InstanceId) -> Result<Tags> {
        let reply = self.send(tags(Call::get("ListMachineTags", subject(id)), id)).await?;
        Ok(reply.object::<TagMap>()?.0)
    }

    /// Adds tags, or changes their values; others stay. Answers with all tags as they will be.
    ///
    /// # Errors
    /// [`Invalid`](crate::Kind::Invalid): a name is one of [`RESERVED_TAGS`], or an unknown one that begins with
    /// `triton.`.
    pub async fn add_tags(&self, id: InstanceId, add: &Tags) -> Result<Tags> {
        self.write_tags(Call::post("AddMachineTags", subject(id)).repeatable(), id, add).await
    }

    /// Replaces **all** tags: those that are not named are removed, also those that another client added a
    /// moment ago. Impossible for docker containers. Answers with the tags as they will be.
    ///
    /// # Errors
    /// As for [`Client::add_tags`].
    pub async fn replace_tags(&self, id: InstanceId, all: &Tags) -> Result<Tags> {
        self.write_tags(Call::put("ReplaceMachineTags", subject(id)), id, all).await
    }

    /// Removes all tags. Impossible for docker containers.
    pub async fn delete_all_tags(&self, id: InstanceId) -> Result<()> {
        let call = tags(Call::delete("DeleteMachineTags", subject(id)), id).priority(Priority::Status);
        self.send(call).await.map(drop)
    }

    /// One tag. The server gives `""` for a boolean or number: [`Client::list_tags`] gives all of them as they
    /// are.
    pub async fn get_tag(&self, id: InstanceId, name: &str) -> Result<TagValue> {
        let call = Call::get("GetMachineTag", format!("tag {name:?} of instance {id}"));
        self.send(tags(call, id).path([name])).await?.object()
    }

    /// Removes one tag.
    ///
    /// # Errors
    /// [`NotFound`](crate::Kind::NotFound): it is not there, for instance because an earlier attempt of this
    /// same call removed it.
    pub async fn delete_tag(&self, id: InstanceId, name: &str) -> Result<()> {
        let call = Call::delete("DeleteMachineTag", format!("tag {name:?} of instance {id}"));
        self.send(tags(call, id).path([name]).priority(Priority::Status)).await.map(drop)
    }

    async fn write_tags(&self, call: Call, id: InstanceId, body: &Tags) -> Result<Tags> {
        let call = tags(call, id)
            .priority(Priority::Status)
            .without_reserved("a tag", body.keys().map(|name| &**name), |name| RESERVED_TAGS.contains(&name))?
            .limited_json(body)?;
        Ok(self.send(call).await?.object::<TagMap>()?.0)
    }
}

fn subject(id: InstanceId) -> String {
    format!("tags of instance {id}")
}

fn tags(call: Call, id: InstanceId) -> Call {
    instance(call, id).path(["tags"])
}
