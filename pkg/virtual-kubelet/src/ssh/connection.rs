//! One connection to the SSH server of an instance, and commands on it.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use runtime::exit::one_line;
use russh::client::{self, Handle, Msg};
use russh::keys::{Algorithm, HashAlg, PrivateKeyWithHashAlg, PublicKeyOrCertificate};
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::{Error, HostKey, Identity, Route};

/// A server that is silent for this long is asked whether it is there.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// With this code.
    Code(u32),
    /// By a signal, of this name without `SIG`.
    Signal(Box<str>),
}

impl Exit {
    /// The code as shells and Kubernetes have it: 128 and its number for a signal, 255 for one without a number.
    pub fn code(&self) -> i32 {
        let signal = match self {
            Self::Code(code) => return i32::try_from(*code).unwrap_or(i32::MAX),
            Self::Signal(name) => &**name,
        };
        // The numbers that POSIX fixes, and those that all of Linux, illumos and BSD share.
        128 + match signal {
            "HUP" => 1,
            "INT" => 2,
            "QUIT" => 3,
            "ILL" => 4,
            "ABRT" => 6,
            "FPE" => 8,
            "KILL" => 9,
            "SEGV" => 11,
            "PIPE" => 13,
            "ALRM" => 14,
            "TERM" => 15,
            _ => 127,
        }
    }
}

/// A connection whose user is admitted. It ends when it is dropped and no command uses it any more.
pub(super) struct Connection {
    route: Route,
    handle: Handle<Verifier>,
    host_key: HostKey,
    /// Whether a session did not come: the server is gone without a word, or gives no more of them on one connection.
    /// So others are not asked for here.
    suspect: AtomicBool,
    /// The commands under way, and when the last one ended.
    usage: Mutex<(usize, Instant)>,
}

impl Connection {
    /// Connects. Without `known`, whatever key the server shows is trusted.
    pub(super) async fn open(
        route: &Route,
        known: Option<HostKey>,
        identity: &Identity,
        limit: Duration,
    ) -> Result<Self, Error> {
        let opening = Self::open_without_limit(route, known, identity);
        let late = |_| Error::Deadline { route: route.clone(), limit };
        tokio::time::timeout(limit, opening).await.map_err(late)?
    }

    async fn open_without_limit(
        route: &Route,
        known: Option<HostKey>,
        identity: &Identity,
    ) -> Result<Self, Error> {
        let unreachable = |error| Error::Unreachable { route: route.clone(), cause: one_line(&error) };
        let stream = TcpStream::connect(route.address).await.map_err(unreachable)?;
        // Commands are small; without this each waits for the acknowledgement of the one before.
        stream.set_nodelay(true).map_err(unreachable)?;
        let shown = Arc::new(Mutex::new(None));
        let config = Arc::new(config(known.as_ref()));
        let verifier = Verifier { route: route.clone(), known, shown: Arc::clone(&shown) };
        let broken = |error: russh::Error| Error::Handshake { route: route.clone(), cause: one_line(&error) };
        let mut handle =
            client::connect_stream(config, stream, verifier).await.map_err(|failure| match failure {
                Failure::Known(error) => *error,
                Failure::Protocol(error) => broken(error),
            })?;
        let hash = match identity.key().algorithm() {
            // A server that does not say knows SHA-1 only.
            Algorithm::Rsa { .. } => handle.best_supported_rsa_hash().await.map_err(broken)?.flatten(),
            _ => None::<HashAlg>,
        };
        let key = PrivateKeyWithHashAlg::new(Arc::clone(identity.key()), hash);
        if !handle.authenticate_publickey(&*route.user, key).await.map_err(broken)?.success() {
            // Also what the library says when the connection ended meanwhile.
            if handle.is_closed() {
                return Err(broken(russh::Error::Disconnect));
            }
            return Err(Error::NotAdmitted { route: route.clone(), fingerprint: identity.fingerprint() });
        }
        let host_key = shown.lock().unwrap_or_else(PoisonError::into_inner).take();
        let host_key = host_key.ok_or_else(|| broken(russh::Error::WrongServerSig))?;
        Ok(Self {
            route: route.clone(),
            handle,
            host_key,
            suspect: AtomicBool::new(false),
            usage: Mutex::new((0, Instant::now())),
        })
    }

    /// The key that the server has shown.
    pub(super) fn host_key(&self) -> &HostKey {
        &self.host_key
    }

    /// Whether commands may be run on it.
    pub(super) fn is_usable(&self) -> bool {
        !self.handle.is_closed() && !self.suspect.load(Ordering::Relaxed)
    }

    /// Since when no command has used it; now when one does.
    pub(super) fn idle_since(&self) -> Instant {
        match *self.usage() {
            (0, since) => since,
            _ => Instant::now(),
        }
    }

    /// Runs a command to its end, with an empty input. Its output is dropped as it comes. Cancelling kills it, where
    /// the server can.
    ///
    /// `limit` is for the server to begin; how long the command may take is the caller's affair.
    pub(super) async fn run(&self, line: &str, limit: Duration) -> Result<Exit, Error> {
        let _use = Use::new(self);
        let (mut read, session) = self.session(limit).await?;
        let refused = |cause: String| Error::NoSession { route: self.route.clone(), cause };
        session.write.exec(true, line).await.map_err(|error| refused(one_line(&error)))?;
        // Nothing will be sent; that the server has gone shows below.
        let _ = session.write.eof().await;
        while let Some(message) = read.wait().await {
            let exit = match message {
                ChannelMsg::ExitStatus { exit_status } => Exit::Code(exit_status),
                ChannelMsg::ExitSignal { signal_name, .. } => Exit::Signal(name(&signal_name)),
                ChannelMsg::Failure => {
                    session.ended();
                    return Err(refused("it refused to".to_owned()));
                }
                _ => continue,
            };
            session.ended();
            return Ok(exit);
        }
        session.ended();
        Err(Error::Interrupted { route: self.route.clone() })
    }

    async fn session(&self, limit: Duration) -> Result<(ChannelReadHalf, Session), Error> {
        let mut doubt = Doubt { suspect: &self.suspect, answered: false };
        let opened = tokio::time::timeout(limit, self.handle.channel_open_session()).await;
        let channel = match opened {
            Err(_) => return Err(Error::Deadline { route: self.route.clone(), limit }),
            Ok(Err(error)) => {
                return Err(Error::NoSession { route: self.route.clone(), cause: one_line(&error) });
            }
            Ok(Ok(channel)) => channel,
        };
        doubt.answered = true;
        let (read, write) = channel.split();
        Ok((read, Session { write: Arc::new(write), ended: AtomicBool::new(false) }))
    }

    fn usage(&self) -> MutexGuard<'_, (usize, Instant)> {
        self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Marks a connection as suspect when it is dropped before the server has given a session, also by a caller who waits
/// no longer.
struct Doubt<'a> {
    suspect: &'a AtomicBool,
    answered: bool,
}

impl Drop for Doubt<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.suspect.store(true, Ordering::Relaxed);
        }
    }
}

/// A command that uses a connection.
struct Use<'a>(&'a Connection);

impl<'a> Use<'a> {
    fn new(connection: &'a Connection) -> Self {
        connection.usage().0 += 1;
        Self(connection)
    }
}

impl Drop for Use<'_> {
    fn drop(&mut self) {
        let mut usage = self.0.usage();
        *usage = (usage.0.saturating_sub(1), Instant::now());
    }
}

/// A session of the server, which is closed when dropped, and its command killed if it has not ended.
struct Session {
    write: Arc<ChannelWriteHalf<Msg>>,
    ended: AtomicBool,
}

impl Session {
    fn ended(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let (write, ended) = (Arc::clone(&self.write), self.ended.load(Ordering::Relaxed));
        // Outside a runtime there is no connection either.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            // Either fails only when the connection has ended, and the session with it.
            if !ended {
                let _ = write.signal(Sig::KILL).await;
            }
            let _ = write.close().await;
        });
    }
}

fn name(signal: &Sig) -> Box<str> {
    match signal {
        Sig::Custom(name) => name.as_str().into(),
        // The variants have the names of the protocol.
        known => format!("{known:?}").into(),
    }
}

fn config(known: Option<&HostKey>) -> client::Config {
    let mut config =
        client::Config { keepalive_interval: Some(KEEPALIVE), keepalive_max: 3, ..client::Config::default() };
    if let Some(known) = known {
        // A server has several keys, and shows the first that we ask for.
        let mut algorithms = config.preferred.key.to_vec();
        algorithms.sort_by_key(|algorithm| !known.is_of(algorithm));
        config.preferred.key = Cow::Owned(algorithms);
    }
    config
}

/// Checks the key that a server shows.
struct Verifier {
    route: Route,
    known: Option<HostKey>,
    shown: Arc<Mutex<Option<HostKey>>>,
}

/// Why connecting failed.
#[derive(Debug)]
enum Failure {
    Known(Box<Error>),
    Protocol(russh::Error),
}

impl From<russh::Error> for Failure {
    fn from(error: russh::Error) -> Self {
        Self::Protocol(error)
    }
}

impl client::Handler for Verifier {
    type Error = Failure;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        let route = self.route.clone();
        let PublicKeyOrCertificate::PublicKey { key, .. } = key else {
            return Err(Failure::Known(Box::new(Error::HostCertificate { route })));
        };
        let key = HostKey::new(key);
        if let Some(known) = self.known.as_ref().filter(|known| **known != key) {
            let (route, known, shown) = (Box::new(route), Box::new(known.clone()), Box::new(key));
            return Err(Failure::Known(Box::new(Error::HostKeyChanged { route, known, shown })));
        }
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(key);
        Ok(true)
    }
}
