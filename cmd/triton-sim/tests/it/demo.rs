//! The part of `make demo` that needs no more than this program.

use std::path::Path;
use std::process::{Command, Stdio};

#[test]
fn the_demo_makes_an_instance_that_has_a_name_and_answers_and_deletes_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let found = |program: &str, flag: &str| Command::new(program).arg(flag).output().is_ok();
    for (program, flag) in [("node", "-v"), ("npm", "-v"), ("dig", "-v"), ("ssh", "-V"), ("curl", "-V")] {
        if !found(program, flag) {
            assert!(std::env::var_os("CI").is_none(), "no {program}");
            eprintln!("skipped: no {program}");
            return;
        }
    }
    let programs = Path::new(env!("CARGO_BIN_EXE_triton-sim")).parent().expect("it is in a folder");
    let output = Command::new(root.join("hack/demo"))
        .arg("data-centre")
        .env("TRITON_DEMO_PROGRAMS", programs)
        .stdin(Stdio::null())
        .output()
        .expect("it runs");
    let out = String::from_utf8_lossy(&output.stdout);
    let err = String::from_utf8_lossy(&output.stderr);
    if super::no_private_network(&err) {
        return;
    }
    assert!(output.status.success(), "{out}{err}");
    // "1.23 s  step  result"; other lines say what it is about.
    let step = |line: &str| line.split_whitespace().nth(1) == Some("s");
    let steps: Vec<&str> =
        out.lines().filter(|line| step(line)).filter_map(|line| line.split_whitespace().nth(2)).collect();
    assert_eq!(steps, ["data", "create", "CNS", "dig", "ssh", "http", "delete", "gone"], "{out}");
    for part in ["203.0.113.", "Linux demo", r#""name":"demo""#, "is gone"] {
        assert!(out.contains(part), "{part} not in {out}");
    }
}
