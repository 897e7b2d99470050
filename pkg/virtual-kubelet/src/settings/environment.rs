//! The environment variables of the original provider, beside our own.

use std::ffi::OsString;

use clap::Parser;
use runtime::config::{ConfigError, load_from};

use super::PREFIX;

/// Our variable and the original's of the same meaning (reference, Kubernetes D 1.1 and C 2.1). Ours wins.
const ORIGINAL: [(&str, &str); 7] = [
    ("TRITON_VK_NODENAME", "DEFAULT_NODE_NAME"),
    ("TRITON_VK_KUBECONFIG", "KUBECONFIG"),
    ("TRITON_VK_KUBELET_PORT", "KUBELET_PORT"),
    ("TRITON_VK_NODE_ADDRESS", "VKUBELET_POD_IP"),
    ("TRITON_VK_TAINT_KEY", "VKUBELET_TAINT_KEY"),
    ("TRITON_VK_TAINT_VALUE", "VKUBELET_TAINT_VALUE"),
    ("TRITON_VK_TAINT_EFFECT", "VKUBELET_TAINT_EFFECT"),
];

fn original(name: &str) -> Option<&'static str> {
    ORIGINAL.iter().find(|(ours, _)| *ours == name).map(|(_, original)| *original)
}

/// Loads the flags. An error names the variable that was set, not the one that it stands for.
pub(super) fn flags<T, A>(
    arguments: A,
    environment: impl Fn(&str) -> Option<OsString>,
) -> Result<T, ConfigError>
where
    T: Parser,
    A: IntoIterator,
    A::Item: Into<OsString>,
{
    let set = |name: &str| environment(name).filter(|value| !value.is_empty());
    let loaded = load_from(PREFIX, arguments, |name| set(name).or_else(|| set(original(name)?)));
    loaded.map_err(|error| match error {
        ConfigError::Variable { name, message } => {
            let name = match original(&name) {
                Some(original) if set(&name).is_none() => original.to_owned(),
                _ => name,
            };
            ConfigError::Variable { name, message }
        }
        other => other,
    })
}
