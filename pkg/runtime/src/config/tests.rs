//! Tables: what the three sources say, and what comes out.

use std::ffi::OsString;
use std::io::Write as _;

use clap::Parser;

use super::{ConfigError, load_from};
use crate::exit::Fatal;

#[derive(Parser, Debug, PartialEq)]
#[command(name = "daemon", version = "1.2.3")]
struct Settings {
    /// How much to log
    #[arg(long, default_value = "info")]
    log_level: String,
    #[arg(long, default_value_t = 8080)]
    port: u16,
    #[arg(long)]
    dry_run: bool,
    #[arg(long)]
    zone: Vec<String>,
    #[arg(long, required = true)]
    account: Option<String>,
}

/// Loads with a file of this text, if any, which the test's `FILE` stands for in arguments.
fn load(file: Option<&str>, variables: &[(&str, &str)], flags: &[&str]) -> Result<Settings, (String, u8)> {
    let mut saved = tempfile::Builder::new().prefix("settings").tempfile().unwrap();
    let path = saved.path().display().to_string();
    let mut arguments = vec!["daemon".to_owned()];
    if let Some(text) = file {
        saved.write_all(text.as_bytes()).unwrap();
        arguments.extend(["--config".to_owned(), path.clone()]);
    }
    arguments.extend(flags.iter().map(|flag| (*flag).to_owned()));
    let environment =
        |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value));
    load_from("D", arguments, environment).map_err(|error| {
        let fatal = Fatal::from(error);
        (fatal.to_string().replace(&path, "FILE"), fatal.code())
    })
}

#[test]
fn flags_win_over_environment_over_file_over_defaults() {
    let file = "account = 'file'\nlog-level = 'file'\nport = 1\n";
    for (file, variables, flags, expected) in [
        (None, &[][..], &["--account=flag"][..], ("info", 8080, "flag")),
        (Some(file), &[], &[], ("file", 1, "file")),
        (Some(file), &[("D_PORT", "2"), ("D_ACCOUNT", "env")], &[], ("file", 2, "env")),
        (Some(file), &[("D_PORT", "2"), ("D_ACCOUNT", "env")], &["--port", "3"], ("file", 3, "env")),
        (Some(file), &[("D_PORT", ""), ("D_LOG_LEVEL", "")], &[], ("file", 1, "file")),
        (Some("account = 'a'\n[log]\nlevel = 'nested'\n"), &[], &[], ("nested", 8080, "a")),
        (Some("account = 'a'\nlog_level = 'underscore'\n"), &[], &[], ("underscore", 8080, "a")),
    ] {
        let settings = load(file, variables, flags).unwrap();
        assert_eq!(
            (settings.log_level.as_str(), settings.port, settings.account.as_deref()),
            (expected.0, expected.1, Some(expected.2)),
            "{file:?} {variables:?} {flags:?}"
        );
    }
}

#[test]
fn switches_and_lists_come_from_files_too() {
    let file = "account = 'a'\ndry-run = true\nzone = ['x', 'y']\n";
    let settings = load(Some(file), &[], &[]).unwrap();
    assert!(settings.dry_run);
    assert_eq!(settings.zone, ["x", "y"]);
    assert_eq!(load(Some(file), &[], &["--zone", "z"]).unwrap().zone, ["z"], "a flag replaces the list");
    assert!(!load(Some("account = 'a'\ndry-run = false\n"), &[], &[]).unwrap().dry_run);
    assert!(load(Some("account = 'a'\nzone = []\n"), &[], &[]).unwrap().zone.is_empty());
}

#[test]
fn the_environment_can_name_the_file() {
    let mut saved = tempfile::NamedTempFile::new().unwrap();
    saved.write_all(b"account = 'from the file'").unwrap();
    let environment = |name: &str| (name == "D_CONFIG").then(|| saved.path().into());
    let settings: Settings = load_from("D", ["daemon"], environment).unwrap();
    assert_eq!(settings.account.as_deref(), Some("from the file"));
}

#[test]
fn wrong_settings_get_one_line_that_names_the_place() {
    let ok = "account = 'a'\n";
    let at = |rest: &str| format!("{ok}{rest}");
    for (file, variables, flags, line) in [
        (
            at("prot = 1\n"),
            &[][..],
            &[][..],
            "FILE:2: unknown key \"prot\"; keys are the names of the flags that --help lists",
        ),
        (
            at("[log]\nlevle = 1\n"),
            &[],
            &[],
            "FILE:3: unknown key \"log.levle\"; keys are the names of the flags that --help lists",
        ),
        (
            at("config = 'x'\n"),
            &[],
            &[],
            "FILE:2: unknown key \"config\"; keys are the names of the flags that --help lists",
        ),
        (
            at("help = true\n"),
            &[],
            &[],
            "FILE:2: unknown key \"help\"; keys are the names of the flags that --help lists",
        ),
        (
            at("\nport = 'many'\n"),
            &[],
            &[],
            "FILE:3: key \"port\": invalid value 'many' for '--port <PORT>': invalid digit found in string",
        ),
        (at("port = [1]\n"), &[], &[], "FILE:2: key \"port\": takes one value, not an array"),
        (at("zone = [[1]]\n"), &[], &[], "FILE:2: key \"zone\": arrays hold plain values only"),
        (
            at("log-level = 'a'\n[log]\nlevel = 'b'\n"),
            &[],
            &[],
            "FILE:2: key \"log-level\" sets --log-level a second time; keep one of them",
        ),
        (
            at("dry-run = 'perhaps'\n"),
            &[],
            &[],
            "FILE:2: key \"dry-run\": invalid value 'perhaps' for '--dry-run' [possible values: true, false]",
        ),
        (
            at(""),
            &[("D_PORT", "70000")],
            &[],
            "environment variable D_PORT: invalid value '70000' for '--port <PORT>': 70000 is not in 0..=65535; correct or unset it",
        ),
        (
            at("port = 1\n"),
            &[],
            &["--port", "x"],
            "invalid value 'x' for '--port <PORT>': invalid digit found in string; try --help",
        ),
        (at(""), &[], &["--prot"], "unexpected argument '--prot' found; try --help"),
        (
            String::new(),
            &[],
            &[],
            "the following required arguments were not provided: --account <ACCOUNT>; try --help",
        ),
    ] {
        assert_eq!(load(Some(&file), variables, flags).unwrap_err(), (line.to_owned(), 2), "{file}");
    }
    let (line, code) = load(Some("account = 'a'\nport = \n"), &[], &[]).unwrap_err();
    assert!(line.starts_with("FILE:2: not valid TOML: ") && !line.contains('\n'), "{line}");
    assert_eq!(code, 2);
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let (line, code) = load(None, &[("D_CONFIG", "/nonexistent/settings.toml")], &[]).unwrap_err();
    assert!(line.starts_with("cannot read the configuration file /nonexistent/settings.toml;"), "{line}");
    assert_eq!(code, 1);
}

#[test]
fn help_names_the_variables_and_is_no_error() {
    let shown = |flag: &str| match load_from::<Settings, _>("D", ["daemon", flag], |_| None) {
        Err(ConfigError::Shown(text)) => text,
        other => panic!("{flag} gave {other:?}"),
    };
    assert!(shown("--help").contains("How much to log [env: D_LOG_LEVEL]"));
    assert!(shown("--help").contains("--config <FILE>"));
    assert_eq!(shown("--version"), "daemon 1.2.3\n");
}

proptest::proptest! {
    #[test]
    fn no_file_panics(text in "(?s)(\\PC|\n|[a-z]+ = [\\['\"0-9tf]+|\\[[a-z.]+\\]\n){0,12}") {
        if let Err((line, _)) = load(Some(&text), &[], &[]) {
            proptest::prop_assert!(!line.contains('\n'), "{}", line);
        }
    }
}
