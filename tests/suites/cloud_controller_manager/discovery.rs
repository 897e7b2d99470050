//! Prometheus finds the cluster's instances with the rights that the manual gives it.

use super::stage::{Stage, until};
use crate::prometheus::discover;

const MANUAL: &str = include_str!("../../../docs/routes-and-metrics.md");

/// The manifest in the manual.
fn rights() -> &'static str {
    let (_, rest) = MANUAL.split_once("```yaml rights\n").expect("the manual has a manifest with rights");
    rest.split_once("```").expect("the manifest ends").0
}

#[tokio::test]
async fn prometheus_reads_the_discovery_with_the_rights_of_the_manual_and_strangers_do_not() {
    let stage = Stage::set().await;
    let process = stage.start(&[]).await;
    let account = stage.account().await;
    let machine = stage.machine(&account, "m1").await;
    stage.register("m1", &machine).await;
    stage.kubectl(&["create", "namespace", "monitoring"]).await;
    let mut tokens = Vec::new();
    for name in ["prometheus", "stranger"] {
        stage.kubectl(&["create", "serviceaccount", name, "--namespace=monitoring"]).await;
        let token = stage.kubectl(&["create", "token", name, "--namespace=monitoring"]).await;
        tokens.push(stage.file(name, token.trim()));
    }
    let url = process.url("/sd/cmon");
    let ask = async |token: &str| discover(&url, &["--credentials-file", token]).await;
    let refused = async |token: &str| ask(token).await.is_err_and(|error| error.contains("403"));
    until(|| process.log(), "it is refused without the right", async || refused(&tokens[0]).await).await;

    stage.apply(rights()).await;
    let found = async || {
        let Ok(groups) = ask(&tokens[0]).await else { return false };
        groups.iter().any(|group| {
            let label = |key: &str| group.labels.get(key).map(String::as_str);
            label("__meta_triton_machine_id") == Some(&machine) && label("node") == Some("m1")
        })
    };
    until(|| process.log(), "it finds the node", found).await;
    assert!(refused(&tokens[1]).await, "the right is of one account");
    let metrics =
        ["--header", &format!("Authorization: Bearer {}", std::fs::read_to_string(&tokens[0]).unwrap())];
    assert_eq!(process.get("/metrics", &metrics).await.unwrap().0, 200, "it may scrape the process, too");
}
