//! The options of the access log, on a real Envoy.

use std::fs;
use std::path::Path;

use ingress_tests::{Serving, Upstream, wait_until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

const INGRESS: &str = "---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web, annotations: {kubernetes.io/ingress.class: istio}}
spec:
  rules:
  - host: shop.example.com
    http:
      paths:
      - {path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}
      - {path: /none, pathType: Prefix, backend: {service: {name: none, port: {number: 80}}}}
---
apiVersion: v1
kind: Service
metadata: {name: none}
spec: {ports: [{name: http, port: 80}], selector: {app: none}}
---
apiVersion: v1
kind: Endpoints
metadata: {name: none}
subsets: []
---
apiVersion: config.istio.io/v1alpha2
kind: RouteRule
metadata: {name: all}
spec: {destination: {name: web}, httpReqTimeout: {simpleTimeout: {timeout: 4s}}}
";

/// A gateway that logs to a file, with these options.
struct Site {
    serving: Serving,
    folder: TempDir,
    _upstream: Upstream,
}

impl Site {
    fn start(options: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("access.log");
        let settings = folder.path().join("settings.yaml");
        let text = format!("accessLog: {{file: {}, {options}}}\n", log.display());
        fs::write(&settings, text).unwrap();
        let upstream = Upstream::start("web");
        let manifests = upstream.manifests("web", "http", 80) + INGRESS;
        let flags = ["--concurrency", "1", "--settings", settings.to_str().unwrap()];
        let serving = Serving::start_with(&manifests, &flags);
        Self { serving, folder, _upstream: upstream }
    }

    fn get(&self, path: &str) -> u16 {
        self.serving.get("shop.example.com", path).status
    }

    /// The lines of the log, once the last one contains `mark`.
    fn lines_until(&self, mark: &str) -> Vec<String> {
        lines_until(&self.folder.path().join("access.log"), mark)
    }
}

fn lines_until(file: &Path, mark: &str) -> Vec<String> {
    let mut lines = Vec::new();
    wait_until(&format!("{mark} in the log"), || {
        let text = fs::read_to_string(file).unwrap_or_default();
        lines = text.lines().map(str::to_owned).collect();
        lines.last().is_some_and(|line| line.contains(mark))
    });
    lines
}

#[test]
fn a_line_has_the_chosen_fields() {
    let site = Site::start("fields: [path, status, ingress_route]");
    assert_eq!(site.get("/mark"), 200);
    let lines = site.lines_until("/mark");
    let line: Value = serde_json::from_str(&lines[0]).unwrap();
    let expected = serde_json::json!({
        "path": "/mark", "status": 200, "ingress_route": "default/web#0.0"
    });
    assert_eq!(line, expected);
}

#[test]
fn a_line_may_be_text() {
    let site = Site::start(
        "text: '%REQ(:METHOD)% %REQ(:PATH):5% 100%% %RESPONSE_CODE% %FILTER_STATE(wasm.route_rule:PLAIN)%'",
    );
    assert_eq!(site.get("/mark"), 200);
    assert_eq!(site.lines_until("default/all"), ["GET /mark 100% 200 default/all"]);
}

#[test]
fn only_errors_are_logged() {
    for (only, statuses) in [("errors", &["404", "503"][..]), ("serverErrors", &["503"])] {
        let site = Site::start(&format!("only: {only}, text: '%RESPONSE_CODE% %REQ(:PATH)%'"));
        assert_eq!(site.get("/"), 200);
        assert_eq!(site.serving.get("unknown.example.com", "/").status, 404);
        assert_eq!(site.get("/none/mark"), 503);
        let lines = site.lines_until("mark");
        let logged: Vec<_> = lines.iter().map(|line| &line[..3]).collect();
        assert_eq!(logged, statuses, "{only}");
    }
}

/// 503 are in the log with a probability of 20 % each: of 400, the number is between 35 and
/// 130 but for one run in a million million.
#[test]
fn a_percentage_is_logged() {
    let site = Site::start("percent: 20, only: serverErrors, text: '%RESPONSE_CODE% %REQ(:PATH)%'");
    for number in 0..400 {
        site.get(&format!("/none/{number}"));
    }
    let lines = || fs::read_to_string(site.folder.path().join("access.log")).unwrap_or_default();
    // Each of these is logged with the same probability, so one of them marks the end.
    let mut number = 0;
    wait_until("a line after all others", || {
        site.get(&format!("/none/mark-{number}"));
        number += 1;
        lines().contains("mark")
    });
    let logged = lines().lines().filter(|line| !line.contains("mark")).count();
    assert!((35..130).contains(&logged), "{logged} of 400");
}

#[test]
fn a_renamed_file_is_opened_again_on_sigusr1() {
    let site = Site::start("text: '%REQ(:PATH)%'");
    let file = site.folder.path().join("access.log");
    let renamed = site.folder.path().join("access.log.1");
    site.get("/before");
    site.lines_until("/before");
    fs::rename(&file, &renamed).unwrap();
    let envoy = i32::try_from(site.serving.envoy_pid()).ok().and_then(Pid::from_raw);
    kill_process(envoy.unwrap(), Signal::USR1).unwrap();
    wait_until("the file is there again", || file.is_file());
    site.get("/after");
    assert_eq!(lines_until(&file, "/after"), ["/after"]);
    assert_eq!(lines_until(&renamed, "/before"), ["/before"]);
}
