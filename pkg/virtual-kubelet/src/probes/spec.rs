//! The probes of a pod, read from its manifest.

use std::time::Duration;

use k8s_openapi::api::core::v1::{self, Container, ContainerStatus, Pod};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::Verdicts;

/// What a probe is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Whether the container has started. Until it has, the others do not run.
    Startup,
    /// Whether it must be restarted.
    Liveness,
    /// Whether it is to be sent to.
    Readiness,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Startup, Self::Liveness, Self::Readiness];

    /// Its name in the kubelet's events: `Readiness`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Startup => "Startup",
            Self::Liveness => "Liveness",
            Self::Readiness => "Readiness",
        }
    }
}

/// The probes of a pod's one container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodProbes {
    /// The startup probe.
    pub startup: Option<Probe>,
    /// The liveness probe.
    pub liveness: Option<Probe>,
    /// The readiness probe.
    pub readiness: Option<Probe>,
}

/// A probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// What is tried.
    pub action: Action,
    /// Counted from the container's start; default none.
    pub initial_delay: Duration,
    /// Between attempts; default 10 s.
    pub period: Duration,
    /// For one attempt; default 1 s.
    pub timeout: Duration,
    /// Successes in a row that make a success; default 1.
    pub success_threshold: u32,
    /// Failures in a row that make a failure; default 3.
    pub failure_threshold: u32,
}

/// What a probe tries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// To connect.
    Tcp {
        /// Where; `None`: the pod's address.
        host: Option<Box<str>>,
        /// The port.
        port: u16,
    },
    /// To get a page.
    Http(HttpGet),
    /// To have a server of the gRPC health protocol say that it serves.
    Grpc {
        /// The port.
        port: u16,
        /// The service that is asked about; empty for the whole server.
        service: Box<str>,
    },
    /// To run a command in the instance.
    Exec {
        /// The command and its arguments.
        command: Vec<String>,
    },
    /// Nothing: it says what it should, but not how.
    Impossible {
        /// Why, with the field.
        why: String,
    },
}

/// A page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpGet {
    /// HTTP, or HTTPS whose certificate is not verified.
    pub scheme: Scheme,
    /// Where to connect; `None`: the pod's address.
    pub host: Option<Box<str>>,
    /// The port.
    pub port: u16,
    /// Path and query, as the manifest has them.
    pub path: String,
    /// Headers; a `Host` among them names the virtual host.
    pub headers: Vec<(String, String)>,
}

/// How a page is got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// By TLS.
    Https,
}

impl Scheme {
    /// As URLs have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

impl PodProbes {
    /// The probes of the pod's first container. What cannot be read becomes [`Action::Impossible`].
    pub fn read(pod: &Pod) -> Self {
        let Some(container) = pod.spec.as_ref().and_then(|spec| spec.containers.first()) else {
            return Self::default();
        };
        let read = |probe: &Option<v1::Probe>, field| {
            probe.as_ref().map(|probe| Probe::read(probe, container, field))
        };
        Self {
            startup: read(&container.startup_probe, "startupProbe"),
            liveness: read(&container.liveness_probe, "livenessProbe"),
            readiness: read(&container.readiness_probe, "readinessProbe"),
        }
    }

    /// The probe of a role.
    pub fn get(&self, role: Role) -> Option<&Probe> {
        match role {
            Role::Startup => self.startup.as_ref(),
            Role::Liveness => self.liveness.as_ref(),
            Role::Readiness => self.readiness.as_ref(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        Role::ALL.iter().all(|role| self.get(*role).is_none())
    }

    /// The verdicts before the first result: those that the status of the same run shows, so that a new process
    /// takes nobody out of service, else that nothing has started or is ready which a probe decides.
    pub fn before_results(&self, status: Option<&ContainerStatus>) -> Verdicts {
        let runs =
            |status: &&ContainerStatus| status.state.as_ref().is_some_and(|state| state.running.is_some());
        let status = status.filter(runs);
        let started = self.startup.is_none() || status.is_some_and(|status| status.started == Some(true));
        let ready = started && (self.readiness.is_none() || status.is_some_and(|status| status.ready));
        Verdicts { started, ready, must_restart: false }
    }
}

impl Probe {
    fn read(probe: &v1::Probe, container: &Container, field: &str) -> Self {
        let seconds = |value: Option<i32>, default| {
            let value = value.and_then(|value| u64::try_from(value).ok());
            Duration::from_secs(value.filter(|value| *value > 0).unwrap_or(default))
        };
        let times = |value: Option<i32>, default| {
            let value = value.and_then(|value| u32::try_from(value).ok());
            value.filter(|value| *value > 0).unwrap_or(default)
        };
        let field = format!("spec.containers[0].{field}");
        let why = |why: String| Action::Impossible { why: format!("{field}: {why}") };
        Self {
            action: Action::read(probe, container).unwrap_or_else(why),
            initial_delay: seconds(probe.initial_delay_seconds, 0),
            period: seconds(probe.period_seconds, 10),
            timeout: seconds(probe.timeout_seconds, 1),
            success_threshold: times(probe.success_threshold, 1),
            failure_threshold: times(probe.failure_threshold, 3),
        }
    }
}

impl Action {
    /// What a hook of the container's life does.
    pub fn of_hook(hook: &v1::LifecycleHandler, container: &Container) -> Self {
        let (http_get, tcp_socket) = (hook.http_get.clone(), hook.tcp_socket.clone());
        let probe = v1::Probe { http_get, tcp_socket, exec: hook.exec.clone(), ..v1::Probe::default() };
        Self::read(&probe, container).unwrap_or_else(|why| Self::Impossible { why })
    }

    fn read(probe: &v1::Probe, container: &Container) -> Result<Self, String> {
        if let Some(tcp) = &probe.tcp_socket {
            let host = host(tcp.host.as_deref());
            return Ok(Self::Tcp { host, port: port(&tcp.port, container, "tcpSocket.port")? });
        }
        if let Some(get) = &probe.http_get {
            let scheme = match get.scheme.as_deref() {
                None | Some("" | "HTTP") => Scheme::Http,
                Some("HTTPS") => Scheme::Https,
                Some(other) => {
                    return Err(format!("httpGet.scheme is {other:?}; HTTP and HTTPS are possible"));
                }
            };
            let headers = get.http_headers.iter().flatten();
            return Ok(Self::Http(HttpGet {
                scheme,
                host: host(get.host.as_deref()),
                port: port(&get.port, container, "httpGet.port")?,
                path: get.path.clone().unwrap_or_default(),
                headers: headers.map(|header| (header.name.clone(), header.value.clone())).collect(),
            }));
        }
        if let Some(grpc) = &probe.grpc {
            let service = grpc.service.as_deref().unwrap_or_default().into();
            return Ok(Self::Grpc { port: number(grpc.port, "grpc.port")?, service });
        }
        match &probe.exec {
            Some(exec) => Ok(Self::Exec { command: exec.command.clone().unwrap_or_default() }),
            None => Err("none of tcpSocket, httpGet, grpc and exec is there".to_owned()),
        }
    }
}

fn host(host: Option<&str>) -> Option<Box<str>> {
    host.filter(|host| !host.is_empty()).map(Into::into)
}

/// A port by its number, or by the name that the container gives it.
fn port(port: &IntOrString, container: &Container, field: &str) -> Result<u16, String> {
    match port {
        IntOrString::Int(port) => number(*port, field),
        IntOrString::String(name) => {
            let mut named =
                container.ports.iter().flatten().filter(|port| port.name.as_deref() == Some(name));
            match (named.next(), name.parse()) {
                (Some(port), _) => number(port.container_port, field),
                // As the kubelet has it: a number in quotes.
                (None, Ok(port)) => number(port, field),
                (None, Err(_)) => Err(format!("{field} names {name:?}, which no port of the container has")),
            }
        }
    }
}

fn number(port: i32, field: &str) -> Result<u16, String> {
    let number = u16::try_from(port).ok().filter(|port| *port > 0);
    number.ok_or_else(|| format!("{field} is {port}; 1 to 65535 are possible"))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    fn read(probe: Value) -> Probe {
        let pod = json!({"spec": {"containers": [{
            "name": "main", "ports": [{"containerPort": 22, "name": "ssh"}, {"containerPort": 80, "name": "web"}],
            "readinessProbe": probe,
        }]}});
        PodProbes::read(&serde_json::from_value(pod).unwrap()).readiness.unwrap()
    }

    fn http(port: u16, path: &str) -> HttpGet {
        HttpGet { scheme: Scheme::Http, host: None, port, path: path.into(), headers: vec![] }
    }

    #[rstest]
    #[case::tcp(json!({"tcpSocket": {"port": 22}}), Action::Tcp { host: None, port: 22 })]
    #[case::tcp_by_name(json!({"tcpSocket": {"port": "ssh", "host": "h"}}), Action::Tcp { host: Some("h".into()), port: 22 })]
    #[case::http(json!({"httpGet": {"port": "web", "path": "/h?x=1"}}), Action::Http(http(80, "/h?x=1")))]
    #[case::a_number_in_quotes(json!({"httpGet": {"port": "8080"}}), Action::Http(http(8080, "")))]
    #[case::https(
        json!({"httpGet": {"port": 443, "path": "/", "scheme": "HTTPS", "host": "1.2.3.4",
                           "httpHeaders": [{"name": "Host", "value": "a"}, {"name": "X", "value": "b"}]}}),
        Action::Http(HttpGet {
            scheme: Scheme::Https, host: Some("1.2.3.4".into()),
            headers: vec![("Host".into(), "a".into()), ("X".into(), "b".into())], ..http(443, "/")
        })
    )]
    #[case::grpc(json!({"grpc": {"port": 50051, "service": "s"}}), Action::Grpc { port: 50051, service: "s".into() })]
    #[case::exec(json!({"exec": {"command": ["cat", "/x"]}}), Action::Exec { command: vec!["cat".into(), "/x".into()] })]
    fn an_action_is_read(#[case] probe: Value, #[case] action: Action) {
        assert_eq!(read(probe).action, action);
    }

    #[rstest]
    #[case(json!({"tcpSocket": {"port": "nope"}}), r#"tcpSocket.port names "nope", which no port of the container has"#)]
    #[case(json!({"tcpSocket": {"port": 0}}), "tcpSocket.port is 0; 1 to 65535 are possible")]
    #[case(json!({"grpc": {"port": 70000}}), "grpc.port is 70000; 1 to 65535 are possible")]
    #[case(json!({"httpGet": {"port": 1, "scheme": "ftp"}}), r#"httpGet.scheme is "ftp"; HTTP and HTTPS are possible"#)]
    #[case(json!({}), "none of tcpSocket, httpGet, grpc and exec is there")]
    fn what_cannot_be_says_why(#[case] probe: Value, #[case] message: &str) {
        let why = format!("spec.containers[0].readinessProbe: {message}");
        assert_eq!(read(probe).action, Action::Impossible { why });
    }

    #[rstest]
    #[case::defaults(json!({}), [0, 10, 1, 1, 3])]
    #[case::nonsense(json!({"initialDelaySeconds": -1, "periodSeconds": 0, "failureThreshold": -2}), [0, 10, 1, 1, 3])]
    #[case::given(
        json!({"initialDelaySeconds": 5, "periodSeconds": 2, "timeoutSeconds": 3, "successThreshold": 4,
               "failureThreshold": 6}),
        [5, 2, 3, 4, 6]
    )]
    fn times_and_thresholds_have_the_defaults_of_kubernetes(
        #[case] probe: Value,
        #[case] expected: [u64; 5],
    ) {
        let probe = read(probe);
        let times = [probe.initial_delay, probe.period, probe.timeout].map(|time| time.as_secs());
        let thresholds = [probe.success_threshold, probe.failure_threshold].map(u64::from);
        assert_eq!([&times[..], &thresholds].concat(), expected);
    }

    #[rstest]
    #[case::new(json!({"waiting": {}}), true, true, (false, false))]
    #[case::running_and_ready(json!({"running": {}}), true, true, (true, true))]
    #[case::running_and_not_started(json!({"running": {}}), false, true, (false, false))]
    #[case::running_and_not_ready(json!({"running": {}}), true, false, (true, false))]
    fn a_new_process_believes_the_status_of_a_run(
        #[case] state: Value,
        #[case] started: bool,
        #[case] ready: bool,
        #[case] expected: (bool, bool),
    ) {
        let probe = Some(read(json!({"tcpSocket": {"port": 1}})));
        let probes = PodProbes { startup: probe.clone(), liveness: None, readiness: probe };
        let status: ContainerStatus = serde_json::from_value(json!({
            "name": "main", "image": "", "imageID": "", "restartCount": 0, "state": state, "started": started,
            "ready": ready,
        }))
        .unwrap();
        let verdicts = probes.before_results(Some(&status));
        assert_eq!((verdicts.started, verdicts.ready), expected);
        assert_eq!(PodProbes::default().before_results(None), Verdicts::NONE);
    }
}
