//! What the CLI makes of refusals: its exit codes and the line that it prints (reference 7.3).

use suites::triton_cli::{KeyFiles, KeyType};
use tokio::join;
use triton_sim::cloudapi::{Operation, ThrottleLimits};
use triton_sim::faults::{FaultPlan, Rate, RequestFaults, Target};

use super::stage::{HOUR, Stage};

#[tokio::test(flavor = "multi_thread")]
async fn refusals() {
    let Some(stage) = Stage::up().await else { return };
    let stage = &stage;
    stage.instance("web", &[]).await;
    // The CLI tries several times; nobody listens on port 1.
    let nowhere = stage.refused(1, &["-U", "http://127.0.0.1:1", "account", "get"]);
    let (nowhere, ()) = join!(nowhere, refusals_of(stage));
    assert!(
        nowhere.starts_with("triton account get: error") && nowhere.contains("ECONNREFUSED"),
        "{nowhere}"
    );
}

async fn refusals_of(stage: &Stage) {
    for (code, arguments, error) in [
        (3, &["inst", "get", "nobody"][..], "triton instance get: error (ResourceNotFound): "),
        (1, &["cloudapi", "/my/nonsense/at/all"], "triton cloudapi: error (ResourceNotFound): "),
        (
            1,
            &["cloudapi", "-X", "DELETE", "/my/packages"],
            "triton cloudapi: error (MethodNotAllowedError): ",
        ),
        (1, &["cloudapi", "/initech/machines"], "triton cloudapi: error (NotAuthorized): "),
        (1, &["cloudapi", "/my/machines?limit=0"], "triton cloudapi: error (ValidationFailed): "),
        (1, &["cloudapi", "/my/machines?state=odd"], "triton cloudapi: error (InvalidArgument): "),
        (
            1,
            &["create", "-n", "web", "base-64-lts", "g1.nano"],
            "triton instance create: error: error creating instance\n    alias: Duplicate: ",
        ),
        (
            1,
            &["create", "-n", "-", "base-64-lts", "g1.nano"],
            "triton instance create: error: error creating instance\n    ",
        ),
        (3, &["create", "windows", "g1.nano"], "triton instance create: error (ResourceNotFound): "),
        (3, &["create", "base-64-lts", "g9.huge"], "triton instance create: error (ResourceNotFound): "),
        // Usage errors send nothing.
        (1, &["inst", "tag", "get", "web"], "triton instance tag get: error (Usage): "),
    ] {
        let said = stage.refused(code, arguments).await;
        assert!(said.starts_with(error), "{arguments:?}: {said}");
    }
}

/// How many answers with a status there were.
fn answers(stage: &Stage, status: u16) -> u64 {
    let counts = stage.simulator.control().requests().read();
    counts.operations.values().filter_map(|it| it.get(&status)).sum()
}

/// The status and the code of each kind of error (reference 2.4) that no other test of this suite meets.
#[tokio::test(flavor = "multi_thread")]
async fn each_error_has_its_status_and_its_code() {
    let stage = Stage::with(KeyType::Ed25519, |settings| {
        settings.world.features.fabrics = false;
        settings.world.timing.provision_hvm = HOUR;
    });
    let Some(stage) = stage.await else { return };
    let zone = stage.instance("zone", &["-N", "external", "--deletion-protection"]).await;
    let create = ["create", "-j", "-n", "vm", "-N", "external", "ubuntu-24.04", "b1.medium"];
    let vm = stage.lines(&create).await[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(stage.state(&vm), "provisioning");
    let (zone, vm) = (format!("/my/machines/{zone}"), format!("/my/machines/{vm}"));
    let volume = "/my/volumes/d0000000-0000-4000-8000-000000000000";
    let large = format!(r#"{{"name": "{}"}}"#, "x".repeat(100_000));
    for (status, code, arguments) in [
        (400, "InvalidVersion", &["-H", "accept-version: 5", "/my"][..]),
        (404, "VolumeNotFound", &[volume]),
        (406, "WrongAccept", &["-H", "accept: image/png", "/my"]),
        (409, "CannotDestroyMachineError", &["-X", "DELETE", &zone]),
        (409, "ConflictError", &["-X", "DELETE", &vm]),
        (409, "MissingParameter", &["-X", "POST", "-d", "{}", "/my/machines"]),
        (409, "UnallocatedVM", &["-X", "POST", "-d", r#"{"action": "stop"}"#, &vm]),
        (413, "RequestEntityTooLargeError", &["-X", "POST", "-d", &large, "/my"]),
        (
            415,
            "UnsupportedMediaTypeError",
            &["-X", "POST", "-d", "{}", "-H", "content-type: text/csv", "/my"],
        ),
        (501, "NotImplementedError", &["/my/fabrics/default/vlans"]),
    ] {
        let before = answers(&stage, status);
        let said = stage.refused(1, &[&["cloudapi"], arguments].concat()).await;
        assert!(said.starts_with(&format!("triton cloudapi: error ({code}): ")), "{code}: {said}");
        assert_eq!(answers(&stage, status), before + 1, "{status} {code}");
    }
    assert_eq!(stage.lines(&["inst", "list", "-j"]).await.len(), 2, "all are still there");
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers() {
    let Some(mut stage) = Stage::up().await else { return };
    let stranger = KeyFiles::make(&stage.cli.key_path("id_stranger"), KeyType::Ed25519).await.unwrap();
    stage.cli.set("TRITON_KEY_ID", &stranger.fingerprint);
    let refused = stage.refused(1, &["account", "get"]).await;
    assert_eq!(
        refused,
        "triton account get: error (InvalidCredentials): Invalid authorization credentials supplied\n"
    );
    stage.cli.set("TRITON_KEY_ID", &stage.key.fingerprint.clone());
    stage.cli.set("TRITON_ACCOUNT", "nobody");
    let refused = stage.refused(1, &["account", "get"]).await;
    assert!(refused.starts_with("triton account get: error (InvalidCredentials): "), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_requests() {
    let Some(stage) =
        Stage::with(KeyType::Ed25519, |it| it.throttle = Some(ThrottleLimits { burst: 1, rate: 1 })).await
    else {
        return;
    };
    // Of requests that come together, the bucket lets one through. The CLI does not try again.
    let run = || stage.cli.run(&["package", "list", "-j"]);
    let (a, b, c, d) = join!(run(), run(), run(), run());
    let said = [a, b, c, d].map(Result::unwrap);
    let refused: Vec<_> = said.iter().filter(|said| said.code != Some(0)).collect();
    let answers = stage.simulator.control().requests().read();
    let packages = &answers.operations["ListPackages"];
    assert_eq!(packages.get(&429).copied(), Some(refused.len() as u64), "{packages:?}");
    for said in refused {
        assert_eq!(said.code, Some(1));
        assert_eq!(
            said.err,
            "triton package list: error (TooManyRequestsError): You have exceeded your request rate of 1 r/s.\n"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_and_maintenance() {
    let Some(stage) = Stage::up().await else { return };
    let rate = |set: fn(&mut RequestFaults, Option<Rate>)| {
        let mut faults = RequestFaults::default();
        set(&mut faults, Some(Rate::ALWAYS));
        let requests = [(Target::Operation(Operation::ListNetworks), faults)].into();
        FaultPlan { requests, ..FaultPlan::default() }
    };
    for (plan, code) in [
        (rate(|it, rate| it.throttle_rate = rate), "TooManyRequestsError"),
        (rate(|it, rate| it.error_rate = rate), "InternalError"),
        (rate(|it, rate| it.unavailable_rate = rate), "ServiceUnavailableError"),
    ] {
        stage.simulator.control().set_faults(plan).unwrap();
        let said = stage.refused(1, &["network", "list"]).await;
        assert!(said.starts_with(&format!("triton network list: error ({code}): ")), "{said}");
    }
    let plan = FaultPlan { maintenance: true, ..FaultPlan::default() };
    stage.simulator.control().set_faults(plan).unwrap();
    let said = stage.refused(1, &["account", "update", "city=Tucson"]).await;
    assert!(said.starts_with("triton account update: error (ServiceUnavailableError): "), "{said}");
    assert_eq!(stage.json(&["account", "get", "-j"]).await["login"], "acme");
}
