//! Firewall rules: parse, build, compare, print (reference 2.21).
//!
//! A rule says which traffic between two [`Side`]s is allowed or blocked. It is built from values, without
//! formatting any text, and checked as a whole:
//!
//! ```
//! use triton::grammar::firewall::{Action, FirewallRule, Protocol, Side, Target};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let instance: uuid::Uuid = "b0b92cd9-1fe7-4636-8477-81d2742566c2".parse()?;
//! let web = FirewallRule::new(Side::Any, Target::vm(instance), Action::Allow, Protocol::tcp(80))?;
//! assert_eq!(web.to_string(), "FROM any TO vm b0b92cd9-1fe7-4636-8477-81d2742566c2 ALLOW tcp PORT 80");
//!
//! let database = FirewallRule::new(
//!     [Target::tag_value("k8s.pod", "api-1"), Target::tag_value("k8s.pod", "api-0")],
//!     Target::tag("database"),
//!     Action::Allow,
//!     Protocol::tcp(5432),
//! )?;
//! let sent = r#"from (tag "k8s.pod" = "api-1" or tag "k8s.pod" = "api-0") to tag database
//!     allow tcp port 5432"#;
//! let returned = database.to_string();
//! assert_ne!(sent, returned);
//! assert_eq!(sent.parse::<FirewallRule>()?, returned.parse()?);
//! # Ok(())
//! # }
//! ```
//!
//! # What is canonical
//!
//! The server stores the parts of a rule and prints them anew. A [`FirewallRule`] does the same: targets are
//! grouped as wildcard, `ip`, `subnet`, `tag`, `vm`, sorted as text and de-duplicated, `tag "a"` absorbs
//! `tag "a" = "b"`, ports and types are sorted. Two rules are equal exactly when their texts are.
//!
//! Ports and types named twice stay twice, as on the server, so a caller should name each once. In two
//! corners this module prints something else than the server, so that spelling and order cannot make two rules
//! differ:
//!
//! - the server keeps an address and a prefix length as they were spelt; here they are printed in their
//!   shortest form (RFC 5952), hexadecimal throughout because the grammar has no `::ffff:1.2.3.4`;
//! - where two port ranges start alike, or ICMP types with and without a code are mixed, the order on the
//!   server depends on the order that was sent; here it is by first port then last, and by type then code.
//!
//! Refused here though the server lets them pass: `__proto__` as the name or value of a tag, which the server
//! loses and with it the whole target; half of a UTF-16 surrogate pair in a tag, which no string can hold;
//! octal-looking addresses such as `010.0.0.0`. Host bits in a subnet are refused as CloudAPI does.

mod lexer;
mod parse;
mod print;
mod protocol;
mod target;

#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod refusal_tests;
#[cfg(test)]
mod tests;

use ipnet::IpNet;

use super::MAX_TEXT_BYTES;
pub use protocol::{IcmpType, IcmpTypes, PortSpec, Ports, Protocol};
pub use target::{Side, TagTarget, Target};

/// The most targets one side may have (reference 2.21).
pub const MAX_TARGETS: usize = 24;
/// The most ports, port ranges or ICMP types one rule may list (reference 2.21).
pub const MAX_PROTOCOL_TARGETS: usize = 24;
/// The highest priority; the lowest, and the default, is 0 (reference 2.21).
pub const MAX_PRIORITY: u8 = 100;

/// A valid firewall rule in canonical form (reference 2.21).
///
/// It is only the text part of a CloudAPI firewall rule: `enabled`, `log` and `description` are not in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FirewallRule {
    from: Side,
    to: Side,
    action: Action,
    protocol: Protocol,
    priority: u8,
}

/// Whether matching traffic passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Let it pass.
    Allow,
    /// Drop it.
    Block,
}

/// Why a rule built from values would be refused by the server (reference 2.21).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRule {
    /// A side is an empty list.
    #[error("the {side} side has no targets; say `any` or `all vms` to mean everything")]
    NoTargets {
        /// `FROM` or `TO`.
        side: &'static str,
    },
    /// A side has too many different targets.
    #[error("the {side} side has {count} targets, at most {MAX_TARGETS} are allowed")]
    TooManyTargets {
        /// `FROM` or `TO`.
        side: &'static str,
        /// The number of targets after removing duplicates.
        count: usize,
    },
    /// No target on either side can be an instance.
    #[error("the rule affects no instance; one side needs a tag, a vm or all vms")]
    AffectsNoInstance,
    /// 0.0.0.0 or 255.255.255.255 as an address.
    #[error("{address} is not the address of a host; use a subnet or `any`")]
    Address {
        /// The address.
        address: std::net::IpAddr,
    },
    /// A subnet whose address has bits set to the right of the mask.
    #[error("subnet {subnet} has host bits set; its network is {network}")]
    HostBits {
        /// The subnet as given.
        subnet: IpNet,
        /// The same with its host bits cleared.
        network: IpNet,
    },
    /// A tag that the server cannot store.
    #[error("the server cannot store a firewall target with a tag name or value of `__proto__`")]
    TagLost,
    /// An IPv6 target in an `icmp` rule, or an IPv4 target in an `icmp6` rule.
    #[error("an {protocol} rule cannot have the target `{target}`; its address family differs")]
    AddressFamily {
        /// `icmp` or `icmp6`.
        protocol: &'static str,
        /// The target as text.
        target: String,
    },
    /// A list of ports or ICMP types without an entry.
    #[error("the rule lists no {what}; say `all` to mean every one")]
    NoProtocolTargets {
        /// `ports` or `types`.
        what: &'static str,
    },
    /// A list of ports or ICMP types that is too long.
    #[error("the rule lists {count} {what}, at most {MAX_PROTOCOL_TARGETS} are allowed")]
    TooManyProtocolTargets {
        /// `ports` or `types`.
        what: &'static str,
        /// The length of the list, duplicates included.
        count: usize,
    },
    /// Port 0.
    #[error("port 0 is invalid; ports are 1 to 65535")]
    PortZero,
    /// A port range that ends before it starts.
    #[error("port range {first} - {last} ends before it starts")]
    RangeOrder {
        /// The first port.
        first: u16,
        /// The last port.
        last: u16,
    },
    /// A priority over [`MAX_PRIORITY`].
    #[error("priority {priority} is invalid; priorities are 0 to {MAX_PRIORITY}")]
    Priority {
        /// The priority.
        priority: u8,
    },
    /// The canonical text would be longer than [`MAX_TEXT_BYTES`].
    #[error("the rule needs {length} bytes of text, at most {MAX_TEXT_BYTES} are allowed")]
    TooLong {
        /// The length of the text in bytes.
        length: usize,
    },
}

impl FirewallRule {
    /// Checks the parts of a rule and brings them into canonical form. The priority is 0, see
    /// [`with_priority`](Self::with_priority).
    ///
    /// # Errors
    ///
    /// [`InvalidRule`] names the first part that the server would refuse.
    pub fn new(
        from: impl Into<Side>,
        to: impl Into<Side>,
        action: Action,
        protocol: Protocol,
    ) -> Result<Self, InvalidRule> {
        let from = from.into().canonical("FROM")?;
        let to = to.into().canonical("TO")?;
        let protocol = protocol.canonical()?;
        if !from.selects_instances() && !to.selects_instances() {
            return Err(InvalidRule::AffectsNoInstance);
        }
        for target in from.targets().iter().chain(to.targets()) {
            protocol.check_family(target)?;
        }
        Self { from, to, action, protocol, priority: 0 }.check_text_length()
    }

    /// The same rule with another priority: a higher one wins over a lower one (reference 2.21).
    ///
    /// # Errors
    ///
    /// [`InvalidRule::Priority`] when it is over [`MAX_PRIORITY`].
    pub fn with_priority(self, priority: u8) -> Result<Self, InvalidRule> {
        if priority > MAX_PRIORITY {
            return Err(InvalidRule::Priority { priority });
        }
        Self { priority, ..self }.check_text_length()
    }

    /// Where the traffic comes from.
    pub fn from_side(&self) -> &Side {
        &self.from
    }

    /// Where the traffic goes to.
    pub fn to_side(&self) -> &Side {
        &self.to
    }

    /// What happens to the traffic.
    pub fn action(&self) -> Action {
        self.action
    }

    /// Which protocol, with its ports or types.
    pub fn protocol(&self) -> &Protocol {
        &self.protocol
    }

    /// The priority, 0 to [`MAX_PRIORITY`].
    pub fn priority(&self) -> u8 {
        self.priority
    }

    fn check_text_length(self) -> Result<Self, InvalidRule> {
        let length = print::text_length(&self);
        if length > MAX_TEXT_BYTES { Err(InvalidRule::TooLong { length }) } else { Ok(self) }
    }
}
