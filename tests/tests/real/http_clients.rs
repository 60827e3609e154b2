//! Clients of HTTP: command-line tools, load generators and libraries.

use std::io::Write;
use std::process::Command;

use ingress_tests::ingresses::{all_to, host_to, unclassed};
use ingress_tests::{Authority, Service, Serving, installed, python, raw, say, tool};
use serde_json::json;
use tempfile::NamedTempFile;

use crate::{HOST, asgi, curl, program, run, serve, serve_with};

/// A gateway in front of the application, with a certificate for [`HOST`], and the file of
/// its authority.
fn secure(server: &ingress_tests::Server) -> (Serving, NamedTempFile) {
    let authority = Authority::new();
    let mut file = NamedTempFile::new().expect("a file");
    file.write_all(authority.pem().as_bytes()).expect("an authority is written");
    let mut spec = host_to(HOST, "web");
    spec["tls"] = json!([{"hosts": [HOST], "secretName": "pair"}]);
    let default = authority.issue(&["127.0.0.1"]);
    let manifests = [
        Service::new("web").at_address(server.address).manifests(),
        unclassed("web", &spec),
        authority.issue(&[HOST]).secret("default", "pair").to_string(),
        default.secret("istio-system", "istio-ingress-certs").to_string(),
    ];
    (serve_with(&manifests.join("\n---\n"), &[]), file)
}

#[test]
fn curl_is_served_in_each_version_of_http() {
    let server = asgi();
    let serving = serve(&[(HOST, &[server.address])], "");
    for (flag, version) in [
        // curl prints 1.0 as 1.
        ("--http1.0", "1"),
        ("--http1.1", "1.1"),
        ("--http2-prior-knowledge", "2"),
        // It offers an upgrade to h2c, which a server may ignore.
        ("--http2", "1.1"),
    ] {
        let flags = [flag, "--write-out", " %{http_version} %{http_code}"];
        let answer = run(&mut curl(serving.http, "/", &flags));
        assert_eq!(answer, format!("hello from asgi {version} 200"), "{flag}");
    }
}

#[test]
fn curl_is_served_over_tls_with_and_without_a_server_name() {
    let server = asgi();
    let (serving, authority) = secure(&server);
    let https = serving.https();
    let get = |flags: &[&str], url: String| {
        let mut curl = Command::new(tool("curl"));
        curl.args(["--silent", "--show-error", "--noproxy", "*", "--max-time", "60"]);
        curl.arg("--cacert").arg(authority.path()).args(flags);
        run(curl.args(["--write-out", " %{http_version} %{http_code}"]).arg(url))
    };
    let resolved = format!("{HOST}:{}:{}", https.port(), https.ip());
    for (flag, version) in [("--http1.1", "1.1"), ("--http2", "2")] {
        let url = format!("https://{HOST}:{}/", https.port());
        let answer = get(&["--resolve", &resolved, flag], url);
        assert_eq!(answer, format!("hello from asgi {version} 200"), "{flag}");
    }
    // curl sends no server name for an address, and verifies that the certificate is for it.
    let host = format!("host: {HOST}");
    let answer = get(&["--header", &host], format!("https://{https}/"));
    assert_eq!(answer, "hello from asgi 2 200");
}

#[test]
fn libraries_of_python_send_upload_and_stream() {
    let server = asgi();
    let (serving, authority) = secure(&server);
    let plain = format!("http://{}", serving.http);
    let https = format!("https://{}", serving.https());
    for (library, origin, version, connections) in [
        ("requests", &plain, "HTTP/1.1", 1),
        ("httpx", &plain, "HTTP/1.1", 1),
        ("httpx2", &plain, "HTTP/2", 1),
        ("httpx", &https, "HTTP/1.1", 1),
        ("httpx2", &https, "HTTP/2", 1),
    ] {
        let before = connections_of(&serving);
        let mut client = python();
        client.arg(program("http_client.py")).args([library, origin, HOST]);
        let is_secure = origin == &https;
        if is_secure {
            client.arg(authority.path());
        }
        let streamed = if is_secure { "" } else { "True\n" };
        let expected = format!("{version}\n200 404\nTrue\nTrue\n{streamed}");
        assert_eq!(run(&mut client), expected, "{library} {origin}");
        assert_eq!(connections_of(&serving) - before, connections, "{library} {origin}");
    }
}

/// The connections of clients so far.
fn connections_of(serving: &Serving) -> u64 {
    serving.stat("http.ingress_http.downstream_cx_total")
}

#[test]
fn load_generators_see_no_failed_request() {
    let server = ingress_tests::Upstream::start("web");
    let serving = serve(&[(HOST, &[server.address])], "");
    let url = format!("http://{}/", serving.http);
    // wrk and ab replace their own header only by this spelling.
    let host = format!("Host: {HOST}");

    for keep_alive in [&["-k"][..], &[]] {
        let mut ab = Command::new(tool("ab"));
        ab.args(["-n", "2000", "-c", "8", "-H", &host]).args(keep_alive).arg(&url);
        let report = run(&mut ab);
        assert!(report.contains("Complete requests:      2000"), "{report}");
        assert!(report.contains("Failed requests:        0"), "{report}");
        assert!(!report.contains("Non-2xx"), "{report}");
    }

    let report = run(Command::new(tool("wrk")).args([
        "-t2",
        "-c8",
        "-d2s",
        "--timeout",
        "30s",
        "-H",
        &host,
        &url,
    ]));
    assert!(report.contains("requests in"), "{report}");
    assert!(!report.contains("Non-2xx") && !report.contains("Socket errors"), "{report}");

    let authority = format!(":authority: {HOST}");
    let mut h2load = Command::new(tool("h2load"));
    let report =
        run(h2load.args(["-n", "5000", "-c", "4", "-m", "50", "-H", &authority]).arg(&url));
    assert!(report.contains("5000 succeeded, 0 failed, 0 errored, 0 timeout"), "{report}");
    assert!(report.contains("status codes: 5000 2xx"), "{report}");
}

/// Java's client offers an upgrade to h2c with its first request to an origin.
#[test]
fn javas_client_is_served() {
    let Some(java) = installed("javac").and_then(|_| installed("java")) else {
        say("note: there is no JDK; the client of Java is not tested. To test it, install one");
        return;
    };
    let server = asgi();
    // The client cannot set the header `host`.
    let service = Service::new("web").at_address(server.address).manifests();
    let ingress = unclassed("web", &all_to("web"));
    let serving = serve_with(&format!("{service}\n---\n{ingress}\n"), &[]);
    let url = format!("http://{}/", serving.http);
    let printed = run(Command::new(java).arg(program("Client.java")).arg(url));
    assert_eq!(printed, "HTTP_1_1 200 hello from asgi\n".repeat(3) + "1000000\n");
}

/// The requests of Chromium 130 for `fetch(url, {method: 'PUT', headers: {'x-token': '1'}})`.
#[test]
fn a_browser_gets_its_preflight_answered() {
    const RULE: &str = "
apiVersion: config.istio.io/v1alpha2
kind: RouteRule
metadata: {name: cors}
spec:
  destination: {name: web}
  corsPolicy: {allowOrigin: ['https://app.example'], allowMethods: [GET, PUT], allowHeaders: [x-token], maxAge: 1h}
";
    const COMMON: &str = "Host: web.example\r\nConnection: keep-alive\r\n\
        User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36\r\n\
        Accept: */*\r\nOrigin: https://app.example\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Site: cross-site\r\n\
        Sec-Fetch-Dest: empty\r\nReferer: https://app.example/\r\nAccept-Encoding: gzip, deflate\r\n\
        Accept-Language: en-US,en;q=0.9\r\n";
    let server = asgi();
    let serving = serve(&[(HOST, &[server.address])], RULE);
    let preflight = format!(
        "OPTIONS /digest HTTP/1.1\r\n{COMMON}Access-Control-Request-Method: PUT\r\n\
         Access-Control-Request-Headers: x-token\r\nAccess-Control-Request-Private-Network: true\r\n\r\n"
    );
    let answer = raw(serving.http, preflight.as_bytes());
    assert_eq!(answer.status, 200);
    for (name, value) in [
        ("access-control-allow-origin", "https://app.example"),
        ("access-control-allow-methods", "GET,PUT"),
        ("access-control-allow-headers", "x-token"),
        ("access-control-max-age", "3600"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
    let put = format!("PUT /digest HTTP/1.1\r\n{COMMON}x-token: 1\r\nContent-Length: 2\r\n\r\nhi");
    let answer = raw(serving.http, put.as_bytes());
    assert_eq!(answer.header("access-control-allow-origin"), Some("https://app.example"));
    assert!(answer.body.starts_with("1.1 2 "), "{}", answer.body);
}
