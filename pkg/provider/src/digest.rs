//! Short, stable names for what is too long or too free to be a name itself.

use sha2::{Digest as _, Sha256};

/// The length of a digest in characters: 40 bits. A collision also needs the same readable part in front, among
/// the few thousand objects of one account.
pub const LENGTH: usize = 10;

/// A digest of several texts, in lower-case hexadecimal. `["a", "bc"]` and `["ab", "c"]` differ.
pub fn short<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let mut text: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    text.truncate(LENGTH);
    text
}

/// `text` as part of a DNS label that starts with a letter or digit: lower case, every other character than letters,
/// digits and hyphens made a hyphen, cut to `most` bytes, with no hyphen at either end. May be empty.
pub(crate) fn label(text: &str, most: usize) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let mut label: String = text.chars().map(allowed).skip_while(|c| *c == '-').take(most).collect();
    label.truncate(label.trim_end_matches('-').len());
    label
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_never_changes_and_tells_the_parts_apart() {
        assert_eq!(short(["a", "bc"]), "3fafa1cf2f");
        assert_ne!(short(["a", "bc"]), short(["ab", "c"]));
        assert_ne!(short(["a"]), short(["a", ""]));
        assert_eq!(short(["a"]).len(), LENGTH);
    }

    #[test]
    fn a_label_keeps_what_it_can() {
        assert_eq!(label("Web_1.a", 63), "web-1-a");
        assert_eq!(label("--web--", 63), "web");
        assert_eq!(label("abc-def", 4), "abc");
        assert_eq!(label("\u{e9}\u{e9}", 63), "");
    }
}
