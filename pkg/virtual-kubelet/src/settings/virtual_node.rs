//! The virtual nodes of one process, as the flags and the provider's file describe them.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use glob::Pattern;

use super::flags::{is_qualified, key, label_value};
use super::{Flags, NodeName, TaintEffect};

/// The labels that every virtual node has besides its name and its place: the original's, and those of a kubelet. No
/// setting changes them, for manifests and controllers go by them.
pub(crate) const FIXED_LABELS: [(&str, &str); 8] = [
    ("type", "virtual-kubelet"),
    ("kubernetes.io/role", "agent"),
    ("kubernetes.io/os", "linux"),
    ("beta.kubernetes.io/os", "linux"),
    ("kubernetes.io/arch", "amd64"),
    ("beta.kubernetes.io/arch", "amd64"),
    // A virtual node has no ports of its own for load balancers; its pods have addresses.
    ("node.kubernetes.io/exclude-from-external-load-balancers", "true"),
    ("alpha.service-controller.kubernetes.io/exclude-balancer", "true"),
];

/// The label with the node's name.
pub(crate) const HOSTNAME: &str = "kubernetes.io/hostname";

/// One virtual node: a pool of instances of some packages on some networks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VirtualNode {
    /// Its name.
    pub name: NodeName,
    /// The region for its topology label; else the data centre's name is that.
    pub region: Option<String>,
    /// What it can take, as far as that is said.
    pub figures: Figures,
    /// Labels besides those that every virtual node has. Among them may be the topology's, which then win.
    pub labels: BTreeMap<String, String>,
    /// All taints of ours.
    pub taints: Vec<NodeTaint>,
    /// Which packages its pods may have.
    pub packages: PackageFilter,
    /// The networks of pods that name none, by id or name; none: the account's default.
    pub networks: Vec<String>,
}

impl VirtualNode {
    /// The one node of a process whose file names none.
    pub(super) fn alone(flags: &Flags, region: Option<String>, figures: Figures) -> Self {
        Self {
            name: flags.nodename.clone(),
            region,
            figures,
            labels: BTreeMap::new(),
            taints: NodeTaint::of_flags(flags).into_iter().collect(),
            packages: PackageFilter::default(),
            networks: Vec::new(),
        }
    }
}

/// What a node can take, each where it is said.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// CPUs, in thousandths.
    pub cpu_millis: Option<u64>,
    /// Memory in bytes.
    pub memory_bytes: Option<u64>,
    /// Disk in bytes.
    pub storage_bytes: Option<u64>,
    /// How many pods it takes.
    pub pods: Option<u64>,
}

impl Figures {
    /// These, and what they leave open from `others`.
    #[must_use]
    pub fn or(self, others: Self) -> Self {
        Self {
            cpu_millis: self.cpu_millis.or(others.cpu_millis),
            memory_bytes: self.memory_bytes.or(others.memory_bytes),
            storage_bytes: self.storage_bytes.or(others.storage_bytes),
            pods: self.pods.or(others.pods),
        }
    }
}

/// A taint of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeTaint {
    /// Its key.
    pub key: String,
    /// Its value; may be empty.
    pub value: String,
    /// What it does to pods that do not tolerate it.
    pub effect: TaintEffect,
}

impl NodeTaint {
    /// The taint that the flags ask for, if they do.
    pub(super) fn of_flags(flags: &Flags) -> Option<Self> {
        (!flags.disable_taint).then(|| Self {
            key: flags.taint_key.clone(),
            value: flags.taint_value.clone(),
            effect: flags.taint_effect,
        })
    }
}

impl FromStr for NodeTaint {
    type Err = String;

    /// As kubectl writes it: `key=value:Effect` or `key:Effect`.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("is not a taint such as dedicated=compute:NoSchedule: \"{text}\"");
        let (taint, effect) = text.rsplit_once(':').ok_or_else(wrong)?;
        let (name, value) = taint.split_once('=').unwrap_or((taint, ""));
        let effect = <TaintEffect as clap::ValueEnum>::from_str(effect, false).map_err(|_| wrong())?;
        if !value.is_empty() {
            label_value(value).map_err(|_| wrong())?;
        }
        Ok(Self { key: key(name).map_err(|_| wrong())?, value: value.to_owned(), effect })
    }
}

/// Which packages the pods of a node may have, by patterns of their names: `g1.*`. Without a pattern all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PackageFilter(Vec<Pattern>);

impl PackageFilter {
    /// Reads patterns, in which `*` stands for any text, `?` for any character and `[ab]` for one of some.
    ///
    /// # Errors
    ///
    /// What is wrong, for the line of a file.
    pub fn parse<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let pattern = |text: &str| {
            let read = Pattern::new(text).ok().filter(|_| !text.trim().is_empty());
            read.ok_or_else(|| format!("has no pattern of names such as g1.*: \"{text}\""))
        };
        Ok(Self(patterns.into_iter().map(pattern).collect::<Result<_, _>>()?))
    }

    /// Whether every package is accepted.
    pub fn accepts_all(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a package of this name is accepted.
    pub fn accepts(&self, name: &str) -> bool {
        self.accepts_all() || self.0.iter().any(|pattern| pattern.matches(name))
    }
}

/// The patterns, for people.
impl fmt::Display for PackageFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let patterns: Vec<&str> = self.0.iter().map(Pattern::as_str).collect();
        f.write_str(&patterns.join(", "))
    }
}

/// Whether a label can be a setting; the error says why not.
pub(super) fn label(name: &str, value: &str) -> Result<(), String> {
    if FIXED_LABELS.iter().any(|(fixed, _)| *fixed == name) || name == HOSTNAME {
        return Err(format!("has {name}, which is the same on every virtual node and cannot be set"));
    }
    if key(name).is_err() {
        return Err(format!("has \"{name}\", which is not a label's key such as example.com/pool"));
    }
    if !value.is_empty() && !is_qualified(value) {
        return Err(format!(
            "has {name} = \"{value}\"; a label's value is made of letters, digits, -, _ and ."
        ));
    }
    Ok(())
}
