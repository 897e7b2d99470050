//! A client library for Triton DataCenter: CloudAPI, its changefeed, and CMON.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use triton::client::Client;
//! use triton::config::{Config, Environment};
//! use triton::types::ListInstances;
//!
//! // As the `triton` command: from TRITON_* variables, or the profile that is current.
//! let config = Config::load(&Environment::from_process(), None)?;
//! let client = Client::configured(&config).await?.build()?;
//! for instance in client.list_all_instances(&ListInstances::default()).await?.items {
//!     println!("{} {} {}", instance.id, instance.name, instance.state);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! To follow all instances of an account instead of asking again and again, run a
//! [`Reflector`](reflector::Reflector) and read its [`Store`](reflector::Store).
//!
//! - [`client`]: CloudAPI's operations. Every call has a deadline; what is harmless twice is repeated.
//! - [`budget`]: the account's request rate, spent by priority.
//! - [`reflector`] and [`changefeed`]: the account's instances in memory, kept true against an API that
//!   skips, repeats, lags and fails.
//! - [`config`] and [`auth`]: endpoints, keys, ssh-agent, HTTP signatures.
//! - [`types`] and [`id`]: CloudAPI's objects, decoded whatever a server sends.
//! - [`grammar`]: firewall rules, CNS services, affinity rules, CMON groups.
//! - [`cmon`]: metrics of instances.
//!
//! Numbers after the word "reference" in these docs are sections of the Triton API reference that the library
//! was written from; they group facts by topic: 1 authentication, 2 CloudAPI, 3 CNS, 4 CMON, 5 the guest's side.

pub mod auth;
pub mod budget;
pub mod changefeed;
pub mod client;
pub mod cmon;
pub mod config;
pub mod error;
pub mod grammar;
pub mod id;
pub mod reflector;
pub mod types;

pub use self::client::Client;
pub use self::error::{Error, Kind};
