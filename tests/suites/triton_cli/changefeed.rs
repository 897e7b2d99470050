//! `changefeed`.

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout};
use tokio::time::timeout;

use super::stage::{BOUND, Stage};

/// A running `triton changefeed`.
struct Feed {
    lines: Lines<BufReader<ChildStdout>>,
    child: Child,
}

impl Feed {
    async fn open(stage: &Stage, arguments: &[&str]) -> Self {
        let clients = stage.simulator.control().feed_clients();
        let mut child = stage.cli.spawn(arguments).unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        stage.until("it listens", || stage.simulator.control().feed_clients() > clients).await;
        Self { lines, child }
    }

    async fn line(&mut self) -> String {
        let line = timeout(BOUND, self.lines.next_line()).await;
        line.expect("it says nothing for half a minute").unwrap().expect("it has ended")
    }

    /// The next event of an instance in which something changed.
    async fn event(&mut self, id: &str, sub_resource: &str) -> Value {
        loop {
            let event: Value = serde_json::from_str(&self.line().await).unwrap();
            let changed = event["changeKind"]["subResources"].as_array().unwrap();
            if event["changedResourceId"] == id && changed.contains(&sub_resource.into()) {
                return event;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_printed_as_they_happen() {
    let Some(stage) = Stage::up().await else { return };
    let quiet = stage.instance("quiet", &[]).await;
    let loud = stage.instance("loud", &[]).await;
    let mut all = Feed::open(&stage, &["changefeed", "-j"]).await;
    let mut one = Feed::open(&stage, &["changefeed", "-j", "--instances", &loud]).await;
    let mut text = Feed::open(&stage, &["changefeed"]).await;

    stage.ok(&["stop", &quiet]).await;
    let event = all.event(&quiet, "state").await;
    assert_eq!(event["changeKind"]["resource"], "vm");
    assert!(event["published"].as_str().unwrap().parse::<u64>().is_ok(), "{event}");
    assert_eq!(
        (&event["resourceObject"]["id"], &event["resourceObject"]["package"]),
        (&quiet.into(), &"".into())
    );
    let first = text.line().await;
    assert!(first.starts_with("Change (20") && first.ends_with("Z) =>"), "{first}");

    // Nothing about the other instance comes to those who asked for one.
    stage.ok(&["inst", "rename", &loud, "louder"]).await;
    let event = one.event(&loud, "alias").await;
    assert_eq!(event["resourceObject"]["name"], "louder");
    stage.ok(&["inst", "tag", "set", &loud, "volume=11"]).await;
    let event: Value = serde_json::from_str(&one.line().await).unwrap();
    assert_eq!(
        (&event["changedResourceId"], &event["resourceObject"]["tags"]["volume"]),
        (&loud.as_str().into(), &11.into())
    );
    stage.ok(&["rm", "-f", &loud]).await;
    while all.event(&loud, "state").await["resourceState"] != "destroyed" {}

    // The CLI ends when the feed is cut.
    stage.simulator.control().cut_feeds();
    for mut feed in [all, one, text] {
        let ended = timeout(BOUND, feed.child.wait()).await;
        assert!(ended.expect("it ends").unwrap().success());
    }
}
