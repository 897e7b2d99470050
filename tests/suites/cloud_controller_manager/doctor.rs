//! `doctor`: it is content where all is well, and says what to do where it is not.

use jiff::SignedDuration;
use serde_json::Value;
use suites::control_plane::Identity;
use triton::types::UpdateAccount;
use triton_sim::{Preset, Settings, Simulator};

use super::stage::{Ended, Stage, has_line, until};

const BINDING: &str = "clusterrolebinding/triton-cloud-controller-manager";

impl Stage {
    async fn doctor(&self, variables: &[(String, String)], arguments: &[&str]) -> Ended {
        let kubeconfig = self.kubeconfig.to_str().unwrap();
        let given = ["doctor", "--kubeconfig", kubeconfig];
        let arguments: Vec<&str> = given.iter().chain(arguments).copied().collect();
        self.sub_command(variables, &arguments).await
    }
}

fn assert_says(ended: &Ended, code: i32, level: &str, part: &str) {
    assert_eq!(ended.code, code, "{}{}", ended.out, ended.err);
    assert!(has_line(&ended.out, level, part), "{level} {part}\n{}{}", ended.out, ended.err);
}

/// The variables of a data centre whose clock is ahead by so many seconds.
async fn at(seconds: i64) -> (Simulator, Vec<(String, String)>) {
    let mut settings = Settings::preset(Preset::Instant);
    settings.clock_ahead = SignedDuration::from_secs(seconds);
    let simulator = Simulator::start(settings).await.unwrap();
    let variables = simulator.environment();
    (simulator, variables)
}

#[tokio::test]
async fn all_that_the_process_needs_is_checked_and_said() {
    let stage = Stage::set().await;
    let sound = stage.simulator.environment();

    let ended = stage.doctor(&sound, &[]).await;
    assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{}", ended.out);
    let us = "as system:serviceaccount:kube-system:triton-cloud-controller-manager";
    for part in
        ["account: acme", "cns: on", "clock: as CloudAPI's", "permission: listmachines", us, "rbac: all "]
    {
        assert!(has_line(&ended.out, "ok", part), "{part}\n{}", ended.out);
    }
    // A program is told the same.
    let told = stage.doctor(&sound, &["--output=json"]).await;
    assert_eq!(told.code, 0, "{}", told.err);
    let told: Value = serde_json::from_str(&told.out).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let told: Vec<String> = told["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| format!("{:<8} {}: {}", text(&it["level"]), text(&it["subject"]), text(&it["text"])))
        .collect();
    assert_eq!(told, ended.out.lines().collect::<Vec<_>>());

    // What the command line gets wrong is neither of both.
    assert_eq!(stage.doctor(&sound, &["--controllers=none-such"]).await.code, 2);

    // A key of somebody else. What does not need it is checked all the same.
    let (stranger, _) = stage.new_key("stranger", "").await;
    let mut wrong = sound.clone();
    wrong.retain(|(name, _)| !name.starts_with("TRITON_KEY"));
    wrong.push(("TRITON_KEY_MATERIAL".to_owned(), stranger));
    let ended = stage.doctor(&wrong, &[]).await;
    assert_says(&ended, 1, "failure", "that the key is on the account");
    assert_says(&ended, 1, "ok", "rbac: all ");

    // No Secret.
    let none = stage.doctor(&[], &["--credentials-secret=kube-system/triton-credentials"]).await;
    assert_says(&none, 1, "failure", "make it with: credentials create --apply");

    // Clocks.
    let (slow, variables) = at(100).await;
    assert_says(&stage.doctor(&variables, &[]).await, 0, "warning", "s behind CloudAPI's");
    drop(slow);
    let (fast, variables) = at(-400).await;
    assert_says(&stage.doctor(&variables, &[]).await, 1, "failure", "set this machine's clock");
    drop(fast);

    // CNS, which only Services need.
    let off = UpdateAccount { triton_cns_enabled: Some(false), ..UpdateAccount::default() };
    stage.account().await.update_account(&off).await.unwrap();
    assert_says(&stage.doctor(&sound, &[]).await, 1, "failure", "triton_cns_enabled=true");
    let without = ["--controllers=*,-service-lb-controller"];
    assert_says(&stage.doctor(&sound, &without).await, 0, "warning", "triton_cns_enabled=true");

    // Rights: ours, and, from an administrator's desk, the process's.
    stage.kubectl(&["delete", BINDING]).await;
    let lacks = "may not delete nodes; apply deploy/triton-cloud-controller-manager/rbac.yaml";
    let lacking = async || has_line(&stage.doctor(&sound, &without).await.out, "failure", lacks);
    until(String::new, "the right is gone", lacking).await;
    let admin = stage.plane.kubeconfig(&Identity::Admin).await.unwrap();
    let desk = ["doctor", without[0], "--kubeconfig", admin.to_str().unwrap()];
    assert_says(&stage.sub_command(&sound, &desk).await, 0, "ok", "rbac: all ");
    let name = "--as=system:serviceaccount:kube-system:triton-cloud-controller-manager";
    let desk: Vec<&str> = desk.into_iter().chain([name]).collect();
    assert_says(&stage.sub_command(&sound, &desk).await, 1, "failure", lacks);

    // No cluster at all.
    let nowhere = ["doctor", without[0]];
    assert_says(&stage.sub_command(&sound, &nowhere).await, 1, "failure", "no --kubeconfig is given");
}
