use super::*;

#[test]
fn settings_are_read_from_toml() {
    let settings: Settings = toml::from_str(
        r#"
        datacenter = "dc2"
        seed = 7
        lost_node = "running"
        unique_name_blindness = "300ms"
        provision_failures = 0.1

        [timing]
        provision_zone = "20s"
        jitter = 0.5

        [features]
        volumes = false
        "#,
    )
    .unwrap();
    assert_eq!(
        (settings.datacenter.as_str(), settings.seed, settings.lost_node),
        ("dc2", 7, LostNode::Running)
    );
    assert_eq!(settings.unique_name_blindness, Duration::from_millis(300));
    assert_eq!(settings.timing.provision_zone, Duration::from_secs(20));
    assert_eq!(settings.timing.stop, Timing::default().stop);
    assert!(!settings.features.volumes && settings.features.fabrics);
}

#[test]
fn unknown_settings_and_words_are_refused() {
    for text in ["colour = 1", "lost_node = \"gone\"", "[timing]\nstop = \"soon\"", "[timing]\nfly = \"1s\""]
    {
        assert!(toml::from_str::<Settings>(text).is_err(), "{text}");
    }
}
