//! Clients that send requests all the time, and check each response.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ingress_tests::{Answer, TlsClient, TlsConnection, ask};

/// The number of clients with a persistent connection, for HTTP and HTTPS each. In
/// addition, one client each opens a new connection for each request.
const KEEPING: usize = 2;

/// The pause between the requests of one client, because the gateway uses the same
/// cores.
const PAUSE: Duration = Duration::from_millis(4);
const PAUSE_BETWEEN_CONNECTIONS: Duration = Duration::from_millis(20);

/// The time limit for a response.
const PATIENCE: Duration = Duration::from_secs(10);

/// Host and path, and the upstreams that may respond.
type Target = (&'static str, &'static str, &'static [&'static str]);

const PLAIN: [Target; 4] = [
    ("steady.example", "/", &["web"]),
    ("ruled.example", "/", &["v2"]),
    ("moving.example", "/", &["left", "right"]),
    ("victim.example", "/shop", &["web"]),
];

const ENCRYPTED: [Target; 1] = [("secure.example", "/", &["web"])];

/// The number of failures, by description and by whether a kill of Envoy explains
/// them.
pub(crate) type Failures = BTreeMap<(String, bool), usize>;

/// The state that clients, turns and sampler share.
#[derive(Default)]
pub(crate) struct Shared {
    is_over: AtomicBool,
    /// Odd from a kill of Envoy until it serves again.
    outages: AtomicUsize,
    pub(crate) edge: Mutex<Option<Edge>>,
    /// 0 if it does not run.
    pub(crate) envoy: AtomicU32,
    pub(crate) controller: AtomicU32,
    second: Mutex<Second>,
    failures: Mutex<Failures>,
    losses: Mutex<Vec<String>>,
}

/// The addresses of Envoy.
#[derive(Clone, Copy)]
pub(crate) struct Edge {
    pub(crate) http: SocketAddr,
    pub(crate) https: SocketAddr,
}

/// The requests since the last sample.
#[derive(Default)]
pub(crate) struct Second {
    pub(crate) answered: usize,
    pub(crate) slowest: Duration,
    /// Failures while Envoy was killed.
    pub(crate) excused: usize,
    pub(crate) lost: usize,
}

impl Shared {
    /// Allows requests to break from now on.
    pub(crate) fn begin_outage(&self) {
        self.outages.fetch_add(1, Ordering::SeqCst);
    }

    /// Requests that start from now on must not break.
    pub(crate) fn end_outage(&self) {
        self.outages.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// Prints and saves a failure.
    pub(crate) fn lose(&self, what: String) {
        println!("  LOST: {what}");
        lock(&self.losses).push(what);
    }

    pub(crate) fn take_second(&self) -> Second {
        std::mem::take(&mut lock(&self.second))
    }

    pub(crate) fn take_losses(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.losses))
    }

    pub(crate) fn take_failures(&self) -> Failures {
        std::mem::take(&mut lock(&self.failures))
    }

    pub(crate) fn edge(&self) -> Edge {
        lock(&self.edge).expect("a started gateway")
    }

    fn count(&self, took: Duration, failure: Option<(String, bool)>) {
        let mut second = lock(&self.second);
        let Some((what, is_excused)) = failure else {
            second.answered += 1;
            second.slowest = second.slowest.max(took);
            return;
        };
        second.excused += usize::from(is_excused);
        second.lost += usize::from(!is_excused);
        drop(second);
        let mut failures = lock(&self.failures);
        let is_first = !failures.contains_key(&(what.clone(), is_excused));
        if is_first && !is_excused {
            println!("  LOST: a request: {what}");
        }
        *failures.entry((what, is_excused)).or_default() += 1;
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Clients that ask until they are stopped.
pub(crate) struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    pub(crate) fn start(shared: &Arc<Shared>, tls: &TlsClient) -> Self {
        let client = |index: usize| {
            let tls = index.is_multiple_of(2).then(|| tls.clone());
            let keeps = index / 2 < KEEPING;
            let client = Client { shared: Arc::clone(shared), tls, keeps, connection: None };
            thread::spawn(move || client.run())
        };
        Self { shared: Arc::clone(shared), clients: (0..2 * (KEEPING + 1)).map(client).collect() }
    }

    pub(crate) fn stop(self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.join().expect("a client");
        }
    }
}

struct Client {
    shared: Arc<Shared>,
    tls: Option<TlsClient>,
    keeps: bool,
    connection: Option<Connection>,
}

enum Connection {
    Plain(TcpStream),
    Encrypted(Box<TlsConnection>),
}

impl Client {
    fn run(mut self) {
        let targets = if self.tls.is_some() { &ENCRYPTED[..] } else { &PLAIN[..] };
        for target in targets.iter().cycle() {
            if self.shared.is_over() {
                return;
            }
            let outages = self.shared.outages.load(Ordering::SeqCst);
            let start = Instant::now();
            let answer = self.ask(target);
            let took = start.elapsed();
            // The request may have started before, during or after the kill.
            let is_excused = |breaks: bool| {
                let now = self.shared.outages.load(Ordering::SeqCst);
                breaks && (outages != now || !outages.is_multiple_of(2))
            };
            let failure = failure(target, &answer).map(|what| (what, is_excused(answer.is_err())));
            self.shared.count(took, failure);
            thread::sleep(if self.keeps { PAUSE } else { PAUSE_BETWEEN_CONNECTIONS });
        }
    }

    fn ask(&mut self, (host, path, _): &Target) -> io::Result<Answer> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect(host)?,
        };
        let answer = match &mut connection {
            Connection::Plain(stream) => ask(stream, host, path)?,
            Connection::Encrypted(stream) => stream.ask(host, path)?,
        };
        if self.keeps && answer.header("connection") != Some("close") {
            self.connection = Some(connection);
        }
        Ok(answer)
    }

    fn connect(&self, host: &str) -> io::Result<Connection> {
        let Edge { http, https } = self.shared.edge();
        let Some(tls) = &self.tls else { return Ok(Connection::Plain(connect(http)?)) };
        Ok(Connection::Encrypted(Box::new(tls.handshake(connect(https)?, host)?)))
    }
}

pub(crate) fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// The problem with a response, if there is one.
fn failure((host, path, by): &Target, answer: &io::Result<Answer>) -> Option<String> {
    match answer {
        Ok(answer) if answer.status == 200 && by.contains(&answer.by().as_str()) => None,
        Ok(answer) if answer.status == 200 => {
            Some(format!("{host}{path} was served by {}", answer.by()))
        }
        Ok(answer) => Some(format!("{host}{path} returned {}", answer.status)),
        Err(error) if error.kind() == io::ErrorKind::Other => Some(error.to_string()),
        Err(error) => Some(error.kind().to_string()),
    }
}
