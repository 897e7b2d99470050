//! Services of every kind, asked over DNS.

use serde_json::json;

use super::stage::Stage;

#[tokio::test]
async fn a_load_balancer_is_found_by_its_name_for_as_long_as_it_is_there() {
    let mut stage = Stage::set().await;
    // Before anybody lists: what is written by hand in the same second as by us, one of the two does not see.
    let m1 = stage.machine("m1").await;
    stage.write_tag(&m1, "mine:22").await;
    stage.until_tag(&m1, "mine:22").await;
    stage.start_controllers().await;
    stage.enrol(&m1).await;
    let (m2, m3) = (stage.join("m2").await, stage.join("m3").await);
    stage.balance("web", 30080, json!({})).await;
    stage.endpoints("web", &[("m1", "ready", "10.1.0.1")]).await;

    // Every node passes on to the one endpoint.
    stage.until_resolved("web-default", &[&m1, &m2, &m3]).await;
    stage.until_published("web").await;
    let hostname = stage.hostname("web").await;
    assert_eq!(hostname, stage.name_in("web-default", 0), "the name with public addresses");
    assert_eq!(stage.dig(&hostname, "A").await.lines().count(), 3);
    let ports = stage.dig(&hostname, "SRV").await;
    assert_eq!(ports.lines().filter(|line| line.contains(" 30080 ")).count(), 3, "{ports}");
    assert_eq!(stage.tag(&m1, "triton.cns.services").await, "mine:22,web-default:30080");
    assert_eq!(stage.tag(&m1, "k8s.cns").await, "web-default:30080");
    assert_eq!(stage.tag(&m1, "k8s.cluster").await, "kubernetes");
    let finalizers = stage.service("web").await["metadata"]["finalizers"].clone();
    assert_eq!(finalizers, json!(["service.kubernetes.io/load-balancer-cleanup"]));
    stage.until_noted("web", "EnsuringLoadBalancer", "Ensuring load balancer").await;
    stage.until_noted("web", "EnsuredLoadBalancer", &hostname).await;
    stage.until_noted("web", "CNSNodePorts", "30080 instead of 80").await;

    // No more than were asked for; then all again.
    let most = |value| json!({"metadata": {"annotations": {"tritondatacenter.com/max-endpoints": value}}});
    stage.change("web", most(json!("1"))).await;
    let addresses = async || stage.resolve("web-default").await.len();
    stage.until("one node is in", async || addresses().await == m1.ips.len()).await;
    stage.change("web", most(json!(null))).await;
    stage.until_resolved("web-default", &[&m1, &m2, &m3]).await;

    // What people say about nodes.
    let exclude = |value| json!({"metadata": {"labels": {"node.kubernetes.io/exclude-from-external-load-balancers": value}}});
    stage.change_node("m1", exclude(json!(""))).await;
    stage.until_resolved("web-default", &[&m2, &m3]).await;
    assert_eq!(stage.tag(&m1, "triton.cns.services").await, "mine:22");
    stage.change_node("m2", json!({"spec": {"unschedulable": true}})).await;
    stage.until_resolved("web-default", &[&m3]).await;
    stage.change_node("m1", exclude(json!(null))).await;
    stage.until_resolved("web-default", &[&m1, &m3]).await;
    let doomed =
        json!({"spec": {"taints": [{"key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule"}]}});
    stage.change_node("m3", doomed).await;
    stage.change_node("m2", json!({"spec": {"unschedulable": null}})).await;
    stage.until_resolved("web-default", &[&m1, &m2]).await;

    // What somebody takes away by hand is put back; what somebody adds stays. (Not right after a write of ours, which is
    // believed for two minutes against reads that do not show it.)
    stage.write_tag(&m1, "mine:22,theirs:22").await;
    stage.until_tag(&m1, "mine:22,theirs:22,web-default:30080").await;

    // Another port, and more Services, with one tag for all of them.
    let ports =
        json!([{"port": 80, "nodePort": 30081, "name": "a"}, {"port": 443, "nodePort": 30443, "name": "b"}]);
    stage.change("web", json!({"spec": {"ports": ports}})).await;
    stage.until_tag(&m2, "web-default:30081,web-default:30443").await;
    stage.until_tag(&m1, "mine:22,theirs:22,web-default:30081,web-default:30443").await;
    stage.balance("api", 30090, json!({"spec": {"loadBalancerClass": "tritondatacenter.com/cns"}})).await;
    stage.endpoints("api", &[("m1", "ready", "10.1.0.2")]).await;
    stage.until_tag(&m1, "mine:22,theirs:22,web-default:30081,web-default:30443,api-default:30090").await;

    // A node that is deleted is no member, though its machine runs; nor is a machine that is destroyed.
    stage.account.delete_instance(m1.id).await.unwrap();
    stage.until_resolved("web-default", &[&m2]).await;
    let third = stage.join("m4").await;
    stage.until_resolved("web-default", &[&m2, &third]).await;
    stage.nodes.delete("m4", &kube::api::DeleteParams::default()).await.unwrap();
    stage.until_tag(&third, "").await;
    stage.until_resolved("web-default", &[&m2]).await;

    // The Service goes only when nothing of it is left; a type that changes ends it, too.
    stage.delete_service("web").await;
    stage.until_gone("web").await;
    assert_eq!(stage.tag(&m2, "triton.cns.services").await, "api-default:30090");
    stage.until_resolved("web-default", &[]).await;
    stage.until_published("api").await;
    let inside = json!({"spec": {"type": "ClusterIP", "loadBalancerClass": null}});
    stage.change("api", inside).await;
    stage.until_tag(&m2, "").await;
    let finalized = async || stage.service("api").await["metadata"]["finalizers"].is_null();
    stage.until("the finalizer is gone", finalized).await;
    assert_eq!(stage.condition("api").await, ["", "", ""]);
    assert_eq!(stage.hostname("api").await, "");
}

#[tokio::test]
async fn with_the_local_policy_only_nodes_with_endpoints_are_members() {
    let mut stage = Stage::set().await;
    stage.start_controllers().await;
    let (m1, m2, m3) = (stage.join("m1").await, stage.join("m2").await, stage.join("m3").await);
    let local = json!({
        "metadata": {"annotations": {"tritondatacenter.com/cns-zone": "private"}},
        "spec": {"externalTrafficPolicy": "Local"},
    });
    stage.balance("web", 30080, local).await;
    stage.until_condition("web", "Pending", "no node or pod is fit to serve").await;
    stage.until_noted("web", "UnAvailableLoadBalancer", "There are no available nodes").await;
    stage.endpoints("web", &[("m1", "ready", "10.1.0.1"), ("m2", "unready", "10.1.0.2")]).await;
    stage.until_resolved("web-default", &[&m1]).await;
    stage.until_published("web").await;
    assert_eq!(
        stage.hostname("web").await,
        stage.name_in("web-default", 1),
        "the name with private addresses"
    );

    // The pods move: the new ones come, the old ones go, one that ends serves while nobody else does.
    stage.endpoints("web", &[("m1", "ending", "10.1.0.1"), ("m2", "unready", "10.1.0.2")]).await;
    stage.endpoints("web", &[("m1", "ending", "10.1.0.1"), ("m3", "ready", "10.1.0.3")]).await;
    stage.until_resolved("web-default", &[&m3]).await;
    stage.endpoints("web", &[("m2", "ready", "10.1.0.2"), ("m3", "ready", "10.1.0.3")]).await;
    stage.until_resolved("web-default", &[&m2, &m3]).await;

    // Without endpoints the last nodes stay, unless the Service says otherwise.
    stage.endpoints("web", &[]).await;
    stage.until_condition("web", "MembersHeld", "no node is fit to serve").await;
    stage.until_resolved("web-default", &[&m2, &m3]).await;
    stage
        .change("web", json!({"metadata": {"annotations": {"tritondatacenter.com/publish-empty": "true"}}}))
        .await;
    stage.until_resolved("web-default", &[]).await;
    let hostname = stage.hostname("web").await;
    assert_eq!(hostname, stage.name_in("web-default", 1), "the hostname stays");

    // The name may be that of one network only.
    let zone = json!({"tritondatacenter.com/cns-zone": "network:My-Fabric-Network"});
    stage.change("web", json!({"metadata": {"annotations": zone}})).await;
    stage.endpoints("web", &[("m1", "ready", "10.1.0.1")]).await;
    let expected = format!("my-fabric-network.{hostname}");
    stage.until("the hostname is qualified", async || stage.hostname("web").await == expected).await;
    let fabric = m1.nics.iter().find(|nic| nic.network == Some(stage.simulator.ids().fabric)).unwrap();
    assert_eq!(stage.dig(&expected, "A").await.trim(), fabric.ip.unwrap().to_string());
}

#[tokio::test]
async fn services_of_other_types_are_in_cns_when_an_annotation_says_so() {
    let mut stage = Stage::set().await;
    stage.start_controllers().await;
    let (m1, m2) = (stage.join("m1").await, stage.join("m2").await);
    let fabric = m1.nics.iter().find(|nic| nic.network == Some(stage.simulator.ids().fabric)).unwrap();
    let own = fabric.ip.unwrap().to_string();
    let annotated = |name: &str, more: serde_json::Value| {
        json!({
            "metadata": {"name": name, "annotations": {"tritondatacenter.com/cns-service": format!("{name}-cns")}},
            "spec": more,
        })
    };
    let ports = json!([{"port": 80}]);
    stage
        .serve(annotated("headless", json!({"clusterIP": "None", "selector": {"app": "x"}, "ports": ports})))
        .await;
    stage.serve(annotated("inside", json!({"selector": {"app": "x"}, "ports": ports}))).await;
    let node_port = json!([{"port": 80, "nodePort": 30080}]);
    stage
        .serve(annotated("port", json!({"type": "NodePort", "selector": {"app": "x"}, "ports": node_port})))
        .await;
    // Pods in the host's network are reached at its address, others are not.
    stage.endpoints("headless", &[("m1", "ready", &own), ("m2", "ready", "10.1.0.2")]).await;
    stage.endpoints("inside", &[("m2", "ready", "10.1.0.2")]).await;
    stage.endpoints("port", &[("m2", "ready", "10.1.0.2")]).await;
    stage.until_resolved("headless-cns", &[&m1]).await;
    stage.until_resolved("port-cns", &[&m1, &m2]).await;
    stage.until_tag(&m1, "headless-cns:8080,port-cns:30080").await;
    stage.until_noted("inside", "CNSUnreachable", "use hostNetwork or virtual nodes").await;
    for name in ["headless", "inside", "port"] {
        let service = stage.service(name).await;
        assert!(
            service["metadata"]["finalizers"].is_null() && stage.hostname(name).await.is_empty(),
            "{service}"
        );
    }
    stage.delete_service("port").await;
    stage.until_tag(&m2, "").await;
    stage.change("headless", json!({"metadata": {"annotations": null}})).await;
    stage.until_tag(&m1, "").await;
}
