//! What the answers of CloudAPI come to. Pure.

use runtime::exit::one_line;
use triton::auth::{KeyKind, PublicKey};
use triton::config::Config;
use triton::types::{Account, Limit, LimitedResource, Services};
use triton::{Error, Kind};

use crate::finding::{Finding, Level};

/// Of a limit, this part may be used before somebody should think about it.
const NEARLY_ALL: f64 = 0.9;

/// What signs.
pub(crate) fn key(key: &PublicKey) -> Finding {
    let kind = match key.kind() {
        KeyKind::Rsa { bits } => format!("RSA of {bits} bits"),
        KeyKind::EcdsaP256 => "ECDSA on P-256".to_owned(),
        KeyKind::EcdsaP384 => "ECDSA on P-384".to_owned(),
        KeyKind::EcdsaP521 => "ECDSA on P-521".to_owned(),
        KeyKind::Ed25519 => "Ed25519".to_owned(),
        KeyKind::Other(name) => name.to_string(),
    };
    Finding::ok("key", format!("{} ({kind})", key.fingerprint()))
}

/// How CloudAPI is reached.
pub(crate) fn endpoint(config: &Config) -> Finding {
    let text = config.url.to_string();
    if !config.url.is_tls() {
        return Finding::warning(
            "endpoint",
            format!("{text} is not encrypted; use https:// outside of tests"),
        );
    }
    if config.tls.insecure {
        let remedy = "trust its authority instead: --ca-file, or the key ca.crt of the Secret";
        return Finding::warning("endpoint", format!("{text}, whose certificate is not checked; {remedy}"));
    }
    Finding::ok("endpoint", text)
}

/// The signed call, whose failure makes all others pointless: nothing else is asked then.
pub(crate) fn account(asked: &Result<Account, Error>, config: &Config) -> Finding {
    const SUBJECT: &str = "account";
    match asked {
        Ok(account) => {
            let user = config.user.as_ref().map(|user| format!(", as its user {user}")).unwrap_or_default();
            Finding::ok(SUBJECT, format!("{} ({}){user}", account.login, account.id))
        }
        // The signature was accepted.
        Err(error) if error.kind() == Kind::Forbidden => Finding::warning(
            SUBJECT,
            format!("{}; without getaccount nobody can say whether CNS is on", one_line(error)),
        ),
        Err(error) if error.kind() == Kind::ClockSkew => Finding::failure("clock", one_line(error)),
        Err(error) => Finding::failure(SUBJECT, one_line(error)),
    }
}

/// Whether names are published. `unpublished` is how good it is when they are not.
pub(crate) fn cns(account: &Account, unpublished: Level) -> Finding {
    const SUBJECT: &str = "cns";
    const REMEDY: &str = "turn it on with: triton account update triton_cns_enabled=true";
    match account.triton_cns_enabled {
        Some(true) => Finding::ok(SUBJECT, "on"),
        Some(false) => Finding {
            level: unpublished,
            subject: SUBJECT,
            text: format!("off, so Services of type LoadBalancer get no names; {REMEDY}"),
        },
        None => Finding::warning(SUBJECT, "CloudAPI does not say whether it is on; ask the operator"),
    }
}

/// The name that provider IDs are made of.
pub(crate) fn datacenter(asked: &Result<Option<String>, Error>) -> Finding {
    const SUBJECT: &str = "data centre";
    match asked {
        Ok(Some(name)) => Finding::ok(SUBJECT, name),
        Ok(None) => Finding::warning(
            SUBJECT,
            "CloudAPI does not say its name; set \"datacenter\" in the file of --cloud-config",
        ),
        Err(error) => Finding::failure(SUBJECT, one_line(error)),
    }
}

/// What may be provisioned.
pub(crate) fn limits(limits: &[Limit]) -> Vec<Finding> {
    if limits.is_empty() {
        return vec![Finding::ok("limits", "none are set")];
    }
    limits.iter().map(limit).collect()
}

fn limit(limit: &Limit) -> Finding {
    const SUBJECT: &str = "limit";
    let what = match &limit.by {
        None | Some(LimitedResource::Machines) => "instances",
        Some(LimitedResource::Ram) => "MiB of memory",
        Some(LimitedResource::Quota) => "GiB of disk",
        Some(other) => other.as_str(),
    };
    let part = limit.check.as_ref().map(|check| {
        let of = limit.image.as_ref().or(limit.os.as_ref()).or(limit.brand.as_ref());
        format!(" of {check} {}", of.map_or("any", |it| it))
    });
    let part = part.unwrap_or_default();
    match (limit.used, limit.value) {
        (Some(used), Some(value)) => {
            let text = format!("{used} of {value} {what}{part} are used");
            if nearly(used, value) {
                Finding::warning(SUBJECT, format!("{text}; delete some or ask the operator for more"))
            } else {
                Finding::ok(SUBJECT, text)
            }
        }
        (None, Some(value)) => Finding::ok(SUBJECT, format!("{value} {what}{part}")),
        (_, None) => Finding::ok(SUBJECT, format!("{what}{part}: CloudAPI does not say how many")),
    }
}

#[allow(clippy::cast_precision_loss, reason = "a share of counts, for people")]
fn nearly(used: i64, value: i64) -> bool {
    used as f64 >= value as f64 * NEARLY_ALL
}

/// Whether a right that can be tried without side effects is there. `without` is what does not work then.
pub(crate) fn right(action: &'static str, tried: &Result<(), Error>, without: &str) -> Finding {
    const SUBJECT: &str = "permission";
    match tried {
        Ok(()) => Finding::ok(SUBJECT, action),
        Err(error) if error.kind() == Kind::Forbidden => {
            Finding::failure(SUBJECT, format!("{action} is refused, so {without}; {}", one_line(error)))
        }
        Err(error) if matches!(error.kind(), Kind::NotSupported | Kind::NotFound) => {
            Finding::warning(SUBJECT, format!("{action} is not offered by this data centre, so {without}"))
        }
        Err(error) => Finding::failure(SUBJECT, format!("{action}: {}", one_line(error))),
    }
}

/// What could not be tried.
pub(crate) fn untried(config: &Config) -> Option<Finding> {
    // The account itself may do everything with what is its own (Triton reference 1.6).
    let restricted = config.user.is_some() || config.act_as.is_some() || !config.roles.is_empty();
    restricted.then(|| {
        Finding::warning(
            "permission",
            "rights to change something cannot be tried without changing it; the role needs createmachine, deletemachine, \
             startmachine, stopmachine, rebootmachine, updatemachine and those of tags, metadata, NICs, firewall rules and \
             fabric networks",
        )
    })
}

/// The address of CMON among the services.
pub(crate) fn cmon_url(services: &Result<Services, Error>) -> Result<String, Finding> {
    const SUBJECT: &str = "cmon";
    match services {
        Ok(services) => services
            .get("cmon")
            .map(str::to_owned)
            .ok_or_else(|| Finding::failure(SUBJECT, "this data centre has no CMON; leave --cmon out")),
        Err(error) => Err(Finding::failure(SUBJECT, one_line(error))),
    }
}

/// That CMON did not answer a certificate. Where Prometheus is, it may be reached all the same.
pub(crate) fn cmon_refused(url: &str, error: &Error) -> Finding {
    const SUBJECT: &str = "cmon";
    match error.kind() {
        Kind::Unreachable | Kind::Timeout | Kind::Interrupted => {
            let why = one_line(error);
            Finding::warning(
                SUBJECT,
                format!("{url} cannot be asked from here, so the certificate is untried: {why}"),
            )
        }
        _ => Finding::failure(SUBJECT, one_line(error)),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;
    use triton::config::Environment;

    use super::*;

    fn config(url: &str, more: &[(&str, &str)]) -> Config {
        let base = [("TRITON_URL", url), ("TRITON_ACCOUNT", "acme"), ("TRITON_KEY_MATERIAL", "/key")];
        let environment: Environment = base.into_iter().chain(more.iter().copied()).collect();
        Config::load(&environment, None).unwrap()
    }

    fn account_of(more: serde_json::Value) -> Account {
        let mut account =
            json!({"id": "3b9ae0b4-9c4b-4b0f-8f8e-0d1c7f3e2a11", "login": "acme", "email": "a@b"});
        account.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(account).unwrap()
    }

    #[rstest]
    #[case("https://a", &[], Level::Ok)]
    #[case("https://a", &[("TRITON_TLS_INSECURE", "true")], Level::Warning)]
    #[case("http://a", &[], Level::Warning)]
    fn the_endpoint_should_be_checked(
        #[case] url: &str,
        #[case] more: &[(&str, &str)],
        #[case] level: Level,
    ) {
        assert_eq!(endpoint(&config(url, more)).level, level);
    }

    #[rstest]
    #[case(json!({"triton_cns_enabled": true}), Level::Ok, "on")]
    #[case(json!({"triton_cns_enabled": false}), Level::Failure, "triton_cns_enabled=true")]
    #[case(json!({}), Level::Warning, "ask the operator")]
    fn cns_should_be_on(#[case] more: serde_json::Value, #[case] level: Level, #[case] text: &str) {
        let found = cns(&account_of(more), Level::Failure);
        assert_eq!(found.level, level);
        assert!(found.text.contains(text), "{found}");
    }

    #[rstest]
    #[case(json!({"by": "machines", "value": 10, "used": 8}), Level::Ok, "8 of 10 instances are used")]
    #[case(json!({"by": "ram", "value": 10, "used": 9}), Level::Warning, "9 of 10 MiB of memory are used")]
    #[case(json!({"value": 0, "used": 0}), Level::Warning, "0 of 0 instances")]
    #[case(json!({"by": "quota", "value": 5, "check": "os", "os": "windows"}), Level::Ok, "5 GiB of disk of os windows")]
    fn limits_are_told_and_near_ones_are_warned_of(
        #[case] limit: serde_json::Value,
        #[case] level: Level,
        #[case] text: &str,
    ) {
        let found = limits(&[serde_json::from_value(limit).unwrap()]);
        assert_eq!(found[0].level, level);
        assert!(found[0].text.contains(text), "{}", found[0]);
        assert_eq!(limits(&[]), [Finding::ok("limits", "none are set")]);
    }

    #[test]
    fn only_restricted_users_are_told_of_what_was_not_tried() {
        assert_eq!(untried(&config("https://a", &[])), None);
        assert!(untried(&config("https://a", &[("TRITON_USER", "robot")])).is_some());
    }
}
