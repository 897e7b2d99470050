//! Tables: pods and sources, and the environment they make.

use std::sync::Arc;

use k8s_openapi::api::core::v1::{Pod, Service};
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::pod::testing::{container, manifest};
use crate::pod::{RefusalReason, Resources};

fn sources(services: Value) -> Sources {
    let config_map =
        |data: Value| Source::Present(Arc::new(serde_json::from_value(json!({"data": data})).unwrap()));
    let secret =
        |data: Value| Source::Present(Arc::new(serde_json::from_value(json!({"data": data})).unwrap()));
    Sources {
        config_maps: BTreeMap::from([
            ("app".into(), config_map(json!({"level": "debug", "MODE": "fast", "1st": "x", "..": "y"}))),
            ("gone".into(), Source::Absent),
        ]),
        // "hunter2", "hunter3", and bytes that are no text.
        secrets: BTreeMap::from([
            ("db".into(), secret(json!({"password": "aHVudGVyMg==", "token": "aHVudGVyMw=="}))),
            ("binary".into(), secret(json!({"key": "//79"}))),
            ("gone".into(), Source::Absent),
        ]),
        services: Some(
            services
                .as_array()
                .unwrap()
                .iter()
                .map(|service| Arc::new(serde_json::from_value::<Service>(service.clone()).unwrap()))
                .collect(),
        ),
    }
}

fn known() -> Known {
    Known {
        pod_ips: vec!["10.0.0.5".parse().unwrap(), "fd00::5".parse().unwrap()],
        host_ip: Some("192.0.2.1".parse().unwrap()),
        capacity: Resources { cpu_millis: 1500, memory_bytes: 2 << 30, storage_bytes: 0 },
    }
}

fn of(pod: &Pod) -> Resolved {
    resolve(pod, &sources(json!([])), &known())
}

fn complete(resolved: Resolved) -> Environment {
    match resolved.outcome {
        Outcome::Complete(environment) => environment,
        other => panic!("{other:?}"),
    }
}

fn env(variables: Value) -> Pod {
    container(&json!({"env": variables}))
}

fn pairs(environment: &Environment) -> Vec<(&str, &str)> {
    environment.iter().collect()
}

#[test]
fn the_manifest_has_two_variables() {
    let environment = complete(of(&manifest()));
    assert_eq!(environment.user_data().as_deref(), Some(r#"{"env_vars":{"bar":"baz","foo":"bar"}}"#));
}

#[test]
fn without_variables_there_is_no_user_data() {
    let environment = complete(of(&env(json!([]))));
    assert!(environment.is_empty());
    assert_eq!(environment.user_data(), None);
}

#[rstest]
#[case::plain(json!([{"name": "A", "value": "1"}]), &[("A", "1")])]
#[case::empty(json!([{"name": "A"}]), &[("A", "")])]
#[case::earlier(json!([{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)$(A)"}]), &[("A", "1"), ("B", "11")])]
#[case::later(json!([{"name": "B", "value": "$(A)"}, {"name": "A", "value": "1"}]), &[("A", "1"), ("B", "$(A)")])]
#[case::escaped(json!([{"name": "A", "value": "$$(A)"}]), &[("A", "$(A)")])]
#[case::twice(json!([{"name": "A", "value": "1"}, {"name": "A", "value": "$(A)2"}]), &[("A", "12")])]
#[case::config_map(
    json!([{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "app", "key": "level"}}}]), &[("A", "debug")]
)]
#[case::secret(
    json!([{"name": "A", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}}]), &[("A", "hunter2")]
)]
#[case::pod_ip(json!([{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]), &[("A", "10.0.0.5")])]
#[case::pod_ips(
    json!([{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "status.podIPs"}}}]), &[("A", "10.0.0.5,fd00::5")]
)]
#[case::host_ip(json!([{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}}]), &[("A", "192.0.2.1")])]
#[case::name(json!([{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]), &[("A", "web")])]
#[case::no_such_label(json!([{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['x']"}}}]), &[("A", "")])]
fn env_is_read_in_order(#[case] variables: Value, #[case] expected: &[(&str, &str)]) {
    assert_eq!(pairs(&complete(of(&env(variables)))), expected);
}

#[test]
fn labels_and_annotations_can_be_referred_to() {
    let mut pod = manifest();
    let field = |path: &str| json!({"name": path, "valueFrom": {"fieldRef": {"fieldPath": path}}});
    let paths =
        ["metadata.labels['app']", "metadata.annotations['fwgroup']", "metadata.labels", "spec.nodeName"];
    let variables: Vec<Value> = paths.iter().map(|path| field(path)).collect();
    pod.spec.as_mut().unwrap().containers[0].env = serde_json::from_value(json!(variables)).unwrap();
    let environment = complete(of(&pod));
    assert_eq!(environment.get(paths[0]), Some("ubuntu"));
    assert_eq!(environment.get(paths[1]), Some("ubuntu"));
    assert_eq!(
        environment.get(paths[2]),
        Some("app=\"ubuntu\"\npod-template-hash=\"6d5f7c9b4\"\ntriton.cns.services=\"ubuntu\"")
    );
    assert_eq!(environment.get(paths[3]), Some("triton"));
}

#[rstest]
#[case::all_keys(json!([{"configMapRef": {"name": "app"}}]), &[("MODE", "fast"), ("level", "debug")], &["InvalidEnvironmentVariableNames"])]
#[case::prefix(
    json!([{"prefix": "APP_", "configMapRef": {"name": "app"}}]),
    &[("APP_..", "y"), ("APP_1st", "x"), ("APP_MODE", "fast"), ("APP_level", "debug")], &[]
)]
#[case::secret(json!([{"secretRef": {"name": "db"}}]), &[("password", "hunter2"), ("token", "hunter3")], &[])]
#[case::optional(json!([{"secretRef": {"name": "gone", "optional": true}}]), &[], &["OptionalSecretNotFound"])]
fn env_from_takes_every_key(
    #[case] from: Value,
    #[case] expected: &[(&str, &str)],
    #[case] reasons: &[&str],
) {
    let resolved = of(&container(&json!({"envFrom": from})));
    assert_eq!(resolved.warnings.iter().map(|warning| warning.reason).collect::<Vec<_>>(), reasons);
    assert_eq!(pairs(&complete(resolved)), expected);
}

#[test]
fn env_replaces_env_from_and_can_refer_to_it() {
    let pod = container(&json!({
        "envFrom": [{"secretRef": {"name": "db"}}],
        "env": [{"name": "url", "value": "db://$(password)@db"}, {"name": "token", "value": "none"}],
    }));
    let environment = complete(of(&pod));
    assert_eq!((environment.get("url"), environment.get("token")), (Some("db://hunter2@db"), Some("none")));
}

#[rstest]
#[case(json!({"configMapKeyRef": {"name": "gone", "key": "k"}}), "MandatoryConfigMapNotFound")]
#[case(json!({"configMapKeyRef": {"name": "app", "key": "k"}}), "MandatoryConfigMapKeyNotFound")]
#[case(json!({"secretKeyRef": {"name": "gone", "key": "k"}}), "MandatorySecretNotFound")]
#[case(json!({"secretKeyRef": {"name": "db", "key": "k"}}), "MandatorySecretKeyNotFound")]
fn what_must_be_there_and_is_not_is_a_refusal(#[case] source: Value, #[case] reason: &str) {
    let resolved = of(&env(json!([{"name": "A", "valueFrom": source}])));
    assert_eq!(resolved.warnings[0].reason, reason);
    let Outcome::Refused(refusal) = resolved.outcome else { panic!("not refused") };
    assert_eq!(
        (refusal.reason, refusal.field.as_str()),
        (RefusalReason::Config, "spec.containers[0].env[0]")
    );
}

#[rstest]
#[case("configMapKeyRef", "gone", "OptionalConfigMapNotFound")]
#[case("configMapKeyRef", "app", "OptionalConfigMapKeyNotFound")]
#[case("secretKeyRef", "gone", "OptionalSecretNotFound")]
#[case("secretKeyRef", "db", "OptionalSecretKeyNotFound")]
fn what_may_be_missing_is_left_out(#[case] kind: &str, #[case] name: &str, #[case] reason: &str) {
    let source = json!({kind: {"name": name, "key": "k", "optional": true}});
    let resolved = of(&env(json!([{"name": "A", "valueFrom": source}, {"name": "B", "value": "[$(A)]"}])));
    assert_eq!(resolved.warnings[0].reason, reason);
    assert_eq!(pairs(&complete(resolved)), [("B", "[$(A)]")]);
}

#[rstest]
#[case(json!([{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.hostname"}}}]), "spec.containers[0].env[0].valueFrom.fieldRef")]
#[case(json!([{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "cpu"}}}]), "spec.containers[0].env[0].valueFrom.resourceFieldRef")]
#[case(json!([{"name": "A", "valueFrom": {"secretKeyRef": {"name": "binary", "key": "key"}}}]), "spec.containers[0].env[0]")]
fn what_has_no_meaning_is_named(#[case] variables: Value, #[case] field: &str) {
    let Outcome::Refused(refusal) = of(&env(variables)).outcome else { panic!("not refused") };
    assert_eq!(refusal.field, field);
}

#[rstest]
#[case(json!([{"name": "A", "valueFrom": {"secretKeyRef": {"name": "new", "key": "k"}}}]), Reference::secret("new"))]
#[case(json!([{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "new", "key": "k", "optional": true}}}]), Reference::config_map("new"))]
fn what_nobody_has_read_yet_is_waited_for(#[case] variables: Value, #[case] reference: Reference) {
    assert_eq!(of(&env(variables)).outcome, Outcome::Waiting(Waiting::Reference(reference)));
}

#[test]
fn services_that_nobody_has_read_yet_are_waited_for() {
    let resolved = resolve(&manifest(), &Sources::default(), &known());
    assert_eq!(resolved.outcome, Outcome::Waiting(Waiting::Services));
}

#[rstest]
#[case("limits.cpu", "1", "1")]
#[case("limits.cpu", "1m", "250")]
#[case("limits.memory", "0", "1073741824")]
#[case("limits.memory", "1Mi", "1024")]
#[case("requests.memory", "1Mi", "0")]
fn resources_are_divided(#[case] resource: &str, #[case] divisor: &str, #[case] value: &str) {
    let pod = container(&json!({
        "env": [{"name": "A", "valueFrom": {"resourceFieldRef": {"resource": resource, "divisor": divisor}}}],
        "resources": {"limits": {"cpu": "250m", "memory": "1Gi"}},
    }));
    assert_eq!(complete(of(&pod)).get("A"), Some(value));
}

#[test]
fn a_limit_that_is_not_set_is_what_the_instance_has() {
    let variable =
        |resource: &str| json!({"name": resource, "valueFrom": {"resourceFieldRef": {"resource": resource}}});
    let environment = complete(of(&env(json!([variable("limits.cpu"), variable("limits.memory")]))));
    assert_eq!(
        (environment.get("limits.cpu"), environment.get("limits.memory")),
        (Some("2"), Some("2147483648"))
    );
}

#[test]
fn what_needs_an_unknown_address_comes_later() {
    let pod = env(json!([
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "URL", "value": "http://$(IP):80"},
        {"name": "LITERAL", "value": "$$(IP)"},
        {"name": "HOST", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}},
    ]));
    let early = complete(resolve(&pod, &sources(json!([])), &Known { pod_ips: Vec::new(), ..known() }));
    assert_eq!(pairs(&early), [("HOST", "192.0.2.1"), ("LITERAL", "$(IP)")]);
    assert_eq!(early.deferred().collect::<Vec<_>>(), ["IP", "URL"]);

    let late = complete(of(&pod));
    assert_eq!(late.get("URL"), Some("http://10.0.0.5:80"));
    // The set of names is the same, so that nothing but the new values makes a difference.
    assert_eq!(early.names_digest(), late.names_digest());
    assert!(!late.is_in(&early.user_data().unwrap()));
    assert!(early.is_in(&late.user_data().unwrap()));
}

#[test]
fn the_later_of_two_variables_of_a_name_counts_whichever_is_known() {
    let (text, field) = (
        json!({"name": "A", "value": "1"}),
        json!({"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}),
    );
    let early = |variables: Value| complete(resolve(&env(variables), &sources(json!([])), &Known::default()));
    let waiting = early(json!([text, field]));
    assert_eq!((waiting.get("A"), waiting.deferred().count()), (None, 1));
    let known = early(json!([field, text]));
    assert_eq!((known.get("A"), known.deferred().count()), (Some("1"), 0));
}

fn service(namespace: &str, name: &str, ip: &str) -> Value {
    json!({"metadata": {"namespace": namespace, "name": name}, "spec": {"clusterIP": ip, "ports": [
        {"name": "https", "port": 443, "protocol": "TCP"}, {"name": "dns-udp", "port": 53, "protocol": "UDP"},
    ]}})
}

#[test]
fn services_are_variables_as_a_kubelet_writes_them() {
    let services = json!([
        service("default", "my-db", "10.1.0.7"),
        service("default", "headless", "None"),
        service("other", "far", "10.1.0.8"),
        service("default", "kubernetes", "fd00::1"),
    ]);
    let pod = env(json!([
        {"name": "DB", "value": "$(MY_DB_SERVICE_HOST)"}, {"name": "MY_DB_SERVICE_PORT", "value": "1"},
    ]));
    let environment = complete(resolve(&pod, &sources(services), &known()));
    let of_db: Vec<_> = environment.iter().filter(|(name, _)| name.contains("DB")).collect();
    assert_eq!(
        of_db,
        [
            ("DB", "10.1.0.7"),
            ("MY_DB_PORT", "tcp://10.1.0.7:443"),
            ("MY_DB_PORT_443_TCP", "tcp://10.1.0.7:443"),
            ("MY_DB_PORT_443_TCP_ADDR", "10.1.0.7"),
            ("MY_DB_PORT_443_TCP_PORT", "443"),
            ("MY_DB_PORT_443_TCP_PROTO", "tcp"),
            ("MY_DB_PORT_53_UDP", "udp://10.1.0.7:53"),
            ("MY_DB_PORT_53_UDP_ADDR", "10.1.0.7"),
            ("MY_DB_PORT_53_UDP_PORT", "53"),
            ("MY_DB_PORT_53_UDP_PROTO", "udp"),
            ("MY_DB_SERVICE_HOST", "10.1.0.7"),
            ("MY_DB_SERVICE_PORT", "1"),
            ("MY_DB_SERVICE_PORT_DNS_UDP", "53"),
            ("MY_DB_SERVICE_PORT_HTTPS", "443"),
        ]
    );
    assert_eq!(environment.get("KUBERNETES_PORT"), Some("tcp://[fd00::1]:443"));
    assert!(environment.iter().all(|(name, _)| !name.starts_with("FAR") && !name.starts_with("HEADLESS")));
}

#[rstest]
#[case(json!({"enableServiceLinks": false}), "default", &["KUBERNETES"])]
#[case(json!({}), "default", &["KUBERNETES", "MY_DB"])]
#[case(json!({}), "other", &["FAR", "KUBERNETES"])]
fn service_links_can_be_off_but_the_api_server_is_always_there(
    #[case] spec: Value,
    #[case] namespace: &str,
    #[case] prefixes: &[&str],
) {
    let services = json!([
        service("default", "my-db", "10.1.0.7"),
        service("other", "far", "10.1.0.8"),
        service("default", "kubernetes", "10.1.0.1"),
    ]);
    let mut pod = crate::pod::testing::plain(&[json!({"spec": spec})]);
    pod.metadata.namespace = Some(namespace.to_owned());
    let environment = complete(resolve(&pod, &sources(services), &known()));
    let names: Vec<&str> =
        environment.iter().filter_map(|(name, _)| name.strip_suffix("_SERVICE_HOST")).collect();
    assert_eq!(names, prefixes);
    assert!(!environment.has_own());
}

#[test]
fn services_that_come_later_make_no_difference() {
    let early = complete(resolve(&manifest(), &sources(json!([])), &known()));
    let services = json!([service("default", "my-db", "10.1.0.7")]);
    let late = complete(resolve(&manifest(), &sources(services), &known()));
    assert_ne!(early.user_data(), late.user_data());
    assert!(late.is_in(&early.user_data().unwrap()) && early.is_in(&late.user_data().unwrap()));
    assert_eq!(early.names_digest(), late.names_digest());
}

#[rstest]
#[case("")]
#[case("#!/bin/sh")]
#[case("{}")]
#[case(r#"{"env_vars": {"foo": "bar"}}"#)]
#[case(r#"{"env_vars": {"foo": "other", "bar": "baz"}}"#)]
fn another_user_data_is_another(#[case] user_data: &str) {
    assert!(!complete(of(&manifest())).is_in(user_data));
}

#[test]
fn references_are_sorted_and_each_once() {
    let pod = container(&json!({
        "envFrom": [{"secretRef": {"name": "db"}}, {"configMapRef": {"name": "app", "optional": true}}],
        "env": [
            {"name": "A", "valueFrom": {"secretKeyRef": {"name": "db", "key": "k"}}},
            {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "zoo", "key": "k"}}},
        ],
    }));
    let expected = [Reference::config_map("app"), Reference::config_map("zoo"), Reference::secret("db")];
    assert_eq!(references(&pod), expected);
}

#[test]
fn nothing_secret_is_printed() {
    let pod =
        container(&json!({"envFrom": [{"secretRef": {"name": "db"}}, {"configMapRef": {"name": "app"}}]}));
    let sources = sources(json!([]));
    let printed = format!("{:?} {sources:?}", resolve(&pod, &sources, &known()));
    assert!(printed.contains("password") && !printed.contains("hunter"), "{printed}");
}
