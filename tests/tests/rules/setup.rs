//! A gateway with rules: every request goes through Envoy and through the offline
//! module, and the results must agree.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ingress_tests::{Received, Serving, Upstream, is_added_by_envoy, raw};
use ingressctl::compile::compile;
use ingressctl::explain::{Explainer, Request};
use ingressctl::manifest::read_text;
use ingressctl::settings::Settings;

/// All hosts and paths lead to the service `web`, which has a version v1; those
/// under `/other/` to the service `other`, which may have its own rules.
const INGRESS: &str = "
apiVersion: extensions/v1beta1
kind: Ingress
metadata: {name: all, annotations: {kubernetes.io/ingress.class: istio}}
spec:
  rules:
  - http:
      paths:
      - {path: /exact, backend: {serviceName: web, servicePort: 80}}
      - {path: /shop/.*, backend: {serviceName: web, servicePort: 80}}
      - {path: /other/.*, backend: {serviceName: other, servicePort: 80}}
      - {path: /.*, backend: {serviceName: web, servicePort: 80}}
";

/// The host of the requests, which does not affect the result.
const HOST: &str = "shop.example";

/// The upstreams of the services `web` (two versions) and `other`.
const UPSTREAMS: [&str; 3] = ["v1", "v2", "other"];

/// A gateway in front of the services `web` and `other`.
pub(crate) struct Ruled {
    pub(crate) serving: Serving,
    rules: Vec<String>,
    /// Whether the versions of the pods of `web` are swapped.
    swapped: bool,
    upstreams: BTreeMap<&'static str, Upstream>,
    explainer: Explainer,
}

/// The result of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The status that the client got.
    pub(crate) status: u16,
    /// The upstream that responded; empty if there was none.
    pub(crate) by: String,
    /// The path and host as the upstream received them.
    pub(crate) path: String,
    pub(crate) host: String,
    /// The headers that it received, except those that Envoy itself adds.
    pub(crate) request_headers: BTreeMap<String, String>,
    /// The response headers that the filter sets: `location`, `vary`,
    /// `access-control-*`.
    pub(crate) response_headers: BTreeMap<String, String>,
}

impl Seen {
    /// The upstream that responded, or the status.
    pub(crate) fn outcome(&self) -> String {
        if self.by.is_empty() { self.status.to_string() } else { self.by.clone() }
    }
}

/// A RouteRule called `name` for the service `web`.
pub(crate) fn rule(name: &str, spec: &str) -> String {
    rule_of("web", name, spec)
}

pub(crate) fn rule_of(service: &str, name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: config.istio.io/v1alpha2\nkind: RouteRule\nmetadata: {{name: {name}}}\n\
         spec: {{destination: {{name: {service}}}, {spec}}}\n"
    )
}

/// A service whose endpoints are pods, each with one label `version`.
pub(crate) fn service(name: &str, pods: &[(&str, &Upstream)]) -> String {
    let mut text = format!(
        "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{ports: [{{name: http, port: 80}}]}}\n\
         ---\napiVersion: v1\nkind: Endpoints\nmetadata: {{name: {name}}}\nsubsets:\n"
    );
    for (version, upstream) in pods {
        let (ip, port) = (upstream.address.ip(), upstream.address.port());
        let _ = write!(
            text,
            "- addresses: [{{ip: {ip}, targetRef: {{kind: Pod, name: {name}-{version}}}}}]\n  ports: [{{name: http, port: {port}}}]\n"
        );
    }
    for (version, _) in pods {
        let _ = write!(
            text,
            "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}-{version}, labels: {{version: {version}}}}}\n"
        );
    }
    text
}

impl Ruled {
    pub(crate) fn start(rules: &[String]) -> Self {
        Self::start_with(rules, &Settings::default())
    }

    pub(crate) fn start_with(rules: &[String], settings: &Settings) -> Self {
        let upstreams: BTreeMap<_, _> =
            UPSTREAMS.into_iter().map(|name| (name, Upstream::start(name))).collect();
        let manifests = manifests(&upstreams, false, rules);
        let compiled = compile(&read_text("manifests.yaml", &manifests), settings);
        let findings: Vec<_> = compiled.findings.iter().map(ToString::to_string).collect();
        assert!(!compiled.has_errors(), "{findings:?}");

        let file = tempfile::NamedTempFile::new().expect("a file");
        serde_json::to_writer(&file, settings).expect("settings are written");
        let settings_file = file.path().to_str().expect("a path in UTF-8");
        let flags = ["--settings", settings_file, "--concurrency", "2"];
        Self {
            serving: Serving::start_with(&manifests, &flags),
            explainer: Explainer::new(&compiled.gateway.table, settings)
                .expect("the module starts"),
            upstreams,
            rules: rules.to_vec(),
            swapped: false,
        }
    }

    /// Serves other rules from now on.
    pub(crate) fn replace(&mut self, rules: &[String]) {
        self.rules = rules.to_vec();
        self.serving.replace(&manifests(&self.upstreams, self.swapped, rules));
    }

    /// Swaps the versions of the pods of `web`, and returns which upstream is v1
    /// now.
    pub(crate) fn swap_versions(&mut self) -> &'static str {
        self.swapped = !self.swapped;
        self.serving.replace(&manifests(&self.upstreams, self.swapped, &self.rules));
        if self.swapped { "v2" } else { "v1" }
    }

    /// Stops an upstream: its port is closed.
    pub(crate) fn stop(&mut self, upstream: &str) {
        self.upstreams.remove(upstream).expect("a running upstream");
    }

    /// A GET for `shop.example`.
    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Seen {
        self.get_with(path, &[])
    }

    #[track_caller]
    pub(crate) fn get_with(&self, path: &str, headers: &[&str]) -> Seen {
        self.ask("GET", path, headers)
    }

    /// A request for `shop.example` through Envoy and offline, with the same
    /// result.
    #[track_caller]
    pub(crate) fn ask(&self, method: &str, path: &str, headers: &[&str]) -> Seen {
        self.ask_at(HOST, method, path, headers)
    }

    /// As [`Self::ask`], for another host.
    pub(crate) fn ask_at(&self, host: &str, method: &str, path: &str, headers: &[&str]) -> Seen {
        let seen = self.ask_envoy_at(host, method, path, headers);
        let offline = self.ask_offline(host, method, path, headers, &seen);
        assert_eq!(seen, offline, "{method} {path} {headers:?}: left is Envoy, right is offline");
        seen
    }

    pub(crate) fn ask_envoy(&self, method: &str, path: &str, headers: &[&str]) -> Seen {
        self.ask_envoy_at(HOST, method, path, headers)
    }

    fn ask_envoy_at(&self, host: &str, method: &str, path: &str, headers: &[&str]) -> Seen {
        for upstream in self.upstreams.values() {
            upstream.take_received();
        }
        let lines: String = headers.iter().flat_map(|header| [header, "\r\n"]).collect();
        let request = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\n{lines}\r\n");
        let answer = raw(self.serving.http, request.as_bytes());
        let by = answer.header("x-upstream").unwrap_or_default().to_owned();
        let received = self.received(&by).pop();
        let header = |name: &str| received.as_ref().map(|r| text(&r.values(name).join(&b',')));
        let lines = answer.head.lines().filter_map(|line| line.split_once(": "));
        let response_headers =
            lines.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
        Seen {
            status: answer.status,
            path: received.as_ref().map(|received| received.path.clone()).unwrap_or_default(),
            host: header("host").unwrap_or_default(),
            request_headers: received.as_ref().map(request_headers).unwrap_or_default(),
            response_headers: joined(response_headers.filter(|(name, _)| is_of_ingress(name))),
            by,
        }
    }

    /// The requests that reached an upstream since the last call.
    pub(crate) fn received(&self, upstream: &str) -> Vec<Received> {
        self.upstreams.get(upstream).map(Upstream::take_received).unwrap_or_default()
    }

    /// The result of the module. From `seen`, it takes the upstream that Envoy
    /// selected in the cluster, and the values that only an upstream knows.
    fn ask_offline(
        &self,
        host: &str,
        method: &str,
        path: &str,
        headers: &[&str],
        seen: &Seen,
    ) -> Seen {
        let headers: Vec<_> = headers.iter().map(ToString::to_string).collect();
        let url = format!("http://{host}{path}");
        let request = Request::new(method, &url, &headers).expect("a request");
        let explanation = self.explainer.explain(&request).expect("the module runs");
        let response_headers = joined(
            explanation.response_headers.into_iter().filter(|(name, _)| is_of_ingress(name)),
        );
        let Some(cluster) = explanation.cluster else {
            return Seen {
                status: explanation.status.expect("a status, because there is no cluster"),
                by: String::new(),
                path: String::new(),
                host: String::new(),
                request_headers: BTreeMap::new(),
                response_headers,
            };
        };
        let choices: &[&str] = match &*cluster {
            "web.default.svc.cluster.local|80" => &["v1", "v2"],
            "web.default.svc.cluster.local|80|version=v1" => &["v1"],
            "web.default.svc.cluster.local|80|version=v2" => &["v2"],
            "other.default.svc.cluster.local|80" => &["other"],
            cluster => panic!("{cluster}"),
        };
        let chosen = choices.iter().find(|choice| **choice == seen.by).or(choices.first());
        let is_compared = |(name, _): &(String, String)| is_compared(name);
        Seen {
            status: seen.status,
            by: chosen.copied().unwrap_or_default().to_owned(),
            path: explanation.path,
            host: explanation.host,
            request_headers: explanation.request_headers.into_iter().filter(is_compared).collect(),
            response_headers,
        }
    }

    /// The decision of the module, with all details.
    pub(crate) fn explain(&self, path: &str, headers: &[&str]) -> ingressctl::explain::Explanation {
        let headers: Vec<_> = headers.iter().map(ToString::to_string).collect();
        let request = Request::new("GET", &format!("http://shop.example{path}"), &headers);
        self.explainer.explain(&request.expect("a request")).expect("the module runs")
    }
}

fn manifests(
    upstreams: &BTreeMap<&'static str, Upstream>,
    swapped: bool,
    rules: &[String],
) -> String {
    let [v1, v2] = if swapped { ["v2", "v1"] } else { ["v1", "v2"] };
    service("web", &[("v1", &upstreams[v1]), ("v2", &upstreams[v2])])
        + &service("other", &[("other", &upstreams["other"])])
        + "---"
        + INGRESS
        + &rules.concat()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn request_headers(received: &Received) -> BTreeMap<String, String> {
    let names = received.header_names().into_iter().filter(|name| *name != "host");
    let header = |name: &str| (name.to_owned(), text(&received.values(name).join(&b',')));
    names.filter(|name| is_compared(name)).map(header).collect()
}

/// Headers that Envoy itself does not add.
fn is_compared(name: &str) -> bool {
    name == "x-envoy-original-path" || !is_added_by_envoy(name)
}

fn is_of_ingress(name: &str) -> bool {
    name == "location" || name == "vary" || name.starts_with("access-control-")
}

/// Repeated headers, joined with `,`.
fn joined(headers: impl Iterator<Item = (String, String)>) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in headers {
        all.entry(name).and_modify(|joined| *joined = format!("{joined},{value}")).or_insert(value);
    }
    all
}
