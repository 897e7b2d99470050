use super::*;

/// Writes a file into `profiles.d`, and reads the profile.
fn read_text(text: &str) -> Result<Profile, String> {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(directory.path().join("profiles.d")).expect("a directory");
    std::fs::write(directory.path().join("profiles.d/dc1.json"), text).expect("a file");
    let place = directory.path().display().to_string();
    read(directory.path(), "dc1")
        .map(|(_, profile)| profile)
        .map_err(|error| error.to_string().replace(&place, "D"))
}

#[test]
fn every_key_of_a_profile_is_read() {
    let text = r#"{ "url": "https://a", "account": "acme", "keyId": "2e:c9", "insecure": true,
                    "user": "bot", "roles": ["a", "b"], "actAsAccount": "other" }"#;
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        read_text(text),
        Ok(Profile {
            url: some("https://a"),
            account: some("acme"),
            key_id: some("2e:c9"),
            insecure: true,
            user: some("bot"),
            roles: vec!["a".to_owned(), "b".to_owned()],
            act_as: some("other"),
        })
    );
    assert_eq!(read_text("{}"), Ok(Profile::default()));
    assert_eq!(
        read_text(r#"{"user": null, "insecure": null, "roles": null, "url": ""}"#),
        Ok(Profile::default())
    );
}

#[test]
fn mistakes_name_the_file_and_the_key_or_line() {
    let check = |text: &str, expected: &str| {
        let error = read_text(text).expect_err(text);
        assert!(error.starts_with("D/profiles.d/dc1.json") && error.contains(expected), "{text}: {error}");
        assert!(!error.contains('\n'), "{error}");
    };
    check("", ", line 1: it is not valid JSON");
    check("{\n\"url\": \"a\",\n}", ", line 3: it is not valid JSON");
    check("[]", "it must hold a JSON object");
    check("\"text\"", "it must hold a JSON object");
    check(r#"{"name": "dc1"}"#, "remove the key \"name\"");
    check(r#"{"key_id": "2e"}"#, "unknown key \"key_id\": a profile has url, account, keyId");
    check(r#"{"\n": 1}"#, "unknown key \"…\"");
    check(r#"{"url": 1}"#, "the key \"url\" must be a string");
    check(r#"{"account": ["a"]}"#, "the key \"account\" must be a string");
    check(r#"{"insecure": "true"}"#, "the key \"insecure\" must be true or false");
    check(r#"{"roles": "a,b"}"#, "the key \"roles\" must be an array of strings");
    check(r#"{"roles": ["a", 1]}"#, "the key \"roles\" must be an array of strings");
    check(&format!("{}{}", "[".repeat(10_000), "]".repeat(10_000)), "it is not valid JSON");
}

#[test]
fn a_file_larger_than_any_settings_is_refused() {
    let error = read_text(&" ".repeat(1024 * 1024 + 1)).expect_err("too large");
    assert!(error.contains("larger than 1048576 bytes"), "{error}");
}

#[test]
fn a_name_never_leaves_the_directory() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(directory.path().join("profiles.d")).expect("a directory");
    std::fs::write(directory.path().join("outside.json"), "{}").expect("a file");
    for name in ["", ".", "..", "../outside", "/etc/passwd", "a/b", "a\\b", ".hidden", "C:x", "a\0b", "a\nb"]
    {
        let error = read(directory.path(), name).expect_err(name);
        assert!(matches!(error, ConfigError::ProfileName { .. }), "{name:?}: {error}");
        assert!(!error.to_string().contains('\n'), "{error}");
    }
    for name in ["us-west-1", "dc.1", "Ops team", "ünïcode"] {
        let error = read(directory.path(), name).expect_err(name);
        assert!(matches!(error, ConfigError::NoSuchProfile { .. }), "{name:?}: {error}");
    }
}

#[test]
fn the_directory_is_where_the_official_client_has_it() {
    let check = |variables: &[(&str, &str)], expected: Option<&str>| {
        let environment: Environment = variables.iter().copied().collect();
        assert_eq!(directory(&environment), expected.map(PathBuf::from), "{variables:?}");
    };
    check(&[], None);
    check(&[("HOME", "/h")], Some("/h/.triton"));
    check(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "/x")], Some("/x/triton"));
    check(&[("HOME", "/h"), ("XDG_CONFIG_HOME", "")], Some("/h/.triton"));
    check(&[("XDG_CONFIG_HOME", "/x"), ("TRITONTEST_CLI_CONFIG_DIR", "/t")], Some("/t"));
}

#[test]
fn the_current_profile_is_read_from_config_json() {
    let directory = tempfile::tempdir().expect("a directory");
    let check = |text: &str, expected: Result<Option<&str>, &str>| {
        std::fs::write(directory.path().join("config.json"), text).expect("a file");
        match (current(directory.path()), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found.as_deref(), expected, "{text}"),
            (Err(error), Err(expected)) => assert!(error.to_string().contains(expected), "{text}: {error}"),
            (found, _) => panic!("{text}: {found:?}"),
        }
    };
    assert_eq!(current(directory.path()).expect("no file is no profile"), None);
    let file = directory.path().join("a file");
    std::fs::write(&file, "").expect("a file");
    assert_eq!(current(&file.join(".triton")).expect("nor is what cannot be entered"), None);
    check("{}", Ok(None));
    check(r#"{"profile": "dc1", "oldProfile": "dc2", "cacheDir": "cache", "other": 1}"#, Ok(Some("dc1")));
    check(r#"{"profile": ""}"#, Ok(None));
    check(r#"{"profile": 1}"#, Err("the key \"profile\" must be a string"));
    check("{", Err("config.json, line 1: it is not valid JSON"));
}
