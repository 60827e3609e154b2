//! The attacks with each setting in each of its positions.

use std::collections::BTreeSet;
use std::fs;

use ingress_tests::{Received, Serving, Upstream, raw, workspace};
use serde_json::Value;

use crate::headers::{SPOOFED, without_request_id};
use crate::requests::{FRAMINGS, HOSTS, TARGETS};
use crate::setup::{Upstreams, VICTIM, assert_never_restarted, request};

/// Flags that put settings into a position.
type Position = Vec<String>;

/// Each setting with a finite number of values in each of them, as the published schema
/// lists them, and all combinations of those that change requests.
fn positions() -> BTreeSet<Position> {
    let path = workspace().join("docs/settings.schema.json");
    let schema: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let properties = schema["properties"].as_object().unwrap();
    let values = |name: &str| values_of(&properties[name], &schema);
    let alone = properties
        .keys()
        .flat_map(|name| values(name).into_iter().map(move |value| vec![flag(name, &value)]));
    let mut all: BTreeSet<_> = alone.map(with_what_it_needs).collect();
    assert!(all.len() > 20, "{all:?}");
    for underscores in values("headersWithUnderscores") {
        for slashes in values("escapedSlashes") {
            for hops in ["0", "1"] {
                all.insert(vec![
                    flag("headersWithUnderscores", &underscores),
                    flag("escapedSlashes", &slashes),
                    flag("trustedHops", hops),
                ]);
            }
        }
    }
    all
}

fn values_of(property: &Value, schema: &Value) -> Vec<String> {
    if property["type"] == "boolean" {
        return ["false", "true"].map(str::to_owned).into();
    }
    let name = property["$ref"].as_str().and_then(|path| path.strip_prefix("#/$defs/"));
    let variants = name.and_then(|name| schema["$defs"][name]["oneOf"].as_array());
    let variants = variants.into_iter().flatten();
    variants.filter_map(|variant| variant["const"].as_str().map(str::to_owned)).collect()
}

/// `--key-of-setting=value`.
fn flag(name: &str, value: &str) -> String {
    let words = name.chars().flat_map(|letter| {
        let dash = letter.is_ascii_uppercase().then_some('-');
        dash.into_iter().chain([letter.to_ascii_lowercase()])
    });
    format!("--{}={value}", words.collect::<String>())
}

const PROXY_PROTOCOL: &str = "--proxy-protocol=true";

fn with_what_it_needs(mut position: Position) -> Position {
    if position.iter().any(|flag| flag == PROXY_PROTOCOL) {
        position.push("--trusted-proxies=127.0.0.0/8".into());
    }
    position
}

/// A gateway under attack.
struct Attacked {
    upstreams: Upstreams,
    serving: Serving,
    position: Position,
}

/// The requests that each upstream has received.
struct Reached {
    open: Vec<Received>,
    admin: Vec<Received>,
    victim: Vec<Received>,
}

impl Attacked {
    fn start(position: Position) -> Self {
        let upstreams = Upstreams::start();
        let flags: Vec<_> = position.iter().map(String::as_str).collect();
        let serving = Serving::start_with(&upstreams.manifests(), &flags);
        Self { upstreams, serving, position }
    }

    fn has(&self, flag: &str) -> bool {
        self.position.iter().any(|given| given == flag)
    }

    /// Sends a request, and returns its status and what has reached the upstreams.
    fn send(&self, request: &[u8]) -> (u16, Reached) {
        let proxy: &[u8] =
            if self.has(PROXY_PROTOCOL) { b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" } else { b"" };
        let status = raw(self.serving.http, &[proxy, request].concat()).status;
        let Upstreams { open, admin, victim } = &self.upstreams;
        let [open, admin, victim] = [open, admin, victim].map(Upstream::take_received);
        (status, Reached { open, admin, victim })
    }

    /// Each upstream gets its own paths only, however it reads them.
    fn misleading_paths(&self) {
        let encoded = ["%2f", "%2F", "%5c"].map(str::as_bytes);
        for (target, _) in TARGETS {
            let variants = encoded.map(|slash| with_slashes(target, slash));
            for target in [target.to_vec()].into_iter().chain(variants) {
                let sent = request("GET", &target, b"paths.example", b"");
                let (status, reached) = self.send(&sent);
                let what =
                    format!("{}: {} {status}", self.position.join(" "), target.escape_ascii());
                for received in &reached.open {
                    assert!(!is_of_admin(&received.path), "{what}: {}", received.path);
                }
                for received in &reached.admin {
                    assert!(is_of_admin(&received.path), "{what}: {}", received.path);
                }
                assert_eq!(reached.victim.len(), 0, "{what}");
            }
        }
    }

    fn misleading_hosts(&self) {
        for (host, _) in HOSTS {
            let (status, reached) = self.send(&request("GET", b"/", host, b""));
            let what = format!("{}: {} {status}", self.position.join(" "), host.escape_ascii());
            assert_eq!(reached.victim.len(), 0, "{what}");
        }
    }

    fn ambiguous_messages(&self) {
        for headers in FRAMINGS {
            let smuggled = b"0\r\n\r\nGET /admin HTTP/1.1\r\nhost: paths.example\r\n\r\n";
            let first = request("POST", b"/", b"paths.example", headers);
            let (status, reached) = self.send(&[&first, &smuggled[..]].concat());
            let what = format!("{}: {}", self.position.join(" "), headers.escape_ascii());
            assert!(matches!(status, 400 | 501), "{what}: {status}");
            assert_eq!(reached.open.len() + reached.admin.len(), 0, "{what}");
        }
    }

    /// They change nothing, except that a trusted proxy describes its client.
    fn spoofed_headers(&self) {
        let headers_of = |headers: &str| {
            let sent = request("GET", b"/matched", b"states.example", headers.as_bytes());
            let (status, reached) = self.send(&sent);
            assert_eq!(reached.admin.len() + reached.victim.len(), 0, "{headers}");
            let received = reached.open.into_iter().map(without_request_id);
            let is_trusted = self.has("--trusted-hops=1");
            let is_decided = |name: &str| !(is_trusted && describes_a_client(name));
            let headers = received.flatten().filter(|(name, _)| is_decided(name));
            (status, headers.collect::<Vec<_>>())
        };
        let plain = headers_of("");
        for spoofed in SPOOFED {
            for spoofed in [(*spoofed).to_owned(), spoofed.replace('-', "_")] {
                let headers = spoofed.replace("VICTIM", VICTIM) + "\r\n";
                let (status, mut received) = headers_of(&headers);
                let what = format!("{}: {spoofed}", self.position.join(" "));
                if self.has("--headers-with-underscores=reject") && status == 400 {
                    assert_eq!(received, [], "{what}");
                    continue;
                }
                if self.has("--headers-with-underscores=allow") {
                    received.retain(|(name, _)| !name.contains('_'));
                }
                assert_eq!((status, received), plain, "{what}");
            }
        }
    }
}

/// Whether a header is one of those in which a proxy describes the client.
fn describes_a_client(name: &str) -> bool {
    const NAMES: [&str; 8] = [
        "forwarded",
        "x-real-ip",
        "x-client-ip",
        "x-cluster-client-ip",
        "true-client-ip",
        "front-end-https",
        "x-scheme",
        "x-envoy-external-address",
    ];
    let is_prefixed = name.starts_with("x-forwarded-") || name.starts_with("x-original-");
    (is_prefixed && name != "x-original-url") || NAMES.contains(&name)
}

/// The target with another spelling of all slashes but the first.
fn with_slashes(target: &[u8], slash: &[u8]) -> Vec<u8> {
    let (first, rest) = target.split_at(target.len().min(1));
    let rest = rest.iter().flat_map(|byte| match byte {
        b'/' => slash.to_vec(),
        byte => vec![*byte],
    });
    first.iter().copied().chain(rest).collect()
}

/// Whether a server that decodes a path before it resolves it would serve `/admin`.
fn is_of_admin(target: &str) -> bool {
    let path = target.split('?').next().unwrap_or_default();
    let decoded = percent_encoding::percent_decode_str(path).collect::<Vec<_>>();
    let decoded = String::from_utf8_lossy(&decoded).replace('\\', "/");
    let mut elements = Vec::new();
    for element in decoded.split('/') {
        match element {
            "" | "." => {}
            ".." => drop(elements.pop()),
            element => elements.push(element),
        }
    }
    elements.first() == Some(&"admin")
}

#[test]
fn no_position_of_a_setting_opens_a_way() {
    for position in positions() {
        let attacked = Attacked::start(position);
        attacked.misleading_paths();
        attacked.misleading_hosts();
        attacked.ambiguous_messages();
        attacked.spoofed_headers();
        assert_never_restarted(&attacked.serving);
    }
}
