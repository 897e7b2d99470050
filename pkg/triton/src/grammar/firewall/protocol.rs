//! The protocol of a rule, with its ports or ICMP types.

use std::ops::RangeInclusive;

use super::target::Target;
use super::{InvalidRule, MAX_PROTOCOL_TARGETS};

/// What kind of traffic a rule is about (reference 2.21).
///
/// Like [`Side`](super::Side) a protocol may hold anything until it is part of a
/// [`FirewallRule`](super::FirewallRule).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// TCP to these ports.
    Tcp(Ports),
    /// UDP to these ports.
    Udp(Ports),
    /// ICMP of these types; the other targets of the rule must not be IPv6.
    Icmp(IcmpTypes),
    /// ICMPv6 of these types; the other targets of the rule must not be IPv4.
    Icmp6(IcmpTypes),
    /// IPsec authentication header.
    Ah,
    /// IPsec encapsulating security payload.
    Esp,
}

/// The ports of a TCP or UDP rule.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Ports {
    /// Every port.
    All,
    /// These ports, in a rule sorted by first port, then last. Duplicates are kept as the server keeps them.
    List(Vec<PortSpec>),
}

/// A port or a range of ports, all 1 to 65535.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PortSpec {
    /// One port.
    One(u16),
    /// All ports from the first to the last, both included. A range of one port is not the same as that port
    /// alone: the server prints the two differently.
    Range(u16, u16),
}

/// The types of an ICMP or ICMPv6 rule.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum IcmpTypes {
    /// Every type.
    All,
    /// These types, in a rule sorted by type, then code. Duplicates are kept as the server keeps them.
    List(Vec<IcmpType>),
}

/// An ICMP type with one code or with all its codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IcmpType {
    /// The number of the type, such as 8 for an ICMP echo request.
    pub number: u8,
    /// The code; none for every code of the type.
    pub code: Option<u8>,
}

impl Protocol {
    /// TCP to `ports`: one port, a range `8000..=8010`, an array of ports, or [`Ports`].
    pub fn tcp(ports: impl Into<Ports>) -> Self {
        Self::Tcp(ports.into())
    }

    /// UDP to `ports`, given as for [`tcp`](Self::tcp).
    pub fn udp(ports: impl Into<Ports>) -> Self {
        Self::Udp(ports.into())
    }

    /// ICMP of `types`: one [`IcmpType`], an array of them, or [`IcmpTypes`].
    pub fn icmp(types: impl Into<IcmpTypes>) -> Self {
        Self::Icmp(types.into())
    }

    /// ICMPv6 of `types`, given as for [`icmp`](Self::icmp).
    pub fn icmp6(types: impl Into<IcmpTypes>) -> Self {
        Self::Icmp6(types.into())
    }

    /// The name of the protocol in a rule, such as `tcp`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Tcp(_) => "tcp",
            Self::Udp(_) => "udp",
            Self::Icmp(_) => "icmp",
            Self::Icmp6(_) => "icmp6",
            Self::Ah => "ah",
            Self::Esp => "esp",
        }
    }

    /// Checks ports and types and sorts them.
    pub(super) fn canonical(mut self) -> Result<Self, InvalidRule> {
        match &mut self {
            Self::Tcp(Ports::List(ports)) | Self::Udp(Ports::List(ports)) => {
                check_count("ports", ports.len())?;
                ports.iter().copied().try_for_each(PortSpec::check)?;
                ports.sort_by_key(|port| port.canonical_key());
            }
            Self::Icmp(IcmpTypes::List(types)) | Self::Icmp6(IcmpTypes::List(types)) => {
                check_count("types", types.len())?;
                types.sort();
            }
            _ => {}
        }
        Ok(self)
    }

    /// Refuses an address or subnet of the family that the protocol cannot carry.
    pub(super) fn check_family(&self, target: &Target) -> Result<(), InvalidRule> {
        let is_ipv4 = match target {
            Target::Ip(address) => address.is_ipv4(),
            Target::Subnet(subnet) => subnet.addr().is_ipv4(),
            Target::Tag(_) | Target::Vm(_) => return Ok(()),
        };
        match self {
            Self::Icmp(_) if !is_ipv4 => {}
            Self::Icmp6(_) if is_ipv4 => {}
            _ => return Ok(()),
        }
        Err(InvalidRule::AddressFamily { protocol: self.name(), target: target.to_string() })
    }
}

fn check_count(what: &'static str, count: usize) -> Result<(), InvalidRule> {
    match count {
        0 => Err(InvalidRule::NoProtocolTargets { what }),
        1..=MAX_PROTOCOL_TARGETS => Ok(()),
        _ => Err(InvalidRule::TooManyProtocolTargets { what, count }),
    }
}

impl PortSpec {
    pub(super) fn check(self) -> Result<(), InvalidRule> {
        match self {
            Self::One(0) | Self::Range(0, _) | Self::Range(_, 0) => Err(InvalidRule::PortZero),
            Self::Range(first, last) if last < first => Err(InvalidRule::RangeOrder { first, last }),
            _ => Ok(()),
        }
    }

    /// First port, last port, and a port before the range of only that port.
    fn canonical_key(self) -> (u16, u16, bool) {
        match self {
            Self::One(port) => (port, port, false),
            Self::Range(first, last) => (first, last, true),
        }
    }
}

impl IcmpType {
    /// All codes of the type `number`.
    pub fn all_codes(number: u8) -> Self {
        Self { number, code: None }
    }

    /// One code of the type `number`.
    pub fn with_code(number: u8, code: u8) -> Self {
        Self { number, code: Some(code) }
    }
}

impl From<u16> for PortSpec {
    fn from(port: u16) -> Self {
        Self::One(port)
    }
}

impl From<RangeInclusive<u16>> for PortSpec {
    fn from(range: RangeInclusive<u16>) -> Self {
        Self::Range(*range.start(), *range.end())
    }
}

impl From<u16> for Ports {
    fn from(port: u16) -> Self {
        Self::List(vec![port.into()])
    }
}

impl From<RangeInclusive<u16>> for Ports {
    fn from(range: RangeInclusive<u16>) -> Self {
        Self::List(vec![range.into()])
    }
}

impl<P: Into<PortSpec>, const N: usize> From<[P; N]> for Ports {
    fn from(ports: [P; N]) -> Self {
        ports.into_iter().collect()
    }
}

impl<P: Into<PortSpec>> FromIterator<P> for Ports {
    fn from_iter<I: IntoIterator<Item = P>>(ports: I) -> Self {
        Self::List(ports.into_iter().map(Into::into).collect())
    }
}

impl From<IcmpType> for IcmpTypes {
    fn from(icmp_type: IcmpType) -> Self {
        Self::List(vec![icmp_type])
    }
}

impl<const N: usize> From<[IcmpType; N]> for IcmpTypes {
    fn from(types: [IcmpType; N]) -> Self {
        Self::List(types.into())
    }
}

impl FromIterator<IcmpType> for IcmpTypes {
    fn from_iter<I: IntoIterator<Item = IcmpType>>(types: I) -> Self {
        Self::List(types.into_iter().collect())
    }
}
