//! A simulated data centre, and the CLI with a key of its account.

use std::time::Duration;

use serde_json::Value;
use suites::triton_cli::{KeyFiles, KeyType, Said, TritonCli};
use tokio::time::{Instant, sleep};
use triton::auth::PublicKey;
use triton::id::InstanceId;
use triton_sim::cloudapi::Operation;
use triton_sim::world::settings::Timing;
use triton_sim::{Preset, Settings, Simulator};

/// How long a condition may take to come true.
pub(crate) const BOUND: Duration = Duration::from_secs(30);

/// How long each job of a [`Stage::slow`] data centre takes: longer than a command of the CLI needs from its request
/// to its first look at the result, so that it cannot succeed without waiting, and shorter than the second after which
/// it looks again.
const SLOW: Duration = Duration::from_millis(800);

/// So long that a job does not end by itself while a test runs, but with [`Stage::pass`].
pub(crate) const HOUR: Duration = Duration::from_secs(60 * 60);

/// Both together.
pub(crate) struct Stage {
    pub(crate) cli: TritonCli,
    pub(crate) simulator: Simulator,
    pub(crate) key: KeyFiles,
}

impl Stage {
    /// One where jobs take no time. None where the CLI cannot run, and the test must end.
    pub(crate) async fn up() -> Option<Self> {
        Self::with(KeyType::Ed25519, |_| ()).await
    }

    /// One where jobs take so long that the CLI must wait for them.
    pub(crate) async fn slow() -> Option<Self> {
        Self::with(KeyType::Ed25519, |settings| {
            settings.world.timing = Timing {
                provision_zone: SLOW,
                provision_hvm: SLOW,
                start: SLOW,
                stop: SLOW,
                reboot: SLOW,
                destroy: SLOW,
                metadata: SLOW,
                update: SLOW,
                migration: SLOW,
                image: SLOW,
                volume: SLOW,
                jitter: 0.0,
            };
        })
        .await
    }

    /// One with another key or other settings.
    pub(crate) async fn with(kind: KeyType, change: impl FnOnce(&mut Settings)) -> Option<Self> {
        let mut cli = TritonCli::find().unwrap()?;
        let key = KeyFiles::make(&cli.key_path("id_triton"), kind).await.unwrap();
        let mut settings = Settings::preset(Preset::Instant);
        settings.admin = None;
        settings.keys = vec![PublicKey::from_openssh(&key.public).unwrap()];
        change(&mut settings);
        let simulator = Simulator::start(settings).await.unwrap();
        for (name, value) in simulator.environment() {
            cli.set(&name, &value);
        }
        Some(Self { cli, simulator, key })
    }

    /// Runs a command that must succeed and say nothing on standard error.
    pub(crate) async fn ok(&self, arguments: &[&str]) -> Said {
        let said = self.cli.run(arguments).await.unwrap();
        assert!(said.code == Some(0) && said.err.is_empty(), "{said:?}");
        said
    }

    /// Runs a command that must succeed; the JSON document that it prints.
    pub(crate) async fn json(&self, arguments: &[&str]) -> Value {
        self.ok(arguments).await.json().unwrap()
    }

    /// Runs a command that must succeed; the JSON documents that it prints, one on each line.
    pub(crate) async fn lines(&self, arguments: &[&str]) -> Vec<Value> {
        self.ok(arguments).await.json_lines().unwrap()
    }

    /// Runs a command that must fail with an exit code; what it says on standard error.
    pub(crate) async fn refused(&self, code: i32, arguments: &[&str]) -> String {
        let said = self.cli.run(arguments).await.unwrap();
        assert_eq!(said.code, Some(code), "{said:?}");
        said.err
    }

    /// Makes an instance that runs, with further arguments; its id.
    pub(crate) async fn instance(&self, name: &str, more: &[&str]) -> String {
        let arguments = ["instance", "create", "-j", "-n", name];
        let arguments = [&arguments, more, &["base-64-lts", "g1.nano"]].concat();
        let made = &self.lines(&arguments).await[0];
        assert_eq!(made["name"], name);
        let id = made["id"].as_str().unwrap().to_owned();
        self.until("the instance runs", || self.state(&id) == "running").await;
        id
    }

    /// Lets all jobs come to their ends at once, however long they take.
    pub(crate) fn pass(&self) {
        self.simulator.control().write(|world, now| world.advance(now + 2 * HOUR));
    }

    /// The state that an instance is truly in, as CloudAPI calls it.
    pub(crate) fn state(&self, id: &str) -> &'static str {
        let id: InstanceId = id.parse().unwrap();
        self.simulator.control().read(|world| world.machine_by_id(id).unwrap().public_state())
    }

    /// How many requests of a kind there have been.
    pub(crate) fn requests(&self, operation: Operation) -> u64 {
        self.simulator.control().requests().of(operation)
    }

    /// Waits for a condition with a bound.
    pub(crate) async fn until(&self, what: &str, condition: impl Fn() -> bool) {
        let deadline = Instant::now() + BOUND;
        while !condition() {
            assert!(Instant::now() < deadline, "{BOUND:?} passed, but not: {what}");
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The values of one field in a list of objects, in order.
pub(crate) fn column<'a>(rows: impl IntoIterator<Item = &'a Value>, field: &str) -> Vec<&'a str> {
    let mut column: Vec<_> = rows.into_iter().map(|row| row[field].as_str().unwrap_or_default()).collect();
    column.sort_unstable();
    column
}

/// The texts in some fields of an object.
pub(crate) fn texts<'a, const N: usize>(object: &'a Value, fields: [&str; N]) -> [&'a str; N] {
    fields.map(|field| object[field].as_str().unwrap_or_default())
}
