//! Role tags of resources (reference 1.6).

use http::{HeaderName, Method};
use serde_json::Value;

use crate::cloudapi::call::Call;
use crate::cloudapi::respond::{Answer, Reply};
use crate::cloudapi::view;
use crate::world::rbac::resource_of;

/// The header with the roles that a resource is tagged with.
const ROLE_TAG: HeaderName = HeaderName::from_static("role-tag");

/// The roles that a request names: in its body, or in its header.
fn wanted(call: &Call<'_>) -> Option<Vec<String>> {
    let name = |value: &Value| value.as_str().map(str::to_owned);
    match call.params.get("role-tag") {
        Some(Value::Array(names)) => Some(names.iter().filter_map(name).collect()),
        Some(value) => Some(name(value).into_iter().collect()),
        None => call.role_tag_header(),
    }
}

/// Sets the role tags of the resource in the path. Without any in the request, nothing changes.
pub(super) fn set(call: &Call<'_>) -> Answer {
    let path = call.path_below_account();
    let names = match wanted(call) {
        None => call.read(|world| world.role_tags(call.account, &path)),
        Some(names) => call.write(|world, _| world.set_role_tags(call.account, &path, &names))?,
    };
    let name = if path.is_empty() { format!("/{}", call.login) } else { format!("/{}/{path}", call.login) };
    Ok(Reply::ok(&view::RoleTags { name: &name, role_tag: &names }))
}

/// Adds the roles that the resource is tagged with to an answer, and tags a resource that was just made with those in
/// the request's header.
pub(super) fn with_header(call: &Call<'_>, reply: Reply) -> Reply {
    let method = call.method;
    if matches!(*method, Method::GET | Method::HEAD) {
        let roles = call.read(|world| world.role_tags(call.account, &call.path_below_account()));
        return if roles.is_empty() { reply } else { reply.header(ROLE_TAG, &roles.join(",")) };
    }
    // A new resource is tagged with what the header says, or with the roles that its maker acts in.
    if *method == Method::POST && reply.status == http::StatusCode::CREATED {
        let roles = call.role_tag_header().unwrap_or_else(|| call.roles.clone());
        if let Some(path) = reply.location_below_account().filter(|_| !roles.is_empty()) {
            // A role that does not exist is no reason to fail what has been done.
            let _ = call.write(|world, _| world.set_role_tags(call.account, &path, &roles));
        }
    }
    if *method == Method::DELETE && reply.status == http::StatusCode::NO_CONTENT {
        let path = call.path_below_account();
        // Instances keep theirs: they can be read for a while, and later as deleted.
        if !path.starts_with("machines/") && resource_of(&path) == path {
            call.write(|world, _| world.forget_role_tags(call.account, &path));
        }
    }
    reply
}
