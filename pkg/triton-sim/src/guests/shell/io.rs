//! What commands read from and write to: pipes that hold a bounded number of bytes.
//!
//! A pipe is a channel of chunks whose room is counted in bytes: a writer waits while it is full, and a writer
//! whose reader is gone is told so, as by SIGPIPE. Reading and writing may be cancelled at any await.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::terminal::printed;

/// How much a pipe between two commands holds, in bytes, as Linux's.
pub(crate) const PIPE: u32 = 64 << 10;
/// The most bytes of one chunk. No pipe may be smaller than a chunk with its cost.
const CHUNK: usize = 32 << 10;
/// What a chunk costs besides its bytes, so that very many very small ones are bounded, too.
const CHUNK_COST: usize = 64;

/// The reader of what was written is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Broken;

/// Which output something was written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Out,
    Err,
}

/// What comes out of a pipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Chunk {
    Data(Stream, Bytes),
    /// An end that is not for ever: ^D at a terminal.
    End,
}

/// The writing end. The pipe ends when all clones are gone.
#[derive(Debug, Clone)]
pub(crate) struct Writer {
    chunks: UnboundedSender<(Chunk, Option<OwnedSemaphorePermit>)>,
    room: Arc<Semaphore>,
}

/// The reading end.
#[derive(Debug)]
pub(crate) struct Input {
    chunks: Option<UnboundedReceiver<(Chunk, Option<OwnedSemaphorePermit>)>>,
    room: Arc<Semaphore>,
    rest: Bytes,
    terminal: bool,
}

/// A pipe that holds `room` bytes, at least [`PIPE`].
pub(crate) fn pipe(room: u32) -> (Writer, Input) {
    let (sender, receiver) = unbounded_channel();
    let room = Arc::new(Semaphore::new(usize::try_from(room.max(PIPE)).unwrap_or(Semaphore::MAX_PERMITS)));
    let input =
        Input { chunks: Some(receiver), room: Arc::clone(&room), rest: Bytes::new(), terminal: false };
    (Writer { chunks: sender, room }, input)
}

impl Writer {
    /// Writes all of it, waiting for room.
    pub(crate) async fn write(&self, stream: Stream, bytes: &[u8]) -> Result<(), Broken> {
        for chunk in bytes.chunks(CHUNK) {
            let cost = u32::try_from(chunk.len() + CHUNK_COST).map_err(|_| Broken)?;
            let permit = Arc::clone(&self.room).acquire_many_owned(cost).await.map_err(|_| Broken)?;
            let chunk = Chunk::Data(stream, Bytes::copy_from_slice(chunk));
            self.chunks.send((chunk, Some(permit))).map_err(|_| Broken)?;
        }
        Ok(())
    }

    /// Ends what a reader reads next, but not the pipe.
    pub(crate) fn end(&self) -> Result<(), Broken> {
        self.chunks.send((Chunk::End, None)).map_err(|_| Broken)
    }
}

impl Input {
    /// One that has ended, as /dev/null.
    pub(crate) fn empty() -> Self {
        Self { chunks: None, room: Arc::new(Semaphore::new(0)), rest: Bytes::new(), terminal: false }
    }

    /// Says that somebody types what is read.
    pub(crate) fn at_terminal(mut self) -> Self {
        self.terminal = true;
        self
    }

    pub(crate) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// The next chunk as it was written; `None` at the end of the pipe.
    pub(crate) async fn chunk(&mut self) -> Option<Chunk> {
        if !self.rest.is_empty() {
            return Some(Chunk::Data(Stream::Out, std::mem::take(&mut self.rest)));
        }
        self.chunks.as_mut()?.recv().await.map(|(chunk, _)| chunk)
    }

    /// The next bytes; `None` at an end, of either kind.
    pub(crate) async fn read(&mut self) -> Option<Bytes> {
        match self.chunk().await? {
            Chunk::Data(_, bytes) => Some(bytes),
            Chunk::End => None,
        }
    }

    /// The next line without its line feed, of at most `limit` bytes; `None` at an end.
    pub(crate) async fn line(&mut self, limit: usize) -> Option<Vec<u8>> {
        let mut line = Vec::new();
        while let Some(mut bytes) = self.read().await {
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let taken = bytes.split_to(end.unwrap_or(bytes.len()));
            line.extend_from_slice(taken.get(..limit.saturating_sub(line.len())).unwrap_or(&taken));
            if end.is_some() {
                self.rest = bytes.slice(1..);
                return Some(line);
            }
        }
        (!line.is_empty()).then_some(line)
    }

    /// Everything up to the end, unless it is more than `limit` bytes.
    pub(crate) async fn all(&mut self, limit: usize) -> Option<Vec<u8>> {
        let mut all = Vec::new();
        while let Some(bytes) = self.read().await {
            all.extend_from_slice(&bytes);
            if all.len() > limit {
                return None;
            }
        }
        Some(all)
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        // Wakes writers that wait for room.
        self.room.close();
    }
}

/// Where an output of a command goes.
#[derive(Debug, Clone)]
pub(crate) enum Output {
    /// /dev/null.
    Null,
    /// A pipe, as this stream.
    Pipe(Writer, Stream),
    /// A terminal, which is a pipe in which lines end as terminals want it.
    Terminal(Writer),
}

impl Output {
    pub(crate) async fn write(&self, bytes: &[u8]) -> Result<(), Broken> {
        match self {
            Self::Null => {
                // Nobody slows the writer down, so others must get their turn here.
                tokio::task::yield_now().await;
                Ok(())
            }
            Self::Pipe(writer, stream) => writer.write(*stream, bytes).await,
            Self::Terminal(writer) => writer.write(Stream::Out, &printed(bytes)).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_writer_waits_while_the_pipe_is_full_and_learns_that_its_reader_is_gone() {
        let (writer, mut input) = pipe(PIPE);
        let written = tokio::spawn(async move { writer.write(Stream::Out, &[7; 300 << 10]).await });
        let mut read = 0;
        while read < 200 << 10 {
            read += input.read().await.expect("data").len();
        }
        assert!(!written.is_finished());
        drop(input);
        assert_eq!(written.await.unwrap(), Err(Broken));
    }

    #[tokio::test]
    async fn very_small_chunks_fill_a_pipe_too() {
        let (writer, _input) = pipe(PIPE);
        let mut written = 0;
        while let Some(result) = futures::FutureExt::now_or_never(writer.write(Stream::Out, b"x")) {
            result.unwrap();
            written += 1;
        }
        assert!(written <= PIPE / 64, "{written}");
    }

    #[tokio::test]
    async fn lines_are_read_across_chunks_and_cut_at_their_limit() {
        let (writer, mut input) = pipe(PIPE);
        for text in ["a", "b\nc\n\nlonger than that\n", "end"] {
            writer.write(Stream::Out, text.as_bytes()).await.unwrap();
        }
        writer.end().unwrap();
        writer.write(Stream::Out, b"after\n").await.unwrap();
        drop(writer);
        let mut lines = Vec::new();
        for _ in 0..7 {
            lines.push(input.line(6).await.map(|line| String::from_utf8(line).unwrap()));
        }
        let expected = [Some("ab"), Some("c"), Some(""), Some("longer"), Some("end"), Some("after"), None];
        assert_eq!(lines.iter().map(Option::as_deref).collect::<Vec<_>>(), expected);
    }
}
