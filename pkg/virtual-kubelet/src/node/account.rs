//! What CloudAPI says of the account, asked seldom: which data centre it is in, and its limits.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use runtime::exit::one_line;
use tokio::sync::watch;
use triton::budget::Priority;
use triton::{Client, Error, Kind};

use super::capacity::AccountLimits;

/// Operators change limits by hand; an hour later is soon enough, and one call.
const EVERY: Duration = Duration::from_secs(3600);

/// What is known of the account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The data centre's name; `None` until it is known, and where an old server does not tell.
    pub datacenter: Option<Box<str>>,
    /// The limits; `None` until they are known.
    pub limits: Option<AccountLimits>,
}

/// Asks for the facts until they are there, then every hour for the limits. Whatever CloudAPI does, this goes on;
/// what was known stays known.
pub async fn follow(client: &Client, facts: &watch::Sender<Facts>) {
    let client = client.with_priority(Priority::Refresh);
    loop {
        let mut pauses = ExponentialBuilder::default()
            .with_min_delay(Duration::from_secs(1))
            .with_max_delay(Duration::from_secs(60))
            .with_jitter()
            .without_max_times()
            .build();
        while let Err(error) = ask(&client, facts).await {
            tracing::warn!(error = %one_line(&error), "the account's limits and data centre could not be read");
            tokio::time::sleep(pauses.next().unwrap_or(EVERY)).await;
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn ask(client: &Client, facts: &watch::Sender<Facts>) -> Result<(), Error> {
    let known = facts.borrow().clone();
    let datacenter = match known.datacenter {
        Some(name) => Some(name),
        None => match client.get_datacenter_name().await {
            Ok(name) => name.map(String::into_boxed_str),
            Err(error) if no_answer_will_come(error.kind()) => None,
            Err(error) => return Err(error),
        },
    };
    let limits = match client.get_limits().await {
        Ok(list) => AccountLimits::of(&list.items),
        Err(error) if no_answer_will_come(error.kind()) => {
            tracing::warn!(error = %one_line(&error), "the account's limits cannot be read; going on as if there were none");
            AccountLimits::default()
        }
        Err(error) => return Err(error),
    };
    facts.send_if_modified(|facts| {
        let now = Facts { datacenter, limits: Some(limits) };
        let differs = *facts != now;
        *facts = now;
        differs
    });
    Ok(())
}

/// Servers that do not have it say 404, and roles that do not include it 403: asking again will not help.
fn no_answer_will_come(kind: Kind) -> bool {
    matches!(kind, Kind::NotFound | Kind::NotSupported | Kind::Forbidden)
}
