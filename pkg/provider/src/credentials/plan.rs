//! What a change of settings comes to, while a client works with the old ones. Pure.

use secrecy::{ExposeSecret as _, SecretString};
use triton::config::{CaSource, Config, KeySource};

/// What to do about new settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// They say what the old ones say.
    Keep,
    /// Only who signs is another: the new key can be taken up while requests go on.
    Sign,
    /// Something else is different, by these names; it needs another client, and so a restart.
    Restart(Vec<&'static str>),
}

/// Compares settings with those in use.
pub fn step(used: &Config, new: &Config) -> Step {
    let other = [
        ("TRITON_URL", used.url != new.url),
        ("TRITON_ACCOUNT", used.account != new.account),
        ("TRITON_ACT_AS", used.act_as != new.act_as),
        ("TRITON_ROLE", used.roles != new.roles),
        ("TRITON_TLS_INSECURE", used.tls.insecure != new.tls.insecure),
        ("ca.crt", authority(used) != authority(new)),
    ];
    let other: Vec<_> = other.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect();
    if !other.is_empty() {
        return Step::Restart(other);
    }
    let same = used.user == new.user
        && used.key_id == new.key_id
        && same_key(&used.key, &new.key)
        && same_secret(used.passphrase.as_ref(), new.passphrase.as_ref());
    if same { Step::Keep } else { Step::Sign }
}

fn authority(config: &Config) -> Option<String> {
    config.tls.ca.as_ref().map(|ca| match ca {
        CaSource::Pem(text) => text.clone(),
        CaSource::File(path) => path.display().to_string(),
    })
}

fn same_key(one: &KeySource, other: &KeySource) -> bool {
    match (one, other) {
        (KeySource::Pem(one), KeySource::Pem(other)) => same_secret(Some(one), Some(other)),
        (KeySource::File(one), KeySource::File(other)) => one == other,
        (
            KeySource::Search { agent, directory },
            KeySource::Search { agent: other_agent, directory: other_directory },
        ) => agent == other_agent && directory == other_directory,
        _ => false,
    }
}

fn same_secret(one: Option<&SecretString>, other: Option<&SecretString>) -> bool {
    one.map(SecretString::expose_secret) == other.map(SecretString::expose_secret)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use triton::config::Environment;

    use super::*;

    const KEY: &str = "-----BEGIN PRIVATE KEY-----\na";

    fn config(changes: &[(&str, &str)]) -> Config {
        let base = [("TRITON_URL", "https://a"), ("TRITON_ACCOUNT", "acme"), ("TRITON_KEY_MATERIAL", KEY)];
        let environment: Environment = base.into_iter().chain(changes.iter().copied()).collect();
        Config::load(&environment, None).unwrap()
    }

    #[rstest]
    #[case::nothing(&[], Step::Keep)]
    #[case::the_same_again(&[("TRITON_KEY_MATERIAL", KEY)], Step::Keep)]
    #[case::another_key(&[("TRITON_KEY_MATERIAL", "-----BEGIN PRIVATE KEY-----\nb")], Step::Sign)]
    #[case::another_user(&[("TRITON_USER", "robot")], Step::Sign)]
    #[case::a_passphrase(&[("TRITON_KEY_PASSPHRASE", "secret")], Step::Sign)]
    #[case::a_fingerprint(&[("TRITON_KEY_ID", "SHA256:n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg")], Step::Sign)]
    #[case::another_place(&[("TRITON_URL", "https://b"), ("TRITON_ROLE", "ops")], Step::Restart(vec!["TRITON_URL", "TRITON_ROLE"]))]
    #[case::another_account(&[("TRITON_ACCOUNT", "b"), ("TRITON_USER", "robot")], Step::Restart(vec!["TRITON_ACCOUNT"]))]
    fn changes_come_to(#[case] changes: &[(&str, &str)], #[case] expected: Step) {
        assert_eq!(step(&config(&[]), &config(changes)), expected);
    }
}
