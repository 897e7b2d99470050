//! `$(VAR)` in a value.

/// What a reference becomes.
pub(super) enum Expanded {
    /// The text with all references replaced.
    Text(String),
    /// A variable that the text refers to is not known yet.
    Deferred,
}

/// What a name means.
pub(super) enum Lookup<'a> {
    /// This value.
    Value(&'a str),
    /// A value that is not known yet.
    Deferred,
    /// Nothing: the reference stays as it is written.
    Unknown,
}

/// Replaces `$(NAME)`. `$$` is a `$`, so `$$(NAME)` is no reference; every other `$` is itself.
pub(super) fn expand<'a>(text: &str, lookup: impl Fn(&str) -> Lookup<'a>) -> Expanded {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        expanded.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            expanded.push('$');
            rest = after;
        } else if let Some((name, after)) = after.strip_prefix('(').and_then(|after| after.split_once(')')) {
            match lookup(name) {
                Lookup::Value(value) => expanded.push_str(value),
                Lookup::Deferred => return Expanded::Deferred,
                Lookup::Unknown => {
                    expanded.push_str("$(");
                    expanded.push_str(name);
                    expanded.push(')');
                }
            }
            rest = after;
        } else {
            expanded.push('$');
            rest = after;
        }
    }
    expanded.push_str(rest);
    Expanded::Text(expanded)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn text(input: &str) -> Option<String> {
        let lookup = |name: &str| match name {
            "A" => Lookup::Value("a"),
            "REF" => Lookup::Value("$(A)"),
            "EMPTY" => Lookup::Value(""),
            "IP" => Lookup::Deferred,
            _ => Lookup::Unknown,
        };
        match expand(input, lookup) {
            Expanded::Text(text) => Some(text),
            Expanded::Deferred => None,
        }
    }

    // The cases are those that Kubernetes documents for its own expansion.
    #[rstest]
    #[case("$(A)", "a")]
    #[case("x$(A)y$(A)", "xaya")]
    #[case("$(EMPTY)!", "!")]
    #[case("$(REF)", "$(A)")]
    #[case("$(NONE)", "$(NONE)")]
    #[case("$$(A)", "$(A)")]
    #[case("$$$(A)", "$a")]
    #[case("$$$$(A)", "$$(A)")]
    #[case("$A", "$A")]
    #[case("$(A", "$(A")]
    #[case("$(A))", "a)")]
    #[case("$($(A))", "$($(A))")]
    #[case("$()", "$()")]
    #[case("$", "$")]
    #[case("$é", "$é")]
    #[case("", "")]
    fn references_are_replaced(#[case] input: &str, #[case] output: &str) {
        assert_eq!(text(input).as_deref(), Some(output));
    }

    #[test]
    fn a_text_that_needs_an_unknown_value_waits() {
        assert_eq!(text("http://$(IP):80"), None);
        assert_eq!(text("$$(IP)").as_deref(), Some("$(IP)"));
    }

    proptest! {
        #[test]
        fn a_text_without_a_dollar_is_itself(input in "[^$]*") {
            prop_assert_eq!(text(&input), Some(input));
        }

        #[test]
        fn no_text_panics(input in "[$()A ]{0,20}") {
            let _ = text(&input);
        }
    }
}
