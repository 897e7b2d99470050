//! What the API server was asked, by its audit log: the one witness that neither side of a test can mistake.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use suites::control_plane::{ControlPlane, Options};

/// A control plane that notes every request for a lease, with whose it was.
pub(crate) fn options(mut options: Options) -> Options {
    options.audit_policy = Some(json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [
            {"level": "Metadata", "resources": [{"group": "coordination.k8s.io", "resources": ["leases"]}]},
            {"level": "None"},
        ],
    }));
    options
}

/// The accepted requests for a lease of this name so far.
pub(crate) fn accepted(plane: &ControlPlane, lease: &str) -> Vec<Request> {
    let log = std::fs::read_to_string(log(plane.folder())).unwrap_or_default();
    // The last line may be half written.
    let events = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    events
        .filter(|event| event["objectRef"]["name"] == lease && event["responseStatus"]["code"] == 200)
        .map(|event| Request {
            verb: event["verb"].as_str().unwrap_or_default().to_owned(),
            credential: event["user"]["extra"]["authentication.kubernetes.io/credential-id"][0]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        })
        .collect()
}

/// A request that the API server accepted.
pub(crate) struct Request {
    /// Such as `get` or `patch`.
    pub(crate) verb: String,
    /// Which token it came with: `JTI=<the token's id>`; empty without a token.
    pub(crate) credential: String,
}

fn log(folder: &Path) -> PathBuf {
    folder.join("audit.log")
}
