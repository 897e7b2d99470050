//! Credentials that change while clients use them.

use std::sync::{Arc, PoisonError, RwLock};

use futures::future::BoxFuture;
use http::HeaderValue;

use super::{AuthError, Authenticate, RequestHead};

/// An [`Authenticate`] that another one can take the place of, as when an account's key is rotated. Cloning gives
/// another handle on the same.
///
/// A request that is being signed goes on with what it began with. The account in the paths of requests is the
/// client's and stays.
#[derive(Clone, Debug)]
pub struct Replaceable(Arc<RwLock<Arc<dyn Authenticate>>>);

impl Replaceable {
    /// Signs with this at first.
    pub fn new(first: Arc<dyn Authenticate>) -> Self {
        Self(Arc::new(RwLock::new(first)))
    }

    /// Signs with this from now on.
    pub fn replace(&self, next: Arc<dyn Authenticate>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = next;
    }

    fn current(&self) -> Arc<dyn Authenticate> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Authenticate for Replaceable {
    fn authorization<'a>(&'a self, head: RequestHead<'a>) -> BoxFuture<'a, Result<HeaderValue, AuthError>> {
        let current = self.current();
        Box::pin(async move { current.authorization(head).await })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whose headers are a word.
    #[derive(Debug)]
    struct Word(&'static str);

    impl Authenticate for Word {
        fn authorization<'a>(&'a self, _: RequestHead<'a>) -> BoxFuture<'a, Result<HeaderValue, AuthError>> {
            Box::pin(async { Ok(HeaderValue::from_static(self.0)) })
        }
    }

    #[tokio::test]
    async fn requests_are_signed_by_whatever_is_current_when_they_begin() {
        let handle = Replaceable::new(Arc::new(Word("old")));
        let client = handle.clone();
        let head = RequestHead { method: "GET", target: "/", date: "" };
        assert_eq!(client.authorization(head).await.unwrap(), "old");
        let begun = client.authorization(head);
        handle.replace(Arc::new(Word("new")));
        assert_eq!(client.authorization(head).await.unwrap(), "new");
        assert_eq!(begun.await.unwrap(), "old");
    }
}
