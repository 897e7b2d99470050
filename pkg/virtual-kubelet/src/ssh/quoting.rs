//! Commands as texts for a shell.

/// Why a command cannot be run over SSH.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// There is nothing to run.
    #[error("the command is empty; give it a program and its arguments")]
    Empty,
    /// No program takes such an argument.
    #[error("the command has a NUL character; remove it")]
    Nul,
}

/// The text for which a POSIX shell runs exactly this program with these arguments: SSH servers give commands to the
/// user's shell, whereas Kubernetes means a program.
///
/// Every word is quoted, also those without special characters: a word such as `if`, `a=b` or an alias is no program to
/// a shell otherwise.
///
/// # Errors
/// [`CommandError`]
pub fn command_line(command: &[String]) -> Result<String, CommandError> {
    if command.is_empty() {
        return Err(CommandError::Empty);
    }
    if command.iter().any(|word| word.contains('\0')) {
        return Err(CommandError::Nul);
    }
    let words: Vec<String> =
        command.iter().map(|word| format!("'{}'", word.replace('\'', r"'\''"))).collect();
    Ok(words.join(" "))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[rstest]
    #[case(&["true"], "'true'")]
    #[case(&["cat", "a b", ""], "'cat' 'a b' ''")]
    #[case(&["echo", "it's", "$HOME;`x`"], r"'echo' 'it'\''s' '$HOME;`x`'")]
    fn every_word_is_quoted(#[case] command: &[&str], #[case] expected: &str) {
        assert_eq!(command_line(&words(command)).as_deref(), Ok(expected));
    }

    #[rstest]
    #[case(&[], CommandError::Empty)]
    #[case(&["a", "b\0c"], CommandError::Nul)]
    fn what_cannot_run_is_refused(#[case] command: &[&str], #[case] expected: CommandError) {
        assert_eq!(command_line(&words(command)), Err(expected));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]

        #[test]
        fn a_shell_reads_back_what_was_meant(arguments in prop::collection::vec("([^\0]|['\"\\\\$`!*?\n ~#=]){0,12}", 0..6)) {
            let command = [words(&["printf", r"%s\0", "first"]), arguments].concat();
            let line = command_line(&command).unwrap();
            let output = Command::new("sh").args(["-c", &line]).output().unwrap();
            let expected: String = command[2..].iter().map(|word| format!("{word}\0")).collect();
            prop_assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
        }
    }
}
