//! A client of `russh`, as the virtual kubelet has.

use std::sync::Arc;
use std::time::Duration;

use russh::client::{self, Handle, Msg};
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{PrivateKey, PrivateKeyWithHashAlg, PublicKey, PublicKeyOrCertificate};
use russh::{Channel, ChannelMsg, Sig};

/// A key of a test, by number.
pub fn key(number: u8) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[number; 32]))
}

/// As `root_authorized_keys` and CloudAPI have it.
pub fn public_line(key: &PrivateKey) -> String {
    key.public_key().to_openssh().unwrap()
}

pub struct Client {
    handle: Handle<Trusting>,
    host_key: PublicKey,
}

#[derive(Default)]
struct Trusting {
    seen: Arc<std::sync::Mutex<Option<PublicKey>>>,
}

impl client::Handler for Trusting {
    type Error = russh::Error;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        if let PublicKeyOrCertificate::PublicKey { key, .. } = key {
            *self.seen.lock().unwrap() = Some(key.clone());
        }
        Ok(true)
    }
}

/// What a program did.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Done {
    pub out: Vec<u8>,
    pub err: Vec<u8>,
    pub status: Option<u32>,
    pub signal: Option<String>,
}

impl Client {
    /// `None` when the guest does not admit the key.
    pub async fn connect(address: &str, user: &str, key: PrivateKey) -> Option<Self> {
        super::until_answers(address).await;
        let handler = Trusting::default();
        let seen = Arc::clone(&handler.seen);
        let mut handle = client::connect(Arc::default(), address, handler).await.unwrap();
        let key = PrivateKeyWithHashAlg::new(Arc::new(key), None);
        let admitted = handle.authenticate_publickey(user, key).await.unwrap().success();
        let host_key = seen.lock().unwrap().take().unwrap();
        admitted.then_some(Self { handle, host_key })
    }

    pub fn host_key(&self) -> &PublicKey {
        &self.host_key
    }

    pub async fn open(&self) -> Channel<Msg> {
        self.handle.channel_open_session().await.unwrap()
    }

    /// Runs a command with this input.
    pub async fn run(&self, command: &str, input: &[u8]) -> Done {
        let channel = self.open().await;
        channel.exec(true, command).await.unwrap();
        finish(channel, input).await
    }
}

/// Sends the input and its end while reading all that comes.
pub async fn finish(channel: Channel<Msg>, input: &[u8]) -> Done {
    let (mut read, write) = channel.split();
    // A program may end before it has read its input, which then waits for ever.
    let sending = async {
        write.data(input).await.unwrap();
        write.eof().await.unwrap();
        std::future::pending::<()>().await;
    };
    let reading = async {
        let mut done = Done::default();
        while let Some(message) = read.wait().await {
            match message {
                ChannelMsg::Data { data } => done.out.extend_from_slice(&data),
                ChannelMsg::ExtendedData { data, ext: 1 } => done.err.extend_from_slice(&data),
                ChannelMsg::ExitStatus { exit_status } => done.status = Some(exit_status),
                ChannelMsg::ExitSignal { signal_name, .. } => done.signal = Some(name(&signal_name)),
                _ => {}
            }
        }
        done
    };
    let both = async {
        tokio::select! {
            done = reading => done,
            () = sending => Done::default(),
        }
    };
    tokio::time::timeout(Duration::from_secs(120), both).await.expect("an end")
}

/// Reads until the output ends so.
pub async fn shows(channel: &mut Channel<Msg>, expected: &str) -> String {
    let mut all = String::new();
    let reading = async {
        while !all.ends_with(expected) {
            match channel.wait().await {
                Some(ChannelMsg::Data { data }) => all.push_str(std::str::from_utf8(&data).unwrap()),
                Some(_) => {}
                None => break,
            }
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(30), reading).await;
    assert!(all.ends_with(expected), "{expected:?} did not come after {all:?}");
    all
}

fn name(signal: &Sig) -> String {
    format!("{signal:?}")
}
