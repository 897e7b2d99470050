//! Ending tasks: each has the receiving end of a channel whose sending end its owner keeps.

use std::future::Future;

use tokio::sync::watch;

/// Does something until it is done, or until something is sent to `stop`, or its sender is dropped. What is to
/// stop does nothing more, whatever else has happened since.
pub(crate) async fn until(mut stop: watch::Receiver<()>, work: impl Future<Output = ()>) {
    tokio::select! {
        biased;
        _ = stop.changed() => {}
        () = work => {}
    }
}
