//! The secure port: who may see what.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use suites::control_plane::Identity;

use super::stage::{Stage, until, until_ready_says};

/// Two accounts and two users, of which one each may read metrics.
const READERS: &str = r#"
apiVersion: v1
kind: ServiceAccount
metadata: {name: prometheus, namespace: default}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: stranger, namespace: default}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: metrics-reader}
rules: [{nonResourceURLs: [/metrics], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: metrics-readers}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: metrics-reader}
subjects:
  - {kind: ServiceAccount, name: prometheus, namespace: default}
  - {kind: Group, apiGroup: rbac.authorization.k8s.io, name: scrapers}
"#;

impl Stage {
    /// curl's options for the token of a service account.
    async fn token(&self, account: &str) -> [String; 2] {
        let token = self.kubectl(&["create", "token", account, "--namespace=default"]).await;
        ["--header".to_owned(), format!("Authorization: Bearer {}", token.trim())]
    }

    /// curl's options for a client certificate of the cluster's authority.
    async fn certificate(&self, name: &str, groups: &[&str]) -> [String; 4] {
        let kubeconfig = self.plane.kubeconfig(&Identity::User { name, groups }).await.unwrap();
        let kubeconfig: serde_json::Value =
            serde_json::from_slice(&std::fs::read(kubeconfig).unwrap()).unwrap();
        let text = |key: &str| {
            let value = kubeconfig["users"][0]["user"][key].as_str().unwrap();
            String::from_utf8(STANDARD.decode(value).unwrap()).unwrap()
        };
        self.pem(name, &text("client-certificate-data"), &text("client-key-data"))
    }

    /// curl's options for a certificate and its key.
    fn pem(&self, name: &str, certificate: &str, key: &str) -> [String; 4] {
        let certificate = self.file(&format!("{name}.crt"), certificate);
        let key = self.file(&format!("{name}.key"), key);
        ["--cert".to_owned(), certificate, "--key".to_owned(), key]
    }
}

fn strings(options: &[String]) -> Vec<&str> {
    options.iter().map(String::as_str).collect()
}

/// A client certificate of an authority of its own.
fn forged() -> (String, String) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "kubernetes");
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "admin");
    params.distinguished_name.push(DnType::OrganizationName, "system:masters");
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, &authority).unwrap().pem(), key.serialize_pem())
}

#[tokio::test]
async fn health_is_for_all_and_metrics_are_for_those_who_have_the_right() {
    let stage = Stage::set().await;
    stage.apply(READERS).await;
    // It goes on without an API server for a while: by itself, there is no lease to lose.
    let process = stage.start(&["--leader-elect=false"]).await;
    until_ready_says(&process, 200, "ok").await;
    for path in ["/healthz", "/livez"] {
        assert_eq!(process.get(path, &[]).await.unwrap(), (200, "ok".to_owned()), "{path}");
    }

    let ask = async |path: &str, options: &[String]| {
        let answered = process.get(path, &strings(options)).await;
        answered.unwrap_or_else(|error| panic!("{path} {options:?}: {error}\n{}", process.log()))
    };
    let (status, text) = ask("/metrics", &[]).await;
    assert_eq!((status, text.contains("say who you are")), (401, true), "{text}");
    let invented = ["--header".to_owned(), "Authorization: Bearer invented".to_owned()];
    assert_eq!(ask("/metrics", &invented).await.0, 401);

    // Accounts, by token.
    let (prometheus, stranger) = (stage.token("prometheus").await, stage.token("stranger").await);
    let (status, text) = ask("/metrics", &stranger).await;
    let expected =
        "forbidden: User \"system:serviceaccount:default:stranger\" cannot get path \"/metrics\"\n";
    assert_eq!((status, text.as_str()), (403, expected));
    let (status, text) = ask("/metrics", &prometheus).await;
    assert_eq!((status, text.contains("process_open_fds ")), (200, true), "{text}");
    let lists = async || {
        let (_, text) = ask("/metrics", &prometheus).await;
        let metrics = [
            "triton_cloudapi_requests_total{operation=\"ListMachines\",outcome=\"success\"}",
            "triton_cloudapi_request_seconds_count{operation=\"ListMachines\"}",
            "triton_cloudapi_granted_total{priority=\"refresh\"}",
            "triton_cloudapi_passed_over_total{priority=\"lifecycle\"} 0",
            "triton_cloudapi_waiting_requests{priority=\"safety\"} 0",
        ];
        metrics.iter().all(|metric| text.contains(metric))
    };
    until(|| process.log(), "what it asks of CloudAPI is measured", lists).await;
    assert_eq!(ask("/debug/pprof", &prometheus).await.0, 403, "the right is for one path");

    // Users, by certificate, whose authority is looked up in the cluster.
    let scraper = stage.certificate("scraper", &["scrapers"]).await;
    until(
        || process.log(),
        "the cluster's authority is known",
        async || ask("/metrics", &scraper).await.0 == 200,
    )
    .await;
    let nobody = stage.certificate("nobody", &[]).await;
    assert_eq!(ask("/metrics", &nobody).await.0, 403);
    let admin = stage.certificate("boss", &["system:masters"]).await;
    assert_eq!(
        ask("/debug/pprof", &admin).await.0,
        404,
        "who may do everything is told that there is nothing"
    );
    let (certificate, key) = forged();
    let forged = stage.pem("forged", &certificate, &key);
    let (status, text) = ask("/metrics", &forged).await;
    assert_eq!((status, text.contains("not one of the cluster's authority")), (401, true), "{text}");
    let both: Vec<_> = forged.iter().chain(&prometheus).cloned().collect();
    assert_eq!(
        ask("/metrics", &both).await.0,
        200,
        "a certificate that means nothing does not spoil a token"
    );

    // A right that is taken away is gone when the answer that was kept is old.
    stage.kubectl(&["delete", "clusterrolebinding", "metrics-readers"]).await;
    until(|| process.log(), "the right is gone", async || ask("/metrics", &prometheus).await.0 == 403).await;

    // Whether the API server answers or not, the kubelet learns how the process does.
    stage.plane.freeze_apiserver(true).unwrap();
    assert_eq!(ask("/healthz", &[]).await.0, 200);
    let unknown = ["--header".to_owned(), "Authorization: Bearer unknown".to_owned()];
    assert_eq!(ask("/metrics", &unknown).await.0, 503);
    stage.plane.freeze_apiserver(false).unwrap();
    assert!(!process.log().contains(prometheus[1].split(' ').next_back().unwrap()), "a token is in the log");
}

#[tokio::test]
async fn a_certificate_that_is_given_is_shown() {
    let stage = Stage::set().await;
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let certificate = stage.file("tls.crt", &made.cert.pem());
    let key = stage.file("tls.key", &made.signing_key.serialize_pem());
    let flags =
        ["--tls-cert-file", &certificate, "--tls-private-key-file", &key, "--authentication-skip-lookup"];
    let process = stage.start(&flags).await;
    let trusting = ["--cacert", certificate.as_str()];
    assert_eq!(process.get("/healthz", &trusting).await.unwrap(), (200, "ok".to_owned()));
    // Without an authority, certificates say nothing.
    let admin = stage.certificate("boss", &["system:masters"]).await;
    assert_eq!(process.get("/metrics", &strings(&admin)).await.unwrap().0, 401);
    // What is in memory otherwise is nobody's whom this client trusts.
    let other = stage.start(&[]).await;
    other.get("/healthz", &trusting).await.unwrap_err();
}
