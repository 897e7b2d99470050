//! The objects that Prometheus' operator needs to scrape CMON: a `ScrapeConfig`, and a Secret with the client
//! certificate.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Secret;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use triton::cmon::certificate::ClientCertificate;

/// What a `ScrapeConfig` is to the API server. The operator has no other version of it.
pub const KIND: (&str, &str, &str, &str) =
    ("monitoring.coreos.com", "v1alpha1", "ScrapeConfig", "scrapeconfigs");

/// How long a certificate is valid: a year, so that a lost one does not live on for the official client's ten.
pub const LIFETIME_DAYS: u32 = 365;

/// A certificate is replaced when less than this is left of it.
const RENEW_BEFORE: SignedDuration = SignedDuration::from_hours(90 * 24);

/// Who the certificate identifies, and by which key.
const ACCOUNT: &str = "tritondatacenter.com/cmon-account";
const KEY: &str = "tritondatacenter.com/cmon-key";
/// When it ends.
const EXPIRES: &str = "tritondatacenter.com/cmon-expires";

/// What is to be written, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scrape {
    /// The namespace of both objects.
    pub namespace: String,
    /// The name of the `ScrapeConfig`; that of the Secret has `-client` behind it.
    pub name: String,
    /// Where Prometheus asks for targets.
    pub url: String,
    /// The Secret in the same namespace, and its key, that has the token with which Prometheus asks.
    pub token: Option<(String, String)>,
    /// Whether CMON may have any certificate, as CloudAPI may.
    pub insecure: bool,
}

/// Whom a certificate is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The account's login.
    pub account: String,
    /// The fingerprint of the key that signs it.
    pub key: String,
}

impl Scrape {
    /// The name of the Secret.
    pub fn secret_name(&self) -> String {
        format!("{}-client", self.name)
    }

    /// The `ScrapeConfig`, for a server-side apply.
    pub fn config(&self, manager: &str) -> Value {
        let (group, version, kind, _) = KIND;
        let mut discovery = json!({"url": self.url, "refreshInterval": "60s"});
        if self.url.starts_with("https:") {
            // This process has a certificate of its own making unless it is given one.
            discovery["tlsConfig"] = json!({"insecureSkipVerify": true});
        }
        if let Some((name, key)) = &self.token {
            discovery["authorization"] = json!({"type": "Bearer", "credentials": {"name": name, "key": key}});
        }
        let secret = self.secret_name();
        json!({
            "apiVersion": format!("{group}/{version}"), "kind": kind,
            "metadata": self.metadata(&self.name, manager),
            "spec": {
                "httpSDConfigs": [discovery],
                "scheme": "HTTPS",
                "metricsPath": "/metrics",
                "tlsConfig": {
                    "cert": {"secret": {"name": secret, "key": "tls.crt"}},
                    "keySecret": {"name": secret, "key": "tls.key"},
                    "insecureSkipVerify": self.insecure,
                },
            },
        })
    }

    /// The Secret, for a server-side apply.
    pub fn secret(
        &self,
        manager: &str,
        certificate: &ClientCertificate,
        holder: &Holder,
        now: Timestamp,
    ) -> Value {
        let lifetime = SignedDuration::from_hours(i64::from(LIFETIME_DAYS) * 24);
        let expires = now.checked_add(lifetime).unwrap_or(Timestamp::MAX);
        let mut metadata = self.metadata(&self.secret_name(), manager);
        metadata["annotations"] =
            json!({ACCOUNT: holder.account, KEY: holder.key, EXPIRES: expires.to_string()});
        json!({
            "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": metadata,
            "stringData": {
                "tls.crt": certificate.certificate_pem, "tls.key": certificate.key_pem.expose_secret(),
            },
        })
    }

    fn metadata(&self, name: &str, manager: &str) -> Value {
        json!({
            "namespace": self.namespace, "name": name, "labels": {"app.kubernetes.io/managed-by": manager},
        })
    }
}

/// Whether a certificate is to be made: there is none, it is another's, or it soon ends.
pub fn needs_certificate(present: Option<&Secret>, holder: &Holder, now: Timestamp) -> bool {
    let Some(present) = present else { return true };
    let has = |key| present.data.as_ref().is_some_and(|data| data.contains_key(key));
    let annotation = |key| present.metadata.annotations.as_ref()?.get(key).map(String::as_str);
    let lasts = annotation(EXPIRES)
        .and_then(|text| text.parse::<Timestamp>().ok())
        .is_some_and(|expires| expires.duration_since(now) >= RENEW_BEFORE);
    let is_ours = annotation(ACCOUNT) == Some(&holder.account) && annotation(KEY) == Some(&holder.key);
    !(has("tls.crt") && has("tls.key") && lasts && is_ours)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn scrape(url: &str, token: Option<(&str, &str)>) -> Scrape {
        Scrape {
            namespace: "monitoring".to_owned(),
            name: "triton".to_owned(),
            url: url.to_owned(),
            token: token.map(|(name, key)| (name.to_owned(), key.to_owned())),
            insecure: false,
        }
    }

    fn holder() -> Holder {
        Holder { account: "acme".to_owned(), key: "MD5:00".to_owned() }
    }

    #[test]
    fn a_scrape_config_names_the_secret_and_the_discovery() {
        let config = scrape("https://ccm:10258/sd/cmon", Some(("prometheus", "token"))).config("ccm");
        assert_eq!(config["spec"]["tlsConfig"]["cert"]["secret"]["name"], "triton-client");
        assert_eq!(
            config["spec"]["httpSDConfigs"],
            json!([{
                "url": "https://ccm:10258/sd/cmon", "refreshInterval": "60s",
                "tlsConfig": {"insecureSkipVerify": true},
                "authorization": {"type": "Bearer", "credentials": {"name": "prometheus", "key": "token"}},
            }])
        );
        let plain = scrape("http://ccm:10258/sd/cmon", None).config("ccm");
        let expected = json!([{"url": "http://ccm:10258/sd/cmon", "refreshInterval": "60s"}]);
        assert_eq!(plain["spec"]["httpSDConfigs"], expected);
    }

    #[rstest]
    #[case::as_written(0, json!({}), false)]
    #[case::nine_months_later(270, json!({}), false)]
    #[case::ten_months_later(300, json!({}), true)]
    #[case::of_another_account(0, json!({"account": "other"}), true)]
    #[case::of_another_key(0, json!({"key": "MD5:01"}), true)]
    fn a_certificate_is_made_when_there_is_no_good_one(
        #[case] days: i64,
        #[case] difference: Value,
        #[case] expected: bool,
    ) {
        let now = Timestamp::UNIX_EPOCH;
        let certificate =
            ClientCertificate { certificate_pem: "C".to_owned(), key_pem: "K".to_owned().into() };
        let mut secret = scrape("http://x", None).secret("ccm", &certificate, &holder(), now);
        // The API server keeps texts as bytes.
        secret["data"] = json!({"tls.crt": "Qw==", "tls.key": "Sw=="});
        let secret: Secret = serde_json::from_value(secret).unwrap();
        let mut holder = holder();
        if let Some(account) = difference["account"].as_str() {
            holder.account = account.to_owned();
        }
        if let Some(key) = difference["key"].as_str() {
            holder.key = key.to_owned();
        }
        let later = now.checked_add(SignedDuration::from_hours(days * 24)).unwrap();
        assert_eq!(needs_certificate(Some(&secret), &holder, later), expected);
        assert!(needs_certificate(None, &holder, later));
        assert!(needs_certificate(Some(&Secret { data: None, ..secret }), &holder, later));
    }
}
