//! How fast requests are signed, by type of key: `cargo bench -p triton --bench signing`.
//!
//! The keys are made by `ssh-keygen`, which must be installed.

#![allow(missing_docs, clippy::expect_used)]

use std::hint::black_box;
use std::process::Command;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use triton::auth::{PrivateKey, RequestHead, Signer, SshSignature};

const HEAD: RequestHead<'static> = RequestHead {
    method: "GET",
    target: "/acme/machines?limit=1000&offset=2000",
    date: "Mon, 02 Feb 2026 10:00:00 GMT",
};

fn new_signature(kind: &[&str]) -> SshSignature {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("key");
    let status =
        Command::new("ssh-keygen").args(["-q", "-N", "", "-t"]).args(kind).arg("-f").arg(&file).status();
    assert!(status.expect("ssh-keygen runs").success(), "ssh-keygen {kind:?}");
    let key = PrivateKey::load(&file, None).expect("a key");
    SshSignature::new("acme", None, Signer::Key(Arc::new(key))).expect("a signer")
}

/// The whole header: text to sign, signature, Base64, and the header's value.
fn authorization(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("authorization");
    group.throughput(Throughput::Elements(1));
    for (name, kind) in [
        ("ed25519", &["ed25519"][..]),
        ("ecdsa-p256", &["ecdsa", "-b", "256"]),
        ("ecdsa-p521", &["ecdsa", "-b", "521"]),
        ("rsa-2048", &["rsa", "-b", "2048"]),
        ("rsa-3072", &["rsa", "-b", "3072"]),
        ("rsa-4096", &["rsa", "-b", "4096"]),
    ] {
        let signature = new_signature(kind);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                signature.authorization_now(black_box(&HEAD)).expect("in memory").expect("a header")
            });
        });
    }
    group.finish();
}

criterion_group!(benches, authorization);
criterion_main!(benches);
