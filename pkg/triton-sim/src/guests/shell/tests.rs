use std::sync::Arc;

use rstest::rstest;

use super::io::Chunk;
use super::*;
use crate::guests::fixture::{self, OneInstance};
use crate::view::VmState;

/// Runs a script with this input: its output, its error output, its status.
async fn run_in(data_center: &Arc<OneInstance>, script: &str, input: &str) -> (String, String, u8) {
    let mut shell = Shell::new(data_center.guest(), "root", None);
    let (stdin_writer, mut stdin) = pipe(PIPE);
    stdin_writer.write(Stream::Out, input.as_bytes()).await.unwrap();
    drop(stdin_writer);
    let (writer, mut output) = pipe(1 << 20);
    let run = async {
        let stdout = Output::Pipe(writer.clone(), Stream::Out);
        let mut io = Io { stdin: &mut stdin, stdout, stderr: Output::Pipe(writer, Stream::Err) };
        shell.run(script, &mut io).await.status()
    };
    let read = async {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        while let Some(Chunk::Data(stream, bytes)) = output.chunk().await {
            let to = if stream == Stream::Out { &mut out } else { &mut err };
            to.extend_from_slice(&bytes);
        }
        (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    };
    let (status, (out, err)) = futures::join!(run, read);
    (out, err, status)
}

async fn run(script: &str, input: &str) -> (String, String, u8) {
    run_in(&OneInstance::new(fixture::view()), script, input).await
}

#[rstest]
#[case::words("echo a  'b  c'; echo -n d", "a b  c\nd", 0)]
#[case::statuses("true; echo $?; false; echo $?; nope 2>/dev/null; echo $?", "0\n1\n127\n", 0)]
#[case::the_last_status_is_the_scripts("true; false", "", 1)]
#[case::exit("echo a; exit 7; echo b", "a\n", 7)]
#[case::exit_wraps_around("exit 256", "", 0)]
#[case::exit_with_the_last_status("false; exit", "", 1)]
#[case::exit_is_no_word("exit x", "", 2)]
#[case::and_or("false && echo a || echo b; true || echo c; true && echo d", "b\nd\n", 0)]
#[case::not("! true; echo $?; ! false", "1\n", 0)]
#[case::errexit("set -e; false || true; ! true; echo a; false; echo b", "a\n", 1)]
#[case::no_errexit_on_the_left("set -eux; false && true; echo a", "a\n", 0)]
#[case::errexit_on_the_right("set -e; true && false; echo a", "", 1)]
#[case::exit_in_a_pipeline_is_the_stages("exit 3 | cat; echo $?", "0\n", 0)]
#[case::variables("A=1; B=${A}2; echo $B \"$A b\" $C; A=x env | head -n 1", "12 1 b\nA=x\n", 0)]
#[case::variables_of_one_command("A=1; A=2 sh -c 'echo $A'; echo $A", "2\n1\n", 0)]
#[case::a_pipeline_is_a_shell_of_its_own("A=1; A=2 | true; echo $A", "1\n", 0)]
#[case::shells("sh -c 'echo $0 a; exit 4'; echo $?", "$0 a\n4\n", 0)]
#[case::a_shell_ends_at_its_exit_only("bash -lc 'exit 1'; echo on", "on\n", 0)]
#[case::sh_e("sh -ec 'false; echo a'", "", 1)]
#[case::exec("exec sh -c 'exit 5'; echo on", "", 5)]
#[case::env("env -i A=1 printenv A; env B=2 sh -c 'echo $B'", "1\n2\n", 0)]
#[case::redirections("echo a >/dev/null; echo b >&2; nope 2>&1", "sh: nope: command not found\n", 127)]
#[case::a_filter_chain("seq 100000 | head -n 3 | wc", "3 3 6\n", 0)]
#[case::bulk("yes | head -c 3000000 | wc -c", "3000000\n", 0)]
#[case::bulk_lines("yes abc | head -n 200000 | wc -l", "200000\n", 0)]
#[case::head_of_little("echo a | head -5 | wc -l", "1\n", 0)]
#[case::no_sources_without_a_reader("yes >/dev/null 2>&1; seq 99999999999 >/dev/null; echo $?", "0\n", 0)]
#[case::who("whoami; id -u; id; hostname", "root\n0\nuid=0(root) gid=0(root) groups=0(root)\nweb\n", 0)]
#[case::uname("uname; uname -nm", "Linux\nweb x86_64\n", 0)]
#[case::date("date +%s; date", "1770091506\nTue Feb  3 04:05:06 UTC 2026\n", 0)]
#[case::paths("/bin/echo a; /native/usr/sbin/mdata-get greeting", "a\nhello\n", 0)]
#[case::no_terminal("tty", "not a tty\n", 1)]
#[case::the_input_is_read_by_the_first("cat | wc -c; wc -c", "5\n0\n", 0)]
#[case::no_input("cat </dev/null; echo a", "a\n", 0)]
#[case::mdata(
    "mdata-put k8s:exit-code 3 && mdata-get k8s:exit-code; mdata-list",
    "3\ngreeting\nk8s:exit-code\n",
    0
)]
#[case::mdata_from_the_input(
    "mdata-put a; mdata-get a; mdata-delete a; mdata-get a 2>&1",
    "input\nNo metadata for 'a'\n",
    1
)]
#[case::mdata_of_the_data_centre("mdata-get sdc:tags.role; mdata-get sdc:datacenter_name", "api\ndc1\n", 0)]
#[case::mdata_usage("mdata-get 2>/dev/null", "", 3)]
#[case::mdata_deletes_what_is_there("mdata-delete nothing 2>&1", "No metadata for 'nothing'\n", 1)]
#[case::mdata_sdc_is_read_only(
    "mdata-put sdc:alias x 2>&1",
    "Error putting metadata for key 'sdc:alias': Cannot update the sdc Namespace.\n",
    2
)]
#[case::a_script_that_is_none("echo a; if true", "", 2)]
#[case::files("echo a > /tmp/x 2>&1", "", 1)]
#[tokio::test]
async fn a_script_prints_and_ends(#[case] script: &str, #[case] expected: &str, #[case] status: u8) {
    let (out, err, actual) = run(script, "input").await;
    assert_eq!((out.as_str(), actual), (expected, status), "{err}");
}

#[tokio::test]
async fn what_goes_wrong_is_said_on_the_error_output() {
    for (script, expected) in [
        ("nope", "sh: nope: command not found\n"),
        ("while true", "sh: the shell of a simulated guest has no `while`\n"),
        ("cat /etc/passwd", "cat: /etc/passwd: No such file or directory\n"),
        ("echo a > x", "sh: a simulated guest has no files but /dev/null\n"),
        ("echo a >&2", "a\n"),
        ("sleep x", "sleep: invalid time interval 'x'\n"),
        ("mdata-get x", "No metadata for 'x'\n"),
        ("stty size", "stty: standard input: Inappropriate ioctl for device\n"),
    ] {
        let (out, err, _) = run(script, "").await;
        assert_eq!((out.as_str(), err.as_str()), ("", expected), "{script}");
    }
}

#[tokio::test]
async fn commands_cannot_call_each_other_for_ever() {
    let (_, err, status) = run("X='sh -c \"$X\"'; sh -c \"$X\"", "").await;
    assert_eq!((err.as_str(), status), ("sh: commands are nested too deeply\n", 2));
    let (_, err, status) = run(&format!("{} true", "env ".repeat(50_000)), "").await;
    assert_eq!((err.as_str(), status), ("sh: commands are nested too deeply\n", 2));
}

#[tokio::test]
async fn variables_and_arguments_do_not_grow_without_bound() {
    let doubling = format!("A=0123456789; {} echo $A | wc -c", "A=$A$A; ".repeat(60));
    let (out, err, _) = run(&doubling, "").await;
    let size: usize = out.trim().parse().expect(&err);
    assert!((100_000..=256 << 10).contains(&size), "{size}");
    let many = format!("A=0123456789; {} echo {}", "A=$A$A; ".repeat(14), "$A".repeat(10));
    let (_, err, status) = run(&many, "").await;
    assert_eq!((err.as_str(), status), ("sh: argument list too long\n", 126));
}

#[tokio::test]
async fn a_shell_without_a_script_runs_its_input_line_by_line() {
    let (out, _, status) = run("sh", "echo a\necho 'b\nc'; cat\nrest\n").await;
    assert_eq!((out.as_str(), status), ("a\nb\nc\nrest\n", 0));
    let (out, _, status) = run("sh; echo on", "exit 3\necho a\n").await;
    assert_eq!((out.as_str(), status), ("on\n", 0));
    let (out, _, status) = run("sh", "false").await;
    assert_eq!((out.as_str(), status), ("", 1));
}

#[tokio::test]
async fn a_guest_powers_itself_off_with_an_exit_code_or_reboots() {
    let data_center = OneInstance::new(fixture::view());
    let (_, _, status) = run_in(&data_center, "mdata-put k8s:exit-code 3; halt", "").await;
    let view = data_center.now_view();
    assert_eq!((status, view.state), (0, VmState::Stopped));
    assert_eq!(view.metadata.get("k8s:exit-code").map(String::as_str), Some("3"));

    let data_center = OneInstance::new(fixture::view());
    run_in(&data_center, "shutdown -r now", "").await;
    assert_ne!(data_center.now_view().booted, fixture::view().booted);
}

#[tokio::test]
async fn a_pods_variables_are_those_of_the_guests_programs() {
    let mut view = fixture::view();
    view.metadata.insert("user-data".to_owned(), r#"{"env_vars": {"COLOR": "blue"}}"#.to_owned());
    let (out, _, _) = run_in(&OneInstance::new(view), "echo $COLOR; printenv COLOR", "").await;
    assert_eq!(out, "blue\nblue\n");
}

#[tokio::test(start_paused = true)]
async fn sleeping_takes_its_time() {
    let before = tokio::time::Instant::now();
    let (_, _, status) = run("sleep 1.5 && sleep 1m", "").await;
    assert_eq!((before.elapsed().as_millis(), status), (61_500, 0));
}
