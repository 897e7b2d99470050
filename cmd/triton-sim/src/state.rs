//! The key and other files that clients need.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use tempfile::TempDir;
use triton_sim::keys::KeyPair;
use triton_sim::{Settings, Simulator};

use crate::arguments::SimulatorArguments;

/// Where files for clients are.
pub(crate) struct State {
    directory: PathBuf,
    /// The private key, if it was made here.
    key: Option<PathBuf>,
    /// Goes with this.
    _temporary: Option<TempDir>,
}

/// The settings, in which the account has a key, and where files for clients go.
pub(crate) fn prepare(arguments: &SimulatorArguments) -> Result<(Settings, State)> {
    let mut settings = arguments.settings()?;
    let (directory, temporary) = match &arguments.state {
        Some(directory) => (directory.clone(), None),
        None => {
            let temporary = tempfile::Builder::new()
                .prefix("triton-sim-")
                .tempdir()
                .context("cannot make a temporary directory: give one with --state")?;
            (temporary.path().to_owned(), Some(temporary))
        }
    };
    let mut key = None;
    if settings.keys.is_empty() {
        let (path, pair) = KeyPair::in_directory(&directory)?;
        settings.keys.push(pair.public);
        key = Some(path);
    }
    Ok((settings, State { directory, key, _temporary: temporary }))
}

impl State {
    /// The environment for clients of a simulator. Writes the certificate of CMON's authority.
    pub(crate) fn environment(&self, simulator: &Simulator) -> Result<Vec<(String, String)>> {
        let mut variables = simulator.environment();
        if let Some(key) = &self.key {
            variables.push(("TRITON_KEY_MATERIAL".to_owned(), key.display().to_string()));
        }
        if let Some(cmon) = simulator.cmon() {
            let path = self.directory.join("cmon-ca.pem");
            write(&path, cmon.ca_pem()).with_context(|| {
                format!("cannot write {}: give a directory that can be written to --state", path.display())
            })?;
            variables.push(("TRITON_SIM_CMON_CA".to_owned(), path.display().to_string()));
        }
        Ok(variables)
    }

    /// The private key, if it was made here.
    pub(crate) fn key(&self) -> Option<&Path> {
        self.key.as_deref()
    }
}

/// Writes a file as a whole or not at all.
fn write(path: &Path, text: &str) -> Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(directory)?;
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(text.as_bytes())?;
    file.persist(path)?;
    Ok(())
}
