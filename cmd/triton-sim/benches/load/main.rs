//! What docs/benchmarks.md reports of the simulator: `cargo bench -p triton-sim-cli --bench load`.
//!
//! The server is the program itself, `triton-sim serve`, with CNS and CMON and without guests; it is driven through its
//! real interfaces by signed requests. Instances are as a production data centre has them: two NICs, eight tags, three
//! metadata keys of 500 bytes together, and a service in CNS.
#![allow(missing_docs, clippy::print_stdout, reason = "a program for people")]

mod feed;
mod http;
mod server;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use crate::http::{Connection, Signer};
use crate::server::Server;

/// How many instances there are.
const INSTANCES: usize = 10_000;
/// How many connections ask at the same time.
const CONNECTIONS: usize = 16;
/// For how long GetMachine is asked.
const ASKING: Duration = Duration::from_secs(10);
/// How many clients the changefeed has.
const CLIENTS: usize = 1000;
/// How many events there are in a second.
const EVENTS: u32 = 500;
/// Over how many connections they are made.
const WRITERS: u32 = 10;
/// For how long there are events.
const FEEDING: Duration = Duration::from_secs(90);
/// How many instances the events are of. So few that their audit logs are full before the first measurement: what
/// grows afterwards is not the history.
const BUSY: usize = 10;

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(run())
}

async fn run() -> Result<()> {
    start().await?;
    let server = Server::start()?;
    let signer = Signer::of(&server)?;
    let ids = populate(&server, &signer).await?;
    list(&server, &signer).await?;
    get(&server, &signer, &ids).await?;
    events(&server, &signer, &ids).await
}

/// From the start of the process to the first answer.
async fn start() -> Result<()> {
    let mut times = Vec::new();
    for _ in 0..20 {
        let begun = Instant::now();
        let server = Server::start()?;
        let signer = Signer::of(&server)?;
        let mut connection = Connection::open(server.address("TRITON_URL")?).await?;
        connection.ask(&signer.request("GET", "/my", "", "")?).await?.json()?;
        times.push(begun.elapsed());
    }
    times.sort();
    let (median, slowest) =
        (times.get(10).copied().unwrap_or_default(), times.last().copied().unwrap_or_default());
    println!(
        "start to the first signed answer: median {median:.1?}, slowest {slowest:.1?} of {}",
        times.len()
    );
    Ok(())
}

/// Asks several requests at the same time, each once, and hands back the answers' JSON in any order.
async fn ask_all(server: &Server, requests: Vec<Vec<u8>>) -> Result<Vec<Value>> {
    let address = server.address("TRITON_URL")?;
    let (requests, next) = (Arc::new(requests), Arc::new(AtomicUsize::new(0)));
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (requests, next) = (Arc::clone(&requests), Arc::clone(&next));
        asking.spawn(async move {
            let mut connection = Connection::open(address).await?;
            let mut answers = Vec::new();
            while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
                answers.push(connection.ask(request).await?.json()?);
            }
            Ok::<_, anyhow::Error>(answers)
        });
    }
    let mut answers = Vec::new();
    while let Some(asked) = asking.join_next().await {
        answers.extend(asked??);
    }
    Ok(answers)
}

/// Makes the instances through CreateMachine; their ids.
async fn populate(server: &Server, signer: &Signer) -> Result<Vec<String>> {
    let before = server.memory()?;
    let mut connection = Connection::open(server.address("TRITON_URL")?).await?;
    let mut networks = Vec::new();
    for (number, name) in [(10, "bench-a"), (11, "bench-b")] {
        let body = json!({
            "name": name, "subnet": format!("10.{number}.0.0/16"), "internet_nat": false,
            "provision_start_ip": format!("10.{number}.0.10"), "provision_end_ip": format!("10.{number}.255.250"),
        });
        let request =
            signer.request("POST", "/my/fabrics/default/vlans/2/networks", "", &body.to_string())?;
        let made = connection.ask(&request).await?.json()?;
        networks.push(made["id"].as_str().context("no id")?.to_owned());
    }
    let images =
        connection.ask(&signer.request("GET", "/my/images?name=ubuntu-22.04", "", "")?).await?.json()?;
    let image = images[0]["id"].as_str().context("no image")?;
    let requests = (0..INSTANCES).map(|number| {
        let mut body = json!({
            "name": format!("bench-{number:05}"), "image": image, "package": "g1.nano", "networks": networks,
            "tag.triton.cns.services": "web:8080", "metadata.user-data": "x".repeat(400),
            "metadata.owner": "a".repeat(50), "metadata.note": "b".repeat(50),
        });
        for tag in 0..7 {
            body[format!("tag.k8s.tag-{tag}")] = format!("value-{tag}-{number}").into();
        }
        signer.request("POST", "/my/machines", "", &body.to_string())
    });
    let requests = requests.collect::<Result<Vec<_>>>()?;
    let begun = Instant::now();
    let made = ask_all(server, requests).await?;
    settle(server).await?;
    let (wall, after) = (begun.elapsed(), server.memory()?);
    println!(
        "{INSTANCES} instances: made in {wall:.1?}; {:.1} MiB resident, {:.1} MiB at the peak ({:.1} MiB before)",
        after.resident, after.peak, before.resident
    );
    made.iter().map(|made| Ok(made["id"].as_str().context("no id")?.to_owned())).collect()
}

/// Waits until no jobs are left, and CNS has had its turn.
async fn settle(server: &Server) -> Result<()> {
    let mut admin = Connection::open(server.address("TRITON_SIM_ADMIN_URL")?).await?;
    let request = b"POST /settle?timeout_ms=300000 HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n";
    if admin.ask(request).await?.json()? != json!({"settled": true}) {
        bail!("the instances do not settle");
    }
    sleep(Duration::from_secs(1)).await;
    Ok(())
}

/// The whole list, page by page.
async fn list(server: &Server, signer: &Signer) -> Result<()> {
    let mut connection = Connection::open(server.address("TRITON_URL")?).await?;
    for _ in 0..3 {
        let (begun, mut rows, mut bytes) = (Instant::now(), 0, 0);
        let before = server.processor_time()?;
        loop {
            let target = format!("/my/machines?limit=1000&offset={rows}");
            let reply = connection.ask(&signer.request("GET", &target, "", "")?).await?;
            bytes += reply.body.len();
            let page = count_rows(&reply)?;
            rows += page;
            if page < 1000 {
                break;
            }
        }
        let (wall, work) = (begun.elapsed(), server.processor_time()? - before);
        if rows != INSTANCES {
            bail!("the list has {rows} rows");
        }
        println!(
            "list of {rows} instances, {} MiB: {wall:.2?} on the wall, {work:.2?} of the server",
            bytes >> 20
        );
    }
    Ok(())
}

/// How many rows a page has. Each has one `package`.
fn count_rows(reply: &http::Reply) -> Result<usize> {
    if reply.status != 200 {
        bail!("status {}", reply.status);
    }
    Ok(reply.body.windows(11).filter(|window| window == b"\"package\":\"").count())
}

/// GetMachine as fast as it goes, with signatures that were made before.
async fn get(server: &Server, signer: &Signer, ids: &[String]) -> Result<()> {
    let requests =
        ids.iter().take(2000).map(|id| signer.request("GET", &format!("/my/machines/{id}"), "", ""));
    let requests = Arc::new(requests.collect::<Result<Vec<_>>>()?);
    let address = server.address("TRITON_URL")?;
    let (begun, before) = (Instant::now(), server.processor_time()?);
    let mut asking = tokio::task::JoinSet::new();
    for number in 0..CONNECTIONS {
        let requests = Arc::clone(&requests);
        asking.spawn(async move {
            let mut connection = Connection::open(address).await?;
            let mut times = Vec::new();
            for request in requests.iter().cycle().skip(number * 100) {
                let asked = Instant::now();
                if asked - begun >= ASKING {
                    break;
                }
                let reply = connection.ask(request).await?;
                if reply.status != 200 {
                    bail!("status {}", reply.status);
                }
                times.push(asked.elapsed());
            }
            Ok(times)
        });
    }
    let mut times = Vec::new();
    while let Some(asked) = asking.join_next().await {
        times.extend(asked??);
    }
    let (wall, work) = (begun.elapsed(), server.processor_time()? - before);
    times.sort();
    let count = times.len();
    let at = |percent: usize| times.get(count * percent / 100).copied().unwrap_or_default();
    println!(
        "GetMachine over {CONNECTIONS} connections: {:.0}/s, median {:.1?}, 99 of 100 within {:.1?}; {:.0} µs of the server each",
        count as f64 / wall.as_secs_f64(),
        at(50),
        at(99),
        work.as_secs_f64() * 1e6 / count as f64
    );
    Ok(())
}

/// Changes instances, which makes events.
struct Writer {
    connection: Connection,
    requests: Vec<Vec<u8>>,
}

impl Writer {
    async fn new(server: &Server, signer: &Signer, ids: &[String]) -> Result<Self> {
        let request = |id| {
            let target = format!("/my/machines/{id}/metadata");
            signer.request("POST", &target, "", r#"{"beat":"0123456789"}"#)
        };
        let requests = ids.iter().take(BUSY).map(request).collect::<Result<_>>()?;
        Ok(Self { connection: Connection::open(server.address("TRITON_URL")?).await?, requests })
    }

    /// Equal values change nothing, and nothing is told of them; so each number is another value.
    async fn write(&mut self, number: u64) -> Result<()> {
        let mut request = self.requests.get(usize::try_from(number)? % BUSY).context("no request")?.clone();
        let at = request.len() - 12;
        request.splice(at..at + 10, format!("{number:010}").into_bytes());
        self.connection.ask(&request).await?.json().map(drop)
    }

    /// Writes at an even pace until the time is over, and says how often. It begins with this number.
    async fn pace(mut self, first: u64) -> Result<u64> {
        let mut tick = interval(Duration::from_secs(1) * WRITERS / EVENTS);
        tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let begun = Instant::now();
        let mut written = 0;
        while begun.elapsed() < FEEDING {
            tick.tick().await;
            self.write(first + written).await?;
            written += 1;
        }
        Ok(written)
    }
}

/// Lets all writers write. In a thread of their own: the clients of the changefeed keep a processor busy.
fn write_all(address: SocketAddr, requests: Vec<Vec<u8>>) -> Result<u64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut writing = tokio::task::JoinSet::new();
        for number in 1..=WRITERS {
            let writer = Writer { connection: Connection::open(address).await?, requests: requests.clone() };
            writing.spawn(writer.pace(u64::from(number) * 1_000_000));
        }
        let mut written = 0;
        while let Some(done) = writing.join_next().await {
            written += done??;
        }
        Ok(written)
    })
}

/// Many clients of the changefeed, and many events.
async fn events(server: &Server, signer: &Signer, ids: &[String]) -> Result<()> {
    let mut writer = Writer::new(server, signer, ids).await?;
    for number in 0..1200 * BUSY as u64 {
        writer.write(number).await?;
    }
    settle(server).await?;
    let seen = feed::open(server, signer, CLIENTS).await?;
    // Signed anew, for the date is good for five minutes only.
    let Writer { requests, .. } = Writer::new(server, signer, ids).await?;
    let address = server.address("TRITON_URL")?;
    let (begun, before) = (Instant::now(), server.processor_time()?);
    let writing = std::thread::spawn(move || write_all(address, requests));
    while !writing.is_finished() {
        let memory = server.memory()?;
        let passed = begun.elapsed();
        println!(
            "    after {passed:>4.0?}: {:.1} MiB resident, {:.1} MiB at the peak",
            memory.resident, memory.peak
        );
        sleep(Duration::from_secs(15)).await;
    }
    let Ok(written) = writing.join() else { bail!("the writer panicked") };
    let written = written?;
    let work = server.processor_time()? - before;
    // The last ones are under way.
    sleep(Duration::from_secs(2)).await;
    let (frames, ended) = (seen.frames.load(Ordering::Relaxed), seen.ended.load(Ordering::Relaxed));
    println!(
        "changefeed: {CLIENTS} clients, {:.0} events/s for {FEEDING:.0?}; {frames} of {} delivered, {ended} clients cut; \
         {:.0} % of a processor; {:.1} MiB resident",
        written as f64 / FEEDING.as_secs_f64(),
        written * CLIENTS as u64,
        work.as_secs_f64() * 100.0 / FEEDING.as_secs_f64(),
        server.memory()?.resident
    );
    Ok(())
}
