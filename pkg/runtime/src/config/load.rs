//! Merging: what the file and the environment say becomes the defaults of the command line's parser, so that
//! precedence, parsing and messages are clap's.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, ArgMatches, Command, Parser};

use super::error::{ConfigError, Place};
use super::file;

/// The flag that names the configuration file.
const CONFIG: &str = "config";

/// Loads the settings of this process: its command line, its environment, and the file that either names.
/// `prefix` begins the names of the environment variables, such as `TRITON_CCM`.
///
/// # Errors
///
/// [`ConfigError`]; convert it to a [`Fatal`](crate::exit::Fatal) for the exit code. [`ConfigError::Shown`] is the text of
/// `--help` or `--version`, see [`load_from`]; here it is printed and the process ends with code 0.
pub fn load<T: Parser>(prefix: &str) -> Result<T, ConfigError> {
    match load_from(prefix, std::env::args_os(), |name| std::env::var_os(name)) {
        Err(ConfigError::Shown(text)) => {
            use std::io::Write as _;
            let _ = write!(std::io::stdout(), "{text}");
            std::process::exit(0);
        }
        settings => settings,
    }
}

/// Like [`load`], with the command line (the program's name first) and the environment as arguments.
///
/// # Errors
///
/// [`ConfigError`]
pub fn load_from<T, A>(
    prefix: &str,
    arguments: A,
    environment: impl Fn(&str) -> Option<OsString>,
) -> Result<T, ConfigError>
where
    T: Parser,
    A: IntoIterator,
    A::Item: Into<OsString>,
{
    let arguments: Vec<OsString> = arguments.into_iter().map(Into::into).collect();
    let mut command = with_config_flag(T::command());
    let mut origins = Origins::default();

    let mut values = HashMap::new();
    if let Some(file) = config_file(&command, prefix, &arguments, &environment) {
        let text =
            fs::read_to_string(&file).map_err(|source| ConfigError::Read { file: file.clone(), source })?;
        values = from_file(&command, &file, &text, &mut origins)?;
    }
    for (id, long) in settable(&command) {
        let name = variable(prefix, &long);
        if let Some(value) = environment(&name).filter(|value| !value.is_empty()) {
            values.insert(id.clone(), vec![value]);
            origins.0.insert(id, Origin::Variable(name));
        }
    }
    for (id, long) in settable(&command) {
        let name = variable(prefix, &long);
        let values = values.remove(&id);
        command = command.mut_arg(id, |arg| describe(with_default(arg, values), &name));
    }
    let matches = command
        .clone()
        .try_get_matches_from(&arguments)
        .map_err(|error| explain(&command, &origins, &error))?;
    T::from_arg_matches(&matches).map_err(|error| explain(&command, &origins, &error))
}

/// Where a default comes from, by the argument's id.
#[derive(Default)]
struct Origins(HashMap<String, Origin>);

enum Origin {
    Variable(String),
    File { place: Place, key: String },
}

fn with_config_flag(command: Command) -> Command {
    if command.get_arguments().any(|arg| arg.get_long() == Some(CONFIG)) {
        return command;
    }
    let help = "A TOML file with settings; its keys are the names of these flags";
    command.arg(Arg::new(CONFIG).long(CONFIG).value_name("FILE").help(help))
}

/// Id and long name of all arguments that the environment and a file may set: not the file's own name, nor
/// `--help` and `--version`, which clap adds later.
fn settable(command: &Command) -> Vec<(String, String)> {
    command
        .get_arguments()
        .filter_map(|arg| Some((arg.get_id().to_string(), arg.get_long()?.to_owned())))
        .filter(|(_, long)| long != CONFIG)
        .collect()
}

fn variable(prefix: &str, long: &str) -> String {
    format!("{prefix}_{}", long.replace('-', "_").to_uppercase())
}

/// Adds the variable's name to the help of a flag.
fn describe(arg: Arg, variable: &str) -> Arg {
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    arg.help(format!("{help} [env: {variable}]").trim_start().to_owned())
}

fn with_default(arg: Arg, values: Option<Vec<OsString>>) -> Arg {
    match values {
        // A required flag that the file sets is no longer missing.
        Some(values) => arg.required(false).default_values(values),
        None => arg,
    }
}

/// The file that the command line names, else the environment.
fn config_file(
    command: &Command,
    prefix: &str,
    arguments: &[OsString],
    environment: &impl Fn(&str) -> Option<OsString>,
) -> Option<PathBuf> {
    // Whatever else is wrong with the command line is reported by the parse that follows.
    let lenient = command.clone().ignore_errors(true);
    let named = lenient.try_get_matches_from(arguments).ok().and_then(|matches| named_file(&matches));
    named
        .or_else(|| environment(&variable(prefix, CONFIG)).filter(|name| !name.is_empty()).map(PathBuf::from))
}

fn named_file(matches: &ArgMatches) -> Option<PathBuf> {
    matches.get_raw(CONFIG)?.next_back().map(PathBuf::from)
}

/// The values that the file sets, by the argument's id.
fn from_file(
    command: &Command,
    file: &Path,
    text: &str,
    origins: &mut Origins,
) -> Result<HashMap<String, Vec<OsString>>, ConfigError> {
    let mut values = HashMap::new();
    for entry in file::entries(file, text)? {
        let (key, place) = (entry.key, entry.place);
        let known = settable(command).into_iter().find(|(_, long)| *long == entry.flag);
        let Some((id, flag)) = known else {
            return Err(ConfigError::UnknownKey { place, key });
        };
        if values.contains_key(&id) {
            return Err(ConfigError::Repeated { place, key, flag });
        }
        let many = command.get_arguments().any(|arg| *arg.get_id() == *id && takes_many(arg));
        if entry.array && !many {
            let message = "takes one value, not an array".to_owned();
            return Err(ConfigError::Value { place, key, message });
        }
        // An empty array says what leaving the key out says.
        if !entry.values.is_empty() {
            values.insert(id.clone(), entry.values.into_iter().map(OsString::from).collect());
        }
        origins.0.insert(id, Origin::File { place, key });
    }
    Ok(values)
}

fn takes_many(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Append) || arg.get_num_args().is_some_and(|n| n.max_values() > 1)
}

/// One line of a clap error, with the file's line or the variable in front when the value came from there.
fn explain(command: &Command, origins: &Origins, error: &clap::Error) -> ConfigError {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return ConfigError::Shown(error.to_string());
    }
    let message = first_paragraph(&error.to_string());
    match origin(command, origins, error) {
        Some(Origin::Variable(name)) => ConfigError::Variable { name: name.clone(), message },
        Some(Origin::File { place, key }) => {
            ConfigError::Value { place: place.clone(), key: key.clone(), message }
        }
        None => ConfigError::Flag(message),
    }
}

/// Where the value that a clap error complains about comes from, when it is not the command line: the values
/// that clap quotes in this context are its defaults.
fn origin<'a>(command: &Command, origins: &'a Origins, error: &clap::Error) -> Option<&'a Origin> {
    if !matches!(error.kind(), ErrorKind::ValueValidation | ErrorKind::InvalidValue) {
        return None;
    }
    let Some(ContextValue::String(shown)) = error.get(ContextKind::InvalidArg) else { return None };
    let Some(ContextValue::String(value)) = error.get(ContextKind::InvalidValue) else { return None };
    let named = |arg: &&Arg| {
        arg.get_long().is_some_and(|long| shown.split([' ', '=', '[']).next() == Some(&format!("--{long}")))
    };
    let arg = command.get_arguments().find(named)?;
    let quoted = arg.get_default_values().iter().any(|default| default.to_string_lossy() == value.as_str());
    origins.0.get(arg.get_id().as_str()).filter(|_| quoted)
}

/// clap's message without its prefix, hints and usage block.
fn first_paragraph(text: &str) -> String {
    let text = text.strip_prefix("error: ").unwrap_or(text);
    text.lines().map(str::trim).take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}
