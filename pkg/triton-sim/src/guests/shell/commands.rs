//! The commands of a simulated guest.
//!
//! | command | does |
//! |---|---|
//! | `true`, `:`, `false`, `exit [N]` | as usual |
//! | `echo [-n] WORD...`, `printenv [NAME]`, `env [-i] [NAME=value...] [COMMAND]`, `export NAME=value`, `unset NAME` | as usual |
//! | `set -e`, `set +e` | ends the script at the first failure; other options are accepted and do nothing |
//! | `sh -c SCRIPT`, `bash -c SCRIPT`, `exec COMMAND` | as usual; without `-c`, a shell reads its input |
//! | `cat`, `head [-n N \| -c N]`, `wc [-c \| -l]`, `yes [WORD]`, `seq [FIRST] LAST` | filters and sources of any length |
//! | `hostname`, `uname [-asnrm]`, `id [-un]`, `whoami`, `pwd`, `date [-u] [+FORMAT]` | about the guest; the time is the data centre's |
//! | `sleep N[smh]` | waits, also `sleep infinity` |
//! | `stty size`, `tty` | about the terminal |
//! | `mdata-get KEY`, `mdata-put KEY [VALUE]`, `mdata-list`, `mdata-delete KEY` | metadata, with the codes of reference 5.1 |
//! | `poweroff`, `halt`, `shutdown`, `reboot`, `init 0\|5\|6` | stop or restart the instance. Before, `mdata-put k8s:exit-code N` says how the guest's program ended |
//!
//! A command may be named by a path in one of the usual directories, such as `/native/usr/sbin/mdata-get`.
//! Anything else is not found: status 127.

use std::time::Duration;

use super::io::Broken;
use super::parse::is_name;
use super::{Flow, Io, NOT_FOUND, SYNTAX_ERROR, Shell, filters, metadata};

/// Where commands may be said to be.
const DIRECTORIES: [&str; 11] = [
    "/bin/",
    "/sbin/",
    "/usr/bin/",
    "/usr/sbin/",
    "/usr/local/bin/",
    "/usr/local/sbin/",
    "/opt/local/bin/",
    "/native/usr/bin/",
    "/native/usr/sbin/",
    "/native/sbin/",
    "/lib/svc/method/",
];

/// The kernel that guests claim to have: LX zones say so, and others do not mind.
const RELEASE: &str = "5.10.0";

/// The longest that `sleep` sleeps, for a clock that cannot go further.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Runs a command that is not a piece of syntax.
pub(super) async fn run(shell: &mut Shell, words: &[String], io: &mut Io<'_>) -> Result<Flow, Broken> {
    let Some((command, arguments)) = words.split_first() else { return Ok(Flow::Next(0)) };
    let name = DIRECTORIES.iter().find_map(|directory| command.strip_prefix(directory)).unwrap_or(command);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let status = match name {
        "true" | ":" | "cd" | "umask" | "trap" => 0,
        "false" => 1,
        "exit" => return Ok(Flow::Exit(exit_status(shell, &arguments))),
        "echo" => echo(&arguments, io).await?,
        "set" => set(shell, &arguments),
        "export" => export(shell, &arguments, io).await?,
        "unset" => {
            arguments.iter().for_each(|name| drop(shell.variables.remove(*name)));
            0
        }
        "env" | "printenv" => return env(shell, name, &arguments, io).await,
        "exec" => match arguments.as_slice() {
            [] => 0,
            _ => return Ok(Flow::Exit(shell.run_words(&words[1..], io).await.status())),
        },
        "sh" | "bash" | "ash" | "dash" => subshell(shell, name, &arguments, io).await?,
        "cat" => filters::cat(&arguments, io).await?,
        "head" => filters::head(&arguments, io).await?,
        "wc" => filters::wc(&arguments, io).await?,
        "yes" => filters::yes(&arguments, io).await?,
        "seq" => filters::seq(&arguments, io).await?,
        "hostname" => print(io, &host(shell)).await?,
        "uname" => uname(shell, &arguments, io).await?,
        "id" => id(shell, &arguments, io).await?,
        "whoami" => print(io, &shell.user).await?,
        "pwd" => print(io, shell.variables.get("HOME").map_or("/", String::as_str)).await?,
        "date" => date(shell, &arguments, io).await?,
        "sleep" => sleep(&arguments, io).await?,
        "stty" => stty(shell, &arguments, io).await?,
        "tty" if shell.window.is_some() => print(io, "/dev/pts/0").await?,
        "tty" => {
            print(io, "not a tty").await?;
            1
        }
        "mdata-get" => metadata::get(shell, &arguments, io).await?,
        "mdata-put" => metadata::put(shell, &arguments, io).await?,
        "mdata-list" => metadata::list(shell, io).await?,
        "mdata-delete" => metadata::delete(shell, &arguments, io).await?,
        "poweroff" | "halt" | "shutdown" => {
            power(shell, arguments.contains(&"-r") || arguments.contains(&"-i6"))
        }
        "reboot" => power(shell, true),
        "init" => match arguments.as_slice() {
            ["0" | "5"] => power(shell, false),
            ["6"] => power(shell, true),
            _ => complain(io, "init: only 0, 5 and 6 are simulated", 1).await?,
        },
        _ => complain(io, &format!("sh: {command}: command not found"), NOT_FOUND).await?,
    };
    Ok(Flow::Next(status))
}

/// Prints a line; status 0.
pub(super) async fn print(io: &Io<'_>, line: &str) -> Result<u8, Broken> {
    io.stdout.write(format!("{line}\n").as_bytes()).await?;
    Ok(0)
}

/// Prints a line of what is wrong, and gives the status back.
pub(super) async fn complain(io: &Io<'_>, line: &str, status: u8) -> Result<u8, Broken> {
    io.stderr.write(format!("{line}\n").as_bytes()).await?;
    Ok(status)
}

fn power(shell: &Shell, again: bool) -> u8 {
    if again {
        shell.guest.reboot();
    } else {
        shell.guest.power_off();
    }
    0
}

fn host(shell: &Shell) -> String {
    shell.guest.view().map(|view| view.alias.clone()).unwrap_or_default()
}

/// The number modulo 256, as a process's status is; 2 for what is no number.
fn exit_status(shell: &Shell, arguments: &[&str]) -> u8 {
    match arguments.first() {
        None => shell.status,
        Some(text) => text.parse::<i64>().map_or(SYNTAX_ERROR, |number| number.to_le_bytes()[0]),
    }
}

async fn echo(arguments: &[&str], io: &Io<'_>) -> Result<u8, Broken> {
    let (words, end) = match arguments {
        ["-n", words @ ..] => (words, ""),
        words => (words, "\n"),
    };
    io.stdout.write(format!("{}{end}", words.join(" ")).as_bytes()).await?;
    Ok(0)
}

fn set(shell: &mut Shell, arguments: &[&str]) -> u8 {
    for option in arguments {
        match option.split_at_checked(1) {
            Some(("-", letters)) if letters.contains('e') => shell.exit_on_error = true,
            Some(("+", letters)) if letters.contains('e') => shell.exit_on_error = false,
            _ => {}
        }
    }
    0
}

async fn export(shell: &mut Shell, arguments: &[&str], io: &Io<'_>) -> Result<u8, Broken> {
    for argument in arguments {
        let (name, value) = argument.split_once('=').map_or((*argument, None), |(name, it)| (name, Some(it)));
        if !is_name(name) {
            return complain(io, &format!("sh: export: {name}: not a name"), 1).await;
        }
        if let Some(value) = value {
            shell.set(name, value);
        }
    }
    Ok(0)
}

async fn env(shell: &mut Shell, name: &str, arguments: &[&str], io: &mut Io<'_>) -> Result<Flow, Broken> {
    if let ("printenv", [variable]) = (name, arguments) {
        return Ok(Flow::Next(match shell.variables.get(*variable).cloned() {
            Some(value) => print(io, &value).await?,
            None => 1,
        }));
    }
    let mut inner = shell.clone();
    let mut arguments = arguments.iter().peekable();
    while let Some(argument) = arguments.next_if(|it| **it == "-i" || it.contains('=')) {
        match argument.split_once('=') {
            Some((name, value)) => inner.set(name, value),
            None => inner.variables.clear(),
        }
    }
    let command: Vec<_> = arguments.map(|it| (*it).to_owned()).collect();
    if !command.is_empty() {
        return Ok(Flow::Next(inner.run_words(&command, io).await.status()));
    }
    for (name, value) in &inner.variables {
        print(io, &format!("{name}={value}")).await?;
    }
    Ok(Flow::Next(0))
}

async fn subshell(shell: &Shell, name: &str, arguments: &[&str], io: &mut Io<'_>) -> Result<u8, Broken> {
    let mut inner = shell.clone();
    inner.exit_on_error = false;
    let mut arguments = arguments.iter();
    loop {
        match arguments.next() {
            // The letters before c, such as in -ec or -lc.
            Some(options) if options.starts_with('-') && options.ends_with('c') => {
                inner.exit_on_error |= options.contains('e');
                return match arguments.next() {
                    Some(script) => Ok(inner.run(script, io).await.status()),
                    None => complain(io, &format!("{name}: -c: a script is missing"), SYNTAX_ERROR).await,
                };
            }
            Some(&"-e") => inner.exit_on_error = true,
            Some(options) if options.starts_with('-') => {}
            Some(file) => {
                return complain(io, &format!("{name}: {file}: No such file or directory"), NOT_FOUND).await;
            }
            None => return Ok(inner.run_input(io).await.status()),
        }
    }
}

async fn uname(shell: &Shell, arguments: &[&str], io: &Io<'_>) -> Result<u8, Broken> {
    let brand = shell.guest.view().map(|view| view.brand.to_string()).unwrap_or_default();
    let (system, release) = if brand.starts_with("joyent") { ("SunOS", "5.11") } else { ("Linux", RELEASE) };
    let host = host(shell);
    let mut letters: String = arguments.iter().flat_map(|it| it.trim_start_matches('-').chars()).collect();
    if letters.is_empty() {
        letters = "s".to_owned();
    }
    if letters.contains('a') {
        letters = "snrm".to_owned();
    }
    let all = [('s', system), ('n', &host), ('r', release), ('m', "x86_64")];
    let words: Vec<_> =
        all.iter().filter(|(letter, _)| letters.contains(*letter)).map(|(_, it)| *it).collect();
    print(io, &words.join(" ")).await
}

async fn id(shell: &Shell, arguments: &[&str], io: &Io<'_>) -> Result<u8, Broken> {
    let user = &shell.user;
    let number = if user == "root" { 0 } else { 1000 };
    let named = arguments.iter().any(|it| it.starts_with('-') && it.contains('n'));
    let line = match arguments.first() {
        None => format!("uid={number}({user}) gid={number}({user}) groups={number}({user})"),
        Some(_) if named => user.clone(),
        Some(_) => number.to_string(),
    };
    print(io, &line).await
}

async fn date(shell: &Shell, arguments: &[&str], io: &Io<'_>) -> Result<u8, Broken> {
    let format = arguments.iter().find_map(|it| it.strip_prefix('+')).unwrap_or("%a %b %e %H:%M:%S UTC %Y");
    let now = shell.guest.now().to_zoned(jiff::tz::TimeZone::UTC);
    match jiff::fmt::strtime::format(format, &now) {
        Ok(text) => print(io, &text).await,
        Err(_) => complain(io, &format!("date: invalid format '{format}'"), 1).await,
    }
}

async fn sleep(arguments: &[&str], io: &Io<'_>) -> Result<u8, Broken> {
    let mut total = Duration::ZERO;
    for argument in arguments {
        match duration(argument) {
            Some(duration) => total = total.saturating_add(duration).min(FOREVER),
            None => return complain(io, &format!("sleep: invalid time interval '{argument}'"), 1).await,
        }
    }
    if arguments.is_empty() {
        return complain(io, "sleep: missing operand", 1).await;
    }
    tokio::time::sleep(total).await;
    Ok(0)
}

/// Seconds, or a number with its unit.
fn duration(text: &str) -> Option<Duration> {
    if text == "infinity" {
        return Some(FOREVER);
    }
    let (number, unit) = match text.strip_suffix(['s', 'm', 'h']) {
        Some(number) if text.ends_with('m') => (number, 60.0),
        Some(number) if text.ends_with('h') => (number, 3600.0),
        Some(number) => (number, 1.0),
        None => (text, 1.0),
    };
    let seconds = number.parse::<f64>().ok()? * unit;
    Duration::try_from_secs_f64(seconds).ok().or((seconds > 0.0).then_some(FOREVER))
}

async fn stty(shell: &Shell, arguments: &[&str], io: &Io<'_>) -> Result<u8, Broken> {
    let Some(window) = &shell.window else {
        return complain(io, "stty: standard input: Inappropriate ioctl for device", 1).await;
    };
    if !arguments.contains(&"size") {
        return Ok(0);
    }
    let window = *window.borrow();
    print(io, &format!("{} {}", window.rows, window.columns)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_to_sleep_are_read_with_their_units() {
        let check = |text: &str, seconds: Option<f64>| {
            assert_eq!(duration(text), seconds.map(Duration::from_secs_f64), "{text}");
        };
        check("2", Some(2.0));
        check("0.25s", Some(0.25));
        check("3m", Some(180.0));
        check("1h", Some(3600.0));
        check("", None);
        check("-1", None);
        check("1d", None);
        check("NaN", None);
        assert_eq!(duration("infinity"), Some(FOREVER));
        assert_eq!(duration("1e300"), Some(FOREVER));
    }
}
