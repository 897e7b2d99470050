//! Keys in a real ssh-agent.

use triton::auth::{
    AgentError, AgentKey, Authenticate as _, Fingerprint, Signer, SshSignature, list_agent_keys,
};

use super::tools::{self, Agent, HEAD, Workshop};

#[tokio::test]
async fn every_type_of_key_signs_through_the_agent() {
    if !tools::are_here() {
        return;
    }
    let workshop = Workshop::new();
    let agent = Agent::start(&workshop);
    let kinds: [&[&str]; 4] =
        [&["rsa", "-b", "2048"], &["ecdsa", "-b", "256"], &["ecdsa", "-b", "521"], &["ed25519"]];
    for (position, kind) in kinds.into_iter().enumerate() {
        let key = workshop.new_key(&position.to_string(), kind);
        agent.add(&key);
        for fingerprint in [key.public.fingerprint(), Fingerprint::sha256_of(key.public.wire())] {
            let held = AgentKey::find(&agent.socket, &fingerprint).await.expect("the key");
            assert_eq!(held.public_key(), &key.public);
            let signature = SshSignature::new("acme", None, Signer::Agent(held)).expect("a signer");
            assert!(signature.authorization_now(&HEAD).is_none());
            // Numbers of ECDSA signatures differ in length from one to the next.
            for _ in 0..4 {
                let header = signature.authorization(HEAD).await.expect("a header");
                assert!(header.is_sensitive());
                workshop.check_header(&key.public, &header);
            }
        }
    }
    assert_eq!(list_agent_keys(&agent.socket).await.expect("keys").len(), kinds.len());
}

#[tokio::test]
async fn a_key_the_agent_does_not_hold_or_cannot_use_is_a_clear_error() {
    if !tools::are_here() {
        return;
    }
    let workshop = Workshop::new();
    let agent = Agent::start(&workshop);
    let absent = workshop.new_key("absent", &["ed25519"]).public.fingerprint();
    let held = workshop.new_key("held", &["ecdsa", "-b", "384"]);

    let error = AgentKey::find(&agent.socket, &absent).await.expect_err("no key");
    assert!(error.to_string().contains("it holds no keys: add the key with ssh-add"), "{error}");
    agent.add(&held);
    let error = AgentKey::find(&agent.socket, &absent).await.expect_err("another key");
    let expected = format!("does not hold the key {absent}; it holds 1 key ({})", held.public.fingerprint());
    assert!(error.to_string().contains(&expected), "{error}");

    let error = AgentKey::find(&agent.socket, &held.public.fingerprint()).await.expect_err("P-384");
    assert!(matches!(error, AgentError::Unsupported { .. }), "{error}");
    assert!(tools::chain(&error).contains("P-384"), "{}", tools::chain(&error));
}

#[tokio::test]
async fn an_agent_that_was_stopped_or_has_lost_the_key_is_a_clear_error() {
    if !tools::are_here() {
        return;
    }
    let workshop = Workshop::new();
    let agent = Agent::start(&workshop);
    let key = workshop.new_key("key", &["ed25519"]);
    agent.add(&key);
    let held = AgentKey::find(&agent.socket, &key.public.fingerprint()).await.expect("the key");

    let removed =
        std::process::Command::new("ssh-add").args(["-q", "-D"]).env("SSH_AUTH_SOCK", &agent.socket).status();
    assert!(removed.expect("ssh-add runs").success());
    let error = held.sign(b"message").await.expect_err("no key");
    assert!(matches!(error, AgentError::Refused { .. }), "{error}");

    drop(agent);
    let error = held.sign(b"message").await.expect_err("no agent");
    assert!(matches!(error, AgentError::Connect { .. } | AgentError::Closed { .. }), "{error}");
}
