//! From [`FirewallRule`] to text, as the server prints it.

use std::fmt::{self, Display, Formatter, Write};
use std::net::IpAddr;

use ipnet::IpNet;

use super::{Action, FirewallRule, IcmpType, IcmpTypes, PortSpec, Ports, Protocol, Side, TagTarget, Target};

impl Display for FirewallRule {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "FROM {} TO {} {} {}", self.from, self.to, self.action, self.protocol)?;
        match self.priority {
            0 => Ok(()),
            priority => write!(f, " PRIORITY {priority}"),
        }
    }
}

impl Display for Side {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::AllVms => f.write_str("all vms"),
            Self::Targets(targets) => write_group(f, "", " OR ", targets),
        }
    }
}

impl Display for Target {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => {
                f.write_str("ip ")?;
                write_address(f, *address)
            }
            Self::Subnet(subnet) => {
                f.write_str("subnet ")?;
                write_subnet(f, *subnet)
            }
            Self::Tag(tag) => write!(f, "tag {tag}"),
            Self::Vm(instance) => write!(f, "vm {instance}"),
        }
    }
}

impl Display for TagTarget {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write_quoted(f, &self.name)?;
        match &self.value {
            None => Ok(()),
            Some(value) => {
                f.write_str(" = ")?;
                write_quoted(f, value)
            }
        }
    }
}

impl Display for Action {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allow => "ALLOW",
            Self::Block => "BLOCK",
        })
    }
}

impl Display for Protocol {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::Tcp(ports) | Self::Udp(ports) => write!(f, " {ports}"),
            Self::Icmp(types) | Self::Icmp6(types) => write!(f, " {types}"),
            Self::Ah | Self::Esp => Ok(()),
        }
    }
}

impl Display for Ports {
    /// `PORTS` only when there is a range: the two spellings of a list of single ports mean the same.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("PORT all"),
            Self::List(ports) if ports.iter().any(|port| matches!(port, PortSpec::Range(..))) => {
                f.write_str("PORTS ")?;
                write_joined(f, "", ", ", ports)
            }
            Self::List(ports) => write_group(f, "PORT ", " AND ", ports),
        }
    }
}

impl Display for PortSpec {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(port) => write!(f, "{port}"),
            Self::Range(first, last) => write!(f, "{first} - {last}"),
        }
    }
}

impl Display for IcmpTypes {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("TYPE all"),
            Self::List(types) => write_group(f, "TYPE ", " AND ", types),
        }
    }
}

impl Display for IcmpType {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.code {
            None => write!(f, "{}", self.number),
            Some(code) => write!(f, "{} CODE {code}", self.number),
        }
    }
}

/// The items with `prefix` before each and `separator` between them, in parentheses unless there is one.
fn write_group(f: &mut Formatter<'_>, prefix: &str, separator: &str, items: &[impl Display]) -> fmt::Result {
    match items {
        [item] => write!(f, "{prefix}{item}"),
        _ => {
            f.write_char('(')?;
            write_joined(f, prefix, separator, items)?;
            f.write_char(')')
        }
    }
}

fn write_joined(f: &mut Formatter<'_>, prefix: &str, separator: &str, items: &[impl Display]) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            f.write_str(separator)?;
        }
        write!(f, "{prefix}{item}")?;
    }
    Ok(())
}

/// The standard library prints IPv4-mapped addresses as `::ffff:1.2.3.4`, which the grammar cannot read.
fn write_address(f: &mut Formatter<'_>, address: IpAddr) -> fmt::Result {
    if let IpAddr::V6(v6) = address
        && let [0, 0, 0, 0, 0, 0xffff, high, low] = v6.segments()
    {
        return write!(f, "::ffff:{high:x}:{low:x}");
    }
    write!(f, "{address}")
}

fn write_subnet(f: &mut Formatter<'_>, subnet: IpNet) -> fmt::Result {
    write_address(f, subnet.addr())?;
    write!(f, "/{}", subnet.prefix_len())
}

fn write_quoted(f: &mut Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        match c {
            // Older parsers want parentheses escaped, so the server always does.
            '"' | '(' | ')' | '\\' => write!(f, "\\{c}")?,
            '\u{8}' => f.write_str("\\b")?,
            '\t' => f.write_str("\\t")?,
            '\n' => f.write_str("\\n")?,
            '\u{c}' => f.write_str("\\f")?,
            '\r' => f.write_str("\\r")?,
            c if is_invisible(c) => write!(f, "\\u{:04X}", u32::from(c))?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('"')
}

/// The characters that the server escapes so that nobody takes them for a blank or overlooks them.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\0'..='\u{1f}'
            | '\u{7f}'
            | '\u{85}'
            | '\u{a0}'
            | '\u{1680}'
            | '\u{180e}'
            | '\u{2000}'..='\u{200d}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{202f}'
            | '\u{205f}'
            | '\u{2060}'
            | '\u{3000}'
            | '\u{feff}'
    )
}

/// The length in bytes of what `value` prints, without keeping it.
pub(super) fn text_length(value: &impl Display) -> usize {
    struct Count(usize);
    impl Write for Count {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            self.0 += text.len();
            Ok(())
        }
    }
    let mut count = Count(0);
    // Counting cannot fail, and neither can the implementations above on their own.
    let _ = write!(count, "{value}");
    count.0
}
