//! `info`, `account`, `datacenters`, `services`, `key` and `cloudapi`.

use serde_json::{Value, json};
use suites::triton_cli::{KeyFiles, KeyType};
use triton::auth::{Fingerprint, PublicKey};

use super::stage::{Stage, column};

#[tokio::test(flavor = "multi_thread")]
async fn account_and_its_surroundings() {
    let Some(stage) = Stage::up().await else { return };
    let url = stage.simulator.url();

    let info = stage.json(&["info", "-j"]).await;
    assert_eq!(
        info,
        json!({"login": "acme", "name": "Wile E. Coyote", "email": "acme@example.com", "url": url,
            "totalDisk": 0, "totalMemory": 0, "totalInstances": 0, "instances": {}})
    );

    let account = stage.json(&["account", "get", "-j"]).await;
    assert_eq!(
        (&account["login"], &account["companyName"], &account["triton_cns_enabled"]),
        (&"acme".into(), &"Acme Corporation".into(), &true.into())
    );
    let updated = stage.ok(&["account", "update", "city=Tucson", "triton_cns_enabled=false"]).await;
    assert_eq!(updated.out, "Updated account \"acme\" (fields: city, triton_cns_enabled)\n");
    let account = stage.json(&["account", "get", "-j"]).await;
    assert_eq!(
        (&account["city"], &account["email"], &account["triton_cns_enabled"]),
        (&"Tucson".into(), &"acme@example.com".into(), &false.into())
    );
    assert_eq!(stage.json(&["account", "limits", "-j"]).await, json!([]));

    assert_eq!(stage.json(&["datacenters", "-j"]).await, json!({ "dc1": url }));
    assert_eq!(stage.json(&["services", "-j"]).await["cloudapi"], url);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_of_key_signs_in() {
    for kind in [KeyType::Ed25519, KeyType::Rsa, KeyType::Ecdsa] {
        let Some(stage) = Stage::with(kind, |_| ()).await else { return };
        assert_eq!(stage.json(&["account", "get", "-j"]).await["login"], "acme", "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_come_and_go() {
    let Some(mut stage) = Stage::up().await else { return };
    let second = KeyFiles::make(&stage.cli.key_path("id_second"), KeyType::Rsa).await.unwrap();
    let public = second.path.with_extension("pub");

    let added = stage.ok(&["key", "add", "-n", "second", public.to_str().unwrap()]).await;
    assert_eq!(added.out, format!("Added key \"second\" ({})\n", second.fingerprint));
    let keys = stage.lines(&["key", "list", "-j"]).await;
    // A key without a name is called by its fingerprint.
    let mut names = [stage.key.fingerprint.as_str(), "second"];
    names.sort_unstable();
    assert_eq!(column(&keys, "name"), names);
    let key = stage.json(&["key", "get", "-j", "second"]).await;
    assert_eq!(key["fingerprint"], second.fingerprint);
    assert_eq!(key["key"].as_str().map(str::trim), Some(second.public.as_str()));

    let sha256 = Fingerprint::sha256_of(PublicKey::from_openssh(&second.public).unwrap().wire());
    // The new key signs in, and by its SHA-256 fingerprint too; the CLI sends the MD5 one.
    stage.cli.set("TRITON_KEY_ID", &sha256.to_string());
    assert_eq!(stage.json(&["account", "get", "-j"]).await["login"], "acme");
    stage.cli.set("TRITON_KEY_ID", &stage.key.fingerprint.clone());

    let again = stage.refused(1, &["key", "add", "-n", "second", public.to_str().unwrap()]).await;
    assert!(again.starts_with("triton key add: error (InvalidArgument): "), "{again}");
    assert_eq!(stage.ok(&["key", "delete", "-f", "second"]).await.out, "Deleted key \"second\"\n");
    assert_eq!(column(&stage.lines(&["key", "list", "-j"]).await, "name"), [stage.key.fingerprint.as_str()]);
    let gone = stage.refused(1, &["key", "get", "second"]).await;
    assert!(gone.starts_with("triton key get: error (ResourceNotFound): "), "{gone}");
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_requests() {
    let Some(stage) = Stage::up().await else { return };
    let ping = stage.json(&["cloudapi", "/--ping"]).await;
    assert_eq!(ping["ping"], "pong");
    assert!(ping["cloudapi"]["versions"].as_array().unwrap().contains(&"9.0.0".into()), "{ping}");

    let said = stage.cli.run(&["cloudapi", "-i", "/my/machines?limit=5"]).await.unwrap();
    assert_eq!((said.code, said.json::<Value>().unwrap()), (Some(0), json!([])));
    for header in ["api-version: 9.0.0", "x-query-limit: 5", "x-resource-count: 0", "HTTP/1.1 200 OK"] {
        assert!(said.err.contains(header), "{header} is not in {}", said.err);
    }

    let body = r#"{"companyName":"Acme, Inc."}"#;
    let account = stage.json(&["cloudapi", "-X", "POST", "-d", body, "/my"]).await;
    assert_eq!(account["companyName"], "Acme, Inc.");
}
