//! nginx with a map from paths or hosts to upstreams.

use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use ingress_tests::bench::Shape;
use ingress_tests::{Process, free_port, get, wait_until};
use tempfile::TempDir;

/// Stopped when dropped.
pub(crate) struct Nginx {
    pub(crate) process: Process,
    /// HTTP/1.1 and HTTP/2.
    pub(crate) addresses: [SocketAddr; 2],
    _folder: TempDir,
}

impl Nginx {
    pub(crate) fn start(shape: Shape, size: usize, upstream: SocketAddr) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let addresses = [free_port(), free_port()].map(|port| ([127, 0, 0, 1], port).into());
        let file = folder.path().join("nginx.conf");
        let text = configuration(shape, size, upstream, addresses);
        fs::write(&file, text).expect("a configuration is written");
        let mut command = Command::new("nginx");
        let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin";
        command.env("PATH", path).arg("-p").arg(folder.path()).arg("-c").arg(&file);
        let process = Process::spawn(command.args(["-e", "stderr"]));
        let (host, path) = shape.route(size - 1);
        wait_until("nginx listens", || std::net::TcpStream::connect(addresses[0]).is_ok());
        assert_eq!(get(addresses[0], &host, &path).by(), "a");
        Self { process, addresses, _folder: folder }
    }
}

fn configuration(
    shape: Shape,
    size: usize,
    upstream: SocketAddr,
    [http1, http2]: [SocketAddr; 2],
) -> String {
    let mut upstreams = String::new();
    for service in 0..size.div_ceil(100) {
        writeln!(
            upstreams,
            "upstream s{service} {{ server {upstream}; keepalive 32; keepalive_requests 1000000000; }}"
        )
        .expect("text");
    }
    let mut map = String::new();
    for index in 0..size {
        let (host, path) = shape.route(index);
        let key = if shape == Shape::Paths { path } else { host };
        writeln!(map, "{key} s{};", index / 100).expect("text");
    }
    let variable = if shape == Shape::Paths { "$uri" } else { "$host" };
    format!(
        "daemon off;
worker_processes 2;
pid nginx.pid;
error_log stderr crit;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  map_hash_max_size 262144;
  map_hash_bucket_size 256;
  {upstreams}
  map {variable} $service {{ {map} }}
  server {{
    listen {http1};
    listen {http2} http2;
    location / {{
      if ($service = '') {{ return 404; }}
      proxy_pass http://$service;
      proxy_http_version 1.1;
      proxy_set_header connection '';
      proxy_set_header host $host;
    }}
  }}
}}
"
    )
}
