//! The two sides of a rule and what stands on them.

use std::cmp::Ordering;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use uuid::Uuid;

use super::{InvalidRule, MAX_TARGETS};

/// One side of a firewall rule (reference 2.21).
///
/// On its own a side is a draft that may hold anything; [`FirewallRule::new`](super::FirewallRule::new)
/// checks and sorts it. The sides of a rule are always canonical.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Side {
    /// `any`: every address, inside Triton or not.
    Any,
    /// `all vms`: every instance of the account in the data centre.
    AllVms,
    /// One or more targets; traffic that matches one of them matches the side.
    Targets(Vec<Target>),
}

/// Something that traffic can come from or go to (reference 2.21).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// A single address; neither 0.0.0.0 nor 255.255.255.255.
    Ip(IpAddr),
    /// The addresses of a network, whose host bits must be zero.
    Subnet(IpNet),
    /// The account's instances that have a tag.
    Tag(TagTarget),
    /// An instance.
    Vm(Uuid),
}

/// The instances with a tag: with any value, or with one value (reference 2.21).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TagTarget {
    /// The key of the tag.
    pub name: String,
    /// The value that the tag must have; none for any value.
    pub value: Option<String>,
}

impl Target {
    /// One address.
    pub fn ip(address: impl Into<IpAddr>) -> Self {
        Self::Ip(address.into())
    }

    /// The addresses of a network.
    pub fn subnet(network: impl Into<IpNet>) -> Self {
        Self::Subnet(network.into())
    }

    /// The instances that have the tag `name`, whatever its value.
    pub fn tag(name: impl Into<String>) -> Self {
        Self::Tag(TagTarget { name: name.into(), value: None })
    }

    /// The instances whose tag `name` has the value `value`.
    pub fn tag_value(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self::Tag(TagTarget { name: name.into(), value: Some(value.into()) })
    }

    /// One instance.
    pub fn vm(instance: Uuid) -> Self {
        Self::Vm(instance)
    }

    /// Refuses the targets that no rule can have.
    pub(super) fn check(&self) -> Result<(), InvalidRule> {
        match self {
            Self::Ip(address @ IpAddr::V4(v4)) if v4.is_unspecified() || *v4 == Ipv4Addr::BROADCAST => {
                Err(InvalidRule::Address { address: *address })
            }
            Self::Subnet(subnet) if subnet.trunc() != *subnet => {
                Err(InvalidRule::HostBits { subnet: *subnet, network: subnet.trunc() })
            }
            // The server keeps tags as keys of JavaScript objects, where this one sets the prototype instead.
            Self::Tag(tag) if tag.name == "__proto__" || tag.value.as_deref() == Some("__proto__") => {
                Err(InvalidRule::TagLost)
            }
            _ => Ok(()),
        }
    }

    /// The place of the target's kind in canonical order.
    fn group(&self) -> u8 {
        match self {
            Self::Ip(_) => 0,
            Self::Subnet(_) => 1,
            Self::Tag(_) => 2,
            Self::Vm(_) => 3,
        }
    }

    /// The server's order: by kind, then as JavaScript sorts the texts.
    fn canonical_order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Tag(a), Self::Tag(b)) => a.canonical_order(b),
            (Self::Vm(a), Self::Vm(b)) => a.cmp(b),
            (Self::Ip(_), Self::Ip(_)) | (Self::Subnet(_), Self::Subnet(_)) => {
                self.to_string().cmp(&other.to_string())
            }
            _ => self.group().cmp(&other.group()),
        }
    }

    /// Whether every instance that `other` selects is selected by `self` because of the same tag.
    fn absorbs(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Tag(a), Self::Tag(b)) => a.name == b.name && (a.value.is_none() || a.value == b.value),
            _ => self == other,
        }
    }
}

impl TagTarget {
    /// By name, then by value, an absent value first; strings by UTF-16 code units as JavaScript does, which
    /// differs from Rust's order for characters beyond U+FFFF.
    fn canonical_order(&self, other: &Self) -> Ordering {
        let values = || match (&self.value, &other.value) {
            (Some(a), Some(b)) => a.encode_utf16().cmp(b.encode_utf16()),
            (a, b) => a.is_some().cmp(&b.is_some()),
        };
        self.name.encode_utf16().cmp(other.name.encode_utf16()).then_with(values)
    }
}

impl Side {
    /// The targets of the side; none for the two wildcards.
    pub fn targets(&self) -> &[Target] {
        match self {
            Self::Any | Self::AllVms => &[],
            Self::Targets(targets) => targets,
        }
    }

    /// Whether the side can match an instance as such, not only by its address.
    pub(super) fn selects_instances(&self) -> bool {
        let is_instance = |target: &Target| matches!(target, Target::Tag(_) | Target::Vm(_));
        matches!(self, Self::AllVms) || self.targets().iter().any(is_instance)
    }

    /// Checks the side and brings it into canonical form; `side` is its keyword for errors.
    pub(super) fn canonical(self, side: &'static str) -> Result<Self, InvalidRule> {
        let Self::Targets(mut targets) = self else {
            return Ok(self);
        };
        targets.iter().try_for_each(Target::check)?;
        targets.sort_by(Target::canonical_order);
        targets.dedup_by(|later, kept| kept.absorbs(later));
        match targets.len() {
            0 => Err(InvalidRule::NoTargets { side }),
            count if count > MAX_TARGETS => Err(InvalidRule::TooManyTargets { side, count }),
            _ => Ok(Self::Targets(targets)),
        }
    }
}

impl From<Target> for Side {
    fn from(target: Target) -> Self {
        Self::Targets(vec![target])
    }
}

impl From<Vec<Target>> for Side {
    fn from(targets: Vec<Target>) -> Self {
        Self::Targets(targets)
    }
}

impl<const N: usize> From<[Target; N]> for Side {
    fn from(targets: [Target; N]) -> Self {
        Self::Targets(targets.into())
    }
}

impl FromIterator<Target> for Side {
    fn from_iter<I: IntoIterator<Item = Target>>(targets: I) -> Self {
        Self::Targets(targets.into_iter().collect())
    }
}
