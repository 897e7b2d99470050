//! The simulated data centre, as a process of its own.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};
use triton::Client;
use triton::budget::{Budget, Limits};
use triton::config::{Config, Environment};
use triton::types::CreateFabricNetwork;

use super::process::Process;

/// A data centre that takes longer to start has failed.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// The account has this VLAN from the start.
const VLAN: u16 = 2;

/// `triton-sim serve`.
#[derive(Debug)]
pub struct DataCentre {
    _process: Process,
    /// How to reach it, for what is measured.
    pub variables: Vec<(String, String)>,
    /// The account, seen from outside.
    pub account: Client,
    /// A network with room for 60,000 instances.
    pub network: String,
}

/// Requests by operation.
pub type Calls = BTreeMap<String, u64>;

#[derive(Deserialize)]
struct Counted {
    operations: BTreeMap<String, BTreeMap<u16, u64>>,
}

#[derive(Deserialize)]
struct Tagged {
    id: String,
    tags: BTreeMap<String, serde_json::Value>,
}

impl DataCentre {
    /// Starts one in which jobs take no time, without CMON. `flags` come on top.
    ///
    /// # Errors
    /// When it does not start; what it said is in the error.
    pub async fn start(program: &Path, folder: &Path, flags: &[&str]) -> Result<Self> {
        let mut arguments = vec!["serve".to_owned(), "--preset=instant".to_owned()];
        arguments.extend(["cloudapi", "admin"].map(|port| format!("--{port}=127.0.0.1:0")));
        arguments.extend(["--no-cmon".to_owned(), format!("--state={}", folder.display())]);
        arguments.extend(flags.iter().map(|flag| (*flag).to_owned()));
        let mut process = Process::start(program, &arguments, &[], folder.join("triton-sim.log"))?;
        let deadline = Instant::now() + READY_WITHIN;
        let variables = loop {
            let said = process.said();
            // A comment follows the variables.
            if said.lines().any(|line| line.starts_with('#')) {
                break said
                    .lines()
                    .filter_map(|line| line.strip_prefix("export ")?.split_once('='))
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .collect::<Vec<_>>();
            }
            process.must_live().context("triton-sim")?;
            if Instant::now() > deadline {
                bail!("triton-sim says nothing:\n{said}");
            }
            sleep(Duration::from_millis(20)).await;
        };
        let environment: Environment = variables.iter().cloned().collect();
        let config = Config::load(&environment, None)?;
        let budget = Budget::new(Limits { rate: 10_000.0, burst: 10_000 });
        let account = Client::configured(&config).await?.budget(budget).build()?;
        let network = account
            .create_fabric_network(
                VLAN,
                &CreateFabricNetwork {
                    name: "bench".to_owned(),
                    subnet: "10.10.0.0/16".parse()?,
                    provision_start_ip: Ipv4Addr::new(10, 10, 0, 10),
                    provision_end_ip: Ipv4Addr::new(10, 10, 255, 250),
                    gateway: None,
                    resolvers: Vec::new(),
                    routes: [].into_iter().collect(),
                    internet_nat: Some(false),
                    description: None,
                },
            )
            .await?;
        Ok(Self { _process: process, variables, account, network: network.id.to_string() })
    }

    /// Lets everything that is asked of it take this much longer.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn slow_down(&self, latency: Duration) -> Result<()> {
        let faults = json!({"requests": {"all": {"latency_ms": latency.as_millis()}}});
        self.steer::<IgnoredAny>("PUT", "/faults", &faults.to_string()).await.map(drop)
    }

    /// Throttles the account as a data centre does by default: 10 requests a second after a burst of 30.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn throttle(&self) -> Result<()> {
        let limits = json!({"burst": 30, "rate": 10});
        self.steer::<IgnoredAny>("PUT", "/throttle", &limits.to_string()).await.map(drop)
    }

    /// How often each operation was asked for since the last time.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn take_calls(&self) -> Result<Calls> {
        let counted: Counted = self.steer("DELETE", "/requests", "").await?;
        let calls = counted.operations.into_iter();
        Ok(calls.map(|(operation, counts)| (operation, counts.values().sum())).collect())
    }

    /// How often each operation has been asked for, without counting anew.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn calls(&self) -> Result<Calls> {
        let counted: Counted = self.steer("GET", "/requests", "").await?;
        let calls = counted.operations.into_iter();
        Ok(calls.map(|(operation, counts)| (operation, counts.values().sum())).collect())
    }

    /// The tags of all instances, by id, as they truly are.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn tags(&self) -> Result<BTreeMap<String, BTreeMap<String, serde_json::Value>>> {
        let rows: Vec<Tagged> = self.steer("GET", "/instances", "").await?;
        Ok(rows.into_iter().map(|row| (row.id, row.tags)).collect())
    }

    /// Asks its admin API.
    async fn steer<A: DeserializeOwned>(&self, method: &str, path: &str, body: &str) -> Result<A> {
        let admin = self.variables.iter().find(|(name, _)| name == "TRITON_SIM_ADMIN_URL");
        let (_, url) = admin.context("triton-sim does not say where its admin API is")?;
        let address = url.strip_prefix("http://").unwrap_or(url);
        let mut stream = TcpStream::connect(address).await?;
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no HTTP answer")?;
        if !head.starts_with("HTTP/1.1 200") {
            bail!("triton-sim refuses {method} {path}: {body}");
        }
        serde_json::from_str(body).with_context(|| format!("cannot read the answer to {method} {path}"))
    }
}
