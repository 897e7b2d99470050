//! What a kubelet asks of the API server, by the API server's audit log.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::{Value, json};
use suites::control_plane::ControlPlane;

/// A policy that notes the finished requests of these users and nothing else.
pub(crate) fn policy(users: &[&str]) -> Value {
    json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived", "ResponseStarted"],
        "rules": [{"level": "Metadata", "users": users}, {"level": "None"}],
    })
}

/// Requests by what they are, such as `patch pods/status`.
pub(crate) type Requests = BTreeMap<String, u32>;

/// Reads the log on, from where it was read before.
#[derive(Debug)]
pub(crate) struct Audit {
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
    pub(crate) fn of(plane: &ControlPlane) -> Self {
        Self { path: plane.folder().join("audit.log"), read: 0 }
    }

    /// The requests since the last time.
    pub(crate) fn take(&mut self) -> Result<Requests> {
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

/// The requests about pods and their events, per pod, most first.
pub(crate) fn per_pod(requests: &Requests, pods: usize) -> String {
    let pods = u32::try_from(pods).unwrap_or(u32::MAX);
    let about =
        |what: &&String| what.ends_with(" pods") || what.contains(" pods/") || what.ends_with(" events");
    let mut shown: Vec<(f64, &String)> = requests
        .iter()
        .filter(|(what, _)| about(what))
        .map(|(what, count)| (f64::from(*count) / f64::from(pods), what))
        .filter(|(each, _)| *each >= 0.01)
        .collect();
    shown.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let shown: Vec<String> = shown.into_iter().map(|(each, what)| format!("{each:.2} {what}")).collect();
    if shown.is_empty() { "none".to_owned() } else { shown.join(", ") }
}
