//! The filter rejects a route table that is truncated, damaged or of another
//! version, and reports the position and the reason. The last good table stays in
//! effect; without one, nothing is exposed.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ingress_filter::{FlatTable, RouteTable};
use ingress_tests::{Offline, OwnEnvoy, Upstream, compiled, edit_json, wait_until};
use proxy_wasm_test::{Error, LogLevel, Plugin};
use serde_json::{Value, json};
use tempfile::TempDir;

fn table() -> Value {
    json!({
        "version": 1,
        "name": "good",
        "backends": [
            {"name": "a", "default": {"forward": {"cluster": "a.default|80"}}},
            {"name": "gone", "default": {"respond": {"status": 503}}}
        ],
        "virtual_hosts": [
            {"hosts": ["foo.com", "*.foo.com"], "routes": [
                {"match": {"prefix": "/"}, "backend": "a", "source": "default/x#0.0"},
                {"match": {"exact": "/gone"}, "backend": "gone"}
            ]}
        ],
        "default_backend": {"backend": "gone"}
    })
}

fn flat(table: &RouteTable) -> Vec<u8> {
    FlatTable::encode(table).expect("a table that may be served").into_bytes()
}

fn flat_table() -> Vec<u8> {
    flat(&serde_json::from_value(table()).expect("a table"))
}

/// Invalid tables, and a part of the log message for each.
fn bad_tables() -> Vec<(Vec<u8>, &'static str)> {
    let json = bad_json().into_iter().map(|(table, reason)| (table.into_bytes(), reason));
    json.chain(bad_flat()).collect()
}

fn bad_flat() -> Vec<(Vec<u8>, &'static str)> {
    let good = flat_table();
    let damaged = "its digest does not match its content";
    let with = |at: usize, value: u8| {
        let mut table = good.clone();
        table[at] = value;
        table
    };
    vec![
        (good[..good.len() / 2].to_vec(), damaged),
        ([&*good, b"x"].concat(), damaged),
        (with(good.len() - 1, b'!'), damaged),
        (with(8, !good[8]), damaged),
        (with(7, 9), "a flat form that this version does not support"),
        (b"INGRESS".to_vec(), "a flat form that this version does not support"),
    ]
}

fn bad_json() -> Vec<(String, &'static str)> {
    let good = table().to_string();
    let with = |place: &str, value: Value| {
        let mut table = table();
        *table.pointer_mut(place).expect("a position in the table") = value;
        table.to_string()
    };
    vec![
        (String::new(), "EOF while parsing a value at line 1 column 0"),
        (good[..good.len() / 2].to_owned(), "at line 1 column"),
        (good[..good.len() - 1].to_owned(), "EOF while parsing an object at line 1 column"),
        (good.clone() + "}", "trailing characters at line 1 column"),
        (good.replacen('{', "[", 1), "at line 1 column"),
        (good.replacen("backends", "cackends", 1), "unknown field `cackends`"),
        (good.replacen("prefix", "qrefix", 1), "unknown variant `qrefix`"),
        (with("/version", json!(2)), "version: is 2, but this module supports version 1"),
        (with("/version", json!(0)), "version: is 0"),
        (with("/version", json!("1")), "at line 1 column"),
        (json!({"version": 9, "routes": {"new": "shape"}}).to_string(), "version: is 9"),
        (
            with("/virtual_hosts/0/routes/1/backend", json!("none")),
            "virtual_hosts[0].routes[1].backend: no backend is named \"none\"",
        ),
        (with("/virtual_hosts/0/routes/0/match/prefix", json!("x")), "virtual_hosts[0].routes[0]"),
        (with("/virtual_hosts/0/hosts/1", json!("foo.com")), "virtual_hosts[0].hosts[1]"),
        (with("/backends/1/default/respond/status", json!(99)), "backends[1]"),
        (with("/backends/0/default/forward/cluster", json!("a\nb")), "backends[0]"),
        (
            with("/virtual_hosts/0/routes/0/match", json!({"regex": "/a+"})),
            "convert this table to the flat form with `ingressctl table`",
        ),
    ]
}

fn serve(plugin: &Plugin, path: &str) -> Result<Vec<u8>, u32> {
    let request = [(":method", "GET"), (":authority", "foo.com"), (":path", path)];
    let record = plugin.run(request, [(":status", "200")]).expect("no trap");
    match record.local_reply {
        Some(reply) => Err(reply.status),
        None => Ok(record.request.headers.get("x-ingress-cluster").unwrap_or_default().to_vec()),
    }
}

#[track_caller]
fn assert_serves_the_good_table(plugin: &Plugin) {
    assert_eq!(serve(plugin, "/x"), Ok(b"a.default|80".to_vec()));
    assert_eq!(serve(plugin, "/gone"), Err(503));
}

fn started() -> Plugin {
    Plugin::new(Offline::module()).expect("the module starts")
}

/// The last line of the log.
fn last_error(plugin: &Plugin) -> String {
    let log = plugin.activity().log;
    let line = log.last().expect("a line of log");
    assert_eq!(line.level, LogLevel::Error, "{line}");
    String::from_utf8_lossy(&line.message).into_owned()
}

/// Loads a table into a plugin, and returns whether it was accepted.
type Configure = fn(&Plugin, &[u8]) -> Result<bool, Error>;

/// In a context that already has a table and, as Envoy does, in a new one.
const WAYS: [Configure; 2] =
    [|plugin, table| plugin.configure(table), |plugin, table| plugin.reload(table)];

#[test]
fn a_refused_table_is_logged_with_place_and_reason_and_the_last_one_serves() {
    for (bad, reason) in bad_tables() {
        for configure in WAYS {
            let plugin = started();
            assert!(plugin.configure(table().to_string()).expect("no trap"));
            let shown = String::from_utf8_lossy(&bad);
            assert!(!configure(&plugin, &bad).expect("no trap"), "accepted: {shown}");
            let error = last_error(&plugin);
            assert!(error.starts_with("route table rejected: "), "{error}");
            assert!(error.contains(reason), "{error}, not {reason}");
            assert_serves_the_good_table(&plugin);
            assert!(configure(&plugin, br#"{"version": 1}"#).expect("no trap"));
            assert_eq!(serve(&plugin, "/x"), Err(404), "the next good table is accepted");
        }
    }
}

#[test]
fn without_any_table_every_request_gets_503() {
    for (bad, _) in bad_tables() {
        let plugin = started();
        assert!(!plugin.configure(&bad).expect("no trap"));
        for path in ["/x", "/gone", "/", "*"] {
            assert_eq!(serve(&plugin, path), Err(503), "{path} after {bad:?}");
        }
        assert!(plugin.configure(table().to_string()).expect("no trap"));
        assert_serves_the_good_table(&plugin);
    }
}

#[test]
fn no_flipped_bit_breaks_the_module() {
    let good = table().to_string().into_bytes();
    let plugin = started();
    assert!(plugin.configure(&good).expect("no trap"));
    let mut refused = 0;
    for index in 0..good.len() {
        let mut bad = good.clone();
        bad[index] ^= 1 << (index % 8);
        // A flipped bit in a name may yield a valid table, but never a mixture of
        // two.
        if plugin.configure(&bad).expect("no trap") {
            assert!(plugin.configure(&good).expect("no trap"));
        } else {
            refused += 1;
            assert_serves_the_good_table(&plugin);
        }
    }
    assert!(refused > good.len() / 2, "{refused} of {} were rejected", good.len());
}

#[test]
fn no_flipped_bit_of_the_flat_form_is_taken() {
    let good = flat_table();
    let plugin = started();
    assert!(plugin.configure(&good).expect("no trap"));
    for index in 0..good.len() {
        let mut bad = good.clone();
        bad[index] ^= 1 << (index % 8);
        assert!(!plugin.configure(&bad).expect("no trap"), "bit of byte {index}");
    }
    assert_serves_the_good_table(&plugin);
}

const CONFIG_FAIL: &str = "extension_config_discovery.http_filter.ingress.config_fail";
const UPDATE_REJECTED: &str = "extension_config_discovery.http_filter.ingress.update_rejected";

fn manifests(upstream: &Upstream, path: &str) -> String {
    upstream.manifests("a", "http", 80)
        + &format!(
            "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\n\
             metadata: {{name: x, annotations: {{kubernetes.io/ingress.class: istio}}}}\n\
             spec: {{rules: [{{http: {{paths: [{{path: {path}, pathType: Exact, backend: {{service: {{name: a, port: {{number: 80}}}}}}}}]}}}}]}}\n"
        )
}

/// Gives this table to the filter of a running Envoy.
fn replace_table(ecds: &Path, version: &str, table: &[u8]) {
    edit_json(ecds, |response| {
        response["version_info"] = version.into();
        let config = &mut response["resources"][0]["typed_config"]["config"];
        let value = config.pointer_mut("/configuration/value").expect("the table");
        *value = BASE64.encode(table).into();
    });
}

/// The table that was compiled into a folder, in JSON.
fn good_table(folder: &TempDir) -> String {
    std::fs::read_to_string(folder.path().join("route-table.json")).expect("a table")
}

#[test]
fn a_running_envoy_keeps_the_good_table_and_counts_the_refused_one() {
    let upstream = Upstream::start("a");
    let folder = compiled(&manifests(&upstream, "/one"));
    let ecds: PathBuf = folder.path().join("ecds.json");
    let good = good_table(&folder);
    let envoy = OwnEnvoy::start(&folder.path().join("bootstrap.json"));
    let failures = || envoy.stat(CONFIG_FAIL) + envoy.stat(UPDATE_REJECTED);
    assert_eq!((envoy.get("h", "/one").by().as_str(), failures()), ("a", 0));

    for (index, (bad, reason)) in bad_tables().into_iter().enumerate() {
        let (before, logged) = (failures(), envoy.log().len());
        replace_table(&ecds, &format!("bad-{index}"), &bad);
        wait_until(reason, || failures() > before);
        wait_until(reason, || envoy.log()[logged..].contains(reason));
        for _ in 0..8 {
            assert_eq!(envoy.get("h", "/one").by(), "a", "{reason}");
            assert_eq!(envoy.get("h", "/two").by(), "404", "{reason}");
        }
    }

    let other = good.replace("/one", "/two");
    replace_table(&ecds, "good", other.as_bytes());
    envoy.wait_for("h", "/two", 200);
    let flat = flat(&serde_json::from_str(&good).expect("a table"));
    replace_table(&ecds, "flat", &flat);
    envoy.wait_for("h", "/one", 200);
}

#[test]
fn an_envoy_that_starts_with_a_refused_table_serves_nobody_until_there_is_a_good_one() {
    let upstream = Upstream::start("a");
    let folder = compiled(&manifests(&upstream, "/one"));
    let ecds = folder.path().join("ecds.json");
    let good = good_table(&folder);
    replace_table(&ecds, "bad", &good.as_bytes()[..good.len() / 2]);
    let envoy = OwnEnvoy::start(&folder.path().join("bootstrap.json"));
    assert!(envoy.log().contains("route table rejected: "), "{}", envoy.log());
    for path in ["/one", "/two", "/"] {
        let status = envoy.get("h", path).status;
        assert_eq!(status, 500, "{path}");
    }
    assert_eq!(upstream.take_received().len(), 0);

    replace_table(&ecds, "good", good.as_bytes());
    envoy.wait_for("h", "/one", 200);
}
