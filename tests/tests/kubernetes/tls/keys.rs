//! Where private keys occur, and where they do not, at any log level.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ingress_tests::{ApiProxy, ApiServer, Gateway, Verdict, files_below, wait_until};
use serde_json::{Value, json};

use super::site::{Site, secure};

/// The text by which a key in PEM is found, and in a Secret, which encodes PEM in
/// base64 again; and its bytes in the forms in which programs print them.
fn traces(key: &str, in_secret: &str) -> Vec<Vec<u8>> {
    let lines = key.lines().filter(|line| !line.starts_with("-----"));
    // A short last line would not be reliable.
    let lines: Vec<_> = lines.filter(|line| line.len() >= 32).collect();
    let der = pem::parse(key).unwrap().into_contents();
    // The offset of the private part in the output of rcgen (PKCS #8, P-256). The
    // rest is public.
    let private = &der[36..68];
    // After the header, which all keys share.
    let in_secret = in_secret.as_bytes()[80..].chunks_exact(32).map(<[u8]>::to_vec);
    let printed = [&private[..16], &lines[0].as_bytes()[24..40]];
    let printed = printed.map(|bytes| {
        let text = format!("{bytes:?}");
        text.trim_matches(['[', ']']).as_bytes().to_vec()
    });
    let hex = private.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
    let lines = lines.iter().map(|line| line.as_bytes().to_vec());
    lines.chain(in_secret).chain(printed).chain([private.to_vec(), hex.into_bytes()]).collect()
}

/// The traces that occur in `bytes`, as text.
fn found(bytes: &[u8], traces: &[Vec<u8>]) -> Vec<String> {
    let is_in = |trace: &&Vec<u8>| bytes.windows(trace.len()).any(|part| part == &***trace);
    traces.iter().filter(is_in).map(|trace| String::from_utf8_lossy(trace).into_owned()).collect()
}

#[test]
fn a_key_is_in_the_file_of_secrets_and_nowhere_else_whatever_is_logged() {
    let api = ApiServer::shared();
    let site = Site::create(api, "private-keys");
    let hosts = [("one.example", "one"), ("two.example", "two")];
    site.create_allowed(&[secure("web", &hosts)]);
    let default = site.create_secret("default", &["default.example"]);
    let one = site.authority.issue(&["one.example"]);
    // kubectl apply also writes the whole object into an annotation.
    site.namespace.apply(&site.secret("one", &one));
    // For another host, so that there is a finding about it.
    let two = site.create_secret("two", &["three.example"]);
    let proxy = ApiProxy::start(&site.namespace);
    let mut gateway = Gateway::start_as(&site.namespace, &proxy.kubeconfig(), &site.flags());
    gateway.kill_controller();
    gateway.set_log_filter("trace");
    // At first, responses that a client of the API cannot parse.
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    proxy.judge(move |asked| {
        let is_list = asked.is_for("secrets") && !asked.is_watch();
        let is_early = is_list && count.fetch_add(1, Ordering::Relaxed) < 6;
        if is_early { Verdict::Truncated } else { Verdict::Pass }
    });
    gateway.start_controller();
    site.wait_for(&gateway, "one.example", &one);
    let mut mismatched: Value = serde_json::from_str(&site.secret("two", &two)).unwrap();
    mismatched["stringData"]["tls.key"] = json!(one.key);
    site.replace(&mismatched.to_string());
    wait_until("an Event reports it", || !site.namespace.events_on("Secret", "two").is_empty());

    let log = gateway.log();
    assert!(log.contains("TRACE"), "the trace level is on");
    let mut told = log + &gateway.envoy_log() + &gateway.health("/metrics").body;
    for page in ["/config_dump?include_eds", "/certs", "/stats", "/clusters"] {
        told += &gateway.admin.get(page).body;
    }
    told += &site.namespace.run(&["get", "events,ingresses", "-o", "json"]).unwrap();
    assert!(told.contains("[redacted]"), "Envoy redacts keys");
    let folder = gateway.shared_folder();
    for (secret, issued) in [("one", &one), ("default", &default)] {
        let secret = site.namespace.get("secret", secret);
        let traces = traces(&issued.key, secret["data"]["tls.key"].as_str().unwrap());
        assert!(!found(secret.to_string().as_bytes(), &traces).is_empty(), "traces are found");
        assert_eq!(found(told.as_bytes(), &traces), [""; 0]);
        let mut holders = files_below(&folder);
        holders.retain(|path| !found(&fs::read(path).unwrap(), &traces).is_empty());
        assert_eq!(holders, [folder.join("state/snapshot.pb")]);
    }
    let mode = |path: &str| fs::metadata(folder.join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("state/snapshot.pb"), mode("state")), (0o600, 0o700));
}
