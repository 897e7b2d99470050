//! Settings of the data centre from a TOML file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use toml::Table;

use super::{Settings, Timing};

/// Why a file has no settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsFileError {
    /// It cannot be read.
    #[error("cannot read {}: check the path given to --world", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is no TOML, or has a key or a value that is unknown.
    #[error("{}:{line}: {message}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Where, counted from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
}

impl Settings {
    /// The settings of a TOML file, whose keys are the fields. What it does not say is as in the default, but a file
    /// without `[timing]` has these delays.
    ///
    /// # Errors
    ///
    /// [`SettingsFileError`], which names the line.
    pub fn load(path: &Path, timing: &Timing) -> Result<Self, SettingsFileError> {
        let text = fs::read_to_string(path)
            .map_err(|source| SettingsFileError::Read { path: path.to_owned(), source })?;
        Self::parse(path, &text, timing)
    }

    fn parse(path: &Path, text: &str, timing: &Timing) -> Result<Self, SettingsFileError> {
        let refuse = |error: toml::de::Error| {
            let before = text.get(..error.span().map_or(0, |span| span.start)).unwrap_or_default();
            let line = before.matches('\n').count().saturating_add(1);
            let message = error.message().lines().next().unwrap_or_default().to_owned();
            SettingsFileError::File { path: path.to_owned(), line, message }
        };
        let settings: Self = toml::from_str(text).map_err(refuse)?;
        let keys: Table = text.parse().map_err(refuse)?;
        let timing = if keys.contains_key("timing") { settings.timing } else { timing.clone() };
        Ok(Self { timing, ..settings })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::world::settings::LostNode;

    fn parse(text: &str) -> Result<Settings, String> {
        let parsed = Settings::parse(Path::new("world.toml"), text, &Timing::instant());
        parsed.map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_without_delays_has_those_of_the_preset() {
        let settings = parse("lost_node = \"running\"\n[features]\nvolumes = false\n").expect("settings");
        assert_eq!((settings.lost_node, settings.features.volumes), (LostNode::Running, false));
        assert_eq!(settings.timing, Timing::instant());
        let settings = parse("[timing]\nstart = \"3s\"\n").expect("settings");
        assert_eq!(settings.timing, Timing { start: Duration::from_secs(3), ..Timing::default() });
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, expected) in [
            ("seed = 1\nsede = 2\n", "world.toml:2: unknown field `sede`"),
            ("\n[timing]\nstart = 3\n", "world.toml:3: "),
            ("[features\n", "world.toml:1: "),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.starts_with(expected) && error.lines().count() == 1, "{error}");
        }
        let missing = Settings::load(Path::new("/nonexistent"), &Timing::instant()).expect_err("no file");
        assert_eq!(missing.to_string(), "cannot read /nonexistent: check the path given to --world");
    }
}
