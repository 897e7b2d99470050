//! What CMON answers (reference 4.1).

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::Query;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::Full;
use serde_json::{Value, json};
use tokio::time::Instant;
use triton::grammar::cmon_groups::CmonGroups;
use triton::id::InstanceId;

use super::exposition;
use super::identity::{Identity, Refused, identify};
use super::meters::Meters;
use super::throttle::{Bucket, Throttle};
use crate::view::{DataCenter, InstanceView, VmState};

/// The tag of an instance's groups (reference 4.3).
const GROUPS_TAG: &str = "triton.cmon.groups";

/// What the host's first label stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Host {
    /// `cmon`
    All,
    /// The id of an instance.
    Instance(InstanceId),
}

/// CMON without its connections.
pub(super) struct Service {
    data_center: Arc<dyn DataCenter>,
    meters: Arc<Meters>,
    throttle: Option<Throttle>,
    /// By login, and only of accounts that there are.
    buckets: Mutex<HashMap<String, Bucket>>,
}

impl Service {
    pub(super) fn new(
        data_center: Arc<dyn DataCenter>,
        meters: Arc<Meters>,
        throttle: Option<Throttle>,
    ) -> Self {
        Self { data_center, meters, throttle, buckets: Mutex::default() }
    }

    /// Answers a request of a client with this certificate, in DER.
    pub(super) fn answer<B>(
        &self,
        request: &Request<B>,
        certificate: Option<&[u8]>,
    ) -> Response<Full<Bytes>> {
        let Some(host) = host(request) else { return refuse(StatusCode::NOT_FOUND, "there is no such host") };
        let path = request.uri().path();
        if is_ping(path) {
            return text("OK");
        }
        let identity = match self.identify(certificate) {
            Ok(identity) => identity,
            Err(reason) => {
                tracing::debug!(%reason, "CMON refuses a client");
                return refuse(StatusCode::UNAUTHORIZED, "a client certificate of an account is needed");
            }
        };
        // Whether there is such an instance is nobody else's business.
        let instance = match host {
            Host::All => None,
            Host::Instance(id) => match self.instance_of(id, &identity) {
                Some(view) => Some(view),
                None => return refuse(StatusCode::NOT_FOUND, "there is no such running instance"),
            },
        };
        if !self.allows(&identity.login) {
            return refuse(StatusCode::TOO_MANY_REQUESTS, "too many requests: slow down");
        }
        if request.method() != Method::GET {
            return refuse(StatusCode::METHOD_NOT_ALLOWED, "only GET is supported");
        }
        match (path, instance) {
            ("/metrics", Some(view)) => self.metrics(&view),
            ("/v1/discover", _) => self.discover(request.uri(), &identity),
            ("/v1/gz/discover", _) => refuse(StatusCode::FORBIDDEN, "compute nodes are the operators'"),
            _ => refuse(StatusCode::NOT_FOUND, "there is no such resource"),
        }
    }

    fn identify(&self, certificate: Option<&[u8]>) -> Result<Identity, Refused> {
        let certificate = certificate.ok_or(Refused::Absent)?;
        identify(certificate, self.data_center.now(), |login| self.data_center.account_keys(login))
    }

    fn instance_of(&self, id: InstanceId, identity: &Identity) -> Option<Arc<InstanceView>> {
        let view = self.data_center.instance(id)?;
        (view.owner == identity.account && view.state == VmState::Running).then_some(view)
    }

    fn allows(&self, login: &str) -> bool {
        let Some(throttle) = self.throttle else { return true };
        let now = Instant::now();
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.entry(login.to_owned()).or_insert_with(|| Bucket::new(now)).take(now, throttle)
    }

    fn metrics(&self, view: &InstanceView) -> Response<Full<Bytes>> {
        match self.meters.read(view) {
            Some(reading) => text(exposition::text(view, &reading, self.data_center.now())),
            None => refuse(StatusCode::NOT_FOUND, "there is no such running instance"),
        }
    }

    fn discover(&self, uri: &Uri, identity: &Identity) -> Response<Full<Bytes>> {
        let asked = Query::<BTreeMap<String, String>>::try_from_uri(uri);
        let Ok(Query(mut asked)) = asked else { return refuse(StatusCode::BAD_REQUEST, "invalid query") };
        let groups = match asked.remove("groups").map(|text| text.parse::<CmonGroups>()).transpose() {
            Ok(groups) => groups,
            Err(error) => return refuse(StatusCode::BAD_REQUEST, &format!("invalid \"groups\": {error}")),
        };
        let mut containers = Vec::new();
        for view in self.data_center.instances() {
            if view.owner != identity.account || view.state != VmState::Running {
                continue;
            }
            let of_instance = groups_of(&view);
            if groups.as_ref().is_none_or(|asked| of_instance.iter().any(|group| asked.contains(group))) {
                containers.push(container(&view, &of_instance));
            }
        }
        json(StatusCode::OK, &json!({ "containers": containers }))
    }
}

/// Each element of a discovery, as CMON keeps it.
fn container(view: &InstanceView, groups: &[&str]) -> Value {
    json!({
        "groups": groups,
        "has_core_tag": false,
        "server_uuid": view.compute_node,
        "source": "Changefeed",
        "vm_alias": view.alias,
        "vm_brand": view.brand,
        "vm_image_uuid": view.image,
        "vm_owner_uuid": view.owner,
        "vm_uuid": view.id,
        "vm_state": view.state.as_str(),
        "cached_date": view.booted.map(jiff::Timestamp::as_millisecond),
    })
}

fn groups_of(view: &InstanceView) -> Vec<&str> {
    let tag = view.tags.get(GROUPS_TAG).and_then(Value::as_str).unwrap_or_default();
    tag.split(',').filter(|group| !group.is_empty()).collect()
}

fn host<B>(request: &Request<B>) -> Option<Host> {
    let header = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let host = request.uri().host().or(header)?;
    match host.split(['.', ':']).next()? {
        label if label.eq_ignore_ascii_case("cmon") => Some(Host::All),
        label => label.parse().ok().filter(|_| label.len() == UUID_LENGTH).map(Host::Instance),
    }
}

/// The length of an id with hyphens, the only form that is a host's.
const UUID_LENGTH: usize = 36;

/// `/_ping`, also with a version before it.
fn is_ping(path: &str) -> bool {
    let Some(version) = path.strip_suffix("/_ping") else { return false };
    version.is_empty() || version.strip_prefix("/v").is_some_and(|it| !it.is_empty() && !it.contains('/'))
}

fn text(text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    respond(StatusCode::OK, "text/plain", text.into())
}

fn json(status: StatusCode, value: &Value) -> Response<Full<Bytes>> {
    respond(status, "application/json", value.to_string().into())
}

/// An error, as the framework of CMON has them.
fn refuse(status: StatusCode, message: &str) -> Response<Full<Bytes>> {
    let code: String = status.canonical_reason().unwrap_or("Error").split(' ').collect();
    json(status, &json!({ "code": code, "message": message }))
}

fn respond(status: StatusCode, kind: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::SERVER, HeaderValue::from_static("cmon"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_label_of_the_host_says_what_is_asked_for() {
        let id = "8a5918c3-84a2-4122-9ed5-60d76d7a8525";
        let instance = Some(Host::Instance(id.parse().unwrap()));
        let check = |value: &str, expected: Option<Host>| {
            let request = Request::get("/metrics").header("host", value).body(()).unwrap();
            assert_eq!(host(&request), expected, "{value}");
        };
        check("cmon.dc1.triton.zone:9163", Some(Host::All));
        check("CMON.dc1.triton.zone", Some(Host::All));
        check("cmon:9163", Some(Host::All));
        check(&format!("{id}.cmon.dc1.triton.zone:9163"), instance);
        check(id, instance);
        check(&format!("{}.cmon", id.replace('-', "")), None);
        check("127.0.0.1:9163", None);
        check("cmon1.dc1.triton.zone", None);
        check("", None);
        assert_eq!(host(&Request::get("/").body(()).unwrap()), None);
    }

    #[test]
    fn pings_have_any_version() {
        for (path, expected) in [
            ("/_ping", true),
            ("/v1/_ping", true),
            ("/v/_ping", false),
            ("/v1/x/_ping", false),
            ("/ping", false),
        ] {
            assert_eq!(is_ping(path), expected, "{path}");
        }
    }
}
