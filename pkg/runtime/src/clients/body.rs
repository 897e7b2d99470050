//! A response's body that ends with the deadline of its call.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use kube::client::Body;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Sleep;
use tower::BoxError;

use super::bounds::TookTooLong;

/// The body of an answer of [`Bounded`](super::bounds::Bounded).
pub struct BoundedBody {
    inner: Body,
    /// The deadline; `None` for an answer that goes on for as long as both sides like.
    rest: Option<(Pin<Box<Sleep>>, TookTooLong)>,
    /// The connection is not free for another call before the body has come.
    _place: Option<OwnedSemaphorePermit>,
}

impl BoundedBody {
    pub(super) fn new(
        inner: Body,
        rest: Option<(Sleep, TookTooLong)>,
        place: Option<OwnedSemaphorePermit>,
    ) -> Self {
        Self { inner, rest: rest.map(|(sleep, error)| (Box::pin(sleep), error)), _place: place }
    }
}

impl HttpBody for BoundedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(cx) {
            return Poll::Ready(frame.map(|frame| frame.map_err(BoxError::from)));
        }
        let Some((sleep, error)) = &mut self.rest else { return Poll::Pending };
        ready!(sleep.as_mut().poll(cx));
        Poll::Ready(Some(Err((*error).into())))
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }
}
