//! What the rules are for: two services on one host, each with two versions.

use serde_json::json;

/// One host, whose paths go to two services.
pub(crate) const INGRESS: &str = r#"{"apiVersion": "extensions/v1beta1", "kind": "Ingress",
 "metadata": {"name": "i", "annotations": {"kubernetes.io/ingress.class": "istio"}},
 "spec": {"rules": [{"http": {"paths": [
  {"path": "/a", "backend": {"serviceName": "two", "servicePort": 80}},
  {"path": "/b.*", "backend": {"serviceName": "two", "servicePort": 80}},
  {"path": "/.*", "backend": {"serviceName": "one", "servicePort": 80}}]}}]}}"#;

/// Services, endpoints and pods.
pub(crate) fn services() -> String {
    let service = |name: &str| {
        let endpoint = |version: u8| {
            json!({"addresses": [{"ip": format!("10.0.0.{version}"), "targetRef": {"kind": "Pod", "name": format!("{name}-v{version}")}}],
                   "ports": [{"name": "http", "port": 8080}]})
        };
        let pod = |version: u8| {
            json!({"apiVersion": "v1", "kind": "Pod",
                   "metadata": {"name": format!("{name}-v{version}"), "labels": {"version": format!("v{version}")}}})
        };
        let all = [
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"ports": [{"name": "http", "port": 80}]}}),
            json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": name}, "subsets": [endpoint(1), endpoint(2)]}),
            pod(1),
            pod(2),
        ];
        all.map(|object| format!("{object}\n---\n")).concat()
    };
    service("one") + &service("two")
}
