//! The keys and certificates of a control plane, made anew for each.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, KeyUsagePurpose,
};

use super::kubeconfig;

/// The certificate authority of one control plane and the folder that its files are in.
pub(super) struct Certificates {
    folder: PathBuf,
    ca: CertifiedIssuer<'static, KeyPair>,
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificates").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Certificates {
    /// Makes what the servers need in `folder`.
    pub(super) fn make(folder: &Path) -> Result<Self> {
        let ca = authority("kubernetes")?;
        write(folder, "ca", &ca.pem(), &ca.key().serialize_pem())?;
        let front_proxy_ca = authority("front-proxy")?;
        write(folder, "front-proxy-ca", &front_proxy_ca.pem(), &front_proxy_ca.key().serialize_pem())?;

        let names = ["127.0.0.1", "10.96.0.1", "localhost", "kubernetes", "kubernetes.default.svc"];
        let mut server = CertificateParams::new(names.map(str::to_owned))?;
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        issue(folder, "apiserver", server, &ca)?;
        issue(
            folder,
            "apiserver-kubelet-client",
            client("kube-apiserver-kubelet-client", &["system:masters"]),
            &ca,
        )?;
        issue(folder, "front-proxy-client", client("front-proxy-client", &[]), &front_proxy_ca)?;

        let tokens = KeyPair::generate().context("cannot make the key of service-account tokens")?;
        write_file(folder, "service-account.key", &tokens.serialize_pem())?;
        write_file(folder, "service-account.pub", &tokens.public_key_pem())?;
        Ok(Self { folder: folder.to_owned(), ca })
    }

    /// A kubeconfig for a user with a client certificate.
    pub(super) fn kubeconfig(&self, url: &str, user: &str, groups: &[&str]) -> Result<PathBuf> {
        let key = KeyPair::generate()?;
        let certificate = client(user, groups).signed_by(&key, &self.ca)?;
        let credentials = kubeconfig::certificate(&certificate.pem(), &key.serialize_pem());
        self.write_kubeconfig(url, user, &credentials)
    }

    /// A kubeconfig for whoever holds this token.
    pub(super) fn token_kubeconfig(&self, url: &str, name: &str, token: &str) -> Result<PathBuf> {
        self.write_kubeconfig(url, name, &kubeconfig::token(token))
    }

    /// A kubeconfig for whoever holds the token in this file.
    pub(super) fn token_file_kubeconfig(&self, url: &str, name: &str, file: &Path) -> Result<PathBuf> {
        self.write_kubeconfig(url, name, &kubeconfig::token_file(file))
    }

    fn write_kubeconfig(&self, url: &str, name: &str, credentials: &serde_json::Value) -> Result<PathBuf> {
        let file = format!("{}.kubeconfig", name.replace([':', '/'], "-"));
        write_file(&self.folder, &file, &kubeconfig::file(url, &self.ca.pem(), name, credentials))?;
        Ok(self.folder.join(file))
    }
}

fn authority(name: &str) -> Result<CertifiedIssuer<'static, KeyPair>> {
    let mut params = named(name, &[]);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    CertifiedIssuer::self_signed(params, KeyPair::generate()?)
        .with_context(|| format!("cannot make the CA {name}"))
}

/// A client certificate: Kubernetes takes the user from its common name and the groups from its organisations.
fn client(user: &str, groups: &[&str]) -> CertificateParams {
    let mut params = named(user, groups);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params
}

fn named(user: &str, groups: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, user);
    for group in groups {
        params.distinguished_name.push(DnType::OrganizationName, *group);
    }
    params
}

fn issue(
    folder: &Path,
    name: &str,
    params: CertificateParams,
    ca: &CertifiedIssuer<'static, KeyPair>,
) -> Result<()> {
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, ca).with_context(|| format!("cannot issue {name}"))?;
    write(folder, name, &certificate.pem(), &key.serialize_pem())
}

fn write(folder: &Path, name: &str, certificate: &str, key: &str) -> Result<()> {
    write_file(folder, &format!("{name}.crt"), certificate)?;
    write_file(folder, &format!("{name}.key"), key)
}

fn write_file(folder: &Path, name: &str, text: &str) -> Result<()> {
    std::fs::write(folder.join(name), text).with_context(|| format!("cannot write {name}"))
}
