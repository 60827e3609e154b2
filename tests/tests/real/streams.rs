//! Responses that last.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use crate::{HOST, asgi, curl, run, serve};

#[test]
fn each_server_sent_event_arrives_at_once() {
    let server = asgi();
    let serving = serve(&[(HOST, &[server.address])], "");
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        let mut curl_events = curl(serving.http, "/events", &[version, "--no-buffer"]);
        let mut child = curl_events.stdout(Stdio::piped()).spawn().expect("curl runs");
        let mut events = BufReader::new(child.stdout.take().expect("its output"));
        let mut first = String::new();
        events.read_line(&mut first).expect("an event");
        assert_eq!(first, "data: first\n", "{version}");
        // The server sends nothing more until then.
        assert_eq!(run(&mut curl(serving.http, "/release", &[version])), "released");
        let mut rest = String::new();
        events.read_to_string(&mut rest).expect("the other event");
        assert_eq!(rest, "\ndata: second\n\n", "{version}");
        assert!(child.wait().expect("it ends").success(), "{version}");
    }
}
