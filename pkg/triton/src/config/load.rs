//! Filling in a [`Config`] from the environment and from profile files.

use std::path::{Path, PathBuf};

use secrecy::SecretString;

use super::environment::{Environment, Switch, names};
use super::profile::{self, Profile};
use super::{CaSource, Config, ConfigError, ENVIRONMENT_PROFILE, Endpoint, KeySource, Tls};
use crate::auth::Fingerprint;
use crate::auth::signature::KeyId;

/// The settings that every call needs, still as text, with where to correct them.
struct Basics {
    url: Option<(String, String)>,
    account: Option<String>,
    key_id: Option<(String, String)>,
}

impl Config {
    /// Reads the settings the way the official client does (Triton reference 1.9 and 1.10).
    ///
    /// Which profile: the argument, else `TRITON_PROFILE`, else the current profile of `config.json`, else
    /// `env`.
    ///
    /// - The profile `env` is the environment: `TRITON_URL`, `TRITON_ACCOUNT`, `TRITON_KEY_ID`,
    ///   `TRITON_USER`, `TRITON_ACT_AS`, and one of `TRITON_TLS_INSECURE`, `TRITON_INSECURE`,
    ///   `TRITON_SKIP_TLS_VERIFY`, `SDC_TLS_INSECURE`, `SDC_INSECURE`, `SDC_TESTING`, of which the first
    ///   that is set decides.
    /// - Any other is a file `profiles.d/NAME.json`, and those variables are not looked at.
    ///
    /// For either, what profiles do not have comes from the environment: `TRITON_KEY_MATERIAL` (a path, or
    /// the text of a key), `TRITON_KEY_PASSPHRASE`, `TRITON_CA_FILE`, `SSH_AUTH_SOCK`, `HOME`; and
    /// `TRITON_ROLE`, a comma list, replaces the profile's roles. Where there is no `TRITON_*` variable, the
    /// `SDC_*` one of the same name is taken. A variable set to nothing counts as not set.
    ///
    /// # Errors
    ///
    /// [`ConfigError`], which names the variable, or file and key, to correct; all that is missing at once.
    pub fn load(environment: &Environment, profile: Option<&str>) -> Result<Self, ConfigError> {
        let directory = profile::directory(environment);
        let given = profile.filter(|name| !name.is_empty()).or_else(|| environment.value(names::PROFILE));
        let current = match (given, &directory) {
            (Some(name), _) => Some(name.to_owned()),
            (None, Some(directory)) => profile::current(directory)?,
            (None, None) => None,
        };
        match (current, directory) {
            (None, _) => from_environment(environment),
            (Some(name), _) if name == ENVIRONMENT_PROFILE => from_environment(environment),
            (Some(name), None) => Err(ConfigError::NoDirectory { name }),
            (Some(name), Some(directory)) => from_profile(environment, &directory, &name),
        }
    }
}

fn from_environment(environment: &Environment) -> Result<Config, ConfigError> {
    let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let basics = Basics {
        url: environment.first(names::URL).map(own),
        account: environment.value(names::ACCOUNT).map(str::to_owned),
        key_id: environment.first(names::KEY_ID).map(own),
    };
    let missing = |missing: Missing| ConfigError::MissingVariables {
        variables: missing.describe([
            "TRITON_URL",
            "TRITON_ACCOUNT",
            "TRITON_KEY_ID (or TRITON_KEY_MATERIAL)",
        ]),
    };
    let mut config = assemble(environment, basics, missing)?;
    config.user = environment.value(names::USER).map(str::to_owned);
    config.act_as = environment.value(names::ACT_AS).map(str::to_owned);
    config.tls.insecure = insecure(environment)?;
    check_logins(config, || "TRITON_ACCOUNT, TRITON_USER or TRITON_ACT_AS".to_owned())
}

fn from_profile(environment: &Environment, directory: &Path, name: &str) -> Result<Config, ConfigError> {
    let (path, Profile { url, account, key_id, insecure, user, roles, act_as }) =
        profile::read(directory, name)?;
    let origin = |key: &str| format!("{}: \"{key}\"", path.display());
    let basics = Basics {
        url: url.map(|url| (origin("url"), url)),
        account,
        key_id: key_id.map(|key_id| (origin("keyId"), key_id)),
    };
    let missing = |missing: Missing| ConfigError::MissingKeys {
        keys: missing.describe(["\"url\"", "\"account\"", "\"keyId\""]),
        path: path.clone(),
    };
    let mut config = assemble(environment, basics, missing)?;
    config.user = user;
    config.act_as = act_as;
    config.tls.insecure = insecure;
    if config.roles.is_empty() {
        config.roles = roles;
    }
    check_logins(config, || format!("{}: \"account\", \"user\" or \"actAsAccount\"", path.display()))
}

/// What is sent in headers and paths must be able to stand there.
fn check_logins(config: Config, origin: impl FnOnce() -> String) -> Result<Config, ConfigError> {
    KeyId::check_logins(&config.account, config.user.as_deref())
        .and_then(|()| KeyId::check_logins(config.act_as.as_deref().unwrap_or(&config.account), None))
        .map(|()| config)
        .map_err(|source| ConfigError::Login { origin: origin(), source })
}

/// Which of the settings that every call needs are not there.
struct Missing {
    url: bool,
    account: bool,
    key: bool,
}

impl Missing {
    fn describe(&self, names: [&'static str; 3]) -> Vec<&'static str> {
        let missing = [self.url, self.account, self.key];
        names.into_iter().zip(missing).filter(|(_, missing)| *missing).map(|(name, _)| name).collect()
    }
}

/// What both kinds of profile have in common.
fn assemble(
    environment: &Environment,
    basics: Basics,
    complain: impl FnOnce(Missing) -> ConfigError,
) -> Result<Config, ConfigError> {
    let key = key_source(environment);
    let key_is_given = !matches!(key, KeySource::Search { .. });
    let (url, account, key_id) = match (basics.url, basics.account, basics.key_id) {
        (Some(url), Some(account), key_id) if key_is_given || key_id.is_some() => (url, account, key_id),
        (url, account, key_id) => {
            let key = !key_is_given && key_id.is_none();
            return Err(complain(Missing { url: url.is_none(), account: account.is_none(), key }));
        }
    };
    let (origin, text) = url;
    let url: Endpoint = text.parse().map_err(|source| ConfigError::Url { origin, source })?;
    let key_id = match key_id {
        None => None,
        Some((origin, text)) => {
            Some(text.parse::<Fingerprint>().map_err(|source| ConfigError::KeyId { origin, source })?)
        }
    };
    Ok(Config {
        url,
        account,
        user: None,
        roles: environment.value(names::ROLES).map(comma_list).unwrap_or_default(),
        act_as: None,
        key_id,
        key,
        passphrase: environment.value(names::KEY_PASSPHRASE).map(SecretString::from),
        tls: Tls {
            insecure: false,
            ca: environment.value(names::CA_FILE).map(|path| CaSource::File(in_home(environment, path))),
        },
    })
}

fn key_source(environment: &Environment) -> KeySource {
    match environment.value(names::KEY_MATERIAL) {
        Some(text) if is_key_text(text) => KeySource::Pem(SecretString::from(text)),
        Some(path) => KeySource::File(in_home(environment, path)),
        None => KeySource::Search {
            agent: environment.value(names::AGENT).map(PathBuf::from),
            directory: environment.value(names::HOME).map(|home| Path::new(home).join(".ssh")),
        },
    }
}

/// Whether it is the text of a key, rather than a path to one. Unusable text is taken for a key, too, because
/// paths are shown in errors.
fn is_key_text(text: &str) -> bool {
    const LONGEST_PATH: usize = 1024;
    text.contains("-----BEGIN ") || text.contains(char::is_control) || text.len() > LONGEST_PATH
}

/// A path, in which `~/` is the home directory: no shell has expanded what comes from a manifest.
fn in_home(environment: &Environment, path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), environment.value(names::HOME)) {
        (Some(rest), Some(home)) => Path::new(home).join(rest),
        _ => path.into(),
    }
}

fn comma_list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|role| !role.is_empty()).map(str::to_owned).collect()
}

fn insecure(environment: &Environment) -> Result<bool, ConfigError> {
    let set =
        names::TLS_INSECURE.iter().find_map(|(name, switch)| Some((*name, *switch, environment.get(name)?)));
    match set {
        None => Ok(false),
        Some((_, Switch::AnyValue, _)) => Ok(true),
        Some((variable, Switch::Boolean, value)) => match value.to_ascii_lowercase().as_str() {
            "1" | "true" => Ok(true),
            "0" | "false" => Ok(false),
            _ => Err(ConfigError::Boolean { variable }),
        },
    }
}
