//! Shows the library at work: signed requests, a throttled one, the reflector, and what a wrong key gets.
//!
//! `cargo run -p triton --example demo`, or `make demo`. A small server on loopback plays CloudAPI from a
//! recording; it checks every signature for real.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]

mod recorded;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use tokio::net::TcpListener;
use tokio::time::Instant;
use triton::auth::PrivateKey;
use triton::config::{Config, KeySource, Tls};
use triton::id::InstanceId;
use triton::reflector::{Lookup, Reflector, Settings, Store};
use triton::types::ListPackages;
use triton::{Client, Kind};

/// Shows the Triton library against a small recorded CloudAPI on loopback.
#[derive(Parser)]
struct Options {
    /// A private SSH key to sign with, unencrypted; one is made when none is given.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// The port of the recorded CloudAPI on 127.0.0.1; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = runtime.context("cannot start").and_then(|runtime| runtime.block_on(run(options)));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<()> {
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let key_file = match options.key {
        Some(file) => file,
        None => make_key(folder.path(), "account")?,
    };
    let key =
        PrivateKey::load(&key_file, None).with_context(|| format!("cannot use {}", key_file.display()))?;
    println!("key         {:?} {}", key.public_key().kind(), key.public_key().fingerprint());

    let listener = TcpListener::bind(("127.0.0.1", options.port))
        .await
        .with_context(|| format!("cannot listen on 127.0.0.1:{}; choose another --port", options.port))?;
    let url = format!("http://{}", listener.local_addr()?);
    let server = Arc::new(recorded::Recorded::new(key.public_key().clone())?);
    tokio::spawn(server.serve(listener));
    println!("cloudapi    {url}, recorded");

    let client = client(&url, key_file).await?;
    let account = timed("account", client.get_account()).await?;
    println!("            {} <{}>", account.login, account.email);
    let packages = timed("packages", client.list_packages(&ListPackages::default())).await?;
    let names: Vec<&str> = packages.items.iter().map(|package| &*package.name).collect();
    println!("            {}; the first try was throttled: {:?}", names.join(", "), client.budget().usage());

    show_reflector(client).await?;
    show_wrong_key(&url, folder.path()).await
}

/// The account's instances in memory: a list, an event, and a deletion that a read has to prove.
async fn show_reflector(client: Client) -> Result<()> {
    let reflector = Reflector::new(client, Settings::default());
    let store = reflector.store();
    tokio::spawn(reflector.run());
    let start = Instant::now();
    tokio::time::timeout(Duration::from_secs(30), store.synced()).await.context("no list came")?;
    println!("reflector   synced in {:.0?}", start.elapsed());
    let mut changes = store.subscribe();
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut gone = false;
    while !gone {
        let changed = tokio::time::timeout_at(deadline, changes.changed()).await.context("no change came")?;
        gone = show(&store, changed);
    }
    Ok(())
}

/// Prints the instances that changed; true when one of them is gone.
fn show(store: &Store, changed: BTreeSet<InstanceId>) -> bool {
    let mut gone = false;
    for id in changed {
        match store.get(id) {
            Lookup::Present(entry) => {
                let instance = entry.observed();
                println!("            {} {} tags {:?}", instance.name, instance.state, instance.tags);
            }
            Lookup::Gone(tombstone) => {
                println!("            {} is gone, proof: {:?}", tombstone.instance.name, tombstone.proof);
                gone = true;
            }
            Lookup::Unknown => {}
        }
    }
    gone
}

/// A key that is not the account's gets one clear line.
async fn show_wrong_key(url: &str, folder: &Path) -> Result<()> {
    let stranger = client(url, make_key(folder, "stranger")?).await?;
    match stranger.get_account().await {
        Err(error) if error.kind() == Kind::Unauthorized => println!("wrong key   {error}"),
        Err(error) => return Err(error.into()),
        Ok(_) => bail!("a stranger's signature was accepted"),
    }
    Ok(())
}

async fn client(url: &str, key: PathBuf) -> Result<Client> {
    let config = Config {
        url: url.parse()?,
        account: "acme".to_owned(),
        user: None,
        roles: Vec::new(),
        act_as: None,
        key_id: None,
        key: KeySource::File(key),
        passphrase: None,
        tls: Tls::default(),
    };
    Ok(Client::configured(&config).await?.build()?)
}

/// Makes an Ed25519 key with ssh-keygen.
fn make_key(folder: &Path, name: &str) -> Result<PathBuf> {
    let file = folder.join(name);
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"])
        .arg(&file)
        .status()
        .context("cannot run ssh-keygen; install OpenSSH")?;
    if !made.success() {
        bail!("ssh-keygen made no key: {made}");
    }
    Ok(file)
}

async fn timed<T, E>(what: &str, call: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    let start = Instant::now();
    let result = call.await;
    println!("{what:<11} answered in {:.0?}", start.elapsed());
    result
}
