//! The SSH server of a guest, to which its keys admit: `root_authorized_keys` in its metadata, and those of its
//! account. It runs programs of the simulated shell, and nothing of the host.
//!
//! Sessions with and without a terminal, changes of its window, variables, signals, the half-closed input and
//! the exit status are as OpenSSH's. There are no subsystems (no SFTP), no forwarding, and no passwords.
//!
//! A program that does not read its input while it writes much is limited: SSH's flow control in `russh` lets
//! the client go on sending, so [`UNREAD_INPUT`] bytes are kept; when they are full and stay so for
//! [`STALLED`], the connection is closed.

mod session;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{PrivateKey, PublicKey, PublicKeyBase64 as _};
use russh::server::{
    Auth, ChannelOpenHandle, Config, Handler, Msg, PublicKeyOffer, Session, VerifiedPublicKey,
};
use russh::{
    Channel, ChannelId, ChannelOpenFailure, ChannelWriteHalf, MethodKind, MethodSet, Pty, Sig, SshId,
};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot, watch};
use triton::id::InstanceId;

use self::session::{End, Program};
use super::GuestSettings;
use super::guest::Guest;
use super::shell::io::{Chunk, Input, Stream, Writer, pipe};
use super::shell::{Shell, Window};
use crate::stop::until;

/// How long a client may take to log in, as sshd's LoginGraceTime.
const LOGIN_GRACE: Duration = Duration::from_secs(120);
/// The most programs of one connection, as sshd's MaxSessions.
const MOST_CHANNELS: usize = 10;
/// The most variables that a client may set for a program.
const MOST_VARIABLES: usize = 64;
/// The most signals that wait for a program.
const WAITING_SIGNALS: usize = 4;
/// How much of a program's input is kept that it has not read yet, in bytes.
const UNREAD_INPUT: u32 = 16 << 20;
/// How much of a program's output is kept that has not been sent yet, in bytes.
const UNSENT_OUTPUT: u32 = 256 << 10;
/// How long a full input may stay full.
const STALLED: Duration = Duration::from_secs(60);
/// How much is on its way between a socket and the SSH session, in bytes.
const TRANSIT: usize = 64 << 10;
/// SSH's number for the error output (RFC 4254, 5.2).
const STDERR: u32 = 1;

/// The settings of a guest's server, whose host key is always the same for a seed and an instance.
pub(super) fn config(settings: &GuestSettings, id: InstanceId) -> Arc<Config> {
    let mut seed = Sha256::new();
    seed.update(b"triton-sim guest host key");
    seed.update(settings.host_key_seed.to_be_bytes());
    seed.update(id.as_uuid().as_bytes());
    let key = PrivateKey::from(Ed25519Keypair::from_seed(&seed.finalize().into()));
    Arc::new(Config {
        server_id: SshId::Standard("SSH-2.0-triton-sim".into()),
        methods: MethodSet::from([MethodKind::PublicKey].as_slice()),
        keys: vec![key],
        // There is nothing to guess here, and tests try many keys.
        auth_rejection_time: Duration::ZERO,
        inactivity_timeout: Some(settings.idle),
        nodelay: true,
        ..Config::default()
    })
}

/// Serves one connection until it ends.
///
/// The session runs in a task of its own that nothing outside can end: so it gets a pipe instead of the socket,
/// which breaks when this future is dropped.
pub(super) async fn serve(mut socket: TcpStream, guest: Guest, config: Arc<Config>, output_limit: u64) {
    let (near, far) = tokio::io::duplex(TRANSIT);
    let (logged_in, login) = oneshot::channel();
    let connection = Connection {
        guest,
        output_limit,
        user: String::new(),
        logged_in: Some(logged_in),
        channels: HashMap::new(),
    };
    let _ = socket.set_nodelay(true);
    let (mut from_client, mut to_client) = socket.split();
    let (mut from_session, mut to_session) = tokio::io::split(near);
    let session = async {
        let ended = match russh::server::run_stream(config, far, connection).await {
            Ok(session) => session.await,
            Err(error) => Err(error),
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "an SSH connection to a guest ended");
        }
        std::future::pending::<()>().await;
    };
    let inwards = async {
        let _ = tokio::io::copy(&mut from_client, &mut to_session).await;
        let _ = tokio::io::AsyncWriteExt::shutdown(&mut to_session).await;
        std::future::pending::<()>().await;
    };
    let grace = async {
        match tokio::time::timeout(LOGIN_GRACE, login).await {
            Ok(Ok(())) => std::future::pending().await,
            _ => tracing::debug!("an SSH client of a guest did not log in"),
        }
    };
    tokio::select! {
        // Ends when the session has ended and all it wrote is on its way.
        _ = tokio::io::copy(&mut from_session, &mut to_client) => {}
        () = session => {}
        () = inwards => {}
        () = grace => {}
    }
}

/// One client.
struct Connection {
    guest: Guest,
    output_limit: u64,
    user: String,
    logged_in: Option<oneshot::Sender<()>>,
    channels: HashMap<ChannelId, Open>,
}

/// A session channel.
struct Open {
    /// The program is killed when this goes; before the rest, so that it does not see its input end.
    running: Option<watch::Sender<()>>,
    /// Until the program starts, and it is the program's.
    output: Option<ChannelWriteHalf<Msg>>,
    variables: Vec<(String, String)>,
    window: Option<watch::Sender<Window>>,
    input: Option<Writer>,
    signals: Option<mpsc::Sender<Sig>>,
}

impl Connection {
    fn admits(&self, user: &str, key: &PublicKey) -> Auth {
        if self.guest.admits(user, &key.public_key_bytes()) { Auth::Accept } else { Auth::reject() }
    }

    /// Starts a program, unless there has been one in the channel.
    fn start(&mut self, id: ChannelId, program: Program, session: &mut Session) -> Result<(), russh::Error> {
        let open = self.channels.get_mut(&id);
        let Some((open, output)) = open.and_then(|open| open.output.take().map(|output| (open, output)))
        else {
            return session.channel_failure(id);
        };
        let window = open.window.as_ref().map(watch::Sender::subscribe);
        let terminal = window.is_some();
        let mut shell = Shell::new(self.guest.clone(), &self.user, window);
        open.variables.iter().for_each(|(name, value)| shell.set(name, value));
        let (input, stdin) = pipe(UNREAD_INPUT);
        let (signal, signals) = mpsc::channel(WAITING_SIGNALS);
        let (running, stop) = watch::channel(());
        (open.input, open.signals, open.running) = (Some(input), Some(signal), Some(running));
        let (writer, written) = pipe(UNSENT_OUTPUT);
        let (handle, limit) = (session.handle(), self.output_limit);
        tokio::spawn(until(stop, async move {
            let program = session::run(program, shell, terminal, stdin, writer, signals);
            let (end, ()) = futures::join!(program, send(written, &output, limit));
            let _ = output.eof().await;
            let _ = match end {
                End::Status(status) => output.exit_status(status.into()).await.map_err(drop),
                End::Signal(signal) => {
                    handle.exit_signal_request(id, signal, false, String::new(), String::new()).await
                }
            };
            let _ = output.close().await;
        }));
        session.channel_success(id)
    }
}

/// Sends what a program writes, up to a limit: then the program finds its output closed.
async fn send(mut written: Input, channel: &ChannelWriteHalf<Msg>, mut left: u64) {
    while let Some(Chunk::Data(stream, bytes)) = written.chunk().await {
        let Some(after) = u64::try_from(bytes.len()).ok().and_then(|length| left.checked_sub(length)) else {
            tracing::debug!("a program of a guest reached the limit of its output");
            return;
        };
        left = after;
        let sent = match stream {
            Stream::Out => channel.data_bytes(bytes).await,
            Stream::Err => channel.extended_data_bytes(STDERR, bytes).await,
        };
        if sent.is_err() {
            return;
        }
    }
}

impl Handler for Connection {
    type Error = russh::Error;

    async fn auth_publickey_offered(
        &mut self,
        user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(self.admits(user, offer.public_key))
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        user.clone_into(&mut self.user);
        Ok(self.admits(user, key.public_key))
    }

    async fn auth_succeeded(&mut self, _: &mut Session) -> Result<(), Self::Error> {
        if let Some(logged_in) = self.logged_in.take() {
            let _ = logged_in.send(());
        }
        Ok(())
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        // The client's answer to a close is not told, so ended programs are found here.
        self.channels.retain(|_, open| !open.running.as_ref().is_some_and(watch::Sender::is_closed));
        if self.channels.len() >= MOST_CHANNELS {
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
            return Ok(());
        }
        let id = channel.id();
        // The other half would fill up and then stop the whole connection; data come through the methods below.
        let (_, output) = channel.split();
        let open = Open {
            running: None,
            output: Some(output),
            variables: Vec::new(),
            window: None,
            input: None,
            signals: None,
        };
        self.channels.insert(id, open);
        reply.accept().await;
        Ok(())
    }

    async fn channel_close(&mut self, id: ChannelId, _: &mut Session) -> Result<(), Self::Error> {
        self.channels.remove(&id);
        Ok(())
    }

    async fn channel_eof(&mut self, id: ChannelId, _: &mut Session) -> Result<(), Self::Error> {
        if let Some(open) = self.channels.get_mut(&id) {
            open.input = None;
        }
        Ok(())
    }

    async fn data(&mut self, id: ChannelId, data: &[u8], _: &mut Session) -> Result<(), Self::Error> {
        let Some(input) = self.channels.get(&id).and_then(|open| open.input.as_ref()) else { return Ok(()) };
        // An error means that the program has ended: nobody misses the data then.
        match tokio::time::timeout(STALLED, input.write(Stream::Out, data)).await {
            Ok(_) => Ok(()),
            Err(_) => Err(russh::Error::InactivityTimeout),
        }
    }

    async fn env_request(
        &mut self,
        id: ChannelId,
        name: &str,
        value: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        match self.channels.get_mut(&id) {
            Some(open) if open.variables.len() < MOST_VARIABLES => {
                open.variables.push((name.to_owned(), value.to_owned()));
                session.channel_success(id)
            }
            _ => session.channel_failure(id),
        }
    }

    async fn pty_request(
        &mut self,
        id: ChannelId,
        term: &str,
        columns: u32,
        rows: u32,
        _: u32,
        _: u32,
        _: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        match self.channels.get_mut(&id) {
            Some(open) if open.window.is_none() => {
                open.window = Some(watch::Sender::new(Window { rows, columns }));
                open.variables.push(("TERM".to_owned(), term.to_owned()));
                session.channel_success(id)
            }
            _ => session.channel_failure(id),
        }
    }

    async fn window_change_request(
        &mut self,
        id: ChannelId,
        columns: u32,
        rows: u32,
        _: u32,
        _: u32,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        if let Some(window) = self.channels.get(&id).and_then(|open| open.window.as_ref()) {
            window.send_replace(Window { rows, columns });
        }
        Ok(())
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.start(id, Program::Exec(String::from_utf8_lossy(command).into_owned()), session)
    }

    async fn shell_request(&mut self, id: ChannelId, session: &mut Session) -> Result<(), Self::Error> {
        self.start(id, Program::Shell, session)
    }

    async fn subsystem_request(
        &mut self,
        id: ChannelId,
        _: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.channel_failure(id)
    }

    async fn signal(&mut self, id: ChannelId, signal: Sig, _: &mut Session) -> Result<(), Self::Error> {
        if let Some(signals) = self.channels.get(&id).and_then(|open| open.signals.as_ref()) {
            let _ = signals.try_send(signal);
        }
        Ok(())
    }
}
