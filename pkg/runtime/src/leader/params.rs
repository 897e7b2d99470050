//! What an election is about, and its three times.

use std::time::Duration;

use super::error::LeaderError;

/// Kubernetes' own default: how long a candidate watches an unchanged lease before it takes it.
const LEASE_DURATION: Duration = Duration::from_secs(15);

/// Kubernetes' own default: how long after its last renewal a leader stops acting.
const RENEW_DEADLINE: Duration = Duration::from_secs(10);

/// Kubernetes' own default: how often a leader renews and a candidate looks.
const RETRY_PERIOD: Duration = Duration::from_secs(2);

/// client-go waits up to 2.2 retry periods between two looks; we stay below 1.2, so that a released lease is
/// taken over within 3 s.
pub(super) const JITTER: f64 = 0.2;

/// A field manager and a holder's name may be this long for the API server and for kube.
const LONGEST_NAME: usize = 128;

/// An election: which lease, who we are in it, and its times. Change the times only together on all candidates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaderParams {
    /// The lease's namespace, such as `kube-system`.
    pub namespace: String,
    /// The lease's name, such as `cloud-controller-manager`.
    pub name: String,
    /// This process's name in the lease; no other process may ever have the same. See [`identity`].
    pub identity: String,
    /// Whose the lease's fields are in `metadata.managedFields`; the same for all candidates.
    pub field_manager: String,
    /// How long a candidate watches an unchanged lease before it takes it: whole seconds, 15 s by default.
    pub lease_duration: Duration,
    /// How long after the start of its last renewal a leader stops acting: 10 s by default. What is between this
    /// and `lease_duration` is the time that a write under way has to end in.
    pub renew_deadline: Duration,
    /// How often a leader renews and a candidate looks: 2 s by default.
    pub retry_period: Duration,
}

impl LeaderParams {
    /// An election with Kubernetes' default times.
    pub fn new(
        namespace: impl Into<String>,
        name: impl Into<String>,
        identity: impl Into<String>,
        field_manager: impl Into<String>,
    ) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
            identity: identity.into(),
            field_manager: field_manager.into(),
            lease_duration: LEASE_DURATION,
            renew_deadline: RENEW_DEADLINE,
            retry_period: RETRY_PERIOD,
        }
    }

    /// How long one request may take: half of the renew deadline, as in Kubernetes' own components, so that a
    /// leader has two attempts.
    pub(super) fn request_deadline(&self) -> Duration {
        self.renew_deadline / 2
    }

    /// Checks what client-go checks, and that the lease can say the duration, which has whole seconds there.
    pub(super) fn check(&self) -> Result<(), LeaderError> {
        let wrong = |message: String| Err(LeaderError::Params { message });
        let whole = self.lease_duration.subsec_nanos() == 0;
        if !whole || self.lease_duration.is_zero() || i32::try_from(self.lease_duration.as_secs()).is_err() {
            return wrong(format!(
                "lease duration {:?} is not a number of whole seconds",
                self.lease_duration
            ));
        }
        if self.lease_duration <= self.renew_deadline {
            let (lease, renew) = (self.lease_duration, self.renew_deadline);
            return wrong(format!("lease duration {lease:?} must be greater than renew deadline {renew:?}"));
        }
        if self.renew_deadline <= self.retry_period.mul_f64(1.0 + JITTER) || self.retry_period.is_zero() {
            let (renew, retry) = (self.renew_deadline, self.retry_period);
            return wrong(format!(
                "renew deadline {renew:?} must be greater than 1.2 retry periods of {retry:?}"
            ));
        }
        for (what, name) in [("identity", &self.identity), ("field manager", &self.field_manager)] {
            if name.trim().is_empty() || name.len() > LONGEST_NAME {
                return wrong(format!("{what} \"{name}\" is not a name of 1 to {LONGEST_NAME} bytes"));
            }
        }
        Ok(())
    }
}

/// A name that no other process has: `<host>_<uuid>`, as Kubernetes' own components make it.
pub fn identity(host: &str) -> String {
    let unique = uuid::Uuid::new_v4();
    let room = LONGEST_NAME - 37;
    let host: String = host.chars().filter(char::is_ascii_graphic).take(room).collect();
    format!("{host}_{unique}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params() -> LeaderParams {
        LeaderParams::new("kube-system", "ccm", "host_1", "ccm")
    }

    #[test]
    fn the_defaults_are_those_of_kubernetes() {
        let params = params();
        let times = [params.lease_duration, params.renew_deadline, params.retry_period].map(|t| t.as_secs());
        assert_eq!(times, [15, 10, 2]);
        assert!(params.check().is_ok());
    }

    #[test]
    fn times_that_cannot_be_safe_are_refused() {
        let seconds = Duration::from_secs_f64;
        for (lease, renew, retry, ok) in [
            (15.0, 10.0, 2.0, true),
            (10.0, 10.0, 2.0, false),
            (15.0, 2.4, 2.0, false),
            (15.0, 10.0, 0.0, false),
            (15.5, 10.0, 2.0, false),
            (0.0, 0.0, 0.0, false),
            (3e9, 10.0, 2.0, false),
        ] {
            let params = LeaderParams {
                lease_duration: seconds(lease),
                renew_deadline: seconds(renew),
                retry_period: seconds(retry),
                ..params()
            };
            assert_eq!(params.check().is_ok(), ok, "{lease} {renew} {retry}");
        }
    }

    #[test]
    fn names_that_the_api_server_refuses_are_refused_first() {
        let long = "x".repeat(129);
        for name in ["", " ", long.as_str()] {
            assert!(LeaderParams { identity: name.into(), ..params() }.check().is_err());
            assert!(LeaderParams { field_manager: name.into(), ..params() }.check().is_err());
        }
    }

    #[test]
    fn identities_name_the_host_differ_and_fit() {
        for host in ["node-1", "", &"h".repeat(300)] {
            let (one, two) = (identity(host), identity(host));
            assert_ne!(one, two);
            assert!(one.len() <= LONGEST_NAME);
            assert!(one.starts_with(host.get(..91).unwrap_or(host)));
        }
    }
}
