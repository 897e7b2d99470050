//! The secure port: its flags, which are the framework's, and what they come to (Kubernetes reference 2.2).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, ValueEnum};
use runtime::access::{AllowedPath, Gate, Settings};
use runtime::admin::AdminServer;
use runtime::clients::{Clients, Limits, Source};
use runtime::exit::Fatal;
use runtime::flags::duration;
use runtime::serving::{CertificateSource, MinimumVersion, ServingCertificate};

/// Reviews per second and at once. Answers are kept for ten seconds, so a few scrapers need less than one; whoever
/// knocks with tokens of their own invention gets no more, and takes nothing from the controllers.
const REVIEWS: Limits = Limits { rate: 10.0, burst: 20 };

/// Flags of the secure port
#[derive(Debug, Clone, Args)]
pub(super) struct SecurePortFlags {
    /// Where /healthz, /livez, /readyz and /metrics are answered
    #[arg(long, default_value_t = IpAddr::V4(Ipv4Addr::UNSPECIFIED), value_name = "ADDRESS")]
    bind_address: IpAddr,
    /// The port for these: HTTPS with authentication and authorisation; 0 for any that is free
    #[arg(long, default_value_t = 10258, value_name = "PORT")]
    secure_port: u16,
    /// The certificate of the port in PEM, followed by those between it and its authority; read again each minute. Left out,
    /// one is made in memory that nobody has signed
    #[arg(long, requires = "tls_private_key_file", value_name = "FILE")]
    tls_cert_file: Option<PathBuf>,
    /// Its private key in PEM
    #[arg(long, requires = "tls_cert_file", value_name = "FILE")]
    tls_private_key_file: Option<PathBuf>,
    /// Refused: certificates are not kept on disk; give --tls-cert-file and --tls-private-key-file
    #[arg(long, value_parser = no_directory, hide = true, value_name = "DIRECTORY")]
    cert_dir: Option<PathBuf>,
    /// The oldest version of TLS
    #[arg(long, value_enum, default_value_t, value_name = "VERSION")]
    tls_min_version: TlsVersion,
    /// The authority of client certificates in PEM; left out, the cluster's is looked up
    #[arg(long, value_name = "FILE")]
    client_ca_file: Option<PathBuf>,
    /// Whose rights tokens are reviewed with, and the cluster's authority is looked up; left out, those of --kubeconfig
    #[arg(long, value_name = "FILE")]
    authentication_kubeconfig: Option<PathBuf>,
    /// Do not look the cluster's authority up; without --client-ca-file, client certificates then say nothing
    #[arg(long, default_value_t = false, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    authentication_skip_lookup: bool,
    /// Has no effect: that the authority cannot be looked up ends nothing
    #[arg(long, hide = true, action = ArgAction::Set, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    authentication_tolerate_lookup_failure: Option<bool>,
    /// How long the API server's word on a token is kept
    #[arg(long, default_value = "10s", value_parser = duration, value_name = "DURATION")]
    authentication_token_webhook_cache_ttl: Duration,
    /// Whose rights are used to ask what somebody may do; left out, those of --kubeconfig
    #[arg(long, value_name = "FILE")]
    authorization_kubeconfig: Option<PathBuf>,
    /// Paths that are open to all, without authentication; with * at the end, all that begin so
    #[arg(long, default_value = "/healthz,/readyz,/livez", value_delimiter = ',', value_name = "PATHS")]
    authorization_always_allow_paths: Vec<AllowedPath>,
    /// How long a permission is kept
    #[arg(long, default_value = "10s", value_parser = duration, value_name = "DURATION")]
    authorization_webhook_cache_authorized_ttl: Duration,
    /// How long a refusal is kept
    #[arg(long, default_value = "10s", value_parser = duration, value_name = "DURATION")]
    authorization_webhook_cache_unauthorized_ttl: Duration,
}

/// Values of `--tls-min-version`, as Go names them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum TlsVersion {
    /// TLS 1.2
    #[default]
    #[value(name = "VersionTLS12")]
    Tls12,
    /// TLS 1.3
    #[value(name = "VersionTLS13")]
    Tls13,
}

fn no_directory(_: &str) -> Result<PathBuf, String> {
    Err("certificates are not kept on disk; give --tls-cert-file and --tls-private-key-file, or neither"
        .to_owned())
}

impl SecurePortFlags {
    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        SocketAddr::new(self.bind_address, self.secure_port)
    }

    /// Where the certificate comes from. `host` is this machine's name.
    fn certificate(&self, host: &str) -> CertificateSource {
        match (self.tls_cert_file.clone(), self.tls_private_key_file.clone()) {
            (Some(certificate), Some(key)) => CertificateSource::Files { certificate, key },
            _ => {
                let bound = Some(self.bind_address).filter(|address| !address.is_unspecified());
                let names =
                    [host.to_owned(), "localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
                let mut names: Vec<_> = names.into_iter().filter(|name| !name.is_empty()).collect();
                let bound = bound.map(|address| address.to_string()).filter(|it| !names.contains(it));
                names.extend(bound);
                CertificateSource::SelfSigned { names }
            }
        }
    }

    fn minimum_version(&self) -> MinimumVersion {
        match self.tls_min_version {
            TlsVersion::Tls12 => MinimumVersion::Tls12,
            TlsVersion::Tls13 => MinimumVersion::Tls13,
        }
    }

    fn gate(&self) -> Settings {
        Settings {
            always_allow: self.authorization_always_allow_paths.clone(),
            client_ca_file: self.client_ca_file.clone(),
            look_up_authority: !self.authentication_skip_lookup,
            token_ttl: self.authentication_token_webhook_cache_ttl,
            allowed_ttl: self.authorization_webhook_cache_authorized_ttl,
            denied_ttl: self.authorization_webhook_cache_unauthorized_ttl,
        }
    }

    /// Listens; `source` is the API server of the controllers. Sends nothing.
    ///
    /// # Errors
    ///
    /// What cannot be used: as usage, but for the port.
    pub(super) async fn open(
        &self,
        source: &Source,
        program: &str,
        host: &str,
    ) -> Result<AdminServer, Fatal> {
        let certificate = ServingCertificate::load(self.certificate(host)).map_err(Fatal::usage)?;
        let tls = certificate.config(self.minimum_version()).map_err(Fatal::failure)?;
        let clients = async |file: &Option<PathBuf>| {
            let source = file.clone().map_or_else(|| source.clone(), |file| Source::from_flag(Some(file)));
            Clients::new(&source, program, REVIEWS).await.map_err(Fatal::failure)
        };
        let authentication = clients(&self.authentication_kubeconfig).await?;
        let authorization = clients(&self.authorization_kubeconfig).await?;
        let gate = Gate::start(self.gate(), &authentication, &authorization).map_err(Fatal::usage)?;
        let server = AdminServer::bind_for(self.address(), "--secure-port").await.map_err(Fatal::failure)?;
        tokio::spawn(certificate.follow());
        Ok(server.secured(tls, gate))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use rstest::rstest;
    use runtime::config::load_from;

    use super::*;

    #[derive(Debug, Parser)]
    struct Only {
        #[command(flatten)]
        port: SecurePortFlags,
    }

    fn flags(arguments: &[&str]) -> Result<SecurePortFlags, String> {
        let arguments = ["ccm"].iter().chain(arguments);
        load_from::<Only, _>("TRITON_CCM", arguments, |_| None)
            .map(|only| only.port)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_defaults_are_the_frameworks() {
        let flags = flags(&[]).unwrap();
        assert_eq!(flags.address().to_string(), "0.0.0.0:10258");
        assert_eq!(flags.gate(), Settings::default());
        assert_eq!(flags.minimum_version(), MinimumVersion::Tls12);
        let names = ["host-1", "localhost", "127.0.0.1", "::1"].map(str::to_owned).into();
        assert_eq!(flags.certificate("host-1"), CertificateSource::SelfSigned { names });
    }

    #[test]
    fn the_frameworks_flags_are_taken() {
        let flags = flags(&[
            "--tls-cert-file=/a",
            "--tls-private-key-file=/b",
            "--tls-min-version=VersionTLS13",
            "--client-ca-file=/c",
            "--authentication-skip-lookup",
            "--authentication-tolerate-lookup-failure=true",
            "--authentication-token-webhook-cache-ttl=1s",
            "--authorization-always-allow-paths=/healthz,/metrics*",
            "--authorization-webhook-cache-unauthorized-ttl=0s",
        ])
        .unwrap();
        let files = CertificateSource::Files { certificate: "/a".into(), key: "/b".into() };
        assert_eq!((flags.certificate("h"), flags.minimum_version()), (files, MinimumVersion::Tls13));
        let gate = flags.gate();
        assert_eq!(gate.always_allow, ["/healthz", "/metrics*"].map(|it| it.parse().unwrap()));
        assert!(!gate.look_up_authority);
        assert_eq!((gate.token_ttl, gate.denied_ttl), (Duration::from_secs(1), Duration::ZERO));
    }

    #[rstest]
    #[case("--tls-cert-file=/a", "--tls-private-key-file")]
    #[case("--tls-private-key-file=/a", "--tls-cert-file")]
    #[case("--cert-dir=/a", "certificates are not kept on disk")]
    #[case("--tls-min-version=VersionTLS10", "VersionTLS10")]
    #[case("--requestheader-client-ca-file=/a", "--requestheader-client-ca-file")]
    fn what_makes_no_sense_is_refused(#[case] argument: &str, #[case] why: &str) {
        let error = flags(&[argument]).unwrap_err();
        assert!(error.contains(why), "{error}");
    }
}
