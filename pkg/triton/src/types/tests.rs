use super::*;

mod properties;

const ID: &str = "8a5918c3-84a2-4122-9ed5-60d76d7a8525";

fn instance(fields: &str) -> Instance {
    decode(format!(r#"{{"id":"{ID}"{fields}}}"#).as_bytes()).unwrap()
}

#[test]
fn an_instance_is_its_id_and_whatever_else_is_usable() {
    let nothing = Instance::new(ID.parse().unwrap());
    for fields in [
        "",
        r#","name":null,"state":null,"type":null,"brand":null,"package":null,"tags":null,"metadata":null"#,
        r#","name":"","state":"","type":"","brand":"","package":"","tags":"","metadata":"","image":"""#,
        r#","ips":null,"nics":null,"networks":null,"disks":null,"dns_names":null,"compute_node":"""#,
        r#","ips":{},"nics":{},"networks":{},"disks":{},"tags":[],"metadata":[],"memory":"","disk":null"#,
        r#","ips":["",null,7],"nics":[{},null,{"mac":"x"}],"networks":["",{}],"created":"","updated":12"#,
        r#","memory":-1,"disk":1e400,"free_space":1e999,"primaryIp":"","docker":null,"encrypted":"maybe""#,
        r#","tags":{"a":null,"b":[1],"c":{}},"metadata":{"a":null,"b":[1],"c":{}},"from_the_future":{"a":[]}"#,
    ] {
        assert_eq!(instance(fields), nothing, "{fields}");
    }
}

#[test]
fn both_spellings_of_a_field_arrive() {
    let snake = r#","primary_ip":"10.0.0.5","firewall_enabled":true,"compute_node":"ID","dns_names":["a"],
        "deletion_protection":true,"delegate_dataset":true,"free_space":-7,"role_tag":["r"]"#;
    let camel = r#","primaryIp":"10.0.0.5","firewallEnabled":true,"computeNode":"ID","dnsNames":["a"],
        "deletionProtection":true,"delegateDataset":true,"freeSpace":"-7","roleTag":["r"]"#;
    let snake = instance(&snake.replace("ID", ID));
    assert_eq!(snake, instance(&camel.replace("ID", ID)));
    assert_eq!(snake.primary_ip, Some("10.0.0.5".parse().unwrap()));
    assert_eq!(snake.compute_node, Some(ID.parse().unwrap()));
    assert_eq!(snake.free_space, Some(-7));
    assert!(snake.firewall_enabled && snake.deletion_protection && snake.delegate_dataset);
    assert_eq!((snake.dns_names.unwrap().len(), snake.role_tags.len()), (1, 1));
}

#[test]
fn a_field_given_twice_is_no_error() {
    assert_eq!(&*instance(r#","name":"a","name":"b","name":null"#).name, "b");
    let image: Image = decode(
        format!(r#"{{"id":"{ID}","requirements":{{"min_ram":256,"min_memory":256,"max_memory":"512"}}}}"#)
            .as_bytes(),
    )
    .unwrap();
    assert_eq!(image.requirements.min_ram_mib, Some(256));
    assert_eq!(image.requirements.max_ram_mib, Some(512));
}

#[test]
fn no_dns_names_and_no_answer_about_them_are_told_apart() {
    assert_eq!(instance("").dns_names, None);
    assert_eq!(instance(r#","dns_names":[]"#).dns_names, Some(Box::default()));
}

#[test]
fn words_that_nobody_knows_yet_are_kept() {
    let instance = instance(r#","state":"hibernating","brand":"wasm","type":7"#);
    assert_eq!(instance.state, InstanceState::Unknown("hibernating".into()));
    assert_eq!(instance.brand.as_str(), "wasm");
    assert_eq!(instance.instance_type.to_string(), "7");
    assert_eq!(serde_json::to_value(&instance).unwrap()["state"], "hibernating");
}

#[test]
fn nothing_secret_of_an_instance_is_printed_or_written() {
    let instance = instance(
        r#","metadata":{"user-data":"hunter2","credentials":{"root":"hunter3"}},"tags":{"role":"web"}"#,
    );
    assert_eq!(instance.metadata.get("user-data"), Some("hunter2"));
    let printed = format!("{instance:?}");
    assert!(printed.contains("user-data") && printed.contains("web"), "{printed}");
    assert!(!printed.contains("hunter"), "{printed}");
    assert!(!serde_json::to_string(&instance).unwrap().contains("hunter3"));
}

#[test]
fn the_primary_nic_is_the_marked_one_or_else_the_first() {
    let nics = |first: bool, second: bool| {
        instance(&format!(
            r#","nics":[{{"mac":"90:b8:d0:00:00:01","primary":{first}}},
                {{"mac":"90:b8:d0:00:00:02","primary":{second}}}]"#
        ))
    };
    for (first, second, expected) in [(true, false, 1), (false, true, 2), (false, false, 1)] {
        assert_eq!(nics(first, second).primary_nic().unwrap().mac.octets()[5], expected);
    }
    assert_eq!(instance("").primary_nic(), None);
}

#[test]
fn an_instance_stays_small() {
    // Ten thousand of them are held at once; the budget of the whole store is 64 MiB.
    assert!(size_of::<Instance>() <= 640, "{} bytes", size_of::<Instance>());
    assert!(size_of::<Nic>() <= 128, "{} bytes", size_of::<Nic>());
}
