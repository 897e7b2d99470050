//! The file of `--cloud-config`: how CloudAPI is reached, where that is not in the environment.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use triton::config::Environment;

/// The settings of the file, all of which may be left out. What it says goes before the environment.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct CloudConfig {
    /// A profile of the `triton` tool.
    pub(super) profile: Option<String>,
    /// CloudAPI's URL.
    pub(super) url: Option<String>,
    /// The account.
    pub(super) account: Option<String>,
    /// The user of the account.
    pub(super) user: Option<String>,
    /// The account that is acted for.
    pub(super) act_as: Option<String>,
    /// The fingerprint of the key.
    pub(super) key_id: Option<String>,
    /// The file of the private key. Secrets stay out of this file.
    pub(super) key_file: Option<PathBuf>,
    /// The roles to act in.
    pub(super) roles: Option<Vec<String>>,
    /// Certificates to trust.
    pub(super) ca_file: Option<PathBuf>,
    /// Accept any certificate.
    pub(super) insecure: Option<bool>,
    /// The data centre's name, where CloudAPI is too old to say it.
    pub(super) datacenter: Option<String>,
    /// The zone of Nodes; left out, the data centre.
    pub(super) zone: Option<String>,
    /// The region of Nodes; left out, the data centre.
    pub(super) region: Option<String>,
}

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum CloudConfigError {
    #[error("cannot read {file}; check --cloud-config")]
    Read { file: String, source: std::io::Error },
    #[error("{file} is no cloud-config: {why}")]
    Parse { file: String, why: String },
}

/// The variables of the environment that the library reads beside those that the file can set.
const OTHERS: [&str; 25] = [
    "SDC_ACCOUNT",
    "SDC_INSECURE",
    "SDC_KEY_ID",
    "SDC_KEY_MATERIAL",
    "SDC_KEY_PASSPHRASE",
    "SDC_ROLE",
    "SDC_ROLES",
    "SDC_TESTING",
    "SDC_TLS_INSECURE",
    "SDC_URL",
    "SDC_USER",
    "SDC_ACT_AS",
    "TRITON_ACCOUNT",
    "TRITON_INSECURE",
    "TRITON_KEY_MATERIAL",
    "TRITON_KEY_PASSPHRASE",
    "TRITON_PROFILE",
    "TRITON_ROLES",
    "TRITON_SKIP_TLS_VERIFY",
    "TRITON_URL",
    "TRITON_USER",
    "SSH_AUTH_SOCK",
    "HOME",
    "XDG_CONFIG_HOME",
    "TRITON_ACT_AS",
];

impl CloudConfig {
    /// Reads the file; without one, nothing is set.
    pub(super) fn load(file: Option<&Path>) -> Result<Self, CloudConfigError> {
        let Some(file) = file else { return Ok(Self::default()) };
        let name = file.display().to_string();
        let text = std::fs::read_to_string(file)
            .map_err(|source| CloudConfigError::Read { file: name.clone(), source })?;
        toml::from_str(&text).map_err(|error| {
            // The whole error quotes the line, which may have a secret in it all the same.
            let line = error.span().map(|span| 1 + text[..span.start].matches('\n').count());
            let why = line.map_or_else(String::new, |line| format!("line {line}: ")) + error.message();
            CloudConfigError::Parse { file: name, why }
        })
    }

    /// The environment, under what the file says.
    pub(super) fn environment(&self, process: &Environment) -> Environment {
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        let set = [
            ("TRITON_URL", self.url.clone()),
            ("TRITON_ACCOUNT", self.account.clone()),
            ("TRITON_USER", self.user.clone()),
            ("TRITON_ACT_AS", self.act_as.clone()),
            ("TRITON_KEY_ID", self.key_id.clone()),
            ("TRITON_KEY_MATERIAL", path(&self.key_file)),
            ("TRITON_ROLE", self.roles.as_ref().map(|roles| roles.join(","))),
            ("TRITON_CA_FILE", path(&self.ca_file)),
            ("TRITON_TLS_INSECURE", self.insecure.map(|insecure| insecure.to_string())),
        ];
        let names = set.iter().map(|(name, _)| *name).chain(OTHERS);
        let inherited = names.filter_map(|name| Some((name, process.get(name)?.to_owned())));
        // A later pair of the same name wins.
        inherited.chain(set.iter().filter_map(|(name, value)| Some((*name, value.clone()?)))).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn load(text: &str) -> Result<CloudConfig, CloudConfigError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        CloudConfig::load(Some(file.path()))
    }

    #[test]
    fn the_file_goes_before_the_environment() {
        let config =
            load("url = \"https://a\"\nkey-file = \"/k\"\nroles = [\"a\", \"b\"]\nregion = \"r\"").unwrap();
        let process: Environment =
            [("TRITON_URL", "https://b"), ("SDC_ACCOUNT", "acme")].into_iter().collect();
        let environment = config.environment(&process);
        let values = ["TRITON_URL", "SDC_ACCOUNT", "TRITON_KEY_MATERIAL", "TRITON_ROLE"];
        assert_eq!(
            values.map(|name| environment.get(name)),
            [Some("https://a"), Some("acme"), Some("/k"), Some("a,b")]
        );
        assert_eq!(config.region.as_deref(), Some("r"));
        assert_eq!(CloudConfig::load(None).unwrap(), CloudConfig::default());
    }

    #[test]
    fn what_is_not_known_is_refused_with_its_line_and_without_its_value() {
        let error = load("url = \"https://a\"\npassword = \"hunter2\"").unwrap_err().to_string();
        assert!(
            error.contains("line 2") && error.contains("password") && !error.contains("hunter2"),
            "{error}"
        );
        let error = CloudConfig::load(Some(Path::new("/nowhere"))).unwrap_err().to_string();
        assert!(error.contains("/nowhere") && error.contains("--cloud-config"), "{error}");
    }
}
