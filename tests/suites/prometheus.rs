//! Prometheus' own client of HTTP service discovery.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tokio::process::Command;
use tokio::sync::OnceCell;

/// What it takes.
#[derive(Debug, Deserialize)]
pub(crate) struct TargetGroup {
    pub(crate) targets: Vec<String>,
    pub(crate) labels: BTreeMap<String, String>,
}

/// The client as a program, built once.
async fn program() -> &'static Path {
    static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
    let build = async || {
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("prometheus-discovery");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("prometheus-discovery");
        let mut go = Command::new("go");
        go.args(["build", "-mod=readonly", "-o"]).arg(&program).arg(".").current_dir(source);
        let built = go.status().await.expect("Prometheus' discovery is built by Go 1.26; install it");
        assert!(built.success(), "Prometheus' discovery cannot be built");
        program
    };
    BUILT.get_or_init(build).await
}

/// What Prometheus takes from a URL, asked with these options of the program; its complaint when it takes nothing.
pub(crate) async fn discover(url: &str, options: &[&str]) -> Result<Vec<TargetGroup>, String> {
    let output = Command::new(program().await).args(["--url", url]).args(options).output().await.unwrap();
    match output.status.success() {
        true => Ok(serde_json::from_slice(&output.stdout).unwrap()),
        false => Err(String::from_utf8(output.stderr).unwrap()),
    }
}
