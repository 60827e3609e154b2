//! haproxy with a map from paths or hosts to backends.

use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use ingress_tests::bench::Shape;
use ingress_tests::{Process, free_port, get, wait_until};
use tempfile::TempDir;

/// Stopped when dropped.
pub(crate) struct Haproxy {
    pub(crate) process: Process,
    /// HTTP/1.1 and HTTP/2.
    pub(crate) addresses: [SocketAddr; 2],
    _folder: TempDir,
}

impl Haproxy {
    pub(crate) fn start(shape: Shape, size: usize, upstream: SocketAddr) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let addresses = [free_port(), free_port()].map(|port| ([127, 0, 0, 1], port).into());
        let map = folder.path().join("map");
        fs::write(&map, map_of(shape, size)).expect("a map is written");
        let lookup = match shape {
            Shape::Paths => format!("path,map_beg({})", map.display()),
            Shape::Hosts => format!("req.hdr(host),host_only,map_str({})", map.display()),
        };
        let file = folder.path().join("haproxy.cfg");
        let text = configuration(&lookup, size, upstream, addresses);
        fs::write(&file, text).expect("a configuration is written");
        let mut command = Command::new("haproxy");
        let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin";
        command.env("PATH", path).args(["-db", "-q", "-f"]).arg(&file);
        let process = Process::spawn(&mut command);
        let (host, path) = shape.route(size - 1);
        wait_until("haproxy listens", || std::net::TcpStream::connect(addresses[0]).is_ok());
        assert_eq!(get(addresses[0], &host, &path).by(), "a");
        Self { process, addresses, _folder: folder }
    }
}

fn map_of(shape: Shape, size: usize) -> String {
    let mut map = String::new();
    for index in 0..size {
        let (host, path) = shape.route(index);
        let key = if shape == Shape::Paths { path } else { host };
        writeln!(map, "{key} s{}", index / 100).expect("text");
    }
    map
}

fn configuration(
    lookup: &str,
    size: usize,
    upstream: SocketAddr,
    [http1, http2]: [SocketAddr; 2],
) -> String {
    let mut backends = String::new();
    for service in 0..size.div_ceil(100) {
        writeln!(backends, "backend s{service}\n  server a {upstream}").expect("text");
    }
    format!(
        "global
  nbthread 2
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend edge
  bind {http1}
  bind {http2} proto h2
  use_backend %[{lookup}]
{backends}"
    )
}
