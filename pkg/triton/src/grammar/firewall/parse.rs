//! From text to [`FirewallRule`], by recursive descent without the recursion: the grammar nests one level.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::IpNet;
use uuid::Uuid;

use crate::grammar::{ParseError, check_length, excerpt};

use super::lexer::{Keyword, Kind, Lexer, Token};
use super::{
    Action, FirewallRule, IcmpType, IcmpTypes, InvalidRule, MAX_PRIORITY, MAX_PROTOCOL_TARGETS, MAX_TARGETS,
    PortSpec, Ports, Protocol, Side, Target,
};

pub(super) const GRAMMAR: &str = "firewall rule";

impl FromStr for FirewallRule {
    type Err = ParseError;

    /// Reads a rule as CloudAPI does (reference 2.21): keywords all in upper or all in lower case, blanks
    /// only where two words would run together.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        check_length(GRAMMAR, text)?;
        let mut lexer = Lexer::new(text);
        let token = lexer.next()?;
        Parser { lexer, token }.rule()
    }
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    /// The next token, not yet taken.
    token: Token<'a>,
}

impl<'a> Parser<'a> {
    fn rule(mut self) -> Result<FirewallRule, ParseError> {
        self.expect(Keyword::From)?;
        let from = self.side("FROM")?;
        self.expect(Keyword::To)?;
        let to = self.side("TO")?;
        let action = self.action()?;
        let protocol = self.protocol()?;
        let rule = FirewallRule::new(from, to, action, protocol).map_err(|invalid| at(0, &invalid))?;
        let position = self.token.position;
        let rule = if self.accept(Keyword::Priority)? {
            let priority = self.number(&PRIORITY)?;
            rule.with_priority(priority).map_err(|invalid| at(position, &invalid))?
        } else {
            rule
        };
        match self.token.kind {
            Kind::End => Ok(rule),
            _ => Err(self.expected("the end of the rule")),
        }
    }

    fn side(&mut self, name: &'static str) -> Result<Side, ParseError> {
        let grouped = self.accept_sign('(')?;
        let side = match self.token.kind {
            Kind::Keyword(Keyword::Any) => {
                self.advance()?;
                Side::Any
            }
            Kind::Keyword(Keyword::All) => {
                self.advance()?;
                self.expect(Keyword::Vms)?;
                Side::AllVms
            }
            _ if grouped => self.targets(name)?,
            _ => self.target()?.into(),
        };
        if grouped {
            self.expect_sign(')')?;
        }
        Ok(side)
    }

    /// Targets joined by OR. The server counts them before it removes duplicates.
    fn targets(&mut self, side: &'static str) -> Result<Side, ParseError> {
        let mut targets = vec![self.target()?];
        while self.token.kind == Kind::Keyword(Keyword::Or) {
            if targets.len() == MAX_TARGETS {
                return Err(self.error(format!("the {side} side has more than {MAX_TARGETS} targets")));
            }
            self.advance()?;
            targets.push(self.target()?);
        }
        Ok(targets.into())
    }

    fn target(&mut self) -> Result<Target, ParseError> {
        let position = self.token.position;
        let target = match self.token.kind {
            Kind::Keyword(Keyword::Ip) => {
                self.advance()?;
                Target::Ip(self.address()?)
            }
            Kind::Keyword(Keyword::Subnet) => {
                self.advance()?;
                Target::Subnet(self.subnet()?)
            }
            Kind::Keyword(Keyword::Tag) => {
                self.advance()?;
                let name = self.tag_string()?;
                if self.accept_sign('=')? {
                    Target::tag_value(name, self.tag_string()?)
                } else {
                    Target::tag(name)
                }
            }
            Kind::Keyword(Keyword::Vm) => {
                self.advance()?;
                Target::Vm(self.uuid()?)
            }
            _ => return Err(self.expected("a target (ip, subnet, tag, vm, or alone: any, all vms)")),
        };
        target.check().map_err(|invalid| at(position, &invalid))?;
        Ok(target)
    }

    fn address(&mut self) -> Result<IpAddr, ParseError> {
        let address = match self.token.kind {
            Kind::Ipv4(text) => text.parse::<Ipv4Addr>().map(IpAddr::from).ok(),
            Kind::Ipv6(text) => text.parse::<Ipv6Addr>().map(IpAddr::from).ok(),
            _ => return Err(self.expected("an IPv4 or lower-case IPv6 address")),
        };
        let Some(address) = address else {
            return Err(self.error(format!("{} is not an address", self.token.kind.describe())));
        };
        self.advance()?;
        Ok(address)
    }

    fn subnet(&mut self) -> Result<IpNet, ParseError> {
        let address = self.address()?;
        let Kind::Prefix(digits) = self.token.kind else {
            return Err(self.expected("a slash and the length of the prefix"));
        };
        let subnet = digits.parse().ok().and_then(|length| IpNet::new(address, length).ok());
        let Some(subnet) = subnet else {
            let most = if address.is_ipv4() { 32 } else { 128 };
            return Err(self.error(format!("prefix length {digits} is invalid; it is 0 to {most}")));
        };
        self.advance()?;
        Ok(subnet)
    }

    fn uuid(&mut self) -> Result<Uuid, ParseError> {
        let Kind::Word(word) = self.token.kind else {
            return Err(self.expected("the UUID of an instance"));
        };
        let uuid = Uuid::try_parse(word).ok().filter(|uuid| uuid.to_string() == word);
        let Some(uuid) = uuid else {
            return Err(self.error(format!("{} is not a lower-case UUID with hyphens", excerpt(word))));
        };
        self.advance()?;
        Ok(uuid)
    }

    fn tag_string(&mut self) -> Result<String, ParseError> {
        let text = match &mut self.token.kind {
            Kind::String(text) => std::mem::take(text),
            Kind::Word(word) => (*word).to_owned(),
            _ => return Err(self.expected("a tag name or value (in quotes, unless a plain word)")),
        };
        self.advance()?;
        Ok(text)
    }

    fn action(&mut self) -> Result<Action, ParseError> {
        let action = match self.token.kind {
            Kind::Keyword(Keyword::Allow) => Action::Allow,
            Kind::Keyword(Keyword::Block) => Action::Block,
            _ => return Err(self.expected("ALLOW or BLOCK")),
        };
        self.advance()?;
        Ok(action)
    }

    fn protocol(&mut self) -> Result<Protocol, ParseError> {
        if self.accept(Keyword::Tcp)? {
            Ok(Protocol::Tcp(self.ports()?))
        } else if self.accept(Keyword::Udp)? {
            Ok(Protocol::Udp(self.ports()?))
        } else if self.accept(Keyword::Icmp)? {
            Ok(Protocol::Icmp(self.types()?))
        } else if self.accept(Keyword::Icmp6)? {
            Ok(Protocol::Icmp6(self.types()?))
        } else if self.accept(Keyword::Ah)? {
            Ok(Protocol::Ah)
        } else if self.accept(Keyword::Esp)? {
            Ok(Protocol::Esp)
        } else {
            Err(self.expected("a protocol (tcp, udp, icmp, icmp6, ah, esp)"))
        }
    }

    fn ports(&mut self) -> Result<Ports, ParseError> {
        if self.accept(Keyword::Ports)? {
            let mut ports = vec![self.port_or_range()?];
            while self.accept_sign(',')? {
                self.check_room("ports", ports.len())?;
                ports.push(self.port_or_range()?);
            }
            return Ok(Ports::List(ports));
        }
        let list = self.joined("ports", Keyword::Port, |parser| parser.number(&PORT).map(PortSpec::One))?;
        Ok(list.map_or(Ports::All, Ports::List))
    }

    /// `80`, `20-40` or `20 - 40`; the second reaches us as one word.
    fn port_or_range(&mut self) -> Result<PortSpec, ParseError> {
        let position = self.token.position;
        let Kind::Word(word) = self.token.kind else {
            return Err(self.expected("a port (1 to 65535) or a range of ports"));
        };
        self.advance()?;
        let port = if self.accept_sign('-')? {
            PortSpec::Range(PORT.read(word, position)?, self.number(&PORT)?)
        } else if let Some((first, last)) = word.split_once('-') {
            let last_position = position + first.len() + 1;
            PortSpec::Range(PORT.read(first, position)?, PORT.read(last, last_position)?)
        } else {
            PortSpec::One(PORT.read(word, position)?)
        };
        port.check().map_err(|invalid| at(position, &invalid))?;
        Ok(port)
    }

    fn types(&mut self) -> Result<IcmpTypes, ParseError> {
        let list = self.joined("types", Keyword::Type, |parser| {
            let number = parser.number(&ICMP_TYPE)?;
            let has_code = parser.accept(Keyword::Code)?;
            let code = if has_code { Some(parser.number(&ICMP_CODE)?) } else { None };
            Ok(IcmpType { number, code })
        })?;
        Ok(list.map_or(IcmpTypes::All, IcmpTypes::List))
    }

    /// `KEYWORD item` or `( KEYWORD item AND KEYWORD item )`; nothing for `KEYWORD all`, grouped or not.
    fn joined<T>(
        &mut self,
        what: &'static str,
        keyword: Keyword,
        item: impl Fn(&mut Self) -> Result<T, ParseError>,
    ) -> Result<Option<Vec<T>>, ParseError> {
        let grouped = self.accept_sign('(')?;
        self.expect(keyword)?;
        let items = if self.accept(Keyword::All)? {
            None
        } else {
            let mut items = vec![item(self)?];
            while grouped && self.accept(Keyword::And)? {
                self.check_room(what, items.len())?;
                self.expect(keyword)?;
                items.push(item(self)?);
            }
            Some(items)
        };
        if grouped {
            self.expect_sign(')')?;
        }
        Ok(items)
    }

    fn check_room(&self, what: &'static str, count: usize) -> Result<(), ParseError> {
        if count < MAX_PROTOCOL_TARGETS {
            return Ok(());
        }
        Err(self.error(format!("the rule lists more than {MAX_PROTOCOL_TARGETS} {what}")))
    }

    fn number<T: TryFrom<u32>>(&mut self, number: &Number) -> Result<T, ParseError> {
        let Kind::Word(word) = self.token.kind else {
            return Err(self.expected(&number.describe()));
        };
        let value = number.read(word, self.token.position)?;
        self.advance()?;
        Ok(value)
    }

    fn advance(&mut self) -> Result<(), ParseError> {
        self.token = self.lexer.next()?;
        Ok(())
    }

    fn accept(&mut self, keyword: Keyword) -> Result<bool, ParseError> {
        let found = self.token.kind == Kind::Keyword(keyword);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn accept_sign(&mut self, sign: char) -> Result<bool, ParseError> {
        let found = self.token.kind == Kind::Sign(sign);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn expect(&mut self, keyword: Keyword) -> Result<(), ParseError> {
        if self.accept(keyword)? { Ok(()) } else { Err(self.expected(keyword.text())) }
    }

    fn expect_sign(&mut self, sign: char) -> Result<(), ParseError> {
        if self.accept_sign(sign)? { Ok(()) } else { Err(self.expected(&format!("`{sign}`"))) }
    }

    /// The next token is not what the grammar wants here.
    fn expected(&self, what: &str) -> ParseError {
        self.error(format!("expected {what}, found {}", self.token.kind.describe()))
    }

    fn error(&self, message: impl Into<String>) -> ParseError {
        ParseError::new(GRAMMAR, self.token.position, message)
    }
}

fn at(position: usize, invalid: &InvalidRule) -> ParseError {
    ParseError::new(GRAMMAR, position, invalid.to_string())
}

/// A kind of number and its bounds.
struct Number {
    name: &'static str,
    min: u32,
    max: u32,
}

const PORT: Number = Number { name: "port", min: 1, max: 65535 };
const ICMP_TYPE: Number = Number { name: "ICMP type", min: 0, max: 255 };
const ICMP_CODE: Number = Number { name: "ICMP code", min: 0, max: 255 };
const PRIORITY: Number = Number { name: "priority", min: 0, max: MAX_PRIORITY as u32 };

impl Number {
    fn describe(&self) -> String {
        format!("a number for the {} ({} to {})", self.name, self.min, self.max)
    }

    /// Digits only, leading zeros allowed.
    fn read<T: TryFrom<u32>>(&self, word: &str, position: usize) -> Result<T, ParseError> {
        let all_digits = word.bytes().all(|b| b.is_ascii_digit());
        let value = if all_digits { word.parse().ok() } else { None };
        let in_bounds = value.filter(|value| (self.min..=self.max).contains(value));
        in_bounds.and_then(|value| T::try_from(value).ok()).ok_or_else(|| {
            let message = format!("{} is not {}", excerpt(word), self.describe());
            ParseError::new(GRAMMAR, position, message)
        })
    }
}
