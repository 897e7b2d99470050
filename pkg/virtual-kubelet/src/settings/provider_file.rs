//! The provider's file: the original's `triton.toml`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use runtime::config::Place;
use serde::Deserialize;
use toml::Spanned;

use super::flags::is_qualified;
use super::virtual_node::label;
use super::{Figures, Flags, NodeName, NodeTaint, PackageFilter, VirtualNode};
use crate::quantity::Quantity;

/// What the file says. All is optional.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProviderFile {
    /// What a node can take.
    pub figures: Figures,
    /// The region for the topology label of a node; else the data centre's name is that.
    pub region: Option<String>,
    /// The nodes, when they are named here; figures and regions that they leave open are those above.
    pub nodes: Vec<NodeTable>,
}

/// One `[[Node]]` of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeTable {
    /// Its name.
    pub name: NodeName,
    /// Its region.
    pub region: Option<String>,
    /// What it can take.
    pub figures: Figures,
    /// Its labels besides those that every virtual node has.
    pub labels: BTreeMap<String, String>,
    /// Its taints; `None`: the one of the flags.
    pub taints: Option<Vec<NodeTaint>>,
    /// Which packages its pods may have.
    pub packages: PackageFilter,
    /// The networks of its pods that name none.
    pub networks: Vec<String>,
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
const KEYS: &str = "CPU, Memory, Storage, Pods, OperatingSystem, Region and [[Node]], which has Name, CPU, Memory, Storage, \
                    Pods, Region, Labels, Taints, Packages and Networks";

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
    #[serde(default)]
    node: Vec<RawNode>,
}

/// A `[[Node]]` as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct RawNode {
    name: Spanned<String>,
    #[serde(rename = "CPU")]
    cpu: Option<Spanned<Amount>>,
    memory: Option<Spanned<Amount>>,
    storage: Option<Spanned<Amount>>,
    pods: Option<Spanned<Amount>>,
    region: Option<Spanned<String>>,
    labels: Option<Spanned<BTreeMap<String, String>>>,
    taints: Option<Spanned<Vec<String>>>,
    packages: Option<Spanned<Vec<String>>>,
    networks: Option<Spanned<Vec<String>>>,
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
        let figures = lines.figures(&raw.cpu, &raw.memory, &raw.storage, &raw.pods)?;
        let region = lines.region(raw.region.as_ref())?;
        let mut nodes: Vec<NodeTable> = Vec::with_capacity(raw.node.len());
        for raw in &raw.node {
            let node = lines.node(raw)?;
            if nodes.iter().any(|other| other.name == node.name) {
                return Err(lines.wrong("Name", &raw.name, format!("{} is that of another node", node.name)));
            }
            nodes.push(node);
        }
        Ok(Self { figures, region, nodes })
    }

    /// The nodes of the process: those of the file, else the one of the flags.
    pub fn virtual_nodes(&self, flags: &Flags) -> Vec<VirtualNode> {
        if self.nodes.is_empty() {
            return vec![VirtualNode::alone(flags, self.region.clone(), self.figures)];
        }
        let flagged = || NodeTaint::of_flags(flags).into_iter().collect();
        let node = |table: &NodeTable| VirtualNode {
            name: table.name.clone(),
            region: table.region.clone().or_else(|| self.region.clone()),
            figures: table.figures.or(self.figures),
            labels: table.labels.clone(),
            taints: table.taints.clone().unwrap_or_else(flagged),
            packages: table.packages.clone(),
            networks: table.networks.clone(),
        };
        self.nodes.iter().map(node).collect()
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

    fn node(&self, raw: &RawNode) -> Result<NodeTable, FileError> {
        let name: Result<NodeName, String> = raw.name.get_ref().parse();
        let name = name
            .map_err(|why| self.wrong("Name", &raw.name, format!("is \"{}\": {why}", raw.name.get_ref())))?;
        let labels = raw.labels.as_ref().map(Spanned::get_ref).cloned().unwrap_or_default();
        if let Some(written) = &raw.labels {
            for (key, value) in &labels {
                label(key, value).map_err(|why| self.wrong("Labels", written, why))?;
            }
        }
        let taints = raw.taints.as_ref().map(|written| {
            let taints: Result<Vec<NodeTaint>, String> =
                written.get_ref().iter().map(|text| text.parse()).collect();
            taints.map_err(|why| self.wrong("Taints", written, why))
        });
        let packages = raw.packages.as_ref().map(|written| {
            let patterns = written.get_ref().iter().map(String::as_str);
            PackageFilter::parse(patterns).map_err(|why| self.wrong("Packages", written, why))
        });
        let networks = raw.networks.as_ref().map(|written| {
            let networks: Vec<String> = written.get_ref().iter().map(|name| name.trim().to_owned()).collect();
            match networks.iter().any(String::is_empty) {
                true => Err(self.wrong("Networks", written, "has an empty name".to_owned())),
                false => Ok(networks),
            }
        });
        Ok(NodeTable {
            name,
            region: self.region(raw.region.as_ref())?,
            figures: self.figures(&raw.cpu, &raw.memory, &raw.storage, &raw.pods)?,
            labels,
            taints: taints.transpose()?,
            packages: packages.transpose()?.unwrap_or_default(),
            networks: networks.transpose()?.unwrap_or_default(),
        })
    }

    fn region(&self, region: Option<&Spanned<String>>) -> Result<Option<String>, FileError> {
        match region {
            Some(region) if !is_qualified(region.get_ref()) => {
                let message = "must be fit for a label: letters, digits, -, _ and .".to_owned();
                Err(self.wrong("Region", region, message))
            }
            region => Ok(region.map(|region| region.get_ref().clone())),
        }
    }

    fn figures(
        &self,
        cpu: &Option<Spanned<Amount>>,
        memory: &Option<Spanned<Amount>>,
        storage: &Option<Spanned<Amount>>,
        pods: &Option<Spanned<Amount>>,
    ) -> Result<Figures, FileError> {
        Ok(Figures {
            cpu_millis: self.amount("CPU", cpu.as_ref(), "250m", Quantity::millis)?,
            memory_bytes: self.amount("Memory", memory.as_ref(), "512Mi", Quantity::units)?,
            storage_bytes: self.amount("Storage", storage.as_ref(), "0", Quantity::units)?,
            pods: self.amount("Pods", pods.as_ref(), "1", Quantity::units)?,
        })
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
