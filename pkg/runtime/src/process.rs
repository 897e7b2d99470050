//! The order in which a process ends: work first, then leadership.

use std::time::Duration;

use tokio::sync::oneshot;

use crate::exit::Fatal;
use crate::leader::{Elector, Farewell, LeaderError};
use crate::shutdown::{Drained, Shutdown};

/// How long giving up the lease may take. It is two requests; a server that does not answer them must not hold up the
/// end of a process whose lease runs out anyhow.
const LEAVE: Duration = Duration::from_secs(5);

/// Something that must not be left with work under way was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StopError {
    /// The drain took too long.
    #[error("{left} tasks did not end within {seconds} s of the signal to stop")]
    Overran {
        /// How many.
        left: usize,
        /// How long they had.
        seconds: u64,
    },
    /// A second signal came.
    #[error("a second signal to stop came while {left} tasks were still ending")]
    Forced {
        /// How many.
        left: usize,
    },
}

/// Runs until the process is asked to stop, or loses its lease.
///
/// Asked to stop, all work that was started with [`Shutdown::spawn`] has `bound` to end. Then the lease is released,
/// so that another process takes over at once; but when some work had not ended, the lease is left to expire,
/// because whatever is left could still write. When the lease is lost, nothing is waited for: the claim has
/// lapsed, and the process ends with exit code 1 to start again as a candidate.
///
/// # Errors
///
/// [`LeaderError::Lost`] and [`StopError`], as failures.
pub async fn run(shutdown: &Shutdown, elector: Option<Elector>, bound: Duration) -> Result<(), Fatal> {
    let (leave, left) = oneshot::channel();
    let mut election = Box::pin(stand(elector, left));
    tokio::select! {
        ended = &mut election => return ended.map_err(Fatal::failure),
        () = shutdown.begun() => {}
    }
    let drained = tokio::select! {
        // The election goes on meanwhile: what ends may need the claim to write.
        ended = &mut election => return ended.map_err(Fatal::failure),
        drained = shutdown.drain(bound) => drained,
    };
    let farewell = if drained == Drained::Clean { Farewell::Release } else { Farewell::Expire };
    // The receiver lives in `election`, so this cannot fail.
    let _ = leave.send(farewell);
    if tokio::time::timeout(LEAVE, election).await.is_err() {
        tracing::warn!("the lease could not be released in time; it runs out by itself");
    }
    match drained {
        Drained::Clean => Ok(()),
        Drained::Overran { left } => {
            Err(Fatal::failure(StopError::Overran { left, seconds: bound.as_secs() }))
        }
        Drained::Forced { left } => Err(Fatal::failure(StopError::Forced { left })),
    }
}

/// Stands for election until told how to leave. Without an election, until told to leave.
async fn stand(elector: Option<Elector>, left: oneshot::Receiver<Farewell>) -> Result<(), LeaderError> {
    let farewell = async {
        match left.await {
            Ok(farewell) => farewell,
            Err(_) => std::future::pending().await,
        }
    };
    match elector {
        Some(elector) => elector.run(farewell).await,
        None => {
            farewell.await;
            Ok(())
        }
    }
}
