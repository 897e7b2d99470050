//! The official client's profile files (Triton reference 1.10).

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::ConfigError;
use super::environment::{Environment, names};
use crate::auth::signature::shown;

/// The name of the profile that is made of environment variables instead of a file.
pub const ENVIRONMENT_PROFILE: &str = "env";

/// Upper bound of a file of settings; real ones have less than a thousandth of it.
const MAX_FILE: u64 = 1024 * 1024;

/// What a file under `profiles.d` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Profile {
    pub(super) url: Option<String>,
    pub(super) account: Option<String>,
    pub(super) key_id: Option<String>,
    pub(super) insecure: bool,
    pub(super) user: Option<String>,
    pub(super) roles: Vec<String>,
    pub(super) act_as: Option<String>,
}

/// Where the official client keeps its files: `$XDG_CONFIG_HOME/triton`, else `~/.triton`. Its tests move
/// it by `TRITONTEST_CLI_CONFIG_DIR`, and so can ours.
pub(super) fn directory(environment: &Environment) -> Option<PathBuf> {
    if let Some(directory) = environment.value(names::CONFIG_DIRECTORY) {
        return Some(directory.into());
    }
    if let Some(xdg) = environment.value(names::XDG_CONFIG_HOME) {
        return Some(Path::new(xdg).join("triton"));
    }
    environment.value(names::HOME).map(|home| Path::new(home).join(".triton"))
}

/// The profile that `triton profile set` made the current one, if any.
pub(super) fn current(directory: &Path) -> Result<Option<String>, ConfigError> {
    let path = directory.join("config.json");
    // A home directory that may not be entered, as in many containers, has no current profile.
    if !path.exists() {
        return Ok(None);
    }
    let Some(object) = read_object(&path)? else {
        return Ok(None);
    };
    Ok(text(&path, &object, "profile")?.filter(|name| !name.is_empty()))
}

/// Reads the profile of a name.
pub(super) fn read(directory: &Path, name: &str) -> Result<(PathBuf, Profile), ConfigError> {
    if !is_file_name(name) {
        return Err(ConfigError::ProfileName { name: shown(name) });
    }
    let path = directory.join("profiles.d").join(format!("{name}.json"));
    let Some(object) = read_object(&path)? else {
        return Err(ConfigError::NoSuchProfile { name: name.to_owned(), path });
    };
    let profile = decode(&path, &object)?;
    Ok((path, profile))
}

/// Whether a name stays inside the directory, on every system, and is no hidden file.
fn is_file_name(name: &str) -> bool {
    let harmless = |it: char| !it.is_control() && !matches!(it, '/' | '\\' | ':');
    !name.is_empty() && name.len() <= 200 && !name.starts_with('.') && name.chars().all(harmless)
}

fn decode(path: &Path, object: &Map<String, Value>) -> Result<Profile, ConfigError> {
    const KEYS: [&str; 7] = ["url", "account", "keyId", "insecure", "user", "roles", "actAsAccount"];
    if object.contains_key("name") {
        return Err(ConfigError::NameKey { path: path.to_owned() });
    }
    if let Some(key) = object.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(ConfigError::UnknownKey {
            path: path.to_owned(),
            key: shown(key),
            known: KEYS.join(", "),
        });
    }
    let mistyped = |key, expected| ConfigError::KeyType { path: path.to_owned(), key, expected };
    let insecure = match object.get("insecure") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(insecure)) => *insecure,
        Some(_) => return Err(mistyped("insecure", "true or false")),
    };
    let roles = match object.get("roles") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(roles)) => roles
            .iter()
            .map(|role| role.as_str().map(str::to_owned))
            .collect::<Option<_>>()
            .ok_or_else(|| mistyped("roles", "an array of strings"))?,
        Some(_) => return Err(mistyped("roles", "an array of strings")),
    };
    Ok(Profile {
        url: text(path, object, "url")?,
        account: text(path, object, "account")?,
        key_id: text(path, object, "keyId")?,
        insecure,
        user: text(path, object, "user")?,
        roles,
        act_as: text(path, object, "actAsAccount")?,
    })
}

/// A string, where an empty one and null count as absent.
fn text(path: &Path, object: &Map<String, Value>, key: &'static str) -> Result<Option<String>, ConfigError> {
    match object.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
        Some(_) => Err(ConfigError::KeyType { path: path.to_owned(), key, expected: "a string" }),
    }
}

/// The object in a JSON file; `None` when there is no such file.
fn read_object(path: &Path) -> Result<Option<Map<String, Value>>, ConfigError> {
    let Some(text) = read_file(path)? else {
        return Ok(None);
    };
    match serde_json::from_slice(&text) {
        Ok(Value::Object(object)) => Ok(Some(object)),
        Ok(_) => Err(ConfigError::NotAnObject { path: path.to_owned() }),
        Err(source) => Err(ConfigError::Json { path: path.to_owned(), line: source.line(), source }),
    }
}

/// The bytes of a file of settings; `None` when there is no such file.
pub(super) fn read_file(path: &Path) -> Result<Option<Vec<u8>>, ConfigError> {
    let unreadable = |source| ConfigError::Read { path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    let mut bytes = Vec::new();
    file.take(MAX_FILE.saturating_add(1)).read_to_end(&mut bytes).map_err(unreadable)?;
    if u64::try_from(bytes.len()).is_ok_and(|size| size > MAX_FILE) {
        return Err(ConfigError::TooLarge { path: path.to_owned(), limit: MAX_FILE });
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests;
