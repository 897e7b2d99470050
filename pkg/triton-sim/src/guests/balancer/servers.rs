//! The servers of one backend: who there is, who is up, who is next. Pure; time is an argument.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::time::Duration;

use tokio::time::Instant;

use super::portmap::Check;

/// HAProxy's `rise` and `fall` where a designation says nothing.
const RISE: u16 = 2;
const FALL: u16 = 3;
/// How long a server stays that DNS does not name any more (`hold obsolete`).
const OBSOLETE: Duration = Duration::from_secs(5);
/// How long servers stay when DNS has no such name, or no answer (`hold nx`, `hold timeout`).
const NO_ANSWER: Duration = Duration::from_secs(30);

/// What DNS said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// These are the servers.
    Servers(Vec<SocketAddrV4>),
    /// There is no such name, or nobody answered.
    None,
}

#[derive(Debug)]
struct Server {
    /// When DNS named it last.
    named: Instant,
    is_up: bool,
    /// Checks in a row that speak against what it is.
    against: u16,
    connections: usize,
    /// When it was chosen last, as a count of choices.
    chosen: u64,
}

/// The servers of one backend.
#[derive(Debug)]
pub(super) struct Servers {
    most: usize,
    rise: u16,
    fall: u16,
    all: BTreeMap<SocketAddrV4, Server>,
    choices: u64,
}

impl Servers {
    /// At most `most` servers, checked like this.
    pub(super) fn new(most: usize, check: &Check) -> Self {
        let rise = check.rise.unwrap_or(RISE).max(1);
        let fall = check.fall.unwrap_or(FALL).max(1);
        Self { most, rise, fall, all: BTreeMap::new(), choices: 0 }
    }

    /// Takes up what DNS said. A new server is up, and goes down with its first bad check.
    pub(super) fn resolved(&mut self, answer: &Answer, now: Instant) {
        let hold = match answer {
            Answer::Servers(addresses) => {
                for address in addresses {
                    let has_room = self.all.len() < self.most;
                    if let Some(server) = self.all.get_mut(address) {
                        server.named = now;
                    } else if has_room {
                        let against = self.fall.saturating_sub(1);
                        let server = Server { named: now, is_up: true, against, connections: 0, chosen: 0 };
                        self.all.insert(*address, server);
                    }
                }
                OBSOLETE
            }
            Answer::None => NO_ANSWER,
        };
        self.all.retain(|_, server| now.saturating_duration_since(server.named) < hold);
    }

    /// Who is to be checked.
    pub(super) fn addresses(&self) -> Vec<SocketAddrV4> {
        self.all.keys().copied().collect()
    }

    /// A check has ended.
    pub(super) fn checked(&mut self, address: SocketAddrV4, good: bool) {
        let Some(server) = self.all.get_mut(&address) else { return };
        if good == server.is_up {
            server.against = 0;
            return;
        }
        server.against += 1;
        if server.against >= if good { self.rise } else { self.fall } {
            server.is_up = good;
            server.against = 0;
        }
    }

    /// The server for the next connection: of those that are up the one with the fewest connections, and of several the
    /// one that was chosen longest ago; but not one of these, unless there is no other.
    pub(super) fn choose(&mut self, not: &[SocketAddrV4]) -> Option<SocketAddrV4> {
        let up = self.all.iter_mut().filter(|(_, server)| server.is_up);
        let next =
            up.min_by_key(|(address, server)| (not.contains(*address), server.connections, server.chosen));
        let (address, server) = next?;
        self.choices += 1;
        server.chosen = self.choices;
        Some(*address)
    }

    /// Whether this server may be used, by who used it before.
    pub(super) fn is_up(&self, address: SocketAddrV4) -> bool {
        self.all.get(&address).is_some_and(|server| server.is_up)
    }

    /// How many may be used.
    pub(super) fn up(&self) -> usize {
        self.all.values().filter(|server| server.is_up).count()
    }

    /// A connection to a server begins.
    pub(super) fn begin(&mut self, address: SocketAddrV4) {
        if let Some(server) = self.all.get_mut(&address) {
            server.connections += 1;
        }
    }

    /// A connection to a server has ended.
    pub(super) fn end(&mut self, address: SocketAddrV4) {
        if let Some(server) = self.all.get_mut(&address) {
            server.connections = server.connections.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(host: u8) -> SocketAddrV4 {
        SocketAddrV4::new([192, 168, 128, host].into(), 80)
    }

    fn found(hosts: &[u8]) -> Answer {
        Answer::Servers(hosts.iter().copied().map(address).collect())
    }

    fn servers(hosts: &[u8], now: Instant) -> Servers {
        let mut servers = Servers::new(32, &Check::default());
        servers.resolved(&found(hosts), now);
        servers
    }

    #[tokio::test]
    async fn the_server_with_the_fewest_connections_is_next_and_equals_take_turns() {
        let mut servers = servers(&[1, 2, 3], Instant::now());
        let turns: Vec<_> = (0..6).filter_map(|_| servers.choose(&[])).collect();
        assert_eq!(turns, [1, 2, 3, 1, 2, 3].map(address));
        servers.begin(address(1));
        servers.begin(address(2));
        assert_eq!(servers.choose(&[]), Some(address(3)));
        assert_eq!(servers.choose(&[]), Some(address(3)));
        servers.end(address(2));
        assert_eq!(servers.choose(&[]), Some(address(2)));
        assert_eq!(servers.choose(&[address(2), address(3)]), Some(address(1)));
    }

    #[tokio::test]
    async fn a_new_server_goes_down_with_its_first_bad_check_and_an_old_one_with_the_third() {
        let mut servers = servers(&[1], Instant::now());
        servers.checked(address(1), false);
        assert_eq!(servers.choose(&[]), None);
        servers.checked(address(1), true);
        assert!(!servers.is_up(address(1)));
        servers.checked(address(1), true);
        assert!(servers.is_up(address(1)));
        for good in [false, false, true, false, false] {
            servers.checked(address(1), good);
            assert!(servers.is_up(address(1)), "{good}");
        }
        servers.checked(address(1), false);
        assert_eq!((servers.up(), servers.choose(&[address(1)])), (0, None));
    }

    #[tokio::test]
    async fn servers_that_dns_forgets_stay_for_a_while() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut servers = servers(&[1, 2], start);
        servers.resolved(&found(&[2]), at(4));
        assert_eq!(servers.addresses(), [1, 2].map(address));
        servers.resolved(&found(&[2]), at(5));
        assert_eq!(servers.addresses(), [address(2)]);
        servers.resolved(&Answer::None, at(34));
        assert_eq!(servers.addresses(), [address(2)]);
        servers.resolved(&Answer::None, at(35));
        assert!(servers.addresses().is_empty());
    }

    #[tokio::test]
    async fn there_are_as_many_servers_as_there_is_room_for() {
        let mut servers = Servers::new(2, &Check::default());
        servers.resolved(&found(&[1, 2, 3]), Instant::now());
        assert_eq!(servers.addresses(), [1, 2].map(address));
    }
}
