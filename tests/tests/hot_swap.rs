//! Changes of the manifests reach a running Envoy without a restart and
//! without a failed request.

use std::fs;

use ingress_tests::{Serving, Upstream};

fn ingress(path: &str) -> String {
    format!(
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\n\
         metadata: {{name: swapped, annotations: {{kubernetes.io/ingress.class: istio}}}}\n\
         spec: {{rules: [{{http: {{paths: [{{path: {path}, pathType: Exact, backend: {{service: {{name: a, port: {{number: 80}}}}}}}}]}}}}]}}\n"
    )
}

#[test]
fn a_change_is_served_and_what_cannot_be_read_is_not() {
    let upstream = Upstream::start("a");
    let services = upstream.manifests("a", "http", 80);
    let serving = Serving::start(&(services.clone() + &ingress("/one")));
    assert_eq!(serving.get("any", "/one").by(), "a");
    assert_eq!(serving.get("any", "/two").status, 404);

    serving.replace(&(services.clone() + &ingress("/two")));
    serving.wait_for("any", "/two", 200);
    assert_eq!(serving.get("any", "/one").status, 404);

    serving.replace(&(services.clone() + "{ this is: [no YAML"));
    fs::write(serving.folder().join("more.yaml"), ingress("/three").replace("swapped", "more"))
        .unwrap();
    std::thread::sleep(std::time::Duration::from_millis(800));
    assert_eq!(serving.get("any", "/two").status, 200, "the last good state is still served");
    assert_eq!(serving.get("any", "/three").status, 404, "half of what changed is not");

    serving.replace(&(services + &ingress("/one")));
    serving.wait_for("any", "/three", 200);
    serving.wait_for("any", "/one", 200);
    assert_eq!(serving.interrupt(), Some(0));
}
