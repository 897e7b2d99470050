//! An SSH server that does what its commands say.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use russh::keys::PublicKeyBase64 as _;
use russh::server::{
    Auth, ChannelOpenHandle, Config, Handler, Msg, PublicKeyOffer, Session, VerifiedPublicKey,
};
use russh::{Channel, ChannelId, Sig};
use tokio::net::TcpListener;
use tokio::task::{AbortHandle, JoinSet};

use super::host_key;

/// More than a client's window.
const FLOOD: usize = 6 << 20;

/// A running server. Its connections are cut when it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    seen: Arc<Seen>,
    task: AbortHandle,
}

#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    open: AtomicUsize,
    commands: Mutex<Vec<String>>,
}

impl Server {
    pub(crate) async fn start(key: u8) -> Self {
        Self::serve(TcpListener::bind("127.0.0.1:0").await.unwrap(), key)
    }

    pub(crate) fn serve(listener: TcpListener, key: u8) -> Self {
        let config = Arc::new(Config { keys: vec![host_key(key)], ..Config::default() });
        let (address, seen) = (listener.local_addr().unwrap(), Arc::new(Seen::default()));
        let serving = accept(listener, config, Arc::clone(&seen));
        Self { address, seen, task: tokio::spawn(serving).abort_handle() }
    }

    /// How many there have been.
    pub(crate) fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// How many there are.
    pub(crate) fn open(&self) -> usize {
        self.seen.open.load(Ordering::SeqCst)
    }

    /// The commands, the signals, and `closed` for each channel.
    pub(crate) fn commands(&self) -> Vec<String> {
        self.seen.commands.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, config: Arc<Config>, seen: Arc<Seen>) {
    let mut connections = JoinSet::new();
    while let Ok((mut socket, _)) = listener.accept().await {
        seen.connections.fetch_add(1, Ordering::SeqCst);
        seen.open.fetch_add(1, Ordering::SeqCst);
        let (config, seen) = (Arc::clone(&config), Arc::clone(&seen));
        // The session runs in a task of its own, which only the end of its stream ends.
        connections.spawn(async move {
            let (mut near, far) = tokio::io::duplex(64 << 10);
            let handler = Connection { seen: Arc::clone(&seen), channels: HashMap::new() };
            let session = async {
                if let Ok(session) = russh::server::run_stream(config, far, handler).await {
                    let _ = session.await;
                }
            };
            tokio::select! {
                _ = tokio::io::copy_bidirectional(&mut socket, &mut near) => {}
                () = session => {}
            }
            seen.open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

struct Connection {
    seen: Arc<Seen>,
    channels: HashMap<ChannelId, Channel<Msg>>,
}

impl Connection {
    fn saw(&self, what: &str) {
        self.seen.commands.lock().unwrap().push(what.to_owned());
    }
}

fn admits(key: &russh::keys::PublicKey) -> Auth {
    if key.public_key_bytes() == host_key(1).public_key().public_key_bytes() {
        Auth::Accept
    } else {
        Auth::reject()
    }
}

impl Handler for Connection {
    type Error = russh::Error;

    async fn auth_publickey_offered(
        &mut self,
        _: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(admits(offer.public_key))
    }

    async fn auth_publickey(&mut self, _: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        Ok(admits(key.public_key))
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.channels.insert(channel.id(), channel);
        reply.accept().await;
        Ok(())
    }

    async fn channel_close(&mut self, _: ChannelId, _: &mut Session) -> Result<(), Self::Error> {
        self.saw("closed");
        Ok(())
    }

    async fn signal(&mut self, _: ChannelId, signal: Sig, _: &mut Session) -> Result<(), Self::Error> {
        self.saw(&format!("{signal:?}"));
        Ok(())
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let line = String::from_utf8_lossy(command).into_owned();
        self.saw(&line);
        session.channel_success(id)?;
        let mut words = line.split(' ');
        match (words.next().unwrap(), words.next()) {
            ("exit", Some(code)) => session.exit_status_request(id, code.parse().unwrap())?,
            ("signal", Some(name)) => {
                let signal = match name {
                    "KILL" => Sig::KILL,
                    "TERM" => Sig::TERM,
                    name => Sig::Custom(name.to_owned()),
                };
                session.exit_signal_request(id, signal, false, "", "")?;
            }
            ("flood", None) => {
                let channel = self.channels.remove(&id).unwrap();
                tokio::spawn(async move {
                    channel.data(&vec![b'x'; FLOOD][..]).await.unwrap();
                    channel.exit_status(0).await.unwrap();
                    channel.close().await.unwrap();
                });
                return Ok(());
            }
            ("hang", None) => return Ok(()),
            ("drop", None) => return Err(russh::Error::Disconnect),
            ("close", None) => {}
            other => panic!("{other:?}"),
        }
        session.close(id)
    }
}
