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

/// The data centres of the cloud by name, with the URLs of their CloudAPIs: this one and those it was told of.
fn known(api: &CloudApi) -> BTreeMap<String, String> {
    let mut datacenters = api.settings.datacenters.clone();
    datacenters.insert(api.datacenter(), api.settings.url.clone());
    datacenters
}

pub(super) fn list(call: &Call<'_>) -> Answer {
    Ok(Reply::ok(&known(call.api)).datacenter(&call.api.datacenter()))
}

#[derive(Serialize)]
struct Moved {
    code: &'static str,
    message: String,
}

pub(super) fn get(call: &Call<'_>) -> Answer {
    let wanted = call.path_param("datacenter");
    let Some(url) = known(call.api).remove(&wanted) else {
        return Err(ApiError::not_found(format!("{wanted} is not an available datacenter")));
    };
    let moved = Moved { code: "ResourceMoved", message: format!("{wanted} {url}") };
    Ok(Reply::json(StatusCode::FOUND, &moved).location(&url))
}

pub(super) fn services(call: &Call<'_>) -> Answer {
    Ok(Reply::ok(&call.api.settings.services))
}
