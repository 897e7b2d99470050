//! Asks the API server whether we may.

use futures::future::join_all;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::api::PostParams;
use kube::{Api, Client};
use runtime::clients::ApiError;
use runtime::exit::one_line;

use super::Right;
use crate::Finding;

const SUBJECT: &str = "rbac";

/// Asks about each right, as whoever `client` is. `remedy` is what gives them.
pub(crate) async fn review(client: &Client, server: &str, rights: &[Right], remedy: &str) -> Vec<Finding> {
    let who = match who(client).await {
        Ok(who) => who,
        Err(error) => {
            let text =
                format!("{server} does not say who we are, and nothing else was asked: {}", one_line(&error));
            return vec![Finding::failure("kubernetes", text)];
        }
    };
    let reviews: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let ask = async |right: &Right| -> Result<bool, ApiError> {
        let asked = reviews.create(&PostParams::default(), &question(right)).await?;
        Ok(asked.status.is_some_and(|status| status.allowed))
    };
    let answers = join_all(rights.iter().map(ask)).await;
    let mut found = vec![Finding::ok("kubernetes", format!("{server}, as {who}"))];
    found.extend(told(rights, &answers, &who, remedy));
    found
}

async fn who(client: &Client) -> Result<String, ApiError> {
    let asked = Api::<SelfSubjectReview>::all(client.clone())
        .create(&PostParams::default(), &SelfSubjectReview::default())
        .await?;
    let user = asked.status.and_then(|status| status.user_info).and_then(|user| user.username);
    Ok(user.unwrap_or_else(|| "nobody".to_owned()))
}

fn question(right: &Right) -> SelfSubjectAccessReview {
    let attributes = ResourceAttributes {
        group: Some(right.group.clone()),
        name: right.name.clone(),
        namespace: right.namespace.clone(),
        resource: Some(right.resource.clone()),
        subresource: right.subresource.clone(),
        verb: Some(right.verb.clone()),
        ..ResourceAttributes::default()
    };
    let spec =
        SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), non_resource_attributes: None };
    SelfSubjectAccessReview { spec, ..SelfSubjectAccessReview::default() }
}

/// What the answers come to.
fn told(rights: &[Right], answers: &[Result<bool, ApiError>], who: &str, remedy: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    let (mut held, mut unanswered) = (0, None);
    for (right, answer) in rights.iter().zip(answers) {
        match answer {
            Ok(true) => held += 1,
            Ok(false) => {
                found.push(Finding::failure(SUBJECT, format!("{who} may not {right}; {remedy}")));
            }
            Err(error) => unanswered = Some(error),
        }
    }
    if let Some(error) = unanswered {
        let text = format!("the API server does not say which rights there are: {}", one_line(error));
        found.push(Finding::failure(SUBJECT, text));
    }
    if held == rights.len() {
        found.push(Finding::ok(SUBJECT, format!("all {held} rights that the program needs")));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_right_that_is_missing_is_said_with_what_gives_it() {
        let right = |verb: &str| Right {
            namespace: None,
            group: String::new(),
            resource: "nodes".to_owned(),
            subresource: None,
            name: None,
            verb: verb.to_owned(),
        };
        let rights = [right("list"), right("delete")];
        let lines = |answers: &[Result<bool, ApiError>]| -> Vec<String> {
            told(&rights, answers, "robot", "apply rbac.yaml").iter().map(ToString::to_string).collect()
        };
        assert_eq!(lines(&[Ok(true), Ok(true)]), ["ok       rbac: all 2 rights that the program needs"]);
        assert_eq!(
            lines(&[Ok(true), Ok(false)]),
            ["failure  rbac: robot may not delete nodes; apply rbac.yaml"]
        );
        let broken = ApiError::from(kube::Error::TlsRequired);
        let lines = lines(&[Ok(true), Err(broken)]);
        assert!(
            lines.len() == 1 && lines[0].starts_with("failure  rbac: the API server does not say"),
            "{lines:?}"
        );
    }
}
