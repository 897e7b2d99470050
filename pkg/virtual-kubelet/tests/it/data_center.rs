//! A simulated data centre and its client.

use std::time::Duration;

use triton::budget::{Budget, Limits};
use triton::client::Client;
use triton::config::{Config, Environment};
use triton_sim::{Preset, Settings, Simulator};

/// How long anything may take that takes no time.
pub const SOON: Duration = Duration::from_secs(30);

/// A simulator in which jobs take no time.
pub async fn simulator() -> Simulator {
    Simulator::start(Settings::preset(Preset::Instant)).await.expect("a simulator")
}

/// A client that knows of the simulator what its environment says, and that does not hold back.
pub async fn client(simulator: &Simulator) -> Client {
    let environment: Environment = simulator.environment().into_iter().collect();
    let config = Config::load(&environment, None).expect("a configuration");
    let budget = Budget::new(Limits { rate: 10_000.0, burst: 10_000 });
    Client::configured(&config).await.expect("a client").budget(budget).build().expect("a client")
}
