//! Who gets the page: only who has the URL.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs};

use ingress_tests::{Answer, Process, ingressctl, raw, wait_until};

use crate::page::{SHOP, Served};

/// The address and the path of the page.
fn parts(url: &str) -> (SocketAddr, String) {
    let (address, token) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    (address.parse().unwrap(), format!("/{token}"))
}

fn send(address: SocketAddr, method: &str, path: &str, headers: &str) -> Answer {
    let request = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n{headers}\r\n");
    raw(address, request.as_bytes())
}

#[test]
fn only_the_printed_url_opens_the_page() {
    let served = Served::start(SHOP);
    let (address, path) = parts(&served.url);
    let host = format!("host: {address}\r\n");
    let page = send(address, "GET", &path, &host);
    assert_eq!((page.status, page.header("referrer-policy")), (200, Some("no-referrer")));
    let policy = page.header("content-security-policy").unwrap();
    for rule in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"] {
        assert!(policy.contains(rule), "{policy}");
    }
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(send(address, "GET", &format!("{path}state.json"), &host).status, 200);

    let wrong = path.replace(['0', '1', '2', '3', '4', '5', '6', '7'], "8");
    for (method, path, headers, status) in [
        ("GET", "/", &*host, 404),
        ("GET", "/state.json", &host, 404),
        ("GET", &wrong, &host, 404),
        ("GET", &path, &format!("host: rebound.example:{}\r\n", address.port()), 403),
        ("GET", &path, "", 403),
        (
            "POST",
            &format!("{path}read-again"),
            &format!("{host}origin: http://evil.example\r\n"),
            403,
        ),
        ("GET", &format!("{path}../etc/passwd"), &host, 404),
        ("GET", &format!("{path}nothing"), &host, 404),
        ("DELETE", &path, &host, 405),
        ("GET", &format!("{path}try"), &host, 405),
        ("POST", &format!("{path}try"), &format!("{host}content-length: 2\r\n\r\n{{}}"), 400),
    ] {
        let answer = send(address, method, path, headers);
        assert_eq!(answer.status, status, "{method} {path} {headers}: {}", answer.body);
        assert!(!answer.body.contains("shop.example.com"), "{}", answer.body);
    }
    assert_eq!(served.interrupt(), Some(0));
}

/// More than the server serves at a time. If each waited for its timeout, a request behind
/// all of them would wait for half a minute.
const IDLE: usize = 512;

#[test]
fn idle_connections_do_not_keep_the_page_busy() {
    let served = Served::start(SHOP);
    let (address, path) = parts(&served.url);
    let host = format!("host: {address}\r\n");
    // A window that is open.
    let mut window = TcpStream::connect(address).unwrap();
    window.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    window.write_all(format!("GET {path}events HTTP/1.1\r\n{host}\r\n").as_bytes()).unwrap();
    let mut lines = BufReader::new(window).lines().map(Result::unwrap);
    let mut next_event = || lines.find(|line| line.starts_with("data: ")).unwrap();
    let first = next_event();

    let start = Instant::now();
    let idle = (0..IDLE).map(|index| {
        let mut stream = TcpStream::connect(address).unwrap();
        // Some begin with a request. The server may have closed the connection already.
        let _ = stream.write_all(if index % 2 == 0 { b"GET /" } else { b"" });
        stream
    });
    let idle: Vec<_> = idle.collect();
    assert_eq!(send(address, "GET", &path, &host).status, 200);
    let elapsed = start.elapsed();
    assert!(elapsed < Duration::from_secs(10), "{elapsed:?}");
    // The window has kept its connection.
    served.replace(&SHOP.replace("shop.example.com", "other.example.com"));
    assert_ne!(next_event(), first);
    drop(idle);

    // Without the token, there is one answer for each connection.
    let refused = raw(address, format!("GET / HTTP/1.1\r\n{host}\r\n").as_bytes());
    assert_eq!((refused.status, refused.header("connection")), (404, Some("close")));
    assert_eq!(served.interrupt(), Some(0));
}

/// A program that writes its argument to a file, and whether Ctrl-C for others leaves it alone.
fn fake_browser(folder: &Path) {
    let program = folder.join("xdg-open");
    let script = r#"#!/bin/sh
read -r _ _ _ _ group _ </proc/$$/stat
[ "$group" = $$ ] && group=own
printf '%s %s' "$group" "$1" >"$0.new" && mv "$0.new" "$0.opened"
"#;
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn the_page_is_opened_in_the_default_browser() {
    let folder = tempfile::tempdir().unwrap();
    fake_browser(folder.path());
    let path = format!("{}:{}", folder.path().display(), env::var("PATH").unwrap());
    let mut process = Process::spawn(
        Command::new(ingressctl())
            .args(["ui", "--open", "-f"])
            .arg(folder.path())
            .env("PATH", path)
            .stdout(Stdio::piped()),
    );
    let line = BufReader::new(process.output()).lines().next().unwrap().unwrap();
    let opened = folder.path().join("xdg-open.opened");
    wait_until("a browser is started", || opened.exists());
    let url = line.strip_prefix("ready ").unwrap();
    assert_eq!(fs::read_to_string(opened).unwrap(), format!("own {url}"));
    assert_eq!(process.interrupt(), Some(0));
}

#[test]
fn no_other_machine_can_connect() {
    let run = |arguments: &[&str]| {
        let output = Command::new(ingressctl()).args(arguments).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, error) = run(&["ui", "-f", ".", "--listen", "0.0.0.0:8080"]);
    assert_eq!(code, Some(2));
    assert!(error.contains("other machines could read the page; use 127.0.0.1:8080"), "{error}");
    let (code, error) = run(&["ui"]);
    assert_eq!(code, Some(2));
    assert!(error.contains("--filename") && error.contains("--live"), "{error}");
}
