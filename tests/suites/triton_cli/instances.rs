//! `instance` but for what has a file of its own, and the commands beside it such as `create`.

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::join;
use tokio::net::TcpStream;
use tokio::time::timeout;
use triton_sim::cloudapi::Operation;
use triton_sim::faults::{FaultPlan, InstanceFaults, Rate};

use super::stage::{BOUND, Stage, column, texts};

/// Together, for most of their time passes with waiting.
#[tokio::test(flavor = "multi_thread")]
async fn create_waits() {
    join!(create_waits_until_the_instance_runs(), create_fails_when_the_provision_fails());
}

async fn create_waits_until_the_instance_runs() {
    let Some(stage) = Stage::slow().await else { return };
    let script = stage.cli.home().join("boot");
    std::fs::write(&script, "#!/bin/sh\necho 'Grüße'\n").unwrap();
    let arguments =
        ["create", "-w", "-j", "-n", "web", "-t", "role=web", "-t", r#"{"tier": 2, "canary": true}"#]
            .into_iter()
            .chain(["-m", "colour=blue", "--script", script.to_str().unwrap(), "-N", "My-Fabric-Network"])
            .chain(["--firewall", "--deletion-protection", "ubuntu-22.04", "g1.micro"]);
    let said = stage.lines(&arguments.collect::<Vec<_>>()).await;
    let [made, ready] = &said[..] else { panic!("{said:?}") };
    assert_eq!((&made["state"], &made["ips"]), (&"provisioning".into(), &json!([])));
    let fabric = stage.simulator.ids().fabric.to_string();
    let image = stage.simulator.ids().ubuntu_lx.to_string();
    assert_eq!(
        texts(ready, ["id", "state", "brand", "package", "image"]),
        [made["id"].as_str().unwrap(), "running", "lx", "g1.micro", &image]
    );
    assert_eq!(ready["tags"], json!({"role": "web", "tier": 2, "canary": true}));
    assert_eq!(
        (&ready["metadata"]["colour"], &ready["metadata"]["user-script"]),
        (&"blue".into(), &"#!/bin/sh\necho 'Grüße'\n".into())
    );
    assert_eq!((&ready["networks"], &ready["nics"][0]["network"]), (&json!([fabric]), &fabric.into()));
    assert_eq!((&ready["firewall_enabled"], &ready["deletion_protection"]), (&true.into(), &true.into()));
    assert!(stage.requests(Operation::GetMachine) > 1, "it asked more than once");
}

async fn create_fails_when_the_provision_fails() {
    let Some(stage) = Stage::slow().await else { return };
    let faults = InstanceFaults { provision_failure_rate: Rate::ALWAYS, ..InstanceFaults::default() };
    let plan = FaultPlan { instances: faults, ..FaultPlan::default() };
    stage.simulator.control().set_faults(plan).unwrap();
    let said =
        stage.cli.run(&["inst", "create", "-w", "-j", "-n", "web", "base-64-lts", "g1.nano"]).await.unwrap();
    let states: Vec<Value> = said.json_lines().unwrap().iter().map(|it| it["state"].clone()).collect();
    assert_eq!((said.code, states), (Some(1), vec!["provisioning".into(), "failed".into()]));
    assert!(
        said.err.starts_with("triton instance create: error: failed to create instance web ("),
        "{said:?}"
    );
    // A failed instance is not in the list, but it can be shown.
    assert_eq!(stage.lines(&["inst", "list", "-j"]).await, [] as [Value; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn waits_wait() {
    let Some(stage) = Stage::slow().await else { return };
    let stage = &stage;
    let (one, two, three) =
        join!(stage.instance("one", &[]), stage.instance("two", &[]), stage.instance("three", &[]),);
    let state_of = |id: &str| stage.state(id);

    let life = async {
        let said = stage.ok(&["inst", "stop", "-w", "one"]).await.out;
        assert!(said.starts_with(&format!("Stop instance one ({one}, ")), "{said}");
        assert_eq!(state_of(&one), "stopped");
        stage.ok(&["inst", "start", "-w", &one]).await;
        assert_eq!(state_of(&one), "running");
        let said = stage.ok(&["inst", "reboot", "-w", "one"]).await.out;
        assert_eq!(said, "Rebooting instance one\nRebooted instance one\n");
        let audit = stage.lines(&["inst", "audit", "-j", "one"]).await;
        let actions: Vec<_> =
            audit.iter().map(|it| (it["action"].as_str(), it["success"].as_str())).collect();
        let yes = |action| (Some(action), Some("yes"));
        assert_eq!(actions, [yes("reboot"), yes("start"), yes("stop"), yes("provision")]);
        stage.ok(&["inst", "delete", "-f", "-w", "one"]).await;
        assert_eq!(state_of(&one), "deleted");
    };
    let changes = async {
        let said = stage.ok(&["inst", "rename", "-w", "two", "deux"]).await.out;
        assert_eq!(said, "Renaming instance two to \"deux\"\nRenamed instance two to \"deux\"\n");
        assert_eq!(stage.json(&["inst", "get", "-j", "deux"]).await["id"], two);
        let said = stage.ok(&["inst", "resize", "-w", "deux", "g1.small"]).await.out;
        assert!(said.ends_with("Resized instance deux to \"g1.small\"\n"), "{said}");
        let resized = stage.json(&["inst", "get", "-j", &two]).await;
        assert_eq!((&resized["package"], &resized["memory"]), (&"g1.small".into(), &2048.into()));
    };
    let switches = async {
        for (command, field, value) in [
            ("enable-firewall", "firewall_enabled", true),
            ("disable-firewall", "firewall_enabled", false),
            ("enable-deletion-protection", "deletion_protection", true),
        ] {
            stage.ok(&["inst", command, "-w", "three"]).await;
            let instance = stage.json(&["inst", "get", "-j", &three]).await;
            assert_eq!(instance[field], value, "{command}");
        }
        let refused = stage.refused(1, &["inst", "delete", "-f", "three"]).await;
        assert!(refused.contains("triton instance delete: error: command failure"), "{refused}");
        assert_eq!(state_of(&three), "running");
        stage.ok(&["inst", "disable-deletion-protection", "-w", "three"]).await;
        stage.ok(&["rm", "-f", "-w", "three"]).await;
        assert_eq!(state_of(&three), "deleted");
    };
    join!(life, changes, switches);
}

#[tokio::test(flavor = "multi_thread")]
async fn wait_sees_what_others_do() {
    let Some(stage) = Stage::up().await else { return };
    let id = stage.instance("web", &[]).await;
    let wait = stage.cli.run(&["inst", "wait", "-s", "stopped,failed", "web"]);
    let stop = async {
        stage.until("it waits", || stage.requests(Operation::GetMachine) > 1).await;
        stage.ok(&["stop", "web"]).await
    };
    let (waited, stopped) = join!(wait, stop);
    assert_eq!(stopped.out, format!("Stop (async) instance web ({id})\n"));
    let waited = waited.unwrap();
    assert_eq!(waited.code, Some(0), "{waited:?}");
    assert_eq!(
        waited.out,
        format!(
            "Waiting for instance web ({id}) to enter state (states: stopped, failed)\n\
             1/1: Instance web ({id}) moved to state stopped\n"
        )
    );
    // Too late: it has stopped before. The job fails, which shows in the audit only.
    stage.ok(&["stop", &id]).await;
    stage.until("the job has ended", || stage.simulator.control().read(|world| world.pending() == 0)).await;
    let audit = stage.lines(&["inst", "audit", "-j", &id]).await;
    assert_eq!(texts(&audit[0], ["action", "success"]), ["stop", "no"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_are_listed_and_found() {
    let Some(stage) = Stage::up().await else { return };
    let stage = &stage;
    let (web1, _, database) = join!(
        stage.instance("web-1", &["-t", "role=web", "-t", "tier=1"]),
        stage.instance("web-2", &["-t", "role=web", "-N", "external,My-Fabric-Network"]),
        stage.instance("database", &["-t", "role=db"]),
    );
    stage.ok(&["inst", "stop", "-w", "database"]).await;

    let list = async |filters: &[&str]| {
        let rows = stage.lines(&[&["inst", "list", "-j"], filters].concat()).await;
        column(&rows, "name").join(" ")
    };
    for (filters, names) in [
        (&[][..], "database web-1 web-2"),
        (&["name=web-1"], "web-1"),
        (&["state=stopped"], "database"),
        (&["tag.role=web"], "web-1 web-2"),
        (&["tag.role=web", "tag.tier=1"], "web-1"),
        (&["brand=lx"], ""),
        (&["memory=512", "type=smartmachine"], "database web-1 web-2"),
    ] {
        assert_eq!(list(filters).await, names, "{filters:?}");
    }
    let table = stage.ok(&["ls", "-Ho", "name,img,state,flags", "-s", "name"]).await.out;
    let rows: Vec<Vec<&str>> = table.lines().map(|row| row.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["database", "base-64-lts@23.4.0", "stopped", "-"]);

    let info = stage.json(&["info", "-j"]).await;
    assert_eq!(
        (&info["totalInstances"], &info["instances"], &info["totalMemory"]),
        (&3.into(), &json!({"running": 2, "stopped": 1}), &(3u64 * 512 * 1_000_000).into())
    );

    // By name, by the beginning of the id, by the id.
    for id in ["web-1", &web1[..8], &web1] {
        let instance = stage.json(&["inst", "get", "-j", id]).await;
        assert_eq!(instance["id"], web1);
    }
    let address = stage.ok(&["inst", "ip", "web-2"]).await.out;
    assert!(address.starts_with("203.0.113."), "the public network comes first: {address}");

    for missing in ["nobody", "d0000000-0000-4000-8000-000000000000"] {
        let refused = stage.refused(3, &["inst", "get", missing]).await;
        assert!(refused.starts_with("triton instance get: error (ResourceNotFound): "), "{refused}");
    }

    stage.ok(&["inst", "delete", "-f", "-w", "web-1", "database"]).await;
    assert_eq!((stage.state(&web1), stage.state(&database)), ("deleted", "deleted"));
    let gone = stage.cli.run(&["inst", "get", "-j", &web1]).await.unwrap();
    assert_eq!((gone.code, &gone.json::<Value>().unwrap()["state"]), (Some(3), &"deleted".into()));
    assert!(gone.err.starts_with("triton instance get: error (InstanceDeleted): "), "{gone:?}");
    assert_eq!(list(&[]).await, "web-2");
}

#[tokio::test(flavor = "multi_thread")]
async fn affinity_places_instances() {
    let Some(stage) = Stage::up().await else { return };
    let first = stage.instance("first", &[]).await;
    let near = stage.instance("near", &["-a", "instance==first"]).await;
    let far = stage.instance("far", &["-a", "instance!=first", "-a", "instance!=near"]).await;
    let node = |id: &str| {
        let id = id.parse().unwrap();
        stage.simulator.control().read(|world| world.machine_by_id(id).unwrap().compute_node)
    };
    assert!(node(&first).is_some());
    assert_eq!(node(&near), node(&first));
    assert_ne!(node(&far), node(&first));
    let bad = ["create", "-a", "instance=first", "base-64-lts", "g1.nano"];
    let refused = stage.refused(1, &bad).await;
    assert!(refused.contains("error creating instance"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn zones_have_no_console() {
    let Some(stage) = Stage::up().await else { return };
    stage.instance("web", &[]).await;
    let mut child = stage.cli.spawn(&["inst", "vnc", "web"]).unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = timeout(BOUND, said.next_line()).await.unwrap().unwrap().unwrap();
    let address = line.strip_prefix("Listening on vnc://").unwrap_or_else(|| panic!("{line:?}"));
    // CloudAPI is asked when somebody connects.
    let _connection = TcpStream::connect(address).await.unwrap();
    let ended = timeout(BOUND, child.wait_with_output()).await.unwrap().unwrap();
    let error = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{error}");
    assert!(error.starts_with("triton instance vnc: error (BadRequestError)"), "{error}");
}
