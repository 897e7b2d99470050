//! An API server that answers reviews, for tests.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use kube::client::Body;
use serde_json::{Value, json};

type Answer = Arc<dyn Fn(&Value) -> Value + Send + Sync>;

/// Answers each review by a function of it.
#[derive(Clone)]
pub(super) struct Scripted {
    answer: Option<Answer>,
    reviews: Arc<Mutex<Vec<Value>>>,
}

impl Scripted {
    pub(super) fn new(answer: impl Fn(&Value) -> Value + Send + Sync + 'static) -> Self {
        Self { answer: Some(Arc::new(answer)), reviews: Arc::default() }
    }

    /// Refuses all.
    pub(super) fn refusing() -> Self {
        Self { answer: None, reviews: Arc::default() }
    }

    /// How many reviews it was asked for.
    pub(super) fn asked(&self) -> usize {
        self.reviews.lock().unwrap().len()
    }

    /// The last review that it was asked for.
    pub(super) fn last(&self) -> Value {
        self.reviews.lock().unwrap().last().cloned().unwrap_or_default()
    }

    pub(super) fn client(&self) -> kube::Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move {
                let body = request.into_body().collect().await.unwrap().to_bytes();
                let mut review: Value = serde_json::from_slice(&body).unwrap();
                server.reviews.lock().unwrap().push(review.clone());
                let (status, answer) = match &server.answer {
                    Some(answer) => {
                        let answered = answer(&review);
                        review["status"] = answered["status"].clone();
                        (StatusCode::CREATED, review)
                    }
                    None => (
                        StatusCode::FORBIDDEN,
                        json!({
                            "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure",
                            "message": "forbidden", "reason": "Forbidden", "code": 403,
                        }),
                    ),
                };
                let mut response = Response::new(Body::from(serde_json::to_vec(&answer).unwrap()));
                *response.status_mut() = status;
                Ok::<_, Infallible>(response)
            }
        });
        kube::Client::new(service, "default")
    }
}
