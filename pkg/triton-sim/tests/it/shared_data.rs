//! Finds the data for contract tests, which is not part of this repository.

use std::path::{Path, PathBuf};

use serde_json::Value;

/// Names the directory that holds `cloudapi/`.
const VARIABLE: &str = "TRITON_SHARED_DATA";

/// A JSON file of CloudAPI's sample data; `None`, said aloud, where there is none, in which case the test has nothing
/// to do. In CI (`CI=true`) its absence is a failure: skipping there would hide that the contract is no longer tested.
pub(crate) fn cloudapi(name: &str) -> Option<Value> {
    let given = std::env::var_os(VARIABLE).map(PathBuf::from);
    let beside_checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let path = given.clone().unwrap_or(beside_checkout).join("cloudapi").join(name);
    match std::fs::read(&path) {
        Ok(text) => Some(serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{path:?}: {error}"))),
        Err(error) => {
            let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
            let message = format!("no contract data at {}: {error}; set {VARIABLE}", path.display());
            assert!(!in_ci && given.is_none(), "{message}");
            eprintln!("skipped: {message}");
            None
        }
    }
}
