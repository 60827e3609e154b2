//! Manifests of any size.

use std::fmt::Write;
use std::net::SocketAddr;

use serde_json::{Value, json};

/// The host in tables with only one.
const HOST: &str = "shop.example.com";

/// The objects that are numerous in the manifests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One host with many paths.
    Paths,
    /// Many hosts with one path each.
    Hosts,
}

/// The form of the manifests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notation {
    /// Block style, one line for each key.
    Yaml,
    /// One object per line.
    Json,
}

impl Shape {
    /// The name in headings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Paths => "paths of one host",
            Self::Hosts => "hosts with a path each",
        }
    }

    /// Host and path of the route `index`.
    pub fn route(self, index: usize) -> (String, String) {
        match self {
            Self::Paths => (HOST.to_owned(), path(index)),
            Self::Hosts => (host(index), "/shop".to_owned()),
        }
    }
}

/// The path `index` of [`Shape::Paths`].
fn path(index: usize) -> String {
    format!("/tenant-{:04}/service-{:02}", index / 100, index % 100)
}

/// The host `index` of [`Shape::Hosts`].
fn host(index: usize) -> String {
    format!("shop-{:04}-{:02}.example.com", index / 100, index % 100)
}

/// This many routes; each hundred of them are one Ingress, with its own service.
///
/// # Panics
/// Never: writing to a string cannot fail.
pub fn manifests(shape: Shape, routes: usize, upstream: SocketAddr, notation: Notation) -> String {
    let mut text = String::new();
    for service in 0..routes.div_ceil(100) {
        let of_service = service * 100..routes.min(service * 100 + 100);
        let rules = match shape {
            Shape::Paths => vec![rule(HOST, &of_service.map(path).collect::<Vec<_>>(), service)],
            Shape::Hosts => {
                of_service.map(|index| rule(&host(index), &["/shop".into()], service)).collect()
            }
        };
        for object in objects(service, &rules, upstream) {
            text.push_str("---");
            match notation {
                Notation::Json => write!(text, "\n{object}").expect("text"),
                Notation::Yaml => write_yaml(&mut text, &object, 0),
            }
            text.push('\n');
        }
    }
    text
}

fn rule(host: &str, paths: &[String], service: usize) -> Value {
    let backend = json!({"service": {"name": format!("s{service}"), "port": {"number": 80}}});
    let path = |path| json!({"path": path, "pathType": "Prefix", "backend": backend});
    json!({"host": host, "http": {"paths": paths.iter().map(path).collect::<Vec<_>>()}})
}

fn objects(service: usize, rules: &[Value], upstream: SocketAddr) -> [Value; 3] {
    let name = format!("s{service}");
    let addresses = json!({
        "addresses": [{"ip": upstream.ip()}],
        "ports": [{"name": "http", "port": upstream.port()}],
    });
    [
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"ports": [{"name": "http", "port": 80}]}}),
        json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": name},
            "subsets": [addresses]}),
        json!({
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": {"name": name, "annotations": {"kubernetes.io/ingress.class": "istio"}},
            "spec": {"rules": rules},
        }),
    ]
}

/// Writes a value after a key or a dash: a scalar on the same line, others on
/// separate lines.
fn write_yaml(text: &mut String, value: &Value, depth: usize) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                write!(text, "\n{indent}{key}:").expect("text");
                write_yaml(text, value, depth + 1);
            }
        }
        Value::Array(items) => {
            for item in items {
                let mut lines = String::new();
                write_yaml(&mut lines, item, depth + 1);
                let first = lines.trim_start();
                write!(text, "\n{indent}- {first}").expect("text");
            }
        }
        scalar => write!(text, " {scalar}").expect("text"),
    }
}

#[cfg(test)]
mod tests {
    use ingressctl::compile::compile;
    use ingressctl::manifest::read_text;
    use ingressctl::settings::Settings;

    use super::*;

    #[test]
    fn both_notations_say_the_same() {
        let upstream = "127.0.0.1:4711".parse().expect("an address");
        for shape in [Shape::Paths, Shape::Hosts] {
            let tables = [Notation::Json, Notation::Yaml].map(|notation| {
                let manifests = manifests(shape, 250, upstream, notation);
                let manifests = read_text("manifests.yaml", &manifests);
                let compiled = compile(&manifests, &Settings::default());
                assert!(compiled.findings.is_empty(), "{:?}", compiled.findings);
                compiled.gateway.table
            });
            assert_eq!(tables[0].virtual_hosts, tables[1].virtual_hosts);
            let routes = tables[0].virtual_hosts.iter().map(|host| host.routes.len());
            assert_eq!(routes.sum::<usize>(), 250);
        }
    }
}
