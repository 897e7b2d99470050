//! What a measured program asks of the API server, by the API server's audit log.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::PathBuf;

use crate::control_plane::ControlPlane;
use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::{Value, json};

/// A policy that notes the finished requests of these users and nothing else.
pub fn policy(users: &[&str]) -> Value {
    json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived", "ResponseStarted"],
        "rules": [{"level": "Metadata", "users": users}, {"level": "None"}],
    })
}

/// Requests by what they are, such as `patch pods/status`.
pub type Requests = BTreeMap<String, u32>;

/// Reads the log on, from where it was read before.
#[derive(Debug)]
pub struct Audit {
    path: PathBuf,
    read: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    verb: String,
    object_ref: Option<Object>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Object {
    #[serde(default)]
    resource: String,
    #[serde(default)]
    subresource: String,
}

impl Audit {
    /// The log of a control plane whose options have a [`policy`].
    pub fn of(plane: &ControlPlane) -> Self {
        Self { path: plane.folder().join("audit.log"), read: 0 }
    }

    /// The requests since the last time.
    ///
    /// # Errors
    /// When there is no log, or it cannot be read.
    pub fn take(&mut self) -> Result<Requests> {
        let mut requests = Requests::new();
        let mut file = File::open(&self.path).context("the API server keeps no audit log")?;
        file.seek(SeekFrom::Start(self.read))?;
        let mut lines = BufReader::new(file);
        let mut line = String::new();
        // The last line may be half written: it is read the next time.
        while lines.read_line(&mut line)? > 0 && line.ends_with('\n') {
            self.read += u64::try_from(line.len())?;
            let event: Line = serde_json::from_str(&line).context("cannot read the audit log")?;
            let what = match event.object_ref {
                Some(object) if object.subresource.is_empty() => object.resource,
                Some(object) => format!("{}/{}", object.resource, object.subresource),
                None => "other".to_owned(),
            };
            *requests.entry(format!("{} {what}", event.verb)).or_default() += 1;
            line.clear();
        }
        Ok(requests)
    }
}
