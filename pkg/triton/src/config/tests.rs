use std::path::Path;

use secrecy::ExposeSecret;

use super::*;

const FINGERPRINT: &str = "2e:c9:f9:89:ec:78:04:5d:ff:fd:74:88:f3:a5:18:a5";

/// A home directory with the profiles `dc1`, complete, and `bare`, empty.
struct Home(tempfile::TempDir);

impl Home {
    fn new(config_json: Option<&str>) -> Self {
        let home = tempfile::tempdir().expect("a directory");
        let profiles = home.path().join(".triton/profiles.d");
        std::fs::create_dir_all(&profiles).expect("a directory");
        let dc1 = format!(
            r#"{{"url": "https://dc1", "account": "acme", "keyId": "{FINGERPRINT}", "user": "bot",
                 "insecure": true, "roles": ["reader"], "actAsAccount": "other"}}"#
        );
        std::fs::write(profiles.join("dc1.json"), dc1).expect("a file");
        std::fs::write(profiles.join("bare.json"), "{}").expect("a file");
        if let Some(text) = config_json {
            std::fs::write(home.path().join(".triton/config.json"), text).expect("a file");
        }
        Self(home)
    }

    fn load(&self, variables: &[(&str, &str)], profile: Option<&str>) -> Result<Config, ConfigError> {
        let home = self.0.path().to_str().expect("unicode");
        Config::load(&[("HOME", home)].into_iter().chain(variables.iter().copied()).collect(), profile)
    }
}

/// The settings without which there is no profile `env`.
const BASICS: [(&str, &str); 3] =
    [("TRITON_URL", "https://env"), ("TRITON_ACCOUNT", "acme"), ("TRITON_KEY_ID", FINGERPRINT)];

fn load(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::load(&variables.iter().copied().collect(), None)
}

/// What the basics and these variables make.
fn with(variables: &[(&str, &str)]) -> Config {
    let all: Vec<_> = BASICS.iter().chain(variables).copied().collect();
    load(&all).unwrap_or_else(|error| panic!("{variables:?}: {error}"))
}

#[test]
fn the_profile_is_the_argument_else_the_variable_else_the_current_one_else_the_environment() {
    let check =
        |config_json: Option<&str>, variable: Option<&str>, argument: Option<&str>, expected: &str| {
            let variables: Vec<_> =
                BASICS.into_iter().chain(variable.map(|name| ("TRITON_PROFILE", name))).collect();
            let config = Home::new(config_json).load(&variables, argument).expect("settings");
            assert_eq!(config.url.to_string(), expected, "{config_json:?} {variable:?} {argument:?}");
        };
    let current = Some(r#"{"profile": "dc1"}"#);
    check(None, None, None, "https://env");
    check(current, None, None, "https://dc1");
    check(current, Some("env"), None, "https://env");
    check(current, None, Some("env"), "https://env");
    check(current, Some(""), Some(""), "https://dc1");
    check(None, Some("dc1"), None, "https://dc1");
    check(None, Some("bare"), Some("dc1"), "https://dc1");
    check(Some("not read"), Some("dc1"), None, "https://dc1");
}

#[test]
fn a_profile_file_is_not_mixed_with_the_environment_except_where_profiles_have_no_word() {
    let home = Home::new(None);
    let variables = [
        ("TRITON_URL", "https://env"),
        ("TRITON_USER", "someone"),
        ("TRITON_ACT_AS", "nobody"),
        ("TRITON_TLS_INSECURE", "not looked at"),
        ("TRITON_KEY_PASSPHRASE", "hunter2"),
        ("TRITON_CA_FILE", "/ca.pem"),
        ("SSH_AUTH_SOCK", "/agent"),
    ];
    let config = home.load(&variables, Some("dc1")).expect("settings");
    assert_eq!(config.url.to_string(), "https://dc1");
    assert_eq!((config.account.as_str(), config.user.as_deref()), ("acme", Some("bot")));
    assert_eq!((config.act_as.as_deref(), config.account_path()), (Some("other"), "other"));
    assert_eq!((config.roles.as_slice(), config.tls.insecure), (&["reader".to_owned()][..], true));
    assert_eq!(config.key_id, FINGERPRINT.parse().ok());
    assert_eq!(config.passphrase.as_ref().map(ExposeSecret::expose_secret), Some("hunter2"));
    assert!(matches!(&config.tls.ca, Some(CaSource::File(path)) if path == Path::new("/ca.pem")));
    let KeySource::Search { agent: Some(agent), directory: Some(directory) } = &config.key else {
        panic!("{:?}", config.key)
    };
    assert_eq!((agent.as_path(), directory.clone()), (Path::new("/agent"), home.0.path().join(".ssh")));

    let config = home.load(&[("TRITON_ROLE", "writer")], Some("dc1")).expect("settings");
    assert_eq!(
        config.roles,
        ["writer"],
        "as with the official client, -r and its variable replace the roles"
    );
}

#[test]
fn triton_variables_win_over_sdc_ones_and_empty_ones_count_as_unset() {
    let check = |triton: &str, sdc: &str, read: fn(&Config) -> Option<String>| {
        for (variables, expected) in [
            (vec![(triton, "one"), (sdc, "two")], Some("one")),
            (vec![(triton, ""), (sdc, "two")], Some("two")),
            (vec![(sdc, "two")], Some("two")),
            (vec![(triton, ""), (sdc, "")], None),
        ] {
            assert_eq!(read(&with(&variables)).as_deref(), expected, "{variables:?}");
        }
    };
    check("TRITON_USER", "SDC_USER", |config| config.user.clone());
    check("TRITON_ACT_AS", "SDC_ACT_AS", |config| config.act_as.clone());
    check("TRITON_ROLE", "SDC_ROLE", |config| config.roles.first().cloned());
    check("TRITON_ROLES", "SDC_ROLES", |config| config.roles.first().cloned());
    check("TRITON_KEY_PASSPHRASE", "SDC_KEY_PASSPHRASE", |config| {
        config.passphrase.as_ref().map(|it| it.expose_secret().to_owned())
    });
    check("TRITON_KEY_MATERIAL", "SDC_KEY_MATERIAL", |config| match &config.key {
        KeySource::File(path) => Some(path.display().to_string()),
        _ => None,
    });
    let sdc = [("SDC_URL", "https://sdc"), ("SDC_ACCOUNT", "a"), ("SDC_KEY_ID", FINGERPRINT)];
    assert_eq!(load(&sdc).expect("settings").url.to_string(), "https://sdc");
    assert_eq!(with(&sdc).url.to_string(), "https://env");
    assert_eq!(with(&sdc).account_path(), "acme");
    assert_eq!(with(&[("TRITON_ROLE", " a, b,,c ")]).roles, ["a", "b", "c"]);
}

#[test]
fn the_first_switch_that_is_set_decides_whether_certificates_go_unchecked() {
    let check = |variables: &[(&str, &str)], expected: bool| {
        assert_eq!(with(variables).tls.insecure, expected, "{variables:?}");
    };
    check(&[], false);
    check(&[("TRITON_TLS_INSECURE", "1")], true);
    check(&[("TRITON_TLS_INSECURE", "True")], true);
    check(&[("TRITON_TLS_INSECURE", "false"), ("SDC_TESTING", "1")], false);
    check(&[("TRITON_TLS_INSECURE", ""), ("SDC_TESTING", "no")], true);
    check(&[("TRITON_INSECURE", "0"), ("SDC_INSECURE", "1")], false);
    check(&[("TRITON_SKIP_TLS_VERIFY", "0")], true);
    check(&[("SDC_TLS_INSECURE", "true")], true);
    check(&[("SDC_INSECURE", "1")], true);
    check(&[("SDC_TLS_INSECURE", "0"), ("SDC_TESTING", "1")], false);
    let error =
        load(&[&BASICS[..], &[("SDC_INSECURE", "yes")]].concat()).expect_err("no boolean").to_string();
    assert_eq!(error, "SDC_INSECURE must be true, false, 1 or 0");
}

#[test]
fn everything_that_is_missing_is_said_at_once() {
    let check = |variables: &[(&str, &str)], expected: &str| {
        assert_eq!(load(variables).expect_err("missing").to_string(), expected);
    };
    let key = "TRITON_KEY_ID (or TRITON_KEY_MATERIAL)";
    check(&[], &format!("settings are missing: set TRITON_URL, TRITON_ACCOUNT, {key}"));
    check(&BASICS[..1], &format!("settings are missing: set TRITON_ACCOUNT, {key}"));
    check(&BASICS[..2], &format!("settings are missing: set {key}"));
    check(&BASICS[1..], "settings are missing: set TRITON_URL");
    assert!(load(&[BASICS[0], BASICS[1], ("TRITON_KEY_MATERIAL", "/key")]).is_ok());

    let error = Home::new(None).load(&BASICS, Some("bare")).expect_err("missing").to_string();
    assert!(
        error.ends_with("bare.json: settings are missing: add \"url\", \"account\", \"keyId\""),
        "{error}"
    );
}

#[test]
fn what_cannot_be_used_names_the_place_to_correct() {
    let check = |variables: &[(&str, &str)], profile: Option<&str>, expected: &str| {
        let error =
            Config::load(&variables.iter().copied().collect(), profile).expect_err(expected).to_string();
        assert!(error.starts_with(expected), "{error}");
    };
    check(&[("SDC_URL", "ftp://a"), BASICS[1], BASICS[2]], None, "SDC_URL is not the address of a CloudAPI");
    check(
        &[BASICS[0], BASICS[1], ("TRITON_KEY_ID", "laptop")],
        None,
        "TRITON_KEY_ID is not a key fingerprint",
    );
    let account = "TRITON_ACCOUNT, TRITON_USER or TRITON_ACT_AS is not a login name";
    check(&[BASICS[0], ("TRITON_ACCOUNT", "a/b"), BASICS[2]], None, account);
    check(&[BASICS[0], ("TRITON_ACCOUNT", "my"), BASICS[2]], None, account);
    check(&[&BASICS[..], &[("SDC_USER", "a b")]].concat(), None, account);
    check(&[&BASICS[..], &[("TRITON_ACT_AS", "../b")]].concat(), None, account);
    check(&BASICS, Some("dc1"), "cannot look for the profile \"dc1\": set HOME");
    check(
        &[("HOME", "/nonexistent")],
        Some("dc1"),
        "there is no profile \"dc1\": no file /nonexistent/.triton/",
    );
    check(&[("HOME", "/nonexistent")], Some("../dc1"), "\"../dc1\" cannot be the name of a profile");
}

#[test]
fn key_material_is_a_path_unless_it_looks_like_a_key() {
    let check = |material: &str, expected: Option<&str>| {
        let config = with(&[("TRITON_KEY_MATERIAL", material), ("HOME", "/h")]);
        match (&config.key, expected) {
            (KeySource::File(path), Some(expected)) => assert_eq!(path, Path::new(expected)),
            (KeySource::Pem(text), None) => assert_eq!(text.expose_secret(), material),
            (key, _) => panic!("{material:?}: {key:?}"),
        }
    };
    check("/etc/triton/key", Some("/etc/triton/key"));
    check("~/.ssh/id_rsa", Some("/h/.ssh/id_rsa"));
    check("-----BEGIN RSA PRIVATE KEY-----\nAAEC\n-----END RSA PRIVATE KEY-----", None);
    check("PuTTY-User-Key-File-3: ssh-ed25519\n", None);
    check("b3BlbnNzaC1rZXktdjE\nc2VjcmV0", None);
    check(&"b3BlbnNzaC1rZXktdjE".repeat(60), None);
}

#[test]
fn secrets_are_in_no_debug_output() {
    let config = with(&[("TRITON_KEY_PASSPHRASE", "hunter2"), ("TRITON_KEY_MATERIAL", "-----BEGIN hunter3")]);
    assert!(!format!("{config:?}").contains("hunter"), "{config:?}");
}

#[tokio::test]
async fn without_any_key_the_remedy_is_to_configure_one() {
    let mut config = with(&[]);
    config.key_id = None;
    let error = config.authenticator().await.expect_err("no key").to_string();
    assert!(error.contains("TRITON_KEY_ID"), "{error}");
    let error = with(&[]).authenticator().await.expect_err("nowhere to look").to_string();
    assert!(error.contains("SSH_AUTH_SOCK is not set; no directory of keys: HOME is not set"), "{error}");
    assert!(error.contains(FINGERPRINT), "{error}");
}

#[test]
fn certificates_to_trust_are_read_from_text_and_file() {
    let pem = "-----BEGIN CERTIFICATE-----\nAAEC\n-----END CERTIFICATE-----\n";
    let tls = |ca| Tls { insecure: false, ca };
    assert_eq!(tls(None).ca_certificates().expect("none").len(), 0);
    let read = tls(Some(CaSource::Pem(pem.repeat(2)))).ca_certificates().expect("two");
    assert_eq!(read.iter().map(|it| it.to_vec()).collect::<Vec<_>>(), [[0, 1, 2], [0, 1, 2]]);

    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("ca.pem");
    let missing = tls(Some(CaSource::File(path.clone()))).ca_certificates().expect_err("no file");
    assert!(matches!(missing, ConfigError::Read { .. }), "{missing}");
    std::fs::write(&path, pem).expect("a file");
    assert_eq!(tls(Some(CaSource::File(path))).ca_certificates().expect("one").len(), 1);

    for text in ["", "no certificate", "-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----\n"] {
        let error = tls(Some(CaSource::Pem(text.to_owned()))).ca_certificates().expect_err(text);
        assert!(matches!(error, ConfigError::Certificates { .. }), "{error}");
    }
}
