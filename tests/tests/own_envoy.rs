//! The sample for operators who run their own Envoy, used as it is; and Envoy's
//! validation of the output of `ingressctl compile`.

use std::fs;
use std::path::{Path, PathBuf};

use ingress_tests::{OwnEnvoy, Upstream, compile, free_port, raw, validate, workspace};
use serde_json::Value;
use tempfile::TempDir;

fn sample(name: &str) -> PathBuf {
    workspace().join("config/samples").join(name)
}

/// The sample's configuration with the path of the built module, and with these
/// ports in place of 8080, 9901 and 8000.
fn configuration(http: u16, admin: u16, upstream: u16) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let module = folder.path().join("ingress_filter.wasm");
    fs::write(&module, ingressctl::MODULE).unwrap();
    let path = folder.path().join("envoy.yaml");
    fs::copy(sample("own-envoy/envoy.yaml"), &path).unwrap();
    replace_in(&path, "/etc/envoy/ingress_filter.wasm", module.to_str().unwrap());
    for (was, is) in [(8080, http), (9901, admin), (8000, upstream)] {
        replace_in(&path, &format!("port_value: {was}"), &format!("port_value: {is}"));
    }
    (folder, path)
}

/// Replaces text in a file that must contain it once.
fn replace_in(path: &Path, was: &str, is: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert_eq!(text.matches(was).count(), 1, "{was}");
    fs::write(path, text.replace(was, is)).unwrap();
}

#[test]
fn the_sample_of_an_own_envoy_serves_its_table_and_nothing_else() {
    let upstream = Upstream::start("httpbin");
    let (_folder, path) = configuration(0, 0, upstream.address.port());
    let envoy = OwnEnvoy::start(&path);
    for (host, path, expected) in [
        ("any", "/status/200", "httpbin"),
        ("any", "/status", "404"),
        ("any", "/get", "httpbin"),
        ("any", "/headers", "404"),
        ("any", "//status/200", "httpbin"),
        ("any", "/x/../get", "httpbin"),
        ("www.example.com", "/headers", "httpbin"),
        ("WWW.example.com:8080", "/headers", "httpbin"),
        ("v1.api.example.com", "/headers", "httpbin"),
        ("x.v1.api.example.com", "/headers", "404"),
        ("www.example.com", "/admin", "503"),
        ("www.example.com", "/admin/x", "503"),
        ("www.example.com", "/administrator", "httpbin"),
    ] {
        let answer = envoy.get(host, path);
        assert_eq!((answer.by().as_str(), answer.header("server")), (expected, Some("envoy")));
    }
}

#[test]
fn a_clients_own_cluster_reaches_nothing_through_the_sample() {
    let upstream = Upstream::start("httpbin");
    // As it is, and with only the filter to remove the header.
    for prefix in ["prefix: x-ingress-,", "prefix: x-nothing-,"] {
        let (_folder, path) = configuration(0, 0, upstream.address.port());
        replace_in(&path, "prefix: x-ingress-,", prefix);
        let envoy = OwnEnvoy::start(&path);
        for (path, expected) in [("/headers", "404"), ("/get", "httpbin")] {
            for header in [
                "x-ingress-cluster: httpbin",
                "X-Ingress-Cluster: none",
                "x-ingress-anything: httpbin",
            ] {
                let request = format!("GET {path} HTTP/1.1\r\nhost: any\r\n{header}\r\n\r\n");
                let answer = raw(envoy.http, request.as_bytes());
                assert_eq!(answer.by(), expected, "{header} to {path} with {prefix}");
            }
        }
        for received in upstream.take_received() {
            assert_eq!(received.path, "/get");
            assert!(received.header_names().iter().all(|name| !name.starts_with("x-ingress-")));
        }
    }
}

#[test]
fn nor_would_it_without_the_filter() {
    let upstream = Upstream::start("httpbin");
    let (_folder, path) = configuration(0, 0, upstream.address.port());
    let text = fs::read_to_string(&path).unwrap();
    let (_, filters) = text.split_once("http_filters:\n").unwrap();
    let (filter, _) = filters.split_once("          - name: envoy.filters.http.router\n").unwrap();
    replace_in(&path, filter, "");
    let envoy = OwnEnvoy::start(&path);
    let request = b"GET /get HTTP/1.1\r\nhost: any\r\nx-ingress-cluster: httpbin\r\n\r\n";
    assert_eq!(raw(envoy.http, request).by(), "503");
}

#[test]
fn a_table_that_the_filter_refuses_keeps_the_sample_from_starting() {
    let (_folder, path) = configuration(free_port(), free_port(), free_port());
    assert!(validate(&path).status.success());
    replace_in(&path, "\"version\": 1", "\"version\": 2");
    let output = validate(&path);
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("route table rejected: version: is 2"), "{said}");
}

#[test]
fn the_samples_table_and_the_one_in_its_configuration_are_the_same() {
    let configuration = fs::read_to_string(sample("own-envoy/envoy.yaml")).unwrap();
    let (_, block) = configuration.split_once("value: |\n").unwrap();
    let indent = block.len() - block.trim_start().len();
    let lines = block.lines().take_while(|line| line.starts_with(&" ".repeat(indent)));
    let inline: Value = serde_json::from_str(&lines.collect::<String>()).unwrap();
    let table = fs::read_to_string(sample("own-envoy/route-table.json")).unwrap();
    assert_eq!(inline, serde_json::from_str::<Value>(&table).unwrap());
}

#[test]
fn envoy_accepts_the_samples_and_what_is_compiled_of_them() {
    let (_folder, own) = configuration(free_port(), free_port(), free_port());
    let mut configurations = vec![own];
    let folder = tempfile::tempdir().unwrap();
    for name in ["simple-ingress", "hosts"] {
        let compiled = folder.path().join(name);
        compile(&sample(name), &compiled);
        configurations.push(compiled.join("bootstrap.json"));
    }
    for configuration in configurations {
        let output = validate(&configuration);
        let said =
            String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{}: {said}", configuration.display());
        assert!(said.contains("OK"), "{said}");
    }
}
