use super::{ID, check, check_delete, check_get, check_objects, id, object, objects};
use crate::server::Answer;
use serde_json::{Value, json};
use triton::Kind;
use triton::types::{
    CreateFabricNetwork, CreateFabricVlan, CreateFirewallRule, ListNetworks, Routes, UpdateFabricNetwork,
    UpdateFabricVlan, UpdateFirewallRule, UpdateNetworkIp,
};

#[tokio::test(start_paused = true)]
async fn networks_and_their_addresses_are_read_and_reserved() {
    let filter = ListNetworks { fabric: Some(true) };
    let networks =
        check_get("/acme/networks?fabric=true", objects(), async |c| c.list_networks(&filter).await).await;
    check_objects(&networks);
    check_get("/acme/networks/ID", object(), async |c| c.get_network(id()).await).await;
    let ip = json!({"ip": "10.0.0.5", "reserved": true, "owner_uuid": ""});
    let target = "/acme/networks/ID/ips?limit=1000&offset=0";
    let ips =
        check_get(target, json!([ip, {"reserved": true}]), async |c| c.list_network_ips(id()).await).await;
    check_objects(&ips);
    let address = "10.0.0.5".parse().unwrap();
    let one = check_get("/acme/networks/ID/ips/10.0.0.5", ip.clone(), async |c| {
        c.get_network_ip(id(), address).await
    });
    assert!(one.await.reserved);
    let request = "PUT /acme/networks/ID/ips/10.0.0.5";
    check(request, json!({"reserved": true}), Answer::json(200, ip), async |c| {
        c.update_network_ip(id(), address, &UpdateNetworkIp { reserved: true }).await
    })
    .await
    .unwrap();
}

#[tokio::test(start_paused = true)]
async fn fabric_vlans_are_listed_made_changed_and_deleted() {
    let vlan = json!({"vlan_id": 100, "name": "prod"});
    let target = "/acme/fabrics/default/vlans";
    let all = json!([vlan, {"vlan_id": 70_000}]);
    check_objects(&check_get(target, all, async |c| c.list_fabric_vlans().await).await);
    let one = "/acme/fabrics/default/vlans/100";
    assert_eq!(&*check_get(one, vlan.clone(), async |c| c.get_fabric_vlan(100).await).await.name, "prod");
    let create = CreateFabricVlan { vlan_id: 100, name: "prod".into(), description: None };
    check(&format!("POST {target}"), vlan.clone(), Answer::json(201, vlan), async |c| {
        c.create_fabric_vlan(&create).await
    })
    .await
    .unwrap();
    let update = UpdateFabricVlan { description: Some("x".into()), ..UpdateFabricVlan::default() };
    check(&format!("PUT {one}"), json!({"description": "x"}), Answer::text(202, ""), async |c| {
        c.update_fabric_vlan(100, &update).await
    })
    .await
    .unwrap();
    check_delete(one, async |c| c.delete_fabric_vlan(100).await).await;
}

#[tokio::test(start_paused = true)]
async fn fabric_networks_are_listed_made_changed_and_deleted() {
    let target = "/acme/fabrics/default/vlans/100/networks";
    check_objects(&check_get(target, objects(), async |c| c.list_fabric_networks(100).await).await);
    let one = "/acme/fabrics/default/vlans/100/networks/ID";
    check_get(one, object(), async |c| c.get_fabric_network(100, id()).await).await;
    let create = CreateFabricNetwork {
        name: "pods".into(),
        subnet: "10.0.0.0/24".parse().unwrap(),
        provision_start_ip: [10, 0, 0, 2].into(),
        provision_end_ip: [10, 0, 0, 254].into(),
        gateway: None,
        resolvers: vec![],
        routes: Routes::new(),
        internet_nat: Some(false),
        description: None,
    };
    let body = json!({
        "name": "pods", "subnet": "10.0.0.0/24", "provision_start_ip": "10.0.0.2",
        "provision_end_ip": "10.0.0.254", "internet_nat": false,
    });
    check(&format!("POST {target}"), body, Answer::json(201, object()), async |c| {
        c.create_fabric_network(100, &create).await
    })
    .await
    .unwrap();
    check_delete(one, async |c| c.delete_fabric_network(100, id()).await).await;
}

#[tokio::test(start_paused = true)]
async fn routes_are_replaced_whole_and_foreign_ones_go_back_as_they_came() {
    let one = "/acme/fabrics/default/vlans/100/networks/ID";
    let sent = json!({"id": ID, "routes": {"10.8.0.1": "linklocal", "010.9.0.0/16": "10.0.0.1"}});
    let network = check_get(one, sent, async |c| c.get_fabric_network(100, id()).await).await;
    let mut routes = network.routes;
    routes.insert("10.244.1.0/24".into(), "10.0.0.7".into());
    let update = UpdateFabricNetwork { routes: Some(routes), ..UpdateFabricNetwork::default() };
    let all = json!({"10.8.0.1": "linklocal", "010.9.0.0/16": "10.0.0.1", "10.244.1.0/24": "10.0.0.7"});
    check(&format!("PUT {one}"), json!({"routes": all}), Answer::json(200, object()), async |c| {
        c.update_fabric_network(100, id(), &update).await
    })
    .await
    .unwrap();
    let update = UpdateFabricNetwork { routes: Some(Routes::new()), ..UpdateFabricNetwork::default() };
    check(&format!("PUT {one}"), json!({"routes": {}}), Answer::json(200, object()), async |c| {
        c.update_fabric_network(100, id(), &update).await
    })
    .await
    .unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_data_centre_without_fabrics_says_so() {
    let answer = Answer::error(501, "NotImplementedError", "Fabrics are not enabled");
    let error =
        check("GET /acme/fabrics/default/vlans", Value::Null, answer, async |c| c.list_fabric_vlans().await);
    assert_eq!(error.await.unwrap_err().kind(), Kind::NotSupported);
}

#[tokio::test(start_paused = true)]
async fn firewall_rules_are_listed_made_changed_and_deleted() {
    let text = "FROM any TO tag \"role\" = \"web\" ALLOW tcp PORT 80";
    let rule = json!({"id": ID, "rule": text, "enabled": true, "log": false});
    check_objects(&check_get("/acme/fwrules", objects(), async |c| c.list_firewall_rules().await).await);
    let one = check_get("/acme/fwrules/ID", rule.clone(), async |c| c.get_firewall_rule(id()).await).await;
    assert_eq!(&*one.rule, text);
    let create = CreateFirewallRule { rule: text.into(), enabled: true, log: None, description: None };
    let body = json!({"rule": text, "enabled": true});
    check("POST /acme/fwrules", body, Answer::json(201, rule.clone()), async |c| {
        c.create_firewall_rule(&create).await
    })
    .await
    .unwrap();
    let update = UpdateFirewallRule { enabled: Some(false), ..UpdateFirewallRule::default() };
    let body = json!({"enabled": false});
    check("POST /acme/fwrules/ID", body, Answer::json(200, rule.clone()), async |c| {
        c.update_firewall_rule(id(), &update).await
    })
    .await
    .unwrap();
    check("POST /acme/fwrules/ID/enable", Value::Null, Answer::json(200, rule.clone()), async |c| {
        c.enable_firewall_rule(id()).await
    })
    .await
    .unwrap();
    check("POST /acme/fwrules/ID/disable", Value::Null, Answer::json(200, rule), async |c| {
        c.disable_firewall_rule(id()).await
    })
    .await
    .unwrap();
    check_delete("/acme/fwrules/ID", async |c| c.delete_firewall_rule(id()).await).await;
    let instances = check_get("/acme/fwrules/ID/machines", objects(), async |c| {
        c.list_firewall_rule_instances(id()).await
    });
    check_objects(&instances.await);
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_does_not_parse_is_refused_with_the_servers_reason() {
    let answer = Answer::json(
        422,
        json!({"code": "InvalidParameters", "message": "Invalid parameters",
            "errors": [{"code": "InvalidParameter", "field": "rule", "message": "Error at character 4"}]}),
    );
    let create = CreateFirewallRule { rule: "FROM".into(), enabled: false, log: None, description: None };
    let body = json!({"rule": "FROM", "enabled": false});
    let error = check("POST /acme/fwrules", body, answer, async |c| c.create_firewall_rule(&create).await);
    let error = error.await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.message().contains("Error at character 4"), "{error}");
}
