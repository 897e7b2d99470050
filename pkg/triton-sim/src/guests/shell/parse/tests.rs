use proptest::prelude::*;
use rstest::rstest;

use super::*;

/// A script in brackets, to compare with: `[a b | c] && [d];`
fn shown(script: &Script) -> String {
    let word = |word: &Word| -> String {
        let parts = word.parts.iter().map(|part| match part {
            Part::Text(text) => text.clone(),
            Part::Variable(name) => format!("<{name}>"),
        });
        let text: String = parts.collect();
        if text.is_empty() { "''".to_owned() } else { text }
    };
    let redirect = |redirect: &Redirect| match redirect {
        Redirect::File(side, it) => format!("{}:{}", format!("{side:?}").to_uppercase(), word(it)),
        Redirect::OutToErr => "OUT:ERR".to_owned(),
        Redirect::ErrToOut => "ERR:OUT".to_owned(),
    };
    let command = |command: &Command| {
        let assignments = command.assignments.iter().map(|(name, value)| format!("{name}:={}", word(value)));
        let words = command.words.iter().map(word);
        assignments.chain(words).chain(command.redirects.iter().map(redirect)).collect::<Vec<_>>().join(" ")
    };
    let pipeline = |pipeline: &Pipeline| {
        let commands: Vec<_> = pipeline.commands.iter().map(command).collect();
        format!("{}[{}]", if pipeline.negated { "!" } else { "" }, commands.join(" | "))
    };
    let lists = script.iter().map(|list| {
        let rest = list.rest.iter().map(|(connector, it)| format!("{connector:?}{}", pipeline(it)));
        format!("{};", std::iter::once(pipeline(&list.first)).chain(rest).collect::<String>())
    });
    lists.collect()
}

#[rstest]
#[case::nothing(" ;; # a comment\n", "")]
#[case::words("echo  a\tb", "[echo a b];")]
#[case::lists("a;b\nc && d || ! e", "[a];[b];[c]And[d]Or![e];")]
#[case::lists_over_lines("a &&\n\n b |\n c", "[a]And[b | c];")]
#[case::pipelines("a|b | c d", "[a | b | c d];")]
#[case::quotes(r#"echo 'a  "b"' "c'd \"e\" \n" f\ g"#, r#"[echo a  "b" c'd "e" \n f g];"#)]
#[case::empty_words(r#"echo '' "" "#, "[echo '' ''];")]
#[case::variables(r#"$A "${B}c$?" '$D' $ 5$"#, "[<A> <B>c<?> $D $ 5$];")]
#[case::assignments("A=1 B=\"x y\" env C=3", "[A:=1 B:=x y env C=3];")]
#[case::an_empty_assignment("A=", "[A:=''];")]
#[case::no_assignment("1A=2 'B=3'", "[1A=2 B=3];")]
#[case::redirections("a >&2; b 2>&1 >/dev/null", "[a OUT:ERR];[b ERR:OUT OUT:/dev/null];")]
#[case::more_redirections("a </dev/null 2> x &>y", "[a IN:/dev/null ERR:x BOTH:y];")]
#[case::numbers_that_are_words("echo 2 > x 12>y", "[echo 2 12 OUT:x OUT:y];")]
#[case::a_hash_in_a_word("echo a#b", "[echo a#b];")]
#[case::continued_lines("echo a \\\n  b\\\nc", "[echo a bc];")]
#[case::a_script_with_a_shebang("#!/bin/sh\r\nset -e\r\nhalt\r\n", "[set -e];[halt];")]
fn a_script_is_read(#[case] text: &str, #[case] expected: &str) {
    assert_eq!(parse(text).map(|script| shown(&script)).as_deref(), Ok(expected));
}

#[rstest]
#[case::a_pipe_alone("| a", "near \"|\"")]
#[case::a_pipe_at_the_end("a |", "near \"end of script\"")]
#[case::two_connectors("a && || b", "near \"||\"")]
#[case::an_open_quote("echo 'a", "quote is not closed")]
#[case::a_branch("if true; then a; fi", "no `if`")]
#[case::a_loop("while true; do a; done", "no `while`")]
#[case::a_function("f() { a; }", "no `(`")]
#[case::a_substitution("echo $(date)", "no substitutions")]
#[case::an_old_substitution("echo `date`", "no substitutions")]
#[case::an_expansion("echo ${A:-b}", "no substitutions")]
#[case::a_job("a & b", "no jobs")]
#[case::a_here_document("cat <<E", "no here-documents")]
#[case::a_file_to_nowhere("a >", "near \">\"")]
fn what_is_not_supported_is_named(#[case] text: &str, #[case] expected: &str) {
    let error = parse(text).expect_err(text).to_string();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn keywords_are_words_where_no_command_is() {
    assert_eq!(parse("echo if 'then'; 'if'").map(|it| shown(&it)).as_deref(), Ok("[echo if then];[if];"));
}

#[test]
fn scripts_and_pipelines_have_limits() {
    let piped = |commands| vec!["a"; commands].join("|");
    assert!(parse(&piped(32)).is_ok());
    assert!(matches!(parse(&piped(33)), Err(SyntaxError::Unsupported(_))));
    assert_eq!(parse(&"a".repeat(LONGEST_SCRIPT + 1)), Err(SyntaxError::TooLong));
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in r#"[a-c$'"\\\n #;|&<>(){}`=?!12]{0,60}"#) {
        let _ = parse(&text);
    }

    #[test]
    fn a_single_quoted_word_is_read_byte_for_byte(text in "[^']{0,40}") {
        let script = parse(&format!("echo '{text}'")).unwrap();
        let parts = if text.is_empty() { Vec::new() } else { vec![Part::Text(text)] };
        prop_assert_eq!(&script[0].first.commands[0].words[1], &Word { parts, quoted: true });
    }
}
