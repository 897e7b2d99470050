//! Reading a [`FaultPlan`] from a file and from flags.

use std::path::{Path, PathBuf};

use serde::Deserialize as _;
use toml::{Table, Value};

use super::FaultPlan;

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum FaultPlanError {
    /// The file cannot be read.
    #[error("cannot read the fault file {}: check the path given to --faults", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is no TOML, or has a key or a value that is unknown.
    #[error("{}:{line}: {message}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Where, counted from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// A flag is no `KEY=VALUE`, or has a key or a value that is unknown.
    #[error("--fault {flag}: {message}; write it like requests.GetMachine.error_rate=0.1")]
    Flag {
        /// As given.
        flag: String,
        /// What is wrong.
        message: String,
    },
}

/// Only the first line of a message, which is all that users are shown.
fn first_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().to_owned()
}

fn parse_file(path: &Path, text: &str) -> Result<Table, FaultPlanError> {
    let refuse = |error: &toml::de::Error| {
        let before = text.get(..error.span().map_or(0, |span| span.start)).unwrap_or_default();
        let line = before.matches('\n').count().saturating_add(1);
        FaultPlanError::File { path: path.to_owned(), line, message: first_line(error.message()) }
    };
    // The plan is parsed from the text for the sake of the line in the error.
    toml::from_str::<FaultPlan>(text).map_err(|error| refuse(&error))?;
    text.parse().map_err(|error| refuse(&error))
}

/// Puts the values of `from` into `into`, table by table.
fn merge(into: &mut Table, from: Table) {
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Table(into)), Value::Table(from)) => merge(into, from),
            (_, value) => drop(into.insert(key, value)),
        }
    }
}

fn add_flag(table: &mut Table, flag: &str) -> Result<(), FaultPlanError> {
    let refuse = |message: &str| FaultPlanError::Flag { flag: flag.to_owned(), message: first_line(message) };
    if flag.contains('\n') || !flag.contains('=') {
        return Err(refuse("expected KEY=VALUE"));
    }
    let given: Table = flag.parse().map_err(|error: toml::de::Error| refuse(error.message()))?;
    merge(table, given);
    FaultPlan::deserialize(table.clone()).map(drop).map_err(|error| refuse(error.message()))
}

impl FaultPlan {
    /// The plan of a TOML file, if one is given, with `KEY=VALUE` flags put over it. A key is the way to it in
    /// the file, such as `requests.GetMachine.error_rate`, `feed.lose_rate` or `maintenance`.
    ///
    /// # Errors
    ///
    /// [`FaultPlanError`], which names the line or the flag.
    pub fn load(file: Option<&Path>, flags: &[String]) -> Result<Self, FaultPlanError> {
        let text = match file {
            Some(path) => std::fs::read_to_string(path)
                .map_err(|source| FaultPlanError::Read { path: path.to_owned(), source })?,
            None => String::new(),
        };
        Self::parse(file.unwrap_or(Path::new("")), &text, flags)
    }

    fn parse(path: &Path, text: &str, flags: &[String]) -> Result<Self, FaultPlanError> {
        let mut table = parse_file(path, text)?;
        for flag in flags {
            add_flag(&mut table, flag)?;
        }
        Self::deserialize(table).map_err(|error| FaultPlanError::File {
            path: path.to_owned(),
            line: 1,
            message: first_line(error.message()),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cloudapi::Operation;
    use crate::faults::Rate;

    fn parse(text: &str, flags: &[&str]) -> Result<FaultPlan, String> {
        let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        FaultPlan::parse(Path::new("faults.toml"), text, &flags).map_err(|error| error.to_string())
    }

    #[test]
    fn flags_are_put_over_the_file() {
        let text = "seed = 7\n[requests.all]\nlatency_ms = 50\nerror_rate = 0.1\n[feed]\nlose_rate = 0.5\n";
        let flags =
            ["requests.GetMachine.error_rate=0.25", "requests.all.latency_ms = 60", "maintenance=true"];
        let plan = parse(text, &flags).expect("a plan");
        assert_eq!(
            (plan.seed, plan.maintenance, plan.feed.lose_rate),
            (Some(7), true, Rate::new(0.5).unwrap())
        );
        let get = plan.of(Operation::GetMachine);
        assert_eq!((get.latency_ms, get.error_rate), (Some(60), Some(Rate::new(0.25).unwrap())));
        let list = plan.of(Operation::ListMachines);
        assert_eq!((list.latency_ms, list.error_rate), (Some(60), Some(Rate::new(0.1).unwrap())));
        assert_eq!(parse("", &[]), Ok(FaultPlan::default()));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line_or_flag_in_one_line() {
        for (text, flags, expected) in [
            ("seed = 1\nsede = 2\n", &[][..], "faults.toml:2: unknown field `sede`"),
            ("\n[requests.GetMaschine]\n", &[], "faults.toml:2: unknown operation \"GetMaschine\""),
            ("[requests.all]\n\nerror_rate = 2\n", &[], "faults.toml:3: 2 is not a rate"),
            ("[feed\n", &[], "faults.toml:1: "),
            ("[feed]\ndelay_ms = -1\n", &[], "faults.toml:2: invalid value"),
            ("", &["feed.lose=1"], "--fault feed.lose=1: unknown field `lose`"),
            ("", &["requests.all.error_rate=x"], "--fault requests.all.error_rate=x: "),
            ("", &["feed"], "--fault feed: expected KEY=VALUE"),
            ("", &["a=1\nb=2"], "expected KEY=VALUE"),
            ("", &["seed=1", "feed.lose_rate=1.5"], "--fault feed.lose_rate=1.5: 1.5 is not a rate"),
        ] {
            let error = parse(text, flags).expect_err(text);
            assert!(error.contains(expected), "{error}");
            assert!(flags.iter().any(|flag| flag.contains('\n')) || error.lines().count() == 1, "{error}");
        }
        let missing = FaultPlan::load(Some(Path::new("/nonexistent/faults.toml")), &[]).expect_err("no file");
        assert!(missing.to_string().contains("/nonexistent/faults.toml: check the path given to --faults"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[\\[\\]a-z=._0-9\" \n]{0,60}|.{0,60}", flag in ".{0,40}") {
            let _ = parse(&text, &[&flag]);
            let _ = parse("", &[&flag]);
        }

        #[test]
        fn a_plan_written_as_json_is_read_back(seed: Option<u64>, rate in 0.0..=1.0_f64, applied: bool) {
            let plan = parse("", &[
                &format!("requests.all.error_rate={rate:?}"),
                &format!("requests.ListMachines.applied={applied}"),
            ]).expect("a plan");
            let plan = FaultPlan { seed, ..plan };
            let json = serde_json::to_string(&plan).expect("JSON");
            prop_assert_eq!(serde_json::from_str::<FaultPlan>(&json).expect("a plan"), plan);
        }
    }
}
