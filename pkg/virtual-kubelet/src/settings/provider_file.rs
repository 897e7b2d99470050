//! The provider's file: the original's `triton.toml`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use runtime::config::Place;
use serde::Deserialize;
use toml::Spanned;

use crate::quantity::Quantity;

/// What the file says. All is optional.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProviderFile {
    /// The node's CPUs, in thousandths.
    pub cpu_millis: Option<u64>,
    /// Its memory in bytes.
    pub memory_bytes: Option<u64>,
    /// Its disk in bytes.
    pub storage_bytes: Option<u64>,
    /// How many pods it takes.
    pub pods: Option<u64>,
    /// The region for the node's topology label; else the data centre's name is that.
    pub region: Option<String>,
}

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// It cannot be read.
    #[error("cannot read the provider's file {}; check --provider-config and the file's permissions", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is not TOML, or has a key or a type that it must not have.
    #[error("{place}: {message}; the keys are {KEYS}")]
    Syntax {
        /// Where.
        place: Place,
        /// What the parser said.
        message: String,
    },
    /// A value makes no sense.
    #[error("{place}: {key} {message}")]
    Value {
        /// Where.
        place: Place,
        /// The key.
        key: &'static str,
        /// What it must be.
        message: String,
    },
}

/// For messages.
const KEYS: &str = "CPU, Memory, Storage, Pods, OperatingSystem and Region";

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Raw {
    #[serde(rename = "CPU")]
    cpu: Option<Spanned<Amount>>,
    memory: Option<Spanned<Amount>>,
    storage: Option<Spanned<Amount>>,
    pods: Option<Spanned<Amount>>,
    operating_system: Option<Spanned<String>>,
    region: Option<Spanned<String>>,
    /// The original read it and did nothing with it; so do we, for the sake of old files.
    #[serde(rename = "PlatformVersion")]
    _platform_version: Option<String>,
}

/// The original has all numbers in quotes; without them they mean the same.
#[derive(Deserialize)]
#[serde(untagged)]
enum Amount {
    Text(String),
    Whole(u64),
    Decimal(f64),
}

impl Amount {
    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.trim().to_owned(),
            Self::Whole(number) => number.to_string(),
            Self::Decimal(number) => number.to_string(),
        }
    }
}

impl ProviderFile {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// [`FileError`], with the line.
    pub fn read(file: &Path) -> Result<Self, FileError> {
        let text =
            fs::read_to_string(file).map_err(|source| FileError::Read { file: file.to_owned(), source })?;
        Self::parse(file, &text)
    }

    /// Reads a file's text. `file` is only named in errors.
    ///
    /// # Errors
    ///
    /// [`FileError`], with the line.
    pub fn parse(file: &Path, text: &str) -> Result<Self, FileError> {
        let lines = Lines { file, text };
        let raw: Raw = toml::from_str(text).map_err(|error| FileError::Syntax {
            place: lines.place(error.span().map_or(0, |span| span.start)),
            message: error.message().lines().collect::<Vec<_>>().join(", "),
        })?;
        let other = |system: &&Spanned<String>| !system.get_ref().eq_ignore_ascii_case("linux");
        if let Some(system) = raw.operating_system.as_ref().filter(other) {
            return Err(lines.wrong("OperatingSystem", system, "must be Linux".to_owned()));
        }
        let region = match &raw.region {
            Some(region) if !super::flags::is_qualified(region.get_ref()) => {
                let message = "must be fit for a label: letters, digits, -, _ and .".to_owned();
                return Err(lines.wrong("Region", region, message));
            }
            Some(region) => Some(region.get_ref().clone()),
            None => None,
        };
        Ok(Self {
            cpu_millis: lines.amount("CPU", raw.cpu.as_ref(), "250m", Quantity::millis)?,
            memory_bytes: lines.amount("Memory", raw.memory.as_ref(), "512Mi", Quantity::units)?,
            storage_bytes: lines.amount("Storage", raw.storage.as_ref(), "0", Quantity::units)?,
            pods: lines.amount("Pods", raw.pods.as_ref(), "1", Quantity::units)?,
            region,
        })
    }
}

struct Lines<'a> {
    file: &'a Path,
    text: &'a str,
}

impl Lines<'_> {
    fn place(&self, offset: usize) -> Place {
        let before = self.text.bytes().take(offset);
        Place { file: self.file.to_owned(), line: before.filter(|byte| *byte == b'\n').count() + 1 }
    }

    fn wrong<T>(&self, key: &'static str, value: &Spanned<T>, message: String) -> FileError {
        FileError::Value { place: self.place(value.span().start), key, message }
    }

    /// A quantity that is not below `least`, in the unit of `count`. The least values are the original's (reference,
    /// Kubernetes D 1.1).
    fn amount(
        &self,
        key: &'static str,
        value: Option<&Spanned<Amount>>,
        least: &str,
        count: fn(Quantity) -> u64,
    ) -> Result<Option<u64>, FileError> {
        let Some(value) = value else { return Ok(None) };
        let text = value.get_ref().text();
        let Ok(amount) = text.parse::<Quantity>() else {
            return Err(self.wrong(key, value, format!("is not a quantity such as 20 or 40Gi: \"{text}\"")));
        };
        if least.parse().is_ok_and(|least| amount < least) {
            return Err(self.wrong(key, value, format!("is \"{text}\", and must be at least {least}")));
        }
        if amount >= Quantity::MAX {
            return Err(self.wrong(key, value, format!("is \"{text}\", which is too large")));
        }
        Ok(Some(count(amount)))
    }
}
