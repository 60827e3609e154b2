//! Names and values of manifests are text, whatever they contain.

use std::fs;

use crate::page::{Page, SHOP, Served, manifests_in};

/// A path cannot have `<`, which clients encode.
const PATH: &str = "/&lt;img'onerror='window.wasRun=1";

const MARKUP: &str = "<img src=x onerror=\\\"window.wasRun=1\\\">";

#[test]
fn markup_in_manifests_is_text() {
    let text = MARKUP.replace('\\', "");
    let manifests = format!(
        "{SHOP}---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: \"{MARKUP}\", annotations: {{kubernetes.io/ingress.class: istio, \"ingressctl/{MARKUP}\": x}}}}
spec:
  rules:
  - host: \"{MARKUP}\"
    http: {{paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: web, port: {{number: 80}}}}}}}}]}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: hostile, annotations: {{kubernetes.io/ingress.class: istio}}}}
spec:
  rules:
  - host: hostile.example.com
    http:
      paths:
      - {{path: \"{PATH}\", pathType: Prefix, backend: {{service: {{name: web, port: {{number: 80}}}}}}}}
      - {{path: \"/{MARKUP}\", pathType: Exact, backend: {{service: {{name: web, port: {{number: 80}}}}}}}}
---
apiVersion: config.istio.io/v1alpha2
kind: RouteRule
metadata: {{name: hostile}}
spec:
  destination: {{name: web}}
  match: {{request: {{headers: {{x-hostile: {{exact: \"{MARKUP}\"}}}}}}}}
  redirect: {{uri: \"/javascript:window.wasRun=1\", authority: b.example}}
"
    );
    let folder = tempfile::tempdir().unwrap();
    fs::write(manifests_in(&folder).join("<img src=x onerror=window.wasRun=1>.yaml"), manifests)
        .unwrap();
    let page = Page::of(Served::of_folder(folder), "");
    let images = || {
        page.run("return [document.querySelectorAll('img, main script, iframe').length, window.wasRun ?? null]")
    };
    page.filter("hostile.example.com");
    let rows = page.rows();
    assert!(rows.iter().any(|(_, row)| row == PATH), "{rows:?}");
    page.select(PATH);
    let details = page.text("#selected");
    assert!(details.contains(&format!("header x-hostile is {text}")), "{details}");
    page.attempt(&format!("hostile.example.com{PATH}"), &format!("x-hostile: {text}"));
    assert!(page.text("#outcome").contains("x-hostile"), "{}", page.text("#outcome"));
    page.click("[data-view=findings]");
    page.filter("onerror");
    let findings = page.texts(".finding");
    assert!(findings.iter().any(|finding| finding.contains(&text)), "{findings:?}");
    assert_eq!(images(), serde_json::json!([0, null]));

    // A hostile link only fills fields.
    page.visit(&format!(
        "#filter={0}&url={0}&header={0}&selected={0}&view={0}",
        "%3Cimg%20src%3Dx%20onerror%3Dwindow.wasRun%3D1%3E"
    ));
    page.wait("document.documentElement.dataset.tried");
    assert_eq!(images(), serde_json::json!([0, null]));
    page.finish();
}
