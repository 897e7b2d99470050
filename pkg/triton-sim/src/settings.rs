//! What a simulator is started with.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use jiff::SignedDuration;
use triton::auth::PublicKey;

use crate::cloudapi::{ThrottleLimits, Tls};
use crate::cns;
use crate::faults::FaultPlan;
use crate::guests::BalancerSettings;
use crate::world;
use crate::world::settings::Timing;

/// How far clocks may differ (reference 1.1).
const CLOCK_SKEW: Duration = Duration::from_secs(300);

/// A choice of settings that go together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preset {
    /// For writing programs: jobs take about a second, and nothing is throttled.
    #[default]
    Development,
    /// As a real data centre: jobs take as long as there, and accounts are throttled (reference 2.5).
    Production,
    /// For tests: jobs take no time, save a reboot, and nothing is throttled.
    Instant,
}

impl Preset {
    /// The delays of jobs.
    #[must_use]
    pub fn timing(self) -> Timing {
        match self {
            Self::Development => Timing::default(),
            Self::Production => Timing::realistic(),
            Self::Instant => Timing::instant(),
        }
    }

    /// How long CNS collects changes.
    #[must_use]
    pub fn cns_commit_delay(self) -> Duration {
        match self {
            Self::Development => Duration::from_secs(1),
            Self::Production => cns::COMMIT_DELAY,
            Self::Instant => Duration::ZERO,
        }
    }

    /// The limits on requests.
    #[must_use]
    pub fn throttle(self) -> Option<ThrottleLimits> {
        (self == Self::Production).then(ThrottleLimits::default)
    }
}

/// Settings of a simulator.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where CloudAPI listens. With port 0 the system chooses one.
    pub cloudapi: SocketAddr,
    /// The certificate of CloudAPI; plain HTTP without it.
    pub tls: Option<Tls>,
    /// Where the admin API listens, if it does.
    pub admin: Option<SocketAddr>,
    /// Where CNS answers questions of DNS, with UDP and TCP, if it does. Without it instances have no names.
    pub cns: Option<SocketAddr>,
    /// How long CNS collects changes before it commits them (reference 3.5).
    pub cns_commit_delay: Duration,
    /// Where CMON listens, if it does.
    pub cmon: Option<SocketAddr>,
    /// Whether running instances answer on their own addresses, which have to be local: see
    /// [`guests::namespace`](crate::guests::namespace).
    pub guests: bool,
    /// How load balancers among the guests work. They always ask this data centre's CNS.
    pub balancers: BalancerSettings,
    /// The login of the account that is there at the start.
    pub account: String,
    /// The keys of that account, which may be of any type that CloudAPI takes. Without one, an Ed25519 key is made,
    /// see [`Simulator::environment`](crate::simulator::Simulator::environment).
    pub keys: Vec<PublicKey>,
    /// The data centre: its seed, its name, its delays, its features.
    pub world: world::Settings,
    /// The limits on requests to CloudAPI, if there are any; then CMON has its own, too.
    pub throttle: Option<ThrottleLimits>,
    /// How far the clocks of clients may be off.
    pub clock_skew: Duration,
    /// How far CloudAPI's clock is ahead of this machine's; behind when negative.
    pub clock_ahead: SignedDuration,
    /// More services for `GET /:account/services` to name, such as `docker`, with their URLs (reference 2.8).
    pub services: BTreeMap<String, String>,
    /// Other data centres for `GET /:account/datacenters` to name, with the URLs of their CloudAPIs.
    pub datacenters: BTreeMap<String, String>,
    /// What goes wrong from the start.
    pub faults: FaultPlan,
}

impl Settings {
    /// On loopback addresses and ports that the system chooses, with nothing going wrong.
    #[must_use]
    pub fn preset(preset: Preset) -> Self {
        let loopback = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        Self {
            cloudapi: loopback,
            tls: None,
            admin: Some(loopback),
            cns: Some(loopback),
            cns_commit_delay: preset.cns_commit_delay(),
            cmon: Some(loopback),
            guests: false,
            balancers: BalancerSettings::default(),
            account: "acme".to_owned(),
            keys: Vec::new(),
            world: world::Settings { timing: preset.timing(), ..world::Settings::default() },
            throttle: preset.throttle(),
            clock_skew: CLOCK_SKEW,
            clock_ahead: SignedDuration::ZERO,
            services: BTreeMap::new(),
            datacenters: BTreeMap::new(),
            faults: FaultPlan::default(),
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::preset(Preset::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_production_is_throttled_and_slow() {
        for (preset, throttled) in
            [(Preset::Development, false), (Preset::Production, true), (Preset::Instant, false)]
        {
            assert_eq!(Settings::preset(preset).throttle.is_some(), throttled, "{preset:?}");
        }
        let provision = |preset: Preset| preset.timing().provision_zone;
        assert!(provision(Preset::Instant) < provision(Preset::Development));
        assert!(provision(Preset::Development) < provision(Preset::Production));
    }
}
