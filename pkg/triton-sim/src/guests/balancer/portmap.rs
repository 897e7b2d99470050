//! What a load balancer forwards: the text of `cloud.tritoncompute:portmap`. Pure.
//!
//! A list of designations, separated by commas, blanks and line ends outside of braces, each
//! `TYPE://LISTEN:NAME[:PORT][{check:/path,port:N,rise:N,fall:N}]`. One that means nothing is passed over, and the
//! rest counts (Triton reference 9).

/// Ports of designations are below this; 0 is none either.
const LAST_PORT: u16 = 65534;

/// How a port is forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// HTTP on both sides.
    Http,
    /// HTTP over TLS from clients, HTTP to servers.
    HttpsHttp,
    /// HTTP over TLS on both sides. `verify` says whether the certificates of servers are checked.
    Https {
        /// Whether certificates of servers must be good.
        verify: bool,
    },
    /// Bytes.
    Tcp,
    /// Bytes, after a header of the PROXY protocol, version 2.
    TcpProxyV2,
}

impl Kind {
    fn parse(text: &str) -> Option<Self> {
        Some(match text.to_lowercase().as_str() {
            "http" => Self::Http,
            "https" => Self::Https { verify: true },
            "https+insecure" => Self::Https { verify: false },
            "https-http" => Self::HttpsHttp,
            "tcp" => Self::Tcp,
            "tcp-proxy-v2" => Self::TcpProxyV2,
            _ => return None,
        })
    }

    /// Whether clients speak TLS.
    pub(super) fn is_tls(self) -> bool {
        matches!(self, Self::HttpsHttp | Self::Https { .. })
    }

    /// Whether requests are understood.
    pub(super) fn is_http(self) -> bool {
        !matches!(self, Self::Tcp | Self::TcpProxyV2)
    }
}

/// How servers are checked. What is not said is HAProxy's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Check {
    /// The path that must answer 200; without one, a connection is enough.
    pub(super) path: Option<String>,
    /// The port to ask, if not the server's.
    pub(super) port: Option<u16>,
    /// How many good checks in a row bring a server up.
    pub(super) rise: Option<u16>,
    /// How many bad checks in a row take it down.
    pub(super) fall: Option<u16>,
}

/// One port of a load balancer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Designation {
    pub(super) kind: Kind,
    /// The port for clients.
    pub(super) listen: u16,
    /// The DNS name of the servers.
    pub(super) name: String,
    /// The port of the servers, whose addresses are A records then; without it, SRV records say both.
    pub(super) port: Option<u16>,
    pub(super) check: Check,
}

/// Reads a port map. Gives what it designates, and what was passed over.
pub(super) fn parse(text: &str) -> (Vec<Designation>, Vec<&str>) {
    let (mut designations, mut wrong) = (Vec::new(), Vec::new());
    for part in split(text) {
        match designation(part) {
            Some(designation) => designations.push(designation),
            None => wrong.push(part),
        }
    }
    (designations, wrong)
}

fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut in_braces = false;
    let parts = text.split(move |character: char| {
        match character {
            '{' => in_braces = true,
            '}' => in_braces = false,
            ',' | ' ' | '\n' => return !in_braces,
            _ => {}
        }
        false
    });
    parts.map(str::trim).filter(|part| !part.is_empty())
}

fn designation(text: &str) -> Option<Designation> {
    let (kind, rest) = text.split_once("://")?;
    let (service, check) = match rest.find('{') {
        Some(brace) => (rest.get(..brace)?, check(rest.get(brace..)?)?),
        None => (rest, Check::default()),
    };
    let mut parts = service.splitn(3, ':');
    let listen = parts.next().and_then(port)?;
    let name = parts.next()?.to_owned();
    let backend = parts.next();
    let backend_port = match backend {
        Some(text) => Some(port(text)?),
        None => None,
    };
    Some(Designation { kind: Kind::parse(kind)?, listen, name, port: backend_port, check })
}

fn check(text: &str) -> Option<Check> {
    let mut check = Check::default();
    for pair in text.trim_matches(['{', '}']).split(',') {
        let (key, value) = pair.split_once(':')?;
        let value = value.trim();
        match key.trim() {
            "check" if !value.is_empty() => check.path = Some(value.to_owned()),
            "port" => check.port = Some(port(value)?),
            "rise" => check.rise = Some(value.parse().ok()?),
            "fall" => check.fall = Some(value.parse().ok()?),
            _ => return None,
        }
    }
    Some(check)
}

fn port(text: &str) -> Option<u16> {
    text.parse().ok().filter(|port| (1..=LAST_PORT).contains(port))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn tcp(listen: u16, name: &str, port: Option<u16>) -> Designation {
        Designation { kind: Kind::Tcp, listen, name: name.to_owned(), port, check: Check::default() }
    }

    #[rstest]
    #[case("", &[])]
    #[case("tcp://636:ldap.example.com", &[tcp(636, "ldap.example.com", None)])]
    #[case("TCP://1:a:2, tcp://3:b:4\ntcp://5:c:6", &[tcp(1, "a", Some(2)), tcp(3, "b", Some(4)), tcp(5, "c", Some(6))])]
    #[case(
        "https-http://443:a:80{check:/ok,port:81,rise:3,fall:1}",
        &[Designation {
            kind: Kind::HttpsHttp,
            check: Check { path: Some("/ok".to_owned()), port: Some(81), rise: Some(3), fall: Some(1) },
            ..tcp(443, "a", Some(80))
        }]
    )]
    #[case("https+insecure://1:a:2", &[Designation { kind: Kind::Https { verify: false }, ..tcp(1, "a", Some(2)) }])]
    fn designations_are_read(#[case] text: &str, #[case] expected: &[Designation]) {
        assert_eq!(parse(text), (expected.to_vec(), vec![]));
    }

    #[rstest]
    #[case("udp://53:a:53")]
    #[case("tcp:/1:a:2")]
    #[case("tcp://0:a:2")]
    #[case("tcp://65535:a:2")]
    #[case("tcp://1:a:x")]
    #[case("tcp://1")]
    #[case("tcp://1:a:2{check:}")]
    #[case("tcp://1:a:2{inter:3}")]
    fn one_that_means_nothing_is_passed_over_and_the_rest_counts(#[case] wrong: &str) {
        assert_eq!(parse(&format!("{wrong},tcp://7:b:8")), (vec![tcp(7, "b", Some(8))], vec![wrong]));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in ".{0,60}|[a-z:/{},0-9 ]{0,60}") {
            parse(&text);
        }
    }
}
