//! Whether the table of this suite names all commands of the CLI, and the tests that run them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use suites::triton_cli::TritonCli;

/// The module that has the table.
const TABLE: &str = include_str!("mod.rs");

/// Other words for words of commands.
const ALIASES: [(&str, &str); 11] = [
    ("inst", "instance"),
    ("img", "image"),
    ("pkg", "package"),
    ("vol", "volume"),
    ("insts", "instances"),
    ("imgs", "images"),
    ("pkgs", "packages"),
    ("vols", "volumes"),
    ("ls", "list"),
    ("rm", "delete"),
    ("cp", "copy"),
];

/// The commands of the CLI without aliases, from its own completion for shells: each has a line with its options.
fn commands(completion: &str) -> BTreeSet<String> {
    let names = completion.lines().filter_map(|line| {
        let (name, _) = line.trim().strip_prefix("local cmd__")?.split_once("_longopts=")?;
        Some(name)
    });
    let all: BTreeSet<Vec<String>> =
        names.map(|name| name.split("__").map(|word| word.replace('_', "-")).collect()).collect();
    let is_group =
        |command: &[String]| all.iter().any(|it| it.len() > command.len() && it.starts_with(command));
    all.iter()
        .filter(|it| !is_group(it) && it.last().is_none_or(|it| it != "help"))
        .map(|it| canonical(it))
        .collect()
}

/// A command in the words that the table uses.
fn canonical(command: &[String]) -> String {
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    match words[..] {
        ["ls"] => return "instances".to_owned(),
        ["profile", "set"] => return "profile set-current".to_owned(),
        _ => {}
    }
    let word = |word: &str| {
        let alias = ALIASES.iter().find(|(alias, _)| *alias == word);
        alias.map_or(word, |(_, meant)| meant).to_owned()
    };
    words.into_iter().map(word).collect::<Vec<_>>().join(" ")
}

/// The rows of the table: the commands, and the test or the reason.
fn rows() -> impl Iterator<Item = (Vec<&'static str>, &'static str)> {
    TABLE.lines().filter_map(|line| {
        let (commands, test) = line.strip_prefix("//! | `")?.strip_suffix(" |")?.split_once("` | ")?;
        Some((commands.split("`, `").collect(), test))
    })
}

/// The text of a test, or of a part of one, from its name to its end.
fn body<'a>(source: &'a str, name: &str) -> Option<&'a str> {
    let begin = source.find(&format!("async fn {name}() {{"))?;
    let body = &source[begin..];
    Some(&body[..body.find("\n}\n")?])
}

/// Whether a test speaks of the last word of a command, or an alias of it.
fn mentions(body: &str, command: &str) -> bool {
    let last = command.rsplit(' ').next().unwrap();
    let aliases = ALIASES.iter().filter(|(_, meant)| *meant == last).map(|(alias, _)| *alias);
    aliases.chain([last]).any(|word| body.contains(&format!("\"{word}\"")))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_is_tested_or_left_out_with_a_reason() {
    let Some(cli) = TritonCli::find().unwrap() else { return };
    let completion = cli.run(&["completion"]).await.unwrap();
    let expected = commands(&completion.out);
    assert!(expected.len() > 100, "{expected:?}");

    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("suites/triton_cli");
    let mut listed = BTreeMap::new();
    for (commands, test) in rows() {
        for command in commands {
            assert_eq!(listed.insert(command.to_owned(), test), None, "{command} is listed twice");
            if test.starts_with("left out: ") {
                continue;
            }
            let name = test.strip_prefix('`').and_then(|it| it.strip_suffix('`')).unwrap();
            let (file, function) = name.split_once("::").unwrap();
            let source = std::fs::read_to_string(folder.join(file).with_extension("rs")).unwrap();
            let body = body(&source, function).unwrap_or_else(|| panic!("there is no test {name}"));
            assert!(mentions(body, command), "{name} does not run {command}");
        }
    }
    assert_eq!(listed.into_keys().collect::<BTreeSet<_>>(), expected);
}
