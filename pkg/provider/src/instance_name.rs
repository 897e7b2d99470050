//! The name of the instance that stands for a pod.

use crate::digest;

/// The longest name: CNS publishes the name of an instance only below 63 characters (reference 3.2).
pub const MAX_LENGTH: usize = 62;

/// Stands where nothing of a namespace and name can be part of a DNS name.
const NAMELESS: &str = "pod";

/// `<namespace>-<pod>-<digest>`: readable, and the same for the same pod whenever it is computed, so that an instance
/// is found again whose create request got no answer. The digest is of the namespace, the name and the UID.
///
/// It is a DNS label, because CNS makes DNS names of it. Whose an instance is, its tags say
/// ([`owner`](crate::owner)), never its name.
pub fn instance_name(namespace: &str, pod: &str, uid: &str) -> String {
    let digest = digest::short([namespace, pod, uid]);
    let readable = digest::label(&format!("{namespace}-{pod}"), MAX_LENGTH - digest.len() - 1);
    let readable = if readable.is_empty() { NAMELESS } else { &readable };
    format!("{readable}-{digest}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_says_which_pod_it_is() {
        let uid = "3f0b3c6e-7d2a-4b5e-9c1f-0a1b2c3d4e5f";
        assert_eq!(instance_name("default", "web-0", uid), "default-web-0-ee3197d279");
        assert_eq!(instance_name("default", "web.example", uid), "default-web-example-d7a020b8cb");
    }

    /// What Triton takes (reference 2.14) is wider: `^[a-zA-Z0-9][a-zA-Z0-9_.-]*$`.
    fn is_dns_label(name: &str) -> bool {
        let inner = |b: u8| b == b'-' || b.is_ascii_lowercase() || b.is_ascii_digit();
        name.len() <= MAX_LENGTH
            && name.bytes().all(inner)
            && name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && !name.ends_with('-')
    }

    fn name() -> impl Strategy<Value = String> {
        "[a-z0-9]([a-z0-9.-]{0,80}[a-z0-9])?"
    }

    proptest! {
        #[test]
        fn a_name_is_always_a_dns_label(namespace: String, pod: String, uid: String) {
            let name = instance_name(&namespace, &pod, &uid);
            prop_assert!(is_dns_label(&name), "{}", name);
            prop_assert_eq!(&name, &instance_name(&namespace, &pod, &uid));
        }

        #[test]
        fn two_pods_of_one_name_differ(namespace in name(), pod in name(), uids in [".{1,36}", ".{1,36}"]) {
            prop_assume!(uids[0] != uids[1]);
            prop_assert_ne!(
                instance_name(&namespace, &pod, &uids[0]),
                instance_name(&namespace, &pod, &uids[1])
            );
        }

        #[test]
        fn pods_whose_texts_join_alike_differ(parts in ["[a-z]{1,20}", "[a-z]{1,20}", "[a-z]{1,20}"], uid: String) {
            let [a, b, c] = parts;
            prop_assert_ne!(
                instance_name(&format!("{a}-{b}"), &c, &uid),
                instance_name(&a, &format!("{b}-{c}"), &uid)
            );
        }
    }
}
