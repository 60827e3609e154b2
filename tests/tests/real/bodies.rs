//! Bodies of requests and responses: large, early, missing where they were announced.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use ingress_tests::ingresses::{host_to, unclassed};
use ingress_tests::{Server, Service, Upstream, answering, installed, raw, say, tool};

use crate::{HOST, asgi, curl, program, run, serve, serve_with};

/// A file of this many bytes, all different on a larger scale.
fn file_of(len: usize) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    let numbers = (0..len.div_ceil(4)).map(|number| u32::try_from(number).unwrap_or_default());
    let bytes: Vec<u8> = numbers.flat_map(u32::to_be_bytes).take(len).collect();
    file.write_all(&bytes).expect("bytes are written");
    file
}

/// curl waits 20 s for the response 100 before it sends the body, and the test less.
#[test]
fn expect_100_continue_is_answered_at_once() {
    let server = asgi();
    let serving = serve(&[(HOST, &[server.address])], "");
    let body = file_of(5_000_000);
    let data = format!("@{}", body.path().display());
    let expect = ["--http1.1", "--verbose", "--expect100-timeout", "20", "--max-time", "15"];
    let post = ["--header", "expect: 100-continue", "--data-binary", &data];
    let flags = [&expect[..], &post].concat();
    let output = curl(serving.http, "/digest", &flags).output().expect("curl runs");
    let [said, got] =
        [output.stderr, output.stdout].map(|out| String::from_utf8(out).expect("text"));
    assert!(got.starts_with("1.1 5000000 "), "{got}{said}");
    assert!(said.contains("< HTTP/1.1 100 Continue"), "{said}");
    let seen = run(&mut curl(serving.http, "/headers", &flags));
    assert!(seen.contains("content-length") && !seen.contains("expect"), "{seen}");
}

/// The upstream responds to the headers and does not read the body. Over HTTP/2, the whole
/// response comes before the rest of the upload is rejected without an error (RFC 9113 section
/// 8.1); curl 7 and Node 20 lose it.
#[test]
fn a_response_before_the_end_of_the_upload_reaches_the_client() {
    let early = answering(
        b"HTTP/1.1 413 Content Too Large\r\nconnection: close\r\ncontent-length: 5\r\n\r\nlarge",
    );
    let serving = serve(&[(HOST, &[early])], "");
    let body = file_of(20_000_000);
    let data = format!("@{}", body.path().display());
    let flags = ["--header", "expect:", "--data-binary", &data, "--write-out", " %{http_code}"];
    // curl may also find that the rest of the upload is not accepted.
    let output = curl(serving.http, "/", &flags).output().expect("curl runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "large 413");

    let mut nghttp = Command::new(tool("nghttp"));
    nghttp.args(["--verbose", "--timeout", "30", "--header", &format!(":authority: {HOST}")]);
    nghttp.arg("--data").arg(body.path()).arg(format!("http://{}/", serving.http));
    let frames = nghttp.output().expect("nghttp runs").stdout;
    let frames = String::from_utf8_lossy(&frames);
    let position = |text: &str| frames.find(text).unwrap_or_else(|| panic!("no {text}"));
    let in_order =
        [":status: 413", "large", "; END_STREAM\n", "recv RST_STREAM", "(error_code=NO_ERROR"];
    assert!(in_order.map(position).is_sorted(), "{frames}");
}

#[test]
fn a_hundred_megabytes_go_up_and_down_at_once_without_being_stored() {
    const LEN: usize = 100_000_000;
    const MOST_KIB: u64 = 24 * 1024;
    let server = asgi();
    let serving = serve(&[(HOST, &[server.address])], "");
    let body = file_of(LEN);
    let folder = tempfile::tempdir().expect("a folder");
    let memory = || {
        let status = fs::read_to_string(format!("/proc/{}/status", serving.envoy_pid()));
        let status = status.expect("a running Envoy");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        peak.expect("the peak of its memory")
    };
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        // What the first request of a kind needs is not the body.
        assert_eq!(run(&mut curl(serving.http, "/", &[version])), "hello from asgi");
        let before = memory();
        let received = folder.path().join(version);
        let mut curl = curl(serving.http, "/echo", &[version, "--header", "expect:"]);
        run(curl.arg("--upload-file").arg(body.path()).arg("--output").arg(&received));
        assert!(
            fs::read(body.path()).ok() == fs::read(&received).ok(),
            "{version}: another body came back"
        );
        let more = memory() - before;
        assert!(more < MOST_KIB, "{version}: Envoy's memory grew by {more} KiB");
    }
}

#[test]
fn only_a_request_that_fits_the_buffer_is_retried() {
    const RULE: &str = "
apiVersion: config.istio.io/v1alpha2
kind: RouteRule
metadata: {name: retries}
spec: {destination: {name: web}, httpReqRetries: {simpleRetry: {attempts: 2}}}
";
    let upstream = Upstream::start("web");
    let serving = serve(&[(HOST, &[upstream.address])], RULE);
    for (len, status, tries) in [(0, 200, 2), (30_000, 200, 2), (1_000_000, 503, 1)] {
        let head = format!(
            "POST / HTTP/1.1\r\nHost: {HOST}\r\nx-fail-first: 1\r\nContent-Length: {len}\r\n\r\n"
        );
        let answer = raw(serving.http, &[head.as_bytes(), &vec![b'x'; len]].concat());
        assert_eq!(answer.status, status, "{len}");
        let received = upstream.take_received();
        assert_eq!(received.len(), tries, "{len}");
        assert!(received.iter().all(|request| request.body.len() == len), "{len}");
    }
}

/// RFC 9110 sections 15.3.5 and 15.4.5.
#[test]
fn a_304_has_no_body_and_a_204_with_one_is_an_error() {
    const GOOD: &[u8] = b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n";
    const BAD: [&[u8]; 2] = [
        b"HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\nhello",
        b"HTTP/1.1 204 No Content\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ];
    const NOT_MODIFIED: [&[u8]; 2] = [
        b"HTTP/1.1 304 Not Modified\r\ncontent-length: 1000\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\ncontent-length: 1000\r\n\r\nhello",
    ];
    let upstreams = [GOOD, BAD[0], BAD[1], NOT_MODIFIED[0], NOT_MODIFIED[1]].map(answering);
    let hosts: [(&str, &[SocketAddr]); 5] = [
        ("good.example", &upstreams[..1]),
        ("length.example", &upstreams[1..2]),
        ("chunks.example", &upstreams[2..3]),
        ("not.example", &upstreams[3..4]),
        ("body.example", &upstreams[4..]),
    ];
    let serving = serve(&hosts, "");
    let [good, length, chunks, not, body] = hosts.map(|(host, _)| host);
    // Repeated on connections that the previous response may have spoilt.
    for _ in 0..3 {
        for (host, status, announced) in [
            (good, 204, None),
            (length, 502, Some("110")),
            (chunks, 502, Some("110")),
            (not, 304, Some("1000")),
            (body, 304, Some("1000")),
        ] {
            let request = format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
            let mut stream = TcpStream::connect(serving.http).expect("a connection");
            stream.write_all(request.as_bytes()).expect("a request is sent");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).expect("a response");
            let (head, content) = answer.split_once("\r\n\r\n").expect("headers");
            assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{host}: {answer}");
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            assert_eq!(length, announced, "{host}: {answer}");
            assert_eq!(content.is_empty(), status != 502, "{host}: {answer}");
        }
    }
}

/// The trailers of responses. Those of requests are removed (`--test security trailer`).
#[test]
fn trailers_of_responses_pass_if_both_sides_speak_http_2() {
    let Some(node) = installed("node") else {
        say("note: there is no node; trailers are not tested. To test them, install Node");
        return;
    };
    for (protocol, port) in [("h1", "http"), ("h2", "http2")] {
        let server =
            Server::start(Command::new(&node).arg(program("node_server.js")).arg(protocol));
        let service = Service::with_ports("web", &[(port, 80)]).at_address(server.address);
        let ingress = unclassed("web", &host_to(HOST, "web"));
        let serving = serve_with(&format!("{}\n---\n{ingress}\n", service.manifests()), &[]);
        for version in ["--http1.1", "--http2-prior-knowledge"] {
            let answer = run(&mut curl(serving.http, "/", &[version, "--include"]));
            assert!(answer.contains("hello from node"), "{answer}");
            let passes = protocol == "h2" && version == "--http2-prior-knowledge";
            assert_eq!(
                answer.contains("x-trailer: last"),
                passes,
                "{protocol} {version}: {answer}"
            );
        }
    }
}
