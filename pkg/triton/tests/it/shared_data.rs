//! Finds the data for contract tests, which is not part of this repository, and compares answers with it.

use serde_json::Value;
use std::path::{Path, PathBuf};

/// Names the directory that holds `cloudapi/`.
const VARIABLE: &str = "TRITON_SHARED_DATA";

/// The directory of CloudAPI's sample data; `None`, said aloud, where there is none, in which case the
/// test has nothing to do. In CI (`CI=true`) its absence is a failure: skipping there would hide that the
/// contract is no longer tested.
pub(crate) fn cloudapi() -> Option<PathBuf> {
    let given = std::env::var_os(VARIABLE).map(PathBuf::from);
    let beside_checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let directory = given.clone().unwrap_or(beside_checkout).join("cloudapi");
    if directory.is_dir() {
        return Some(directory);
    }
    let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    assert!(
        !in_ci && given.is_none(),
        "no contract data: {} is no directory; set {VARIABLE} to the directory that holds cloudapi/",
        directory.display()
    );
    eprintln!(
        "skipped: no contract data at {}; set {VARIABLE} to the directory that holds cloudapi/",
        directory.display()
    );
    None
}

/// Reads a JSON file of the data.
pub(crate) fn read(path: &Path) -> Value {
    let text = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every path at which `arrived` lacks, or differs from, a leaf of `sent`. Fields that were not sent may be
/// there; times may be written in another way.
pub(crate) fn lost(sent: &Value, arrived: &Value) -> Vec<String> {
    fn walk(path: &str, sent: &Value, arrived: Option<&Value>, lost: &mut Vec<String>) {
        match (sent, arrived) {
            (Value::Object(fields), Some(Value::Object(others))) => {
                for (name, value) in fields {
                    walk(&format!("{path}.{name}"), value, others.get(name), lost);
                }
            }
            (Value::Array(items), Some(Value::Array(others))) if items.len() == others.len() => {
                for (index, (item, other)) in items.iter().zip(others).enumerate() {
                    walk(&format!("{path}[{index}]"), item, Some(other), lost);
                }
            }
            (Value::String(text), Some(Value::String(other))) if same_time(text, other) => {}
            (sent, Some(other)) if sent == other => {}
            (sent, Some(other)) => lost.push(format!("{path}: sent {sent}, arrived as {other}")),
            (sent, None) => lost.push(format!("{path}: sent {sent}, did not arrive")),
        }
    }
    let mut paths = Vec::new();
    walk("", sent, Some(arrived), &mut paths);
    paths
}

fn same_time(left: &str, right: &str) -> bool {
    match (left.parse::<jiff::Timestamp>(), right.parse::<jiff::Timestamp>()) {
        (Ok(left), Ok(right)) => left == right,
        _ => false,
    }
}

#[test]
fn every_kind_of_loss_is_noticed() {
    use serde_json::json;
    let sent = json!({"a": 1, "b": {"c": ["x", "2024-01-01T00:00:00.000Z"]}, "d": false});
    for (arrived, paths) in [
        (json!({"a": 1, "b": {"c": ["x", "2024-01-01T00:00:00Z"]}, "d": false, "e": 1}), vec![]),
        (json!({"a": 1, "b": {"c": ["x", "2024-01-01T00:00:00Z"]}}), vec![".d"]),
        (json!({"a": 2, "b": {"c": ["x"]}, "d": false}), vec![".a", ".b.c"]),
        (json!({"a": 1, "b": {"c": ["y", "2024-01-01T00:00:01Z"]}, "d": false}), vec![".b.c[0]", ".b.c[1]"]),
        (json!({"a": "1", "b": [], "d": null}), vec![".a", ".b", ".d"]),
    ] {
        let lost = lost(&sent, &arrived);
        let found: Vec<_> = lost.iter().map(|line| line.split(':').next().unwrap()).collect();
        assert_eq!(found, paths, "{arrived}");
    }
}
