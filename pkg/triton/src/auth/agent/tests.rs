use der::Decode as _;
use proptest::prelude::*;
use russh::keys::ssh_encoding::Encode as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;

use super::*;

const ED25519: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
const FAILURE: &[u8] = &[5];

/// What the agent does with the request on one connection.
#[derive(Clone, Debug)]
enum Answer {
    /// Sends a length and this message.
    Message(Vec<u8>),
    /// Sends these bytes and closes.
    Bytes(Vec<u8>),
    /// Keeps the connection open and says nothing.
    Silence,
}

/// Runs `talk` against an agent that gives one answer per connection, in order.
async fn with_agent<T>(answers: &[Answer], talk: impl AsyncFnOnce(&Path) -> T) -> T {
    let directory = tempfile::tempdir().expect("a directory");
    let socket = directory.path().join("agent");
    let listener = UnixListener::bind(&socket).expect("a socket");
    let serve = async {
        let mut open = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().await?;
            let size = stream.read_u32().await?;
            let mut request = vec![0; usize::try_from(size).expect("fits")];
            stream.read_exact(&mut request).await?;
            match answer {
                Answer::Message(message) => {
                    stream.write_u32(u32::try_from(message.len()).expect("fits")).await?;
                    stream.write_all(message).await?;
                }
                Answer::Bytes(bytes) => stream.write_all(bytes).await?,
                Answer::Silence => open.push(stream),
            }
        }
        std::future::pending::<io::Result<()>>().await
    };
    tokio::select! {
        result = talk(&socket) => result,
        error = serve => panic!("the agent of the test failed: {error:?}"),
    }
}

/// SSH's wire format: strings behind their lengths.
fn wire(strings: &[&[u8]]) -> Vec<u8> {
    strings
        .iter()
        .flat_map(|it| [&u32::try_from(it.len()).expect("short").to_be_bytes(), *it].concat())
        .collect()
}

fn identities(keys: &[&PublicKey]) -> Answer {
    let mut message = vec![12];
    message.extend(u32::try_from(keys.len()).expect("few").to_be_bytes());
    message.extend(keys.iter().flat_map(|key| wire(&[key.wire(), b"a comment"])));
    Answer::Message(message)
}

fn signature(name: &str, bytes: &[u8]) -> Answer {
    Answer::Message([vec![14], wire(&[&wire(&[name.as_bytes(), bytes])])].concat())
}

fn key() -> PublicKey {
    PublicKey::from_openssh(ED25519).expect("valid")
}

/// An RSA key as far as agents care: its numbers are never used.
fn rsa_key() -> PublicKey {
    PublicKey::from_wire(&wire(&[b"ssh-rsa", &[1, 0, 1], &[0x7f; 256]])).expect("valid")
}

/// What `sign` says when the agent, which holds `key`, gives this answer.
async fn sign(key: &PublicKey, answer: Answer) -> Result<Signature, AgentError> {
    with_agent(&[identities(&[key]), answer], async |socket| {
        AgentKey::find(socket, &key.fingerprint()).await.expect("the key").sign(b"message").await
    })
    .await
}

#[tokio::test]
async fn nothing_at_the_socket_is_a_clear_error() {
    let directory = tempfile::tempdir().expect("a directory");
    let error = list(&directory.path().join("none")).await.expect_err("no agent");
    assert!(
        matches!(error, AgentError::Connect { .. }) && error.to_string().contains("SSH_AUTH_SOCK"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_says_nothing_is_given_up_after_the_deadline() {
    let start = tokio::time::Instant::now();
    let error = with_agent(&[Answer::Silence], async |socket| list(socket).await).await.expect_err("silence");
    assert!(
        matches!(error, AgentError::Deadline { .. }) && error.to_string().contains("within 10 s"),
        "{error}"
    );
    assert!(start.elapsed() >= AGENT_DEADLINE && start.elapsed() < 2 * AGENT_DEADLINE);
}

#[tokio::test]
async fn broken_answers_are_told_apart_from_a_closed_connection() {
    let check = async |bytes: &[u8], closed: bool| {
        let error = with_agent(&[Answer::Bytes(bytes.to_vec())], async |socket| list(socket).await).await;
        match error.expect_err("broken") {
            AgentError::Closed { .. } => assert!(closed, "{bytes:?}"),
            AgentError::Protocol { .. } => assert!(!closed, "{bytes:?}"),
            error => panic!("{bytes:?}: {error}"),
        }
    };
    check(b"", true).await;
    check(&[0, 0], true).await;
    check(&[0, 0, 0, 9, 12, 0, 0], true).await;
    check(&[0xff, 0xff, 0xff, 0xff], false).await;
    check(&[0, 4, 0, 1], false).await;
    check(&[0, 0, 0, 5, 12, 0xff, 0xff, 0xff, 0xff], false).await;
    check(&[0, 0, 0, 3, 12, 0, 0], false).await;
}

#[tokio::test]
async fn an_agent_without_the_key_says_which_keys_it_has() {
    let wanted: Fingerprint = "2e:c9:f9:89:ec:78:04:5d:ff:fd:74:88:f3:a5:18:a5".parse().expect("valid");
    let check = async |keys: &[&PublicKey], expected: &str| {
        let error =
            with_agent(&[identities(keys)], async |socket| AgentKey::find(socket, &wanted).await).await;
        let error = error.expect_err("not there").to_string();
        assert!(error.contains(expected) && error.contains(&wanted.to_string()), "{error}");
    };
    let (first, second) = (key().fingerprint(), rsa_key().fingerprint());
    check(&[], "it holds no keys").await;
    check(&[&key()], &format!("it holds 1 key ({first})")).await;
    check(&[&key(), &rsa_key()], &format!("it holds 2 keys ({first}, {second})")).await;
}

#[tokio::test]
async fn either_kind_of_fingerprint_finds_the_key() {
    for fingerprint in [key().fingerprint(), Fingerprint::sha256_of(key().wire())] {
        let found = with_agent(&[identities(&[&rsa_key(), &key()])], async |socket| {
            AgentKey::find(socket, &fingerprint).await
        })
        .await;
        assert_eq!(found.expect("the key").public_key(), &key());
    }
}

#[tokio::test]
async fn a_signature_of_the_right_kind_is_taken_and_any_other_is_not() {
    let good = sign(&key(), signature("ssh-ed25519", &[7; 64])).await.expect("a signature");
    assert_eq!(good, Signature { algorithm: Algorithm::Ed25519Sha512, bytes: vec![7; 64] });
    let good = sign(&rsa_key(), signature("rsa-sha2-256", &[7; 256])).await.expect("a signature");
    assert_eq!(good, Signature { algorithm: Algorithm::RsaSha256, bytes: vec![7; 256] });
    for (key, answer) in [
        (key(), signature("ssh-ed25519", &[7; 63])),
        (key(), signature("rsa-sha2-256", &[7; 64])),
        (rsa_key(), signature("ssh-rsa", &[7; 256])),
        (rsa_key(), signature("rsa-sha2-512", &[7; 256])),
        (key(), Answer::Message(vec![14])),
        (key(), Answer::Message(vec![])),
        (key(), identities(&[])),
    ] {
        let error = sign(&key, answer.clone()).await.expect_err("no signature");
        assert!(matches!(error, AgentError::Protocol { .. }), "{answer:?}: {error}");
    }
}

#[tokio::test]
async fn an_agent_that_refuses_or_leaves_is_a_clear_error() {
    let error = sign(&key(), Answer::Message(FAILURE.to_vec())).await.expect_err("refused");
    assert!(matches!(error, AgentError::Refused { .. }), "{error}");
    assert!(error.to_string().contains(&key().fingerprint().to_string()), "{error}");
    let error = sign(&key(), Answer::Bytes(Vec::new())).await.expect_err("closed");
    assert!(matches!(error, AgentError::Closed { .. }), "{error}");
}

/// The numbers of a signature in SSH's form.
fn mpints(numbers: [&[u8]; 2]) -> Vec<u8> {
    let mut mpints = Vec::new();
    for number in numbers {
        Mpint::from_positive_bytes(number).encode(&mut mpints).expect("encodes");
    }
    mpints
}

/// A positive number, perhaps with zeros before it.
fn positive() -> impl Strategy<Value = Vec<u8>> {
    let number = proptest::collection::vec(any::<u8>(), 1..=66);
    number.prop_filter("positive", |bytes| bytes.iter().any(|byte| *byte != 0))
}

#[test]
fn zero_is_no_number_of_an_ecdsa_signature() {
    assert!(ecdsa_der(&mpints([&[0], &[1]])).is_err());
    assert!(ecdsa_der(&mpints([&[1], &[1]])).is_ok());
}

proptest! {
    #[test]
    fn the_numbers_of_an_ecdsa_signature_survive_re_encoding(r in positive(), s in positive()) {
        let mpints = mpints([&r, &s]);
        let encoded = ecdsa_der(&mpints).expect("a signature");
        let numbers = Vec::<UintRef<'_>>::from_der(&encoded).expect("integers");
        let [first, second] = numbers.as_slice() else { panic!("{numbers:?}") };
        for (number, expected) in [(first, &r), (second, &s)] {
            let leading_zeros = expected.iter().take_while(|byte| **byte == 0).count();
            prop_assert_eq!(number.as_bytes(), &expected[leading_zeros..]);
        }
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        let _ = ecdsa_der(&bytes);
    }
}
