//! Users by bearer tokens, which the API server reviews.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, UserInfo};
use kube::Api;
use kube::api::PostParams;
use moka::future::Cache;
use sha2::{Digest as _, Sha256};

use super::User;
use super::authorization::ReviewError;
use crate::clients::ApiError;

/// Answers that are remembered at most.
const REMEMBERED: u64 = 1024;

/// The API server's word on tokens.
#[derive(Debug, Clone)]
pub(super) struct Tokens {
    reviews: Api<TokenReview>,
    /// Whose a token is, by the token's digest: nobody's when it was refused.
    known: Cache<[u8; 32], Option<User>>,
    deadline: Duration,
}

impl Tokens {
    /// Asks by `client`, and keeps what was answered for `ttl`.
    pub(super) fn new(client: kube::Client, ttl: Duration, deadline: Duration) -> Self {
        let known = Cache::builder().max_capacity(REMEMBERED).time_to_live(ttl).build();
        Self { reviews: Api::all(client), known, deadline }
    }

    /// Whose token it is; `None` when the API server does not take it. Who asks at the same time for the same token
    /// shares one review.
    pub(super) async fn user(&self, token: &str) -> Result<Option<User>, Arc<ReviewError>> {
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        self.known.try_get_with(digest, self.review(token)).await
    }

    async fn review(&self, token: &str) -> Result<Option<User>, ReviewError> {
        let review = TokenReview {
            spec: TokenReviewSpec { token: Some(token.to_owned()), ..TokenReviewSpec::default() },
            ..TokenReview::default()
        };
        let params = PostParams::default();
        let asked = self.reviews.create(&params, &review);
        let answer = tokio::time::timeout(self.deadline, asked)
            .await
            .map_err(|_| ReviewError::Late { review: "token", seconds: self.deadline.as_secs() })?
            .map_err(|error| ReviewError::Api { review: "token", source: ApiError::from(error) })?;
        let status = answer.status.unwrap_or_default();
        Ok(status.user.filter(|_| status.authenticated == Some(true)).and_then(user))
    }
}

fn user(info: UserInfo) -> Option<User> {
    let name = info.username.filter(|name| !name.is_empty())?;
    let extra: BTreeMap<_, _> = info.extra.unwrap_or_default();
    Some(User { name, uid: info.uid, groups: info.groups.unwrap_or_default(), extra })
}

/// The token of a request, if it has one.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.trim().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;

    use super::*;
    use crate::access::scripted::Scripted;

    const LONG: Duration = Duration::from_secs(3600);

    fn tokens(server: &Scripted, ttl: Duration) -> Tokens {
        Tokens::new(server.client(), ttl, Duration::from_secs(10))
    }

    #[tokio::test]
    async fn one_review_serves_all_who_ask_for_a_token_until_it_is_old() {
        let server = Scripted::new(|review| {
            let known = review["spec"]["token"] == "good";
            let user =
                serde_json::json!({"username": "u", "uid": "1", "groups": ["g"], "extra": {"k": ["v"]}});
            serde_json::json!({"status": {"authenticated": known, "user": user}})
        });
        let lasting = tokens(&server, LONG);
        let all = join_all((0..8).map(|_| lasting.user("good"))).await;
        for user in all {
            let user = user.unwrap().unwrap();
            assert_eq!((user.name.as_str(), user.uid.as_deref(), user.groups.len()), ("u", Some("1"), 1));
            assert_eq!(user.extra["k"], ["v"]);
        }
        assert_eq!(server.asked(), 1);
        for _ in 0..3 {
            assert_eq!(lasting.user("bad").await.unwrap(), None, "whatever user it names");
        }
        assert_eq!(server.asked(), 2);
        let fleeting = tokens(&server, Duration::from_millis(1));
        while server.asked() < 5 {
            fleeting.user("good").await.unwrap();
        }
    }

    #[tokio::test]
    async fn what_was_not_answered_is_asked_again() {
        let server = Scripted::refusing();
        let tokens = tokens(&server, LONG);
        for asked in 1..3 {
            let error = tokens.user("good").await.unwrap_err();
            assert!(matches!(*error, ReviewError::Api { .. }));
            assert_eq!(server.asked(), asked);
        }
    }

    #[test]
    fn tokens_are_read_as_in_kubernetes() {
        for (value, token) in [
            ("Bearer abc", Some("abc")),
            ("bearer  abc ", Some("abc")),
            ("Bearer", None),
            ("Bearer ", None),
            ("Basic abc", None),
            ("", None),
        ] {
            let headers = [(AUTHORIZATION, value.parse().unwrap())].into_iter().collect();
            assert_eq!(bearer(&headers), token, "{value:?}");
        }
        assert_eq!(bearer(&HeaderMap::new()), None);
    }
}
