//! Stopping: the first signal lets work end, the second does not wait for it, and neither does the clock.

use std::future::Future;
use std::io;
use std::task::Poll;
use std::time::Duration;

use futures::{Stream, StreamExt as _};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long work may take to end after the first signal. Kubernetes kills a pod 30 s after its signal; this leaves
/// time to release a lease.
pub const DRAIN: Duration = Duration::from_secs(20);

/// How stopping went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// All work ended.
    Clean,
    /// Some work had not ended when its time was over.
    Overran {
        /// How many tasks were left.
        left: usize,
    },
    /// A second signal came first.
    Forced {
        /// How many tasks were left.
        left: usize,
    },
}

/// The end of a process, shared by all that take part. Cloning gives another handle.
#[derive(Debug, Clone)]
pub struct Shutdown {
    begun: CancellationToken,
    tasks: TaskTracker,
    signals: watch::Receiver<usize>,
}

impl Shutdown {
    /// Listens for SIGTERM and SIGINT. Needs a tokio runtime.
    ///
    /// # Errors
    ///
    /// When the system refuses to install a handler.
    pub fn on_signals() -> io::Result<Self> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let either = futures::stream::poll_fn(move |cx| match terminate.poll_recv(cx) {
            Poll::Ready(Some(())) => Poll::Ready(Some(())),
            _ => interrupt.poll_recv(cx),
        });
        Ok(Self::on(either))
    }

    /// Takes each item of a stream for a signal. The stream's end means nothing. Needs a tokio runtime.
    pub fn on(signals: impl Stream<Item = ()> + Send + 'static) -> Self {
        let (sender, receiver) = watch::channel(0);
        let begun = CancellationToken::new();
        let begin = begun.clone();
        tokio::spawn(async move {
            let mut signals = Box::pin(signals);
            while signals.next().await.is_some() {
                sender.send_modify(|count| *count += 1);
                tracing::info!(signal = *sender.borrow(), "asked to stop");
                begin.cancel();
            }
            // The channel stays open for as long as somebody may wait for a second signal.
            sender.closed().await;
        });
        Self { begun, tasks: TaskTracker::new(), signals: receiver }
    }

    /// Begins to stop without a signal, because something failed.
    pub fn begin(&self) {
        self.begun.cancel();
    }

    /// Whether stopping has begun.
    pub fn has_begun(&self) -> bool {
        self.begun.is_cancelled()
    }

    /// Waits until stopping begins. Work ends itself when this returns.
    pub async fn begun(&self) {
        self.begun.cancelled().await;
    }

    /// Starts work that stopping waits for. It is given this handle so that it can tell when to end.
    pub fn spawn<F>(&self, work: impl FnOnce(Self) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tasks.spawn(work(self.clone()));
    }

    /// Once stopping has begun: waits for all work to end, for `bound` at most, and not beyond a second signal.
    pub async fn drain(&self, bound: Duration) -> Drained {
        self.tasks.close();
        let mut signals = self.signals.clone();
        let second = async {
            if signals.wait_for(|count| *count >= 2).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            () = self.tasks.wait() => Drained::Clean,
            () = second => Drained::Forced { left: self.tasks.len() },
            () = tokio::time::sleep(bound) => Drained::Overran { left: self.tasks.len() },
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::channel::mpsc;
    use tokio::time::Instant;

    use super::*;

    const BOUND: Duration = Duration::from_secs(20);

    fn shutdown() -> (mpsc::UnboundedSender<()>, Shutdown) {
        let (signals, receiver) = mpsc::unbounded();
        (signals, Shutdown::on(receiver))
    }

    /// Work that ends this long after it was asked to.
    fn slow(shutdown: &Shutdown, span: Duration) {
        shutdown.spawn(move |shutdown| async move {
            shutdown.begun().await;
            tokio::time::sleep(span).await;
        });
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_signal_waits_for_work_to_end() {
        let (signals, shutdown) = shutdown();
        slow(&shutdown, Duration::from_secs(3));
        assert!(!shutdown.has_begun());
        signals.unbounded_send(()).unwrap();
        shutdown.begun().await;
        let start = Instant::now();
        assert_eq!(shutdown.drain(BOUND).await, Drained::Clean);
        assert_eq!(start.elapsed().as_secs(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn the_second_signal_waits_for_nothing() {
        let (signals, shutdown) = shutdown();
        slow(&shutdown, Duration::from_secs(3600));
        slow(&shutdown, Duration::ZERO);
        signals.unbounded_send(()).unwrap();
        shutdown.begun().await;
        let start = Instant::now();
        let again = async {
            tokio::time::sleep(Duration::from_secs(2)).await;
            signals.unbounded_send(()).unwrap();
        };
        let (drained, ()) = tokio::join!(shutdown.drain(BOUND), again);
        assert_eq!(drained, Drained::Forced { left: 1 });
        assert_eq!(start.elapsed().as_secs(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_never_ends_is_left_behind() {
        let (signals, shutdown) = shutdown();
        slow(&shutdown, Duration::MAX / 4);
        drop(signals);
        shutdown.begin();
        let start = Instant::now();
        assert_eq!(shutdown.drain(BOUND).await, Drained::Overran { left: 1 });
        assert_eq!(start.elapsed(), BOUND);
    }
}
