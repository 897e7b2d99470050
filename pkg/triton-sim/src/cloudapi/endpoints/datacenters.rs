//! Data centres, services, and what needs no signature (reference 2.7, 2.8).

use std::collections::BTreeMap;

use http::StatusCode;
use serde::Serialize;

use crate::cloudapi::CloudApi;
use crate::cloudapi::call::Call;
use crate::cloudapi::error::ApiError;
use crate::cloudapi::respond::{Answer, Reply};
use crate::cloudapi::routes::Operation;
use crate::cloudapi::version::SERVED;

/// The public manual, which the root redirects to.
const MANUAL: &str = "http://apidocs.tritondatacenter.com/cloudapi/";
/// Its icon.
const ICON: &str = "http://apidocs.tritondatacenter.com/favicon.ico";

#[derive(Serialize)]
struct Ping {
    ping: &'static str,
    cloudapi: PingVersions,
}

#[derive(Serialize)]
struct PingVersions {
    versions: Vec<String>,
}

/// The operations that need no signature.
pub(crate) fn open(api: &CloudApi, operation: Operation, path: &str) -> Reply {
    if operation == Operation::Docs {
        let location = if path == "/favicon.ico" { ICON } else { MANUAL };
        return Reply::empty(StatusCode::FOUND).location(location);
    }
    let versions = SERVED.iter().map(ToString::to_string).collect();
    Reply::ok(&Ping { ping: "pong", cloudapi: PingVersions { versions } }).datacenter(&api.datacenter())
}

pub(super) fn list(call: &Call<'_>) -> Answer {
    let name = call.api.datacenter();
    let datacenters = BTreeMap::from([(name.as_str(), call.api.settings.url.clone())]);
    Ok(Reply::ok(&datacenters).datacenter(&name))
}

#[derive(Serialize)]
struct Moved {
    code: &'static str,
    message: String,
}

pub(super) fn get(call: &Call<'_>) -> Answer {
    let wanted = call.path_param("datacenter");
    if wanted != call.api.datacenter() {
        return Err(ApiError::not_found(format!("{wanted} is not an available datacenter")));
    }
    let url = call.api.settings.url.clone();
    let moved = Moved { code: "ResourceMoved", message: format!("{wanted} {url}") };
    Ok(Reply::json(StatusCode::FOUND, &moved).location(&url))
}

pub(super) fn services(call: &Call<'_>) -> Answer {
    Ok(Reply::ok(&call.api.settings.services))
}
