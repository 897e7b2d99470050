//! What is said of a Node's network.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, NodeCondition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::gateway::{Via, Wish};
use crate::names::{CONDITION_NETWORK_UNAVAILABLE, CONDITION_ROUTES_NOT_EFFECTIVE};

/// The annotation with which somebody who knows says whether routes of a Node's fabric network make packets of its pods
/// arrive: `true` or `false`. It goes before the flag.
pub const EFFECTIVE: &str = "tritondatacenter.com/fabric-routes-effective";

/// The framework's reasons and messages (Kubernetes reference 2.5).
const CREATED: (&str, &str) = ("RouteCreated", "RouteController created a route");
const NOT_CREATED: &str = "NoRouteCreated";

/// Ours.
const NOT_EFFECTIVE: &str = "RoutesNotEffective";

/// Why routes that are there may not help, and what does.
const WHY_NOT_EFFECTIVE: &str = "The fabric network has the routes, but the data centre drops packets that are sent \
    with a pod's address unless an operator allows it on the NICs (allow_ip_spoofing or allowed_ips), and most guests \
    read routes only when they boot. Where both are taken care of, say so with --fabric-routes-effective or the \
    annotation tritondatacenter.com/fabric-routes-effective; else use an overlay network";

/// How it stands with the routes of a Node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It has no `podCIDR`: its network is none of our business.
    None,
    /// Nothing can be said now.
    Unknown,
    /// All are there.
    There,
    /// One is missing, for this reason.
    Missing(String),
}

/// How it stands with a Node's routes. `missing` says why the route of a destination is not there, if it is not.
pub fn standing(wishes: &[Wish], missing: impl Fn(&Wish) -> Option<String>) -> Standing {
    if wishes.is_empty() {
        return Standing::None;
    }
    let obstacle = |wish: &Wish| match &wish.via {
        Via::Nothing(obstacle) => Some(obstacle.to_string()),
        Via::Gateway(..) => missing(wish),
        Via::Unknown => None,
    };
    match wishes.iter().find_map(obstacle) {
        Some(why) => Standing::Missing(why),
        None if wishes.iter().any(|wish| wish.via == Via::Unknown) => Standing::Unknown,
        None => Standing::There,
    }
}

/// Whether routes help a Node: what its annotation says, else what is said of all.
pub fn is_effective(node: &Node, all: bool) -> bool {
    let annotation = node.metadata.annotations.as_ref().and_then(|all| all.get(EFFECTIVE));
    annotation.and_then(|text| text.trim().parse().ok()).unwrap_or(all)
}

/// The conditions of a Node that change.
///
/// `NetworkUnavailable` becomes `False` only where the routes are there and are known to help. Where they are not known
/// to, whoever else has said that the network is available, such as an overlay network, is not contradicted.
pub fn conditions(node: &Node, standing: &Standing, effective: bool, wall: Timestamp) -> Vec<NodeCondition> {
    let Some(wanted) = wanted(node, standing, effective) else { return Vec::new() };
    let changes = wanted.into_iter().filter_map(|(kind, status, reason, message)| {
        let present = condition(node, kind);
        // A condition that never was true need not be there to say so.
        if present.is_none() && status == "False" && kind == CONDITION_ROUTES_NOT_EFFECTIVE {
            return None;
        }
        let same = present.is_some_and(|it| {
            it.status == status
                && it.reason.as_deref() == Some(reason)
                && it.message.as_deref() == Some(message.as_str())
        });
        let since = present.filter(|it| it.status == status).and_then(|it| it.last_transition_time.clone());
        (!same).then(|| NodeCondition {
            type_: kind.to_owned(),
            status: status.to_owned(),
            reason: Some(reason.to_owned()),
            message: Some(message),
            last_heartbeat_time: Some(Time(wall)),
            last_transition_time: since.or(Some(Time(wall))),
        })
    });
    changes.collect()
}

type Wanted = (&'static str, &'static str, &'static str, String);

fn wanted(node: &Node, standing: &Standing, effective: bool) -> Option<Vec<Wanted>> {
    let unavailable = condition(node, CONDITION_NETWORK_UNAVAILABLE);
    let said_by_another =
        unavailable.is_some_and(|it| it.status == "False" && it.reason.as_deref() != Some(CREATED.0));
    let helps = || {
        (CONDITION_ROUTES_NOT_EFFECTIVE, "False", "RoutesEffective", "The routes are said to help".to_owned())
    };
    let wanted = match standing {
        Standing::None | Standing::Unknown => return None,
        Standing::There if effective => {
            let available = (CONDITION_NETWORK_UNAVAILABLE, "False", CREATED.0, CREATED.1.to_owned());
            vec![Some(available).filter(|_| !said_by_another), Some(helps())]
        }
        Standing::There => {
            let not_available =
                (CONDITION_NETWORK_UNAVAILABLE, "True", NOT_EFFECTIVE, WHY_NOT_EFFECTIVE.to_owned());
            let not_effective =
                (CONDITION_ROUTES_NOT_EFFECTIVE, "True", NOT_EFFECTIVE, WHY_NOT_EFFECTIVE.to_owned());
            vec![Some(not_available).filter(|_| !said_by_another), Some(not_effective)]
        }
        Standing::Missing(why) => {
            let text = format!("RouteController failed to create a route: {why}");
            let not_available = (CONDITION_NETWORK_UNAVAILABLE, "True", NOT_CREATED, text);
            vec![Some(not_available).filter(|_| !said_by_another)]
        }
    };
    Some(wanted.into_iter().flatten().collect())
}

fn condition<'a>(node: &'a Node, kind: &str) -> Option<&'a NodeCondition> {
    let all = node.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    all.iter().find(|condition| condition.type_ == kind)
}
