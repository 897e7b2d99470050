//! What a guest does when it starts: it runs its `user-script`, as those of Triton do at every boot (reference
//! 5.1), in the simulated shell. Scripts for other interpreters end at their first line that is none of a shell.

use std::time::Duration;

use super::guest::Guest;
use super::shell::io::{Chunk, Input, Output, PIPE, Stream, pipe};
use super::shell::{Io, Shell};

/// The metadata key of the script.
const USER_SCRIPT: &str = "user-script";
/// How much of a line is logged.
const LOGGED: usize = 256;

/// Runs the script of a guest, if it has one, for at most `limit`.
pub(super) async fn run(guest: Guest, limit: Duration) {
    let script = guest.view().and_then(|view| view.metadata.get(USER_SCRIPT).cloned());
    let Some(script) = script else { return };
    let id = guest.id();
    let (writer, written) = pipe(PIPE);
    let running = async {
        let mut nothing = Input::empty();
        let stdout = Output::Pipe(writer.clone(), Stream::Out);
        let mut io = Io { stdin: &mut nothing, stdout, stderr: Output::Pipe(writer, Stream::Err) };
        Shell::new(guest, "root", None).run(&script, &mut io).await.status()
    };
    let done = async { futures::join!(running, log(written, id)).0 };
    match tokio::time::timeout(limit, done).await {
        Ok(0) => tracing::debug!(instance = %id, "the user-script ended"),
        Ok(status) => tracing::info!(instance = %id, status, "the user-script failed"),
        Err(_) => tracing::info!(instance = %id, "the user-script ran too long"),
    }
}

async fn log(mut written: Input, id: triton::id::InstanceId) {
    while let Some(Chunk::Data(_, bytes)) = written.chunk().await {
        let text = String::from_utf8_lossy(bytes.get(..LOGGED).unwrap_or(&bytes)).into_owned();
        tracing::debug!(instance = %id, text = text.trim_end(), "user-script");
    }
}
