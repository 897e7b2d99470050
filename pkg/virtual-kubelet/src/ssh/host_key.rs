//! The keys of the SSH servers of instances.

use std::fmt;

use russh::keys::{Algorithm, HashAlg, PublicKey};
use triton::id::InstanceId;

/// The public key of an instance's SSH server.
#[derive(Clone, PartialEq, Eq)]
pub struct HostKey(PublicKey);

/// A text that is no OpenSSH public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a public key as in /etc/ssh/ssh_host_ed25519_key.pub, such as \"ssh-ed25519 AAAA…\"")]
pub struct ParseHostKeyError(());

impl HostKey {
    /// The key without its comment.
    pub(super) fn new(key: &PublicKey) -> Self {
        Self(PublicKey::new(key.key_data().clone(), ""))
    }

    /// Reads the annotation of a pod: the key, if it is that of this instance. A comment is the id of the instance
    /// that the key was learned of; without one, it holds for whatever instance.
    ///
    /// # Errors
    /// [`ParseHostKeyError`]
    pub fn from_annotation(text: &str, instance: InstanceId) -> Result<Option<Self>, ParseHostKeyError> {
        let key = PublicKey::from_openssh(text.trim()).map_err(|_| ParseHostKeyError(()))?;
        let comment = key.comment().to_string();
        let is_of_another = comment.trim().parse::<InstanceId>().is_ok_and(|id| id != instance);
        Ok((!is_of_another).then(|| Self::new(&key)))
    }

    /// What to write to the annotation of a pod; `None` for a key that has no text.
    pub fn to_annotation(&self, instance: InstanceId) -> Option<String> {
        let text = self.0.to_openssh().ok()?;
        Some(format!("{} {instance}", text.trim_end()))
    }

    /// Whether it is a key of this algorithm, whatever the hash of its signatures.
    pub(super) fn is_of(&self, algorithm: &Algorithm) -> bool {
        match (self.0.algorithm(), algorithm) {
            (Algorithm::Rsa { .. }, Algorithm::Rsa { .. }) => true,
            (ours, other) => ours == *other,
        }
    }
}

/// Its fingerprint, as `ssh-keygen -l` prints it.
impl fmt::Display for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.fingerprint(HashAlg::Sha256), f)
    }
}

impl fmt::Debug for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HostKey({self})")
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::super::tests::host_key;
    use super::*;

    fn instance(number: u128) -> InstanceId {
        Uuid::from_u128(number).to_string().parse().unwrap()
    }

    #[test]
    fn what_was_learned_holds_for_its_instance_only() {
        let key = HostKey::new(host_key(1).public_key());
        let text = key.to_annotation(instance(1)).unwrap();
        assert!(text.starts_with("ssh-ed25519 ") && text.ends_with(&format!(" {}", instance(1))), "{text}");
        assert_eq!(HostKey::from_annotation(&text, instance(1)), Ok(Some(key)));
        assert_eq!(HostKey::from_annotation(&text, instance(2)), Ok(None));
    }

    #[test]
    fn what_a_user_wrote_holds_for_all() {
        let key = HostKey::new(host_key(1).public_key());
        let bare = host_key(1).public_key().to_openssh().unwrap();
        for text in [bare.clone(), format!("  {} root@web\n", bare.trim())] {
            assert_eq!(HostKey::from_annotation(&text, instance(2)), Ok(Some(key.clone())));
        }
        for text in ["", "ssh-ed25519", "ssh-ed25519 AAAA", "-----BEGIN OPENSSH PRIVATE KEY-----"] {
            assert_eq!(HostKey::from_annotation(text, instance(1)), Err(ParseHostKeyError(())));
        }
    }
}
