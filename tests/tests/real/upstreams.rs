//! Servers of HTTP that people run.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Command, Stdio};

use ingress_tests::{
    HttpBin, Process, Server, Serving, free_port, installed, python, raw, say, tool, wait_until,
};
use tempfile::TempDir;

use crate::{asgi, program, serve};

/// nginx that serves a folder of files; stopped when dropped.
struct Nginx {
    _process: Process,
    address: SocketAddr,
}

impl Nginx {
    fn start(folder: &TempDir) -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let path = folder.path().display();
        let configuration = format!(
            "daemon off; pid {path}/pid; error_log stderr crit;
             events {{ worker_connections 256; }}
             http {{
               access_log off;
               client_body_temp_path {path}/temp; proxy_temp_path {path}/temp;
               fastcgi_temp_path {path}/temp; uwsgi_temp_path {path}/temp; scgi_temp_path {path}/temp;
               default_type text/plain;
               server {{ listen {address}; root {path}/files; }}
             }}"
        );
        fs::write(folder.path().join("nginx.conf"), configuration).expect("a configuration");
        let mut command = Command::new(tool("nginx"));
        command.arg("-p").arg(folder.path()).arg("-c").arg(folder.path().join("nginx.conf"));
        let process = Process::spawn(command.args(["-e", "stderr"]).stdout(Stdio::null()));
        wait_until("nginx listens", || TcpStream::connect(address).is_ok());
        Self { _process: process, address }
    }
}

/// A folder `files` with a page.
fn files() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir(folder.path().join("files")).expect("a folder");
    for name in ["index.html", "page"] {
        fs::write(folder.path().join("files").join(name), "hello from files").expect("a page");
    }
    folder
}

/// The response of this host to a request without a body, or with one.
fn ask(serving: &Serving, host: &str, start: &str, body: &str) -> (u16, String) {
    let length = body.len();
    let request =
        format!("{start} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n{body}");
    let answer = raw(serving.http, request.as_bytes());
    (answer.status, answer.body)
}

#[test]
fn requests_are_served_by_each_server() {
    let folder = files();
    let nginx = Nginx::start(&folder);
    let python_files = Server::start(
        python().arg(program("file_server.py")).current_dir(folder.path().join("files")),
    );
    let wsgi = Server::start(python().arg(program("wsgi_server.py")));
    let asgi = asgi();
    let mut servers = vec![
        ("nginx.example", nginx.address, "hello from files"),
        ("files.example", python_files.address, "hello from files"),
        ("wsgi.example", wsgi.address, "hello from wsgi"),
        ("asgi.example", asgi.address, "hello from asgi"),
    ];
    let node = installed("node")
        .map(|node| Server::start(Command::new(node).arg(program("node_server.js"))));
    match &node {
        Some(node) => servers.push(("node.example", node.address, "hello from node")),
        None => say("note: there is no node; its server is not tested. To test it, install Node"),
    }
    let hosts: Vec<_> = servers.iter().map(|(host, address, _)| (*host, [*address])).collect();
    let hosts: Vec<_> = hosts.iter().map(|(host, address)| (*host, &address[..])).collect();
    let serving = serve(&hosts, "");
    for (host, _, hello) in &servers {
        for _ in 0..20 {
            assert_eq!(ask(&serving, host, "GET /", ""), (200, (*hello).to_owned()), "{host}");
        }
        assert_eq!(ask(&serving, host, "HEAD /", ""), (200, String::new()), "{host}");
        assert_eq!(ask(&serving, host, "GET /missing", "").0, 404, "{host}");
    }
    let upload = "x".repeat(100_000);
    for host in ["wsgi.example", "node.example"] {
        if servers.iter().any(|(served, ..)| *served == host) {
            assert_eq!(ask(&serving, host, "POST /", &upload), (200, upload.clone()), "{host}");
        }
    }
    // Servers that serve only files reject it; the connection then has to be usable or
    // closed.
    for (host, status) in [("nginx.example", 405), ("files.example", 501)] {
        for _ in 0..5 {
            assert_eq!(ask(&serving, host, "POST /page", &upload).0, status, "{host}");
            assert_eq!(ask(&serving, host, "GET /page", "").0, 200, "{host}");
        }
    }
}

#[test]
fn nginx_sends_ranges_and_not_modified() {
    let folder = files();
    let nginx = Nginx::start(&folder);
    let serving = serve(&[("nginx.example", &[nginx.address])], "");
    let get = |headers: &str| {
        let request = format!("GET /page HTTP/1.1\r\nHost: nginx.example\r\n{headers}\r\n");
        raw(serving.http, request.as_bytes())
    };
    let whole = get("");
    let tag = whole.header("etag").expect("a tag");
    let not_modified = get(&format!("If-None-Match: {tag}\r\n"));
    assert_eq!((not_modified.status, &*not_modified.body), (304, ""));
    let part = get("Range: bytes=6-9\r\n");
    assert_eq!((part.status, &*part.body), (206, "from"));
    assert_eq!(part.header("content-range"), Some("bytes 6-9/16"));
}

#[test]
fn httpbin_is_served() {
    let httpbin = HttpBin::start();
    let serving = serve(&[("bin.example", &[httpbin.address])], "");
    let get = |path: &str| serving.get("bin.example", path);
    assert_eq!(get("/status/418").status, 418);
    assert_eq!(get("/bytes/5000?seed=1").body, get("/bytes/5000?seed=1").body);
    // In chunks.
    assert_eq!(get("/stream/5").body.lines().count(), 5);
    assert_eq!(get("/redirect-to?url=/get").header("location"), Some("/get"));
    assert_eq!(ask(&serving, "bin.example", "PUT /anything", "hello").0, 200);
}
