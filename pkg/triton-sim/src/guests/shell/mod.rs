//! The shell of a guest. Its commands are simulated: nothing runs on the host, and there are no files.
//!
//! The language is in [`parse`], the commands are listed in [`commands`]; what takes time or moves bytes is
//! asynchronous and may be dropped at any await, which is how a running command is killed. Scripts have no loops
//! and commands that call others are only so deep, so every script ends, unless it waits for its input.

mod commands;
mod filters;
pub(crate) mod io;
mod metadata;
pub(crate) mod parse;
pub(crate) mod terminal;

use std::collections::BTreeMap;

use futures::FutureExt as _;
use futures::future::{BoxFuture, join_all};
use tokio::sync::watch;

use self::io::{Input, Output, PIPE, Stream, pipe};
use self::parse::{
    AndOr, Command, Connector, LONGEST_SCRIPT, Part, Pipeline, Redirect, Script, Side, SyntaxError, Word,
};
use super::guest::{self, Guest};

/// The status of what was killed because nobody read its output: 128 and SIGPIPE.
const BROKEN_PIPE: u8 = 141;
/// The status of a script that cannot be read.
pub(crate) const SYNTAX_ERROR: u8 = 2;
/// The status of a command that does not exist.
const NOT_FOUND: u8 = 127;
/// How deep commands may run commands: `sh -c 'sh -c …'`.
const DEEPEST: usize = 16;

/// The status of a command whose arguments are too long.
const TOO_LONG: u8 = 126;
/// The most bytes of a command's words, variables put in.
const LARGEST_COMMAND: usize = 1 << 20;
/// The most bytes of a shell's variables, with their names. They are copied for each command of a pipeline.
const LARGEST_VARIABLES: usize = 256 << 10;
/// The only file.
const NULL: Option<&str> = Some("/dev/null");

/// The size of a terminal's window, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) rows: u32,
    pub(crate) columns: u32,
}

/// What a command reads and writes.
pub(crate) struct Io<'a> {
    pub(crate) stdin: &'a mut Input,
    pub(crate) stdout: Output,
    pub(crate) stderr: Output,
}

/// What a shell does after a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    /// Goes on, with this status of the command.
    Next(u8),
    /// Ends with this status.
    Exit(u8),
}

impl Flow {
    pub(crate) fn status(self) -> u8 {
        match self {
            Self::Next(status) | Self::Exit(status) => status,
        }
    }
}

/// Names and values.
type Assignments = Vec<(String, String)>;

/// A shell of one user of a guest.
#[derive(Clone)]
pub(crate) struct Shell {
    guest: Guest,
    user: String,
    window: Option<watch::Receiver<Window>>,
    variables: BTreeMap<String, String>,
    status: u8,
    exit_on_error: bool,
    depth: usize,
}

impl Shell {
    /// A shell with the variables that a login sets and those of the guest's `user-data`. `window` is that of
    /// the terminal, if there is one.
    pub(crate) fn new(guest: Guest, user: &str, window: Option<watch::Receiver<Window>>) -> Self {
        let home = if user == "root" { "/root".to_owned() } else { format!("/home/{user}") };
        let mut given = BTreeMap::new();
        let variables: BTreeMap<_, _> = [
            ("HOME", home.as_str()),
            ("LOGNAME", user),
            ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
            ("SHELL", "/bin/sh"),
            ("USER", user),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        if let Some(view) = guest.view() {
            given = guest::env_vars(&view);
        }
        let user = user.to_owned();
        let mut shell = Self { guest, user, window, variables, status: 0, exit_on_error: false, depth: 0 };
        given.iter().for_each(|(name, value)| shell.set(name, value));
        shell
    }

    /// Sets a variable, unless there is too much in variables already.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        let others = self.variables.iter().filter(|(it, _)| *it != name);
        let size: usize = others.map(|(name, value)| name.len() + value.len()).sum();
        if size + name.len() + value.len() <= LARGEST_VARIABLES {
            self.variables.insert(name.to_owned(), value.to_owned());
        }
    }

    /// What an interactive shell shows before it reads a line.
    pub(crate) fn prompt(&self) -> String {
        let host = self.guest.view().map(|view| view.alias.clone()).unwrap_or_default();
        let sign = if self.user == "root" { '#' } else { '$' };
        format!("{}@{host}:~{sign} ", self.user)
    }

    /// The variable behind `$?`, after something that was not a command of the shell.
    pub(crate) fn set_status(&mut self, status: u8) {
        self.status = status;
    }

    /// Runs a script.
    pub(crate) async fn run(&mut self, script: &str, io: &mut Io<'_>) -> Flow {
        let flow = match parse::parse(script) {
            Ok(script) => self.run_script(&script, io).await,
            Err(error) => self.refuse(&error, io).await,
        };
        self.status = flow.status();
        flow
    }

    /// Runs what it reads, as a shell without a script: each line as soon as it is complete.
    pub(crate) async fn run_input(&mut self, io: &mut Io<'_>) -> Flow {
        let mut script = String::new();
        while let Some(line) = io.stdin.line(LONGEST_SCRIPT).await {
            script.push_str(&String::from_utf8_lossy(&line));
            if parse::parse(&script) == Err(SyntaxError::OpenQuote) {
                script.push('\n');
                continue;
            }
            let flow = self.run(&std::mem::take(&mut script), io).await;
            if let Flow::Exit(_) = flow {
                return flow;
            }
        }
        match script.is_empty() {
            true => Flow::Next(self.status),
            false => self.run(&script, io).await,
        }
    }

    async fn refuse(&self, error: &SyntaxError, io: &Io<'_>) -> Flow {
        // The status is the same whether or not somebody reads why.
        let _ = io.stderr.write(format!("sh: {error}\n").as_bytes()).await;
        Flow::Next(SYNTAX_ERROR)
    }

    async fn run_script(&mut self, script: &Script, io: &mut Io<'_>) -> Flow {
        for list in script {
            let (flow, tested) = self.run_list(list, io).await;
            self.status = flow.status();
            if let Flow::Exit(_) = flow {
                return flow;
            }
            if self.exit_on_error && self.status != 0 && !tested {
                return Flow::Exit(self.status);
            }
        }
        Flow::Next(self.status)
    }

    /// The second value says whether the status is that of a pipeline whose failure was looked at, which does
    /// not end a script under `set -e`.
    async fn run_list(&mut self, list: &AndOr, io: &mut Io<'_>) -> (Flow, bool) {
        let mut flow = self.run_pipeline(&list.first, io).await;
        let mut tested = list.first.negated || !list.rest.is_empty();
        for (position, (connector, pipeline)) in list.rest.iter().enumerate() {
            self.status = flow.status();
            if let Flow::Exit(_) = flow {
                break;
            }
            if (*connector == Connector::And) == (self.status == 0) {
                flow = self.run_pipeline(pipeline, io).await;
                tested = pipeline.negated || position + 1 < list.rest.len();
            }
        }
        (flow, tested)
    }

    async fn run_pipeline(&mut self, pipeline: &Pipeline, io: &mut Io<'_>) -> Flow {
        let flow = match pipeline.commands.as_slice() {
            [command] => self.run_command(command, io).await,
            commands => Flow::Next(self.run_piped(commands, io).await),
        };
        match flow {
            Flow::Next(status) if pipeline.negated => Flow::Next(u8::from(status == 0)),
            flow => flow,
        }
    }

    /// All at once, each in a shell of its own; the status is the last one's.
    async fn run_piped(&self, commands: &[Command], io: &mut Io<'_>) -> u8 {
        let mut stages = Vec::new();
        let mut shared = Some(&mut *io.stdin);
        let mut before = None;
        for (position, command) in commands.iter().enumerate() {
            let (stdout, after) = if position + 1 == commands.len() {
                (io.stdout.clone(), None)
            } else {
                let (writer, reader) = pipe(PIPE);
                (Output::Pipe(writer, Stream::Out), Some(reader))
            };
            let (stdin, stderr, mut shell) = (shared.take(), io.stderr.clone(), self.clone());
            let mut own = std::mem::replace(&mut before, after).unwrap_or_else(Input::empty);
            // Ends of pipes go when their command ends, so that its neighbours notice.
            stages.push(async move {
                let mut io = Io { stdin: stdin.unwrap_or(&mut own), stdout, stderr };
                shell.run_command(command, &mut io).await.status()
            });
        }
        join_all(stages).await.last().copied().unwrap_or_default()
    }

    async fn run_command(&mut self, command: &Command, io: &mut Io<'_>) -> Flow {
        let Some((words, assigned)) = self.expand_command(command) else {
            let _ = io.stderr.write(b"sh: argument list too long\n").await;
            return Flow::Next(TOO_LONG);
        };
        let mut nothing = Input::empty();
        let mut redirected = Io { stdin: io.stdin, stdout: io.stdout.clone(), stderr: io.stderr.clone() };
        for redirect in &command.redirects {
            match redirect {
                Redirect::OutToErr => redirected.stdout = redirected.stderr.clone(),
                Redirect::ErrToOut => redirected.stderr = redirected.stdout.clone(),
                Redirect::File(_, file) if self.expand(file, &mut 4096).as_deref() != NULL => {
                    let _ = io.stderr.write(b"sh: a simulated guest has no files but /dev/null\n").await;
                    return Flow::Next(1);
                }
                Redirect::File(Side::In, _) => {}
                Redirect::File(Side::Out, _) => redirected.stdout = Output::Null,
                Redirect::File(Side::Err, _) => redirected.stderr = Output::Null,
                Redirect::File(Side::Both, _) => {
                    (redirected.stdout, redirected.stderr) = (Output::Null, Output::Null);
                }
            }
        }
        if command.redirects.iter().any(|redirect| matches!(redirect, Redirect::File(Side::In, _))) {
            redirected.stdin = &mut nothing;
        }
        // Variables before a command are that command's only.
        let before = (!words.is_empty() && !assigned.is_empty()).then(|| self.variables.clone());
        for (name, value) in assigned {
            self.set(&name, &value);
        }
        if words.is_empty() {
            return Flow::Next(0);
        }
        let flow = self.run_words(&words, &mut redirected).await;
        if let Some(before) = before {
            self.variables = before;
        }
        flow
    }

    /// A command with its arguments. In a box, because commands run commands.
    fn run_words<'a>(&'a mut self, words: &'a [String], io: &'a mut Io<'_>) -> BoxFuture<'a, Flow> {
        async move {
            if self.depth == DEEPEST {
                let _ = io.stderr.write(b"sh: commands are nested too deeply\n").await;
                return Flow::Next(SYNTAX_ERROR);
            }
            self.depth += 1;
            let result = commands::run(self, words, io).await;
            self.depth -= 1;
            result.unwrap_or(Flow::Next(BROKEN_PIPE))
        }
        .boxed()
    }

    /// The words and assignments of a command; `None` when they are too long together.
    fn expand_command(&self, command: &Command) -> Option<(Vec<String>, Assignments)> {
        let mut room = LARGEST_COMMAND;
        let (mut words, mut assigned) = (Vec::new(), Vec::new());
        for word in &command.words {
            let text = self.expand(word, &mut room)?;
            // Nothing is left of it, and no quotes say that it is a word all the same.
            if word.quoted || !text.is_empty() {
                words.push(text);
            }
        }
        for (name, value) in &command.assignments {
            assigned.push((name.clone(), self.expand(value, &mut room)?));
        }
        Some((words, assigned))
    }

    /// `None` when it has no room.
    fn expand(&self, word: &Word, room: &mut usize) -> Option<String> {
        let mut text = String::new();
        for part in &word.parts {
            let status;
            let part = match part {
                Part::Text(literal) => literal,
                Part::Variable(name) if name == "?" => {
                    status = self.status.to_string();
                    &status
                }
                Part::Variable(name) => self.variables.get(name).map(String::as_str).unwrap_or_default(),
            };
            *room = room.checked_sub(part.len())?;
            text.push_str(part);
        }
        Some(text)
    }
}

#[cfg(test)]
mod tests;
