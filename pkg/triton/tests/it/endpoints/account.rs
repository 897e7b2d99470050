use super::{ID, check, check_delete, check_get, id};
use crate::server::Answer;
use serde_json::{Value, json};
use triton::Kind;
use triton::types::{CreateKey, ListPackages, UpdateAccount, UpdateConfig};

#[tokio::test(start_paused = true)]
async fn the_account_is_read_and_changed() {
    let account =
        check_get("/acme", json!({"id": ID, "login": "acme"}), async |c| c.get_account().await).await;
    assert_eq!(&*account.login, "acme");
    let update = UpdateAccount { triton_cns_enabled: Some(true), ..UpdateAccount::default() };
    let account = check(
        "POST /acme",
        json!({"triton_cns_enabled": true}),
        Answer::json(200, json!({"id": ID, "triton_cns_enabled": true})),
        async |c| c.update_account(&update).await,
    )
    .await
    .unwrap();
    assert_eq!(account.triton_cns_enabled, Some(true));
    let limits = check_get(
        "/acme/limits",
        json!([{"by": "ram", "value": 2048, "used": "1024", "check": "os", "os": "linux"}, 7]),
        async |c| c.get_limits().await,
    )
    .await;
    assert_eq!((limits.items[0].used, limits.is_clean()), (Some(1024), false));
}

#[tokio::test(start_paused = true)]
async fn the_configuration_is_read_and_replaced() {
    for (network, expected) in [(json!(ID), Some(id())), (json!(""), None), (Value::Null, None)] {
        let answer = json!({"default_network": network});
        let config = check_get("/acme/config", answer, async |c| c.get_config().await).await;
        assert_eq!(config.default_network, expected);
    }
    let body = json!({"default_network": ID});
    check("PUT /acme/config", body.clone(), Answer::json(200, body), async |c| {
        c.update_config(&UpdateConfig { default_network: id() }).await
    })
    .await
    .unwrap();
}

#[tokio::test(start_paused = true)]
async fn data_centres_and_services_are_maps_of_urls() {
    let map = json!({"dc1": "https://dc1.example.com", "dc2": null});
    let all = check_get("/acme/datacenters", map.clone(), async |c| c.list_datacenters().await).await;
    assert_eq!(all.iter().collect::<Vec<_>>(), [("dc1", "https://dc1.example.com")]);
    let services = check_get("/acme/services", map.clone(), async |c| c.list_services().await).await;
    assert_eq!((services.get("dc1"), services.get("cmon")), (Some("https://dc1.example.com"), None));
    for (answer, expected) in [
        (Answer::json(200, map.clone()).header("triton-datacenter-name", "dc1"), Some("dc1")),
        (Answer::json(200, map), None),
    ] {
        let name =
            check("GET /acme/datacenters", Value::Null, answer, async |c| c.get_datacenter_name().await);
        assert_eq!(name.await.unwrap().as_deref(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_data_centre_is_a_redirect_that_is_not_followed() {
    let found = || Answer::json(302, json!({"code": "ResourceMoved"}));
    let answer = found().header("location", "https://dc2.example.com");
    let url =
        check("GET /acme/datacenters/dc2", Value::Null, answer, async |c| c.get_datacenter("dc2").await);
    assert_eq!(url.await.unwrap(), "https://dc2.example.com");
    let url =
        check("GET /acme/datacenters/dc2", Value::Null, found(), async |c| c.get_datacenter("dc2").await);
    assert_eq!(url.await.unwrap_err().kind(), Kind::Protocol);
}

#[tokio::test(start_paused = true)]
async fn keys_are_found_by_encoded_fingerprint() {
    let key = json!({"name": "laptop", "fingerprint": "aa:bb", "key": "ssh-ed25519 AAAA"});
    let keys = check_get("/acme/keys", json!([key, {"name": "x"}]), async |c| c.list_keys().await).await;
    assert_eq!((keys.items.len(), keys.undecodable.len()), (1, 1));
    let one = check_get("/acme/keys/aa%3Abb", key.clone(), async |c| c.get_key("aa:bb").await).await;
    assert_eq!(&*one.name, "laptop");
    let create = CreateKey { name: None, key: "ssh-ed25519 AAAA".into() };
    check("POST /acme/keys", json!({"key": "ssh-ed25519 AAAA"}), Answer::json(201, key), async |c| {
        c.create_key(&create).await
    })
    .await
    .unwrap();
    check_delete("/acme/keys/my%20key", async |c| c.delete_key("my key").await).await;
}

#[tokio::test(start_paused = true)]
async fn packages_are_listed_and_read_by_id_or_name() {
    let package = json!({"id": ID, "name": "g1.micro", "memory": 1024, "vcpus": 0, "disk": null});
    let filter = ListPackages { name: Some("g1.*".into()), ..ListPackages::default() };
    let answer = json!([package]);
    let packages =
        check_get("/acme/packages?name=g1.*", answer, async |c| c.list_packages(&filter).await).await;
    assert_eq!(packages.items[0].memory_mib, 1024);
    check_get("/acme/packages/g1.micro", package, async |c| c.get_package("g1.micro").await).await;
}
