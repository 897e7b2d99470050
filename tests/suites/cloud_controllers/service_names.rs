//! Names that are taken, wrong, or changed, and fields that DNS cannot do.

use serde_json::json;
use triton::types::{CreateInstance, TagValue, Tags};

use super::stage::Stage;

#[tokio::test]
async fn a_name_of_others_is_not_taken_before_it_is_free() {
    let mut stage = Stage::set().await;
    let mut foreign = CreateInstance::new("g1.nano", stage.simulator.ids().base_64);
    foreign.tags = Tags::from_iter([("triton.cns.services".to_owned(), TagValue::from("web-default"))]);
    let foreign = stage.account.create_instance(&foreign).await.unwrap().id;
    stage.start_controllers().await;
    let m1 = stage.join("m1").await;
    stage.balance("web", 30080, json!({})).await;
    stage.endpoints("web", &[("m1", "ready", "10.1.0.1")]).await;
    stage.until_noted("web", "CNSNameConflict", "CNS service web-default is in use by an instance").await;
    stage.until_condition("web", "CNSNameConflict", "tritondatacenter.com/cns-service").await;
    assert_eq!(stage.hostname("web").await, "");
    assert_eq!(stage.tag(&m1, "triton.cns.services").await, "");

    // Another name is free at once.
    let name = |text| json!({"metadata": {"annotations": {"tritondatacenter.com/cns-service": text}}});
    stage.change("web", name("Shop")).await;
    stage.until_published("web").await;
    stage.until_tag(&m1, "shop:30080").await;
    assert_eq!(stage.hostname("web").await, stage.name_in("shop", 0));

    // Of two Services, the older one has it, until it goes.
    stage.balance("younger", 30090, name("shop")).await;
    stage.endpoints("younger", &[("m1", "ready", "10.1.0.1")]).await;
    stage.until_condition("younger", "CNSNameConflict", "Service default/web").await;
    stage.change("web", name("a.b")).await;
    stage.until_condition("web", "InvalidCNSName", "letters, digits and inner hyphens").await;
    stage.until_tag(&m1, "shop:30090").await;
    stage.until_published("younger").await;

    // The first name becomes free.
    stage.change("web", json!({"metadata": {"annotations": null}})).await;
    stage.until_condition("web", "CNSNameConflict", "web-default").await;
    stage.account.delete_instance(foreign).await.unwrap();
    stage.until_tag(&m1, "shop:30090,web-default:30080").await;
    stage.until_published("web").await;

    // Somebody who takes a name later does not end the Service.
    let second = stage.machine("other").await;
    stage.write_tag(&second, "web-default").await;
    stage.until_resolved("web-default", &[&m1, &second]).await;
    stage.change("web", json!({"metadata": {"labels": {"look": "again"}}})).await;
    stage.balance("last", 30070, json!({})).await;
    stage.endpoints("last", &[("m1", "ready", "10.1.0.1")]).await;
    stage.until_tag(&m1, "shop:30090,web-default:30080,last-default:30070").await;
    assert_eq!(stage.condition("web").await[1], "Published");
}

#[tokio::test]
async fn entries_that_cannot_be_written_are_told_and_disturb_no_other_node() {
    let mut stage = Stage::set().await;
    let (m1, m2) = (stage.machine("m1").await, stage.machine("m2").await);
    stage.write_tag(&m1, "web-default:22").await;
    stage.until_tag(&m1, "web-default:22").await;
    let others = [("triton.cns.services", "old:1"), ("k8s.cns", "old:1"), ("k8s.cluster", "another")];
    let others = others.map(|(key, value)| (key.to_owned(), TagValue::from(value)));
    stage.account.add_tags(m2.id, &Tags::from_iter(others)).await.unwrap();
    stage.until_tag(&m2, "old:1").await;
    stage.start_controllers().await;
    stage.enrol(&m1).await;
    stage.enrol(&m2).await;
    let m3 = stage.join("m3").await;
    stage.balance("shop", 30080, json!({})).await;
    stage.endpoints("shop", &[("m1", "ready", "10.1.0.1")]).await;
    stage.until_tag(&m3, "shop-default:30080").await;
    stage.until_tag(&m1, "web-default:22,shop-default:30080").await;
    stage.until_noted("m2", "CNSConflict", "CNS services of cluster another").await;
    assert_eq!(stage.tag(&m2, "triton.cns.services").await, "old:1");
    // That cluster is gone, and somebody says so.
    stage.account.delete_tag(m2.id, "k8s.cns").await.unwrap();
    stage.until_tag(&m2, "old:1,shop-default:30080").await;
    assert_eq!(stage.tag(&m2, "k8s.cluster").await, "kubernetes");
}

#[tokio::test]
async fn what_dns_cannot_do_is_told_and_services_of_others_are_left_alone() {
    let mut stage = Stage::set().await;
    stage.start_controllers().await;
    let m1 = stage.join("m1").await;
    let much = json!({
        "metadata": {"annotations": {"tritondatacenter.com/panic-threshold": "many"}},
        "spec": {
            "loadBalancerIP": "192.0.2.1", "loadBalancerSourceRanges": ["10.0.0.0/8"], "sessionAffinity": "ClientIP",
            "ports": [
                {"port": 53, "nodePort": 30053, "protocol": "UDP", "name": "dns"},
                {"port": 80, "nodePort": 30080, "name": "http"},
            ],
        },
    });
    let class = |class: &str| json!({"spec": {"loadBalancerClass": class}});
    stage.balance("other", 30070, class("example.com/other")).await;
    stage.balance("web", 30090, much).await;
    for service in ["other", "web"] {
        stage.endpoints(service, &[("m1", "ready", "10.1.0.1")]).await;
    }
    for field in
        ["spec.loadBalancerIP", "spec.loadBalancerSourceRanges", "spec.sessionAffinity", "spec.ports"]
    {
        stage.until_noted("web", "UnsupportedField", field).await;
    }
    stage.until_noted("web", "InvalidAnnotation", "a percentage such as 50").await;
    stage.until_resolved("web-default", &[&m1]).await;
    stage.until_published("web").await;
    assert_eq!(stage.tag(&m1, "triton.cns.services").await, "web-default:30080");
    assert!(stage.service("other").await["metadata"]["finalizers"].is_null(), "it was written");
}
