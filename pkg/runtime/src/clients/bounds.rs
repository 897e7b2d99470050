//! What bounds a call, as a tower layer: its deadline, its turn, its pace when it is a watch, and its claim.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use http::{Method, Request, Response};
use kube::client::Body;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tower::{BoxError, Layer, Service};

use super::body::BoundedBody;
use super::limit::{Limiter, Priority};
use super::pace::Pace;
use crate::leader::Claim;

/// How many calls of one client are under way at once, watches aside. kube's connections carry one call each, and to
/// open one costs more than most calls: a thousand pods that change together would have a thousand TLS handshakes.
/// With answers in 10 ms this is 1,600 calls a second.
const AT_ONCE: usize = 16;

/// The layer. Around a service that can be cloned, such as a [`kube::Client`]'s.
///
/// - A **deadline** covers everything: waiting for a turn, connecting, repeats, headers and body. Of a watch, of logs
///   that are followed and of an upgraded connection it covers the beginning only; kube's watcher bounds the
///   silence of a watch.
/// - A **turn** of the [`Limiter`], by priority.
/// - A **place** among the calls that are under way at once; watches, logs that are followed and upgraded connections
///   need none.
/// - A **pace** for watches that end as soon as they begin.
/// - A **claim**: whatever is not a read is refused unless the claim is valid when the request is sent, after all
///   waiting, and is cut off when it lapses.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// The longest that a call may take.
    pub deadline: Duration,
    /// Whose turns to take, and how urgent they are; `None` for no limit.
    pub turn: Option<(Limiter, Priority)>,
    /// Whose writes these are; `None` when they need no leadership.
    pub claim: Option<Claim>,
}

/// The deadline of a call has passed.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the API server did not answer within {0:?}")]
pub(super) struct TookTooLong(Duration);

impl<S> Layer<S> for Bounds {
    type Service = Bounded<S>;

    fn layer(&self, inner: S) -> Bounded<S> {
        let places = Arc::new(Semaphore::new(AT_ONCE));
        Bounded { inner, bounds: self.clone(), pace: Pace::default(), places }
    }
}

impl Bounds {
    /// Puts these bounds around a client. Needs a tokio runtime.
    pub fn around(&self, client: &kube::Client) -> kube::Client {
        let inner = client.clone();
        let service = tower::service_fn(move |request| {
            let client = inner.clone();
            async move { client.send(request).await }
        });
        kube::Client::new(self.layer(service), client.default_namespace().to_owned())
    }
}

/// The service of [`Bounds`].
#[derive(Debug, Clone)]
pub struct Bounded<S> {
    inner: S,
    bounds: Bounds,
    pace: Pace,
    places: Arc<Semaphore>,
}

impl<S> Service<Request<Body>> for Bounded<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError> + Send,
{
    type Response = Response<BoundedBody>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<BoundedBody>, BoxError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let later = self.inner.clone();
        // The one that is ready serves this request; its clone serves the next, when that one is ready.
        let ready = std::mem::replace(&mut self.inner, later);
        let (bounds, pace, places) = (self.bounds.clone(), self.pace.clone(), self.places.clone());
        let this = Self { inner: ready, bounds, pace, places };
        Box::pin(this.serve(request))
    }
}

impl<S> Bounded<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError> + Send,
{
    async fn serve(mut self, request: Request<Body>) -> Result<Response<BoundedBody>, BoxError> {
        let error = TookTooLong(self.bounds.deadline);
        let deadline = Instant::now() + self.bounds.deadline;
        let open_ended = is_open_ended(&request);
        let exchange = async move {
            if let Some((limiter, priority)) = &self.bounds.turn {
                limiter.turn(*priority).await;
            }
            let place = match open_ended {
                true => None,
                false => Some(self.places.acquire_owned().await?),
            };
            if is_watch(&request) {
                tokio::time::sleep_until(self.pace.begin(&request, Instant::now())).await;
            }
            let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
            let claim = self.bounds.claim.take().filter(|_| !reads);
            let answer = async { self.inner.call(request).await.map_err(Into::into) };
            // Boxed, because calls wait for their places by the thousand and need most of what they need from here on.
            Ok::<_, BoxError>((Box::pin(run(claim, answer)).await?, place))
        };
        let (answer, place) = tokio::time::timeout_at(deadline, exchange).await.map_err(|_| error)??;
        let rest = (!open_ended).then(|| (tokio::time::sleep_until(deadline), error));
        Ok(answer.map(|body| BoundedBody::new(body, rest, place)))
    }
}

async fn run<T>(
    claim: Option<Claim>,
    write: impl Future<Output = Result<T, BoxError>>,
) -> Result<T, BoxError> {
    match claim {
        Some(claim) => claim.run(write).await?,
        None => write.await,
    }
}

fn is_watch<B>(request: &Request<B>) -> bool {
    says(request, "watch")
}

/// Whether the answer goes on for as long as both sides like.
fn is_open_ended<B>(request: &Request<B>) -> bool {
    let upgrades = request.headers().contains_key(http::header::UPGRADE);
    upgrades || says(request, "watch") || says(request, "follow")
}

fn says<B>(request: &Request<B>, parameter: &str) -> bool {
    let parameters = request.uri().query().unwrap_or_default().split('&');
    let mut values = parameters.filter_map(|pair| pair.split_once('='));
    values.any(|(name, value)| name == parameter && matches!(value, "true" | "1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_answers_that_go_on_are_left_open() {
        for (uri, open) in [
            ("/api/v1/nodes", false),
            ("/api/v1/nodes?watch=true&resourceVersion=3", true),
            ("/api/v1/nodes?resourceVersion=3&watch=1", true),
            ("/api/v1/nodes?watch=false", false),
            ("/api/v1/nodes?labelSelector=watch%3Dtrue", false),
            ("/api/v1/namespaces/n/pods/p/log?follow=true", true),
        ] {
            assert_eq!(is_open_ended(&Request::get(uri).body(()).unwrap()), open, "{uri}");
        }
        let upgrade = Request::get("/x").header("upgrade", "websocket").body(()).unwrap();
        assert!(is_open_ended(&upgrade));
    }
}
