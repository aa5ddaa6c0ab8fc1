//! A TCP proxy between a store and PostgreSQL that cuts a connection at a chosen point of the protocol
//! (<https://www.postgresql.org/docs/current/protocol-message-formats.html>).
//!
//! The client waits for an answer after each `Query` and each `Sync`, and after the start of a connection.
//! From one such request to its answer is a round trip; a test chooses one by its index, or a `commit`.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::{Bytes, BytesMut};
use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A round trip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    /// The one with this index since [`Proxy::expect`], over all connections.
    RoundTrip(usize),
    /// The `commit` with this index since then.
    Commit(usize),
}

/// The point of a round trip at which its connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Point {
    /// The server gets half of the request.
    Request,
    /// The server gets the request, and the connection is cut at the same moment.
    Sent,
    /// The server has done what was requested, and the client gets half of its answer.
    Answer,
}

/// How the client learns of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// By FIN, as if the server had ended.
    Closed,
    /// By RST, as from a machine that does not know the connection any more.
    Reset,
}

/// Where and how a connection is cut.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut {
    pub(super) at: At,
    pub(super) point: Point,
    pub(super) how: How,
}

/// What has passed since the last call of [`Proxy::expect`].
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Passed {
    pub(super) round_trips: usize,
    pub(super) commits: usize,
    /// Whether the expected cut has been made.
    pub(super) is_cut: bool,
}

#[derive(Debug, Default)]
struct State {
    passed: Passed,
    expected: Option<Cut>,
}

/// A running proxy. Dropping it cuts all connections.
pub(super) struct Proxy {
    /// The URL of the database through this proxy.
    pub(super) url: String,
    state: Arc<Mutex<State>>,
    /// Whether the server is there; while it is not, connections are reset.
    is_up: watch::Sender<bool>,
    _accepting: JoinSet<()>,
}

impl Proxy {
    /// A proxy before the database of this URL.
    pub(super) async fn before(url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let state = Arc::new(Mutex::new(State::default()));
        let (is_up, watched) = watch::channel(true);
        let server: PgConnectOptions = url.parse().expect("a URL of PostgreSQL");
        let mut accepting = JoinSet::new();
        let states = Arc::clone(&state);
        accepting.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let (server, state) = (server.clone(), Arc::clone(&states));
                let is_up = watched.clone();
                connections.spawn(async move {
                    // A connection that breaks is what the tests are about.
                    let _ = connect(client, &server, &state, is_up).await;
                });
            }
        });
        Self {
            url: through(url, address),
            state,
            is_up,
            _accepting: accepting,
        }
    }

    /// Counts from now on, and cuts there.
    pub(super) fn expect(&self, cut: Option<Cut>) {
        *lock(&self.state) = State {
            passed: Passed::default(),
            expected: cut,
        };
    }

    pub(super) fn passed(&self) -> Passed {
        lock(&self.state).passed
    }

    /// Resets all connections, and refuses others until [`Self::come_back`].
    pub(super) fn go_away(&self) {
        self.is_up.send_replace(false);
    }

    pub(super) fn come_back(&self) {
        self.is_up.send_replace(true);
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().expect("no holder of the lock panics")
}

/// The URL of the same database at this address.
fn through(url: &str, address: SocketAddr) -> String {
    let mut through = reqwest::Url::parse(url).expect("a URL");
    through
        .set_host(Some("127.0.0.1"))
        .expect("it may have one");
    through
        .set_port(Some(address.port()))
        .expect("it may have one");
    through.set_query(Some("sslmode=disable"));
    through.into()
}

async fn connect(
    client: TcpStream,
    server: &PgConnectOptions,
    state: &Mutex<State>,
    is_up: watch::Receiver<bool>,
) -> io::Result<()> {
    client.set_nodelay(true)?;
    if !*is_up.borrow() {
        return reset(&client);
    }
    if let Some(folder) = server.get_socket() {
        let path = folder.join(format!(".s.PGSQL.{}", server.get_port()));
        return pass(client, UnixStream::connect(path).await?, state, is_up).await;
    }
    let server = TcpStream::connect((server.get_host(), server.get_port())).await?;
    server.set_nodelay(true)?;
    pass(client, server, state, is_up).await
}

/// Lets the next close of this connection be a reset.
fn reset(client: &TcpStream) -> io::Result<()> {
    client.set_zero_linger()
}

/// Passes the messages of both sides on, until one leaves or the connection is cut.
async fn pass<S: AsyncRead + AsyncWrite + Unpin>(
    mut client: TcpStream,
    mut server: S,
    state: &Mutex<State>,
    mut is_up: watch::Receiver<bool>,
) -> io::Result<()> {
    let (mut asked, mut answered) = (BytesMut::new(), BytesMut::new());
    let mut has_begun = false;
    loop {
        tokio::select! {
            left = is_up.wait_for(|is_up| !is_up) => {
                drop(left);
                return reset(&client);
            }
            read = client.read_buf(&mut asked) => if read? == 0 {
                return Ok(());
            },
            read = server.read_buf(&mut answered) => if read? == 0 {
                return Ok(());
            },
        }
        while let Some(message) = take(&mut asked, has_begun) {
            let is_start = !std::mem::replace(&mut has_begun, true);
            let Some(cut) = (is_start || is_question(&message))
                .then(|| next(state, &message))
                .flatten()
            else {
                server.write_all(&message).await?;
                continue;
            };
            if cut.how == How::Reset {
                reset(&client)?;
            }
            match cut.point {
                Point::Request => server.write_all(&message[..message.len() / 2]).await?,
                Point::Sent => server.write_all(&message).await?,
                Point::Answer => {
                    server.write_all(&message).await?;
                    let answer = whole_answer(&mut server, answered).await?;
                    client.write_all(&answer[..answer.len() / 2]).await?;
                }
            }
            lock(state).passed.is_cut = true;
            return Ok(());
        }
        while let Some(message) = take(&mut answered, true) {
            client.write_all(&message).await?;
        }
    }
}

/// Takes a whole message. Its length is behind its type, which the first one of a client has not.
fn take(bytes: &mut BytesMut, has_type: bool) -> Option<Bytes> {
    let start = usize::from(has_type);
    let length: [u8; 4] = bytes.get(start..start + 4)?.try_into().expect("four bytes");
    let length = start + u32::from_be_bytes(length) as usize;
    (bytes.len() >= length).then(|| bytes.split_to(length).freeze())
}

/// Whether the client waits for an answer after it has sent this message.
fn is_question(message: &[u8]) -> bool {
    matches!(message.first(), Some(b'Q' | b'S'))
}

/// Counts a round trip, and gives the cut that is expected at it.
fn next(state: &Mutex<State>, question: &[u8]) -> Option<Cut> {
    let mut state = lock(state);
    let passed = &mut state.passed;
    let number = passed.round_trips;
    passed.round_trips += 1;
    let mut commit = None;
    if question == b"Q\0\0\0\x0bcommit\0" {
        commit = Some(passed.commits);
        passed.commits += 1;
    }
    state.expected.take_if(|cut| match cut.at {
        At::RoundTrip(at) => at == number,
        At::Commit(at) => Some(at) == commit,
    })
}

/// All that the server says until it waits for another question.
async fn whole_answer(
    server: &mut (impl AsyncRead + Unpin),
    mut bytes: BytesMut,
) -> io::Result<BytesMut> {
    let mut answer = BytesMut::new();
    loop {
        while let Some(message) = take(&mut bytes, true) {
            answer.extend_from_slice(&message);
            if message.first() == Some(&b'Z') {
                return Ok(answer);
            }
        }
        if server.read_buf(&mut bytes).await? == 0 {
            return Ok(answer);
        }
    }
}
