//! Clients that send requests without pause, and their results.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// This many clients keep their connection, and one opens a new one each time.
const KEEPING: usize = 2;

/// The pause of the client that opens a new connection each time: a machine has
/// only about 28,000 ports for connections per minute.
const BETWEEN_CONNECTIONS: Duration = Duration::from_millis(2);

/// The time limit for a response.
const PATIENCE: Duration = Duration::from_secs(10);

/// The target of the requests, and the allowed upstreams.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) host: &'static str,
    pub(crate) path: &'static str,
    /// Names of upstreams.
    pub(crate) by: &'static [&'static str],
}

/// The relevant parts of a response.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) upstream: Option<String>,
    /// Whether the connection closes after it.
    pub(crate) is_last: bool,
}

impl Target {
    fn judge(&self, reply: &io::Result<Reply>) -> Result<(), String> {
        match reply {
            Ok(Reply { status: 200, upstream: Some(name), .. })
                if self.by.contains(&name.as_str()) =>
            {
                Ok(())
            }
            Ok(Reply { status, upstream, .. }) => Err(format!("{status} by {upstream:?}")),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// Clients that send requests without pause until they are stopped.
pub(crate) struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    is_over: AtomicBool,
    asked: AtomicUsize,
    failed: AtomicUsize,
    /// The first failures, each with the time since the start.
    failures: Mutex<Vec<String>>,
}

impl Load {
    pub(crate) fn start(target: Target) -> Self {
        let shared = Arc::new(Shared::default());
        let start = Instant::now();
        let client = |index| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || ask_on(target, index < KEEPING, &shared, start))
        };
        let clients = (0..=KEEPING).map(client).collect();
        Self { shared, clients }
    }

    /// The number of requests so far.
    pub(crate) fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::Relaxed)
    }

    /// The number of requests; asserts that none failed. If the time was too short
    /// or the machine slow, it continues until there are enough requests.
    #[track_caller]
    pub(crate) fn stop(self) -> usize {
        const A_LOAD: usize = 100;
        let start = Instant::now();
        while self.asked() <= A_LOAD && start.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(10));
        }
        self.shared.is_over.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.join().expect("a client");
        }
        let asked = self.shared.asked.load(Ordering::Relaxed);
        let failed = self.shared.failed.load(Ordering::Relaxed);
        let failures = self.shared.failures.lock().expect("healthy clients");
        assert_eq!(failed, 0, "of {asked} requests, such as {failures:#?}");
        assert!(asked > A_LOAD, "too few requests: {asked}");
        asked
    }
}

fn ask_on(target: Target, keeps: bool, shared: &Shared, start: Instant) {
    let mut client = Client::new(target, keeps);
    while !shared.is_over.load(Ordering::Relaxed) {
        let reply = client.ask("");
        shared.asked.fetch_add(1, Ordering::Relaxed);
        if let Err(failure) = target.judge(&reply) {
            shared.failed.fetch_add(1, Ordering::Relaxed);
            let mut failures = shared.failures.lock().expect("healthy clients");
            if failures.len() < 10 {
                let client = if keeps { "kept connection" } else { "new connection" };
                failures.push(format!("after {:?}, {client}: {failure}", start.elapsed()));
            }
        }
        if !keeps {
            thread::sleep(BETWEEN_CONNECTIONS);
        }
    }
}

/// A client that never panics.
pub(crate) struct Client {
    target: Target,
    keeps: bool,
    connection: Option<BufReader<TcpStream>>,
}

impl Client {
    pub(crate) fn new(target: Target, keeps: bool) -> Self {
        Self { target, keeps, connection: None }
    }

    /// Sends a request with these additional headers, each with its line end.
    /// Connects if there is no connection.
    pub(crate) fn ask(&mut self, headers: &str) -> io::Result<Reply> {
        let Target { address, host, path, .. } = self.target;
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => connect(address)?,
        };
        let close = if self.keeps { "" } else { "connection: close\r\n" };
        let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n{close}{headers}\r\n");
        connection.get_mut().write_all(request.as_bytes())?;
        let reply = read_reply(&mut connection)?;
        if !reply.is_last {
            self.connection = Some(connection);
        }
        Ok(reply)
    }
}

fn connect(address: SocketAddr) -> io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(BufReader::new(stream))
}

fn read_reply(connection: &mut BufReader<TcpStream>) -> io::Result<Reply> {
    let status = read_line(connection)?;
    let status = status.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| io::Error::other("no status line"))?;
    let mut reply = Reply { status, upstream: None, is_last: false };
    let mut length = 0;
    loop {
        let line = read_line(connection)?;
        let Some((name, value)) = line.split_once(": ") else { break };
        match name {
            "x-upstream" => reply.upstream = Some(value.to_owned()),
            "content-length" => length = value.parse().map_err(io::Error::other)?,
            "connection" => reply.is_last = value == "close",
            "transfer-encoding" => return Err(io::Error::other("an answer in chunks")),
            _ => {}
        }
    }
    io::copy(&mut connection.take(length), &mut io::sink())?;
    Ok(reply)
}

/// A line without its end.
fn read_line(connection: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    if connection.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    line.truncate(line.trim_end().len());
    Ok(line)
}

/// Repeatedly checks whether a controller is ready, and keeps each response that is
/// not `ok`.
pub(crate) struct Probes {
    is_over: Arc<AtomicBool>,
    prober: JoinHandle<Vec<String>>,
}

impl Probes {
    pub(crate) fn start(health: SocketAddr) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let target = Target { address: health, host: "health", path: "/readyz", by: &[] };
        let over = Arc::clone(&is_over);
        let start = Instant::now();
        let prober = thread::spawn(move || {
            let mut wrong = Vec::new();
            while !over.load(Ordering::Relaxed) {
                match Client::new(target, false).ask("") {
                    Ok(Reply { status: 200, .. }) => {}
                    other => wrong.push(format!("after {:?}: {other:?}", start.elapsed())),
                }
                thread::sleep(Duration::from_millis(50));
            }
            wrong
        });
        Self { is_over, prober }
    }

    /// Asserts that all responses so far had status 200.
    #[track_caller]
    pub(crate) fn stop(self) {
        self.is_over.store(true, Ordering::Relaxed);
        let wrong = self.prober.join().expect("a prober");
        assert!(wrong.is_empty(), "not ready: {wrong:#?}");
    }
}
