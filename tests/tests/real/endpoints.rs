//! Endpoints that come and go.

use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;

use ingress_tests::{Server, Upstream, get, port_below_ephemeral, python, wait_until};

use crate::{HOST, asgi, curl, manifests, program, serve};

/// As when a pod is deleted: its endpoint is removed, it ends what it has begun, then it
/// ends.
#[test]
fn a_request_goes_on_when_its_endpoint_is_removed() {
    let (ending, staying) = (asgi(), Upstream::start("staying"));
    let serving = serve(&[(HOST, &[ending.address])], "");
    let mut events = curl(serving.http, "/events", &["--no-buffer"]);
    let mut child = events.stdout(Stdio::piped()).spawn().expect("curl runs");
    let mut events = BufReader::new(child.stdout.take().expect("its output"));
    events.read_line(&mut String::new()).expect("an event");

    serving.replace(&manifests(&[(HOST, &[staying.address])], ""));
    wait_until("new requests go elsewhere", || serving.get(HOST, "/").by() == "staying");
    for _ in 0..50 {
        assert_eq!(serving.get(HOST, "/").by(), "staying");
    }
    assert_eq!(get(ending.address, HOST, "/release").body, "released");
    let mut rest = String::new();
    events.read_to_string(&mut rest).expect("the other event");
    assert!(rest.ends_with("data: second\n\n"), "{rest:?}");
    assert!(child.wait().expect("it ends").success());
}

/// As a pod without a readiness probe: Kubernetes lists its endpoint before it listens.
#[test]
fn an_endpoint_is_used_once_it_listens() {
    let later = SocketAddr::from((Ipv4Addr::LOCALHOST, port_below_ephemeral()));
    let listening = Upstream::start("listening");
    let serving = serve(&[("late.example", &[later]), (HOST, &[later, listening.address])], "");
    for _ in 0..20 {
        assert_eq!(serving.get("late.example", "/").status, 503);
        assert_eq!(serving.get(HOST, "/").by(), "listening");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let _server = Server::start(
        python()
            .arg(program("file_server.py"))
            .arg(later.port().to_string())
            .current_dir(folder.path()),
    );
    // Nothing has to expire first.
    assert_eq!(serving.get("late.example", "/").status, 200);
    wait_until("both get requests", || serving.get(HOST, "/").header("x-upstream").is_none());
    assert!((0..20).all(|_| serving.get(HOST, "/").status == 200));
}
