//! `doctor`: it is content where all is well, and says what to do where it is not.

use serde_json::Value;
use suites::control_plane::Options;
use triton::types::UpdateAccount;
use triton_sim::{Preset, Settings};

use super::stage::Stage;

#[tokio::test]
async fn all_that_a_node_needs_is_checked_and_said() {
    let options = Options { scheduler: false, controller_manager: false, ..Options::default() };
    // Rights for a pool of two nodes, whose names are those of a file.
    let nodes = ["pool-a", "pool-b"];
    let stage = Stage::empty(Settings::preset(Preset::Instant), &options, &nodes).await;
    let config = stage.file("triton.toml", "[[Node]]\nName = \"pool-a\"\n[[Node]]\nName = \"pool-b\"\n");
    let flags = ["doctor", "--provider-config", &config];

    let (code, said) = stage.sub_command(&flags).await;
    assert_eq!(code, 0, "{said}");
    for part in [
        "ok       account: acme",
        "ok       cns: on",
        "ok       clock: ",
        "as system:serviceaccount:kube-system:triton-virtual-kubelet",
        "ok       rbac: all ",
    ] {
        assert!(said.contains(part), "{part}\n{said}");
    }

    // A node that the role does not know, and no names for Services.
    let (code, said) = stage.sub_command(&["doctor", "--nodename=stranger"]).await;
    assert_eq!(code, 1, "{said}");
    let lacks = "may not patch nodes/status \"stranger\"; apply deploy/triton-virtual-kubelet/rbac.yaml";
    assert!(said.contains(lacks) && said.contains("of these checks failed"), "{said}");
    let off = UpdateAccount { triton_cns_enabled: Some(false), ..UpdateAccount::default() };
    stage.account.update_account(&off).await.unwrap();
    let (code, said) = stage.sub_command(&[&flags[..], &["--output=json"]].concat()).await;
    // Behind the object comes what is said on standard error.
    let end = said.rfind("}\n").unwrap() + 1;
    let report: Value = serde_json::from_str(&said[..end]).unwrap();
    let failed: Vec<&Value> =
        report["findings"].as_array().unwrap().iter().filter(|it| it["level"] == "failure").collect();
    assert_eq!((code, failed.len()), (1, 1), "{said}");
    assert!(failed[0]["text"].as_str().unwrap().contains("triton_cns_enabled=true"), "{said}");
}
