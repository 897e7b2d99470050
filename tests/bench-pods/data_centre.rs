//! The simulated data centre, as a process of its own.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};
use triton::Client;
use triton::budget::{Budget, Limits};
use triton::config::{Config, Environment};
use triton::types::CreateFabricNetwork;

use crate::process::Process;

/// A data centre that takes longer to start has failed.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// The account has this VLAN from the start.
const VLAN: u16 = 2;

/// `triton-sim serve`.
#[derive(Debug)]
pub(crate) struct DataCentre {
    _process: Process,
    /// How to reach it, for the kubelet.
    pub(crate) variables: Vec<(String, String)>,
    /// The account, seen from outside.
    pub(crate) account: Client,
    /// A network with room for 60,000 instances.
    pub(crate) network: String,
}

/// Requests by operation.
pub(crate) type Calls = BTreeMap<String, u64>;

#[derive(Deserialize)]
struct Counted {
    operations: BTreeMap<String, BTreeMap<u16, u64>>,
}

impl DataCentre {
    /// Starts one in which jobs take no time. `flags` come on top.
    pub(crate) async fn start(program: &Path, folder: &Path, flags: &[&str]) -> Result<Self> {
        let mut arguments = vec!["serve".to_owned(), "--preset=instant".to_owned()];
        arguments.extend(["cloudapi", "admin"].map(|port| format!("--{port}=127.0.0.1:0")));
        arguments.extend([
            "--no-cns".to_owned(),
            "--no-cmon".to_owned(),
            format!("--state={}", folder.display()),
        ]);
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

    /// How often each operation was asked for since the last time.
    pub(crate) async fn take_calls(&self) -> Result<Calls> {
        let admin = self.variables.iter().find(|(name, _)| name == "TRITON_SIM_ADMIN_URL");
        let (_, url) = admin.context("triton-sim does not say where its admin API is")?;
        let address = url.strip_prefix("http://").unwrap_or(url);
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"DELETE /requests HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let (_, body) = answer.split_once("\r\n\r\n").context("no HTTP answer")?;
        let counted: Counted = serde_json::from_str(body).context("cannot read the counts")?;
        let calls = counted.operations.into_iter();
        Ok(calls.map(|(operation, counts)| (operation, counts.values().sum())).collect())
    }
}

/// Calls per pod, most first.
pub(crate) fn per_pod(calls: &Calls, pods: usize) -> String {
    if calls.is_empty() {
        return "none".to_owned();
    }
    let mut counted: Vec<(&String, u64)> = calls.iter().map(|(name, count)| (name, *count)).collect();
    counted.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let total: u64 = counted.iter().map(|(_, count)| count).sum();
    #[allow(clippy::cast_precision_loss, reason = "counts are small")]
    let each = |count: u64| count as f64 / pods as f64;
    let shown: Vec<String> =
        counted.iter().map(|(name, count)| format!("{:.3} {name}", each(*count))).collect();
    format!("{:.3} ({})", each(total), shown.join(", "))
}
