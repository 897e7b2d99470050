//! What a process asks of a server, by kind: `PATCH pods/status`, `POST machines`.

use http::Request;

/// Whom a process asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Server {
    /// kube-apiserver.
    Kubernetes,
    /// CloudAPI.
    CloudApi,
}

impl Server {
    /// How tables name it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Kubernetes => "Kubernetes",
            Self::CloudApi => "CloudAPI",
        }
    }
}

/// A call.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Call {
    /// To whom.
    pub(super) server: Server,
    /// Method and what is left of the path without names and ids.
    pub(super) kind: String,
}

impl Call {
    /// What a request asks for; `None` for a watch, which goes on for as long as both sides like. The list before it
    /// counts.
    pub(super) fn of<B>(server: Server, request: &Request<B>) -> Option<Self> {
        let (path, query) = (request.uri().path(), request.uri().query().unwrap_or_default());
        let mut parts = query.split('&');
        let route = match server {
            Server::Kubernetes if parts.any(|part| matches!(part, "watch=true" | "watch=1")) => return None,
            Server::Kubernetes => kubernetes(path),
            Server::CloudApi => {
                let action = parts.find_map(|part| part.strip_prefix("action="));
                let action = action.map(|action| format!("?action={action}")).unwrap_or_default();
                cloudapi(path) + &action
            }
        };
        Some(Self { server, kind: format!("{} {route}", request.method()) })
    }

    /// Whether it changes something.
    pub(super) fn is_write(&self) -> bool {
        !self.kind.starts_with("GET ")
    }
}

/// The resource whose objects a request lists or watches, such as `nodes`.
pub(super) fn collection<B>(request: &Request<B>) -> Option<String> {
    let route = kubernetes(request.uri().path());
    (request.method() == http::Method::GET && !route.contains('/')).then_some(route)
}

/// The plural of a resource, with `/*` for one object of it, and its subresource.
fn kubernetes(path: &str) -> String {
    let mut parts = path.split('/').filter(|part| !part.is_empty());
    let groups = if parts.next() == Some("apis") { 2 } else { 1 };
    let mut parts = parts.skip(groups).peekable();
    let mut resource = parts.next().unwrap_or_default();
    if resource == "namespaces" {
        let mut rest = parts.clone();
        rest.next();
        if let Some(namespaced) = rest.next() {
            resource = namespaced;
            parts.next();
            parts.next();
        }
    }
    let one = parts.next().map_or("", |_| "/*");
    let sub = parts.next().map(|sub| format!("/{sub}")).unwrap_or_default();
    format!("{resource}{one}{sub}")
}

/// The path below the account, with `*` for ids.
fn cloudapi(path: &str) -> String {
    let parts = path.split('/').filter(|part| !part.is_empty()).skip(1);
    let id = |part: &str| part.len() == 36 && part.matches('-').count() == 4;
    let parts: Vec<&str> = parts.map(|part| if id(part) { "*" } else { part }).collect();
    if parts.is_empty() { "account".to_owned() } else { parts.join("/") }
}

#[test]
fn calls_are_told_apart_by_what_they_are_about() {
    for (server, method, uri, kind) in [
        (Server::Kubernetes, "GET", "/api/v1/pods?fieldSelector=spec.nodeName%3Dx&limit=500", "GET pods"),
        (Server::Kubernetes, "GET", "/api/v1/namespaces/n/pods/web", "GET pods/*"),
        (Server::Kubernetes, "PATCH", "/api/v1/namespaces/n/pods/web/status?", "PATCH pods/*/status"),
        (Server::Kubernetes, "POST", "/apis/events.k8s.io/v1/namespaces/n/events", "POST events"),
        (Server::Kubernetes, "PATCH", "/api/v1/nodes/n/status", "PATCH nodes/*/status"),
        (Server::Kubernetes, "GET", "/api/v1/namespaces/n", "GET namespaces/*"),
        (Server::CloudApi, "GET", "/acme", "GET account"),
        (Server::CloudApi, "POST", "/acme/machines", "POST machines"),
        (
            Server::CloudApi,
            "POST",
            "/acme/machines/00000000-0000-4000-8000-000000000001?action=stop&x=1",
            "POST machines/*?action=stop",
        ),
    ] {
        let request = Request::builder().method(method).uri(uri).body(()).unwrap();
        let call = Call::of(server, &request).unwrap();
        assert_eq!((call.kind.as_str(), call.is_write()), (kind, method != "GET"), "{uri}");
    }
    let watch = Request::get("/api/v1/pods?watch=true").body(()).unwrap();
    assert_eq!(Call::of(Server::Kubernetes, &watch), None);
}
