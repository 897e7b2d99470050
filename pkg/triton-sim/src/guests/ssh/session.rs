//! One program of an SSH client: a command, or a shell to type at.

use futures::future::{Either, select};
use russh::Sig;
use tokio::sync::{Notify, mpsc};

use crate::guests::shell::io::{Input, Output, PIPE, Stream, Writer, pipe};
use crate::guests::shell::terminal::{Discipline, Typed};
use crate::guests::shell::{Flow, Io, Shell};

/// The status of a command that ^C ended: 128 and SIGINT.
const INTERRUPTED: u8 = 130;
/// The longest line that an interactive shell reads, in bytes; a terminal gives no longer ones.
const LONGEST_LINE: usize = 64 << 10;

/// What the client asked for.
pub(super) enum Program {
    /// This command.
    Exec(String),
    /// A shell.
    Shell,
}

/// How a program ended.
#[derive(Debug)]
pub(super) enum End {
    Status(u8),
    Signal(Sig),
}

/// Runs a program until it ends or gets a signal.
pub(super) async fn run(
    program: Program,
    shell: Shell,
    terminal: bool,
    input: Input,
    output: Writer,
    mut signals: mpsc::Receiver<Sig>,
) -> End {
    let running = async {
        if terminal {
            at_terminal(program, shell, input, output).await
        } else {
            plain(program, shell, input, output).await
        }
    };
    tokio::select! {
        end = running => end,
        Some(signal) = signals.recv() => End::Signal(signal),
    }
}

async fn plain(program: Program, mut shell: Shell, mut stdin: Input, output: Writer) -> End {
    let stdout = Output::Pipe(output.clone(), Stream::Out);
    let mut io = Io { stdin: &mut stdin, stdout, stderr: Output::Pipe(output, Stream::Err) };
    let flow = match program {
        Program::Exec(command) => shell.run(&command, &mut io).await,
        Program::Shell => shell.run_input(&mut io).await,
    };
    End::Status(flow.status())
}

async fn at_terminal(program: Program, mut shell: Shell, typed: Input, output: Writer) -> End {
    let (lines, stdin) = pipe(PIPE);
    let mut stdin = stdin.at_terminal();
    let interrupt = Notify::new();
    let screen = Output::Terminal(output.clone());
    let running = async {
        let mut io = Io { stdin: &mut stdin, stdout: screen.clone(), stderr: screen };
        match program {
            Program::Exec(command) => tokio::select! {
                flow = shell.run(&command, &mut io) => End::Status(flow.status()),
                () = interrupt.notified() => End::Signal(Sig::INT),
            },
            Program::Shell => End::Status(interact(&mut shell, &mut io, &interrupt).await),
        }
    };
    let typing = type_at(typed, lines, output, &interrupt);
    match select(std::pin::pin!(running), std::pin::pin!(typing)).await {
        Either::Left((end, _)) => end,
        // Nothing more is typed, but the program may go on.
        Either::Right(((), running)) => running.await,
    }
}

/// A prompt, a line, its output, and again.
async fn interact(shell: &mut Shell, io: &mut Io<'_>, interrupt: &Notify) -> u8 {
    loop {
        if io.stdout.write(shell.prompt().as_bytes()).await.is_err() {
            return INTERRUPTED;
        }
        let line = tokio::select! {
            line = io.stdin.line(LONGEST_LINE) => line,
            () = interrupt.notified() => continue,
        };
        let Some(line) = line else {
            let _ = io.stdout.write(b"exit\n").await;
            return shell.run("exit", io).await.status();
        };
        let line = String::from_utf8_lossy(&line).into_owned();
        let flow = tokio::select! {
            flow = shell.run(&line, io) => Some(flow),
            () = interrupt.notified() => None,
        };
        match flow {
            Some(Flow::Exit(status)) => return status,
            Some(Flow::Next(_)) => {}
            None => shell.set_status(INTERRUPTED),
        }
    }
}

/// What is typed goes through the line discipline to the program, and back to the screen.
async fn type_at(mut typed: Input, lines: Writer, screen: Writer, interrupt: &Notify) {
    let mut discipline = Discipline::default();
    while let Some(bytes) = typed.read().await {
        for effect in discipline.typed(&bytes) {
            let done = match effect {
                Typed::Echo(shown) => screen.write(Stream::Out, &shown).await,
                Typed::Line(line) => lines.write(Stream::Out, &line).await,
                Typed::End => lines.end(),
                Typed::Interrupt => {
                    interrupt.notify_waiters();
                    Ok(())
                }
            };
            if done.is_err() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guests::fixture::{self, OneInstance};
    use crate::guests::shell::io::Chunk;

    struct Screen(Input);

    impl Screen {
        /// Reads until this has been shown.
        async fn shows(&mut self, expected: &str) -> String {
            let mut all = String::new();
            while !all.ends_with(expected) {
                let Some(Chunk::Data(_, bytes)) = self.0.chunk().await else {
                    panic!("the end after {all:?}")
                };
                all.push_str(std::str::from_utf8(&bytes).unwrap());
            }
            all
        }
    }

    fn start(program: Program) -> (Writer, Screen, mpsc::Sender<Sig>, tokio::task::JoinHandle<End>) {
        let guest = OneInstance::new(fixture::view()).guest();
        let (keyboard, typed) = pipe(PIPE);
        let (output, screen) = pipe(PIPE);
        let (signal, signals) = mpsc::channel(1);
        let shell = Shell::new(guest, "root", None);
        let running = tokio::spawn(run(program, shell, true, typed, output, signals));
        (keyboard, Screen(screen), signal, running)
    }

    #[tokio::test]
    async fn a_shell_at_a_terminal_prompts_echoes_and_survives_control_c() {
        const PROMPT: &str = "root@web:~# ";
        let (keyboard, mut screen, _signal, running) = start(Program::Shell);
        let press = async |keys: &str| keyboard.write(Stream::Out, keys.as_bytes()).await.unwrap();
        screen.shows(PROMPT).await;
        press("echo a\r").await;
        assert_eq!(screen.shows(PROMPT).await, format!("echo a\r\na\r\n{PROMPT}"));
        press("sleep 1h\r").await;
        screen.shows("sleep 1h\r\n").await;
        press("\x03").await;
        screen.shows(PROMPT).await;
        press("echo $?\r").await;
        assert!(screen.shows(PROMPT).await.contains("\r\n130\r\n"));
        press("cat\rb\r").await;
        screen.shows("b\r\nb\r\n").await;
        press("\x04").await;
        screen.shows(PROMPT).await;
        press("half\x03").await;
        screen.shows(PROMPT).await;
        press("false\r").await;
        screen.shows(PROMPT).await;
        press("\x04").await;
        screen.shows("exit\r\n").await;
        assert!(matches!(running.await.unwrap(), End::Status(1)));
    }

    #[tokio::test]
    async fn a_command_at_a_terminal_is_interrupted() {
        let (keyboard, mut screen, _signal, running) = start(Program::Exec("echo on; cat".to_owned()));
        screen.shows("on\r\n").await;
        keyboard.write(Stream::Out, b"\x03").await.unwrap();
        assert!(matches!(running.await.unwrap(), End::Signal(Sig::INT)));
    }

    #[tokio::test]
    async fn a_signal_ends_a_program() {
        let (_keyboard, _screen, signal, running) = start(Program::Exec("sleep infinity".to_owned()));
        signal.send(Sig::TERM).await.unwrap();
        assert!(matches!(running.await.unwrap(), End::Signal(Sig::TERM)));
    }

    #[tokio::test]
    async fn a_program_goes_on_when_nobody_types_any_more() {
        let (keyboard, mut screen, _signal, running) =
            start(Program::Exec("cat; echo on; exit 4".to_owned()));
        drop(keyboard);
        screen.shows("on\r\n").await;
        assert!(matches!(running.await.unwrap(), End::Status(4)));
    }
}
