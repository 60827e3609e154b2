use crate::finding::Code;
use crate::manifest::{Manifests, Position, read_text};

fn lines(manifests: &Manifests) -> Vec<String> {
    manifests.findings.clone().into_iter().map(|finding| finding.to_string()).collect()
}

fn names(manifests: &Manifests) -> Vec<String> {
    manifests
        .objects
        .iter()
        .map(|object| format!("{} {}", object.api_version, object.reference()))
        .collect()
}

#[test]
fn reads_what_every_object_has() {
    let text = "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: x\n  namespace: shop\n  \
                creationTimestamp: \"2024-01-01T00:00:00Z\"\n  labels: {b: \"2\", a: \"1\"}\n  annotations:\n    on: 1\n";
    let manifests = read_text("f.yaml", text);
    assert_eq!(lines(&manifests), Vec::<String>::new());
    let object = &manifests.objects[0];
    assert_eq!(
        (object.group(), object.version(), &*object.kind),
        ("networking.k8s.io", "v1", "Ingress")
    );
    assert_eq!((&*object.name, &*object.namespace), ("x", "shop"));
    assert_eq!(object.creation_timestamp.as_deref(), Some("2024-01-01T00:00:00Z"));
    assert_eq!(
        (object.label("a"), object.label("b"), object.label("c")),
        (Some("1"), Some("2"), None)
    );
    let annotation = object.annotation("on").unwrap();
    assert_eq!((annotation.as_i64(), annotation.at), (Some(1), Position { line: 9, column: 9 }));
    let finding =
        object.finding(annotation.at, "metadata.annotations", Code::WrongType, "quote it");
    assert_eq!(
        finding.to_string(),
        "f.yaml:9:9: error: Ingress shop/x: metadata.annotations: quote it [wrong-type]"
    );
}

#[test]
fn takes_null_for_absent_and_default_for_no_namespace() {
    let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: x, namespace: '', creationTimestamp: null, labels: ~, annotations: }";
    let manifests = read_text("f", text);
    assert_eq!(lines(&manifests), Vec::<String>::new());
    let object = &manifests.objects[0];
    assert_eq!(
        (&*object.reference().to_string(), object.group(), object.version()),
        ("Pod default/x", "", "v1")
    );
    assert!(
        object.annotations().is_none()
            && object.creation_timestamp.is_none()
            && object.labels.is_empty()
    );
}

#[test]
fn says_what_is_wrong_with_metadata_and_where() {
    let start = "apiVersion: v1\nkind: Pod\n";
    let cases = [
        (
            "just text".to_owned(),
            "1:1: error: is the string `just text`, not a Kubernetes object; write",
        ),
        (
            "- {apiVersion: v1, kind: Pod, metadata: {name: x}}\n".to_owned(),
            "1:1: error: is a list, not a Kubernetes object",
        ),
        (
            "kind: Pod\n".to_owned(),
            "1:1: error: apiVersion: is missing; every Kubernetes object needs",
        ),
        ("apiVersion: v1\nmetadata: {name: x}\n".to_owned(), "1:1: error: kind: is missing"),
        (
            "apiVersion: 1\nkind: Pod".to_owned(),
            "1:13: error: apiVersion: must be a string that is not empty, not the number `1`",
        ),
        (
            "apiVersion: v1\nkind: ''\nmetadata: {}".to_owned(),
            "2:7: error: kind: must be a string that is not empty, not the string ``",
        ),
        (start.to_owned(), "1:1: error: Pod: metadata: is missing; add it with a name"),
        (
            format!("{start}metadata: [x]"),
            "3:11: error: Pod: metadata: must be a mapping, not a list",
        ),
        (format!("{start}metadata: {{}}"), "3:11: error: Pod: metadata.name: is missing"),
        (
            format!("{start}metadata: {{name: 8000}}"),
            "3:18: error: Pod: metadata.name: must be a string, not the number `8000`; put it in quotes",
        ),
        (
            format!("{start}metadata: {{name: x, namespace: 1.5}}"),
            "3:32: error: Pod: metadata.namespace: must be a string, not the number `1.5`",
        ),
        (
            format!("{start}metadata: {{generateName: 1}}"),
            "3:26: error: Pod: metadata.generateName: must be a string, not the number `1`",
        ),
    ];
    for (text, want) in cases {
        let manifests = read_text("f", &text);
        let lines = lines(&manifests);
        assert_eq!((manifests.objects.len(), lines.len()), (0, 1), "{text}: {lines:?}");
        assert!(lines[0].starts_with(&format!("f:{want}")), "{text}: {}", lines[0]);
        // Everything was read, although there are errors.
        assert!(manifests.is_complete());
    }
}

#[test]
fn keeps_an_object_whose_labels_are_wrong() {
    let text = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: x\n  creationTimestamp: 5\n  labels: {version: 1.10, a: b}\n  annotations: []\n";
    let manifests = read_text("f", text);
    assert_eq!(
        lines(&manifests),
        [
            "f:5:22: error: Pod default/x: metadata.creationTimestamp: must be a string, not the number `5`; put it in quotes [wrong-type]",
            "f:6:21: error: Pod default/x: metadata.labels: the label `version` must be a string, not the number `1.1`; put it in quotes [wrong-type]",
            "f:7:16: error: Pod default/x: metadata.annotations: must be a mapping of names to strings, not a list [wrong-type]",
        ]
    );
    assert_eq!(
        (names(&manifests), manifests.objects[0].label("a")),
        (vec!["v1 Pod default/x".to_owned()], Some("b"))
    );
}

#[test]
fn takes_lists_apart() {
    let text = "\
apiVersion: v1
kind: List
metadata: {resourceVersion: ''}
items:
- {apiVersion: v1, kind: Service, metadata: {name: a}}
- apiVersion: networking.k8s.io/v1
  kind: IngressList
  items:
  - metadata: {name: b}
  - {kind: IngressClass, metadata: {name: c}}
  - 5
- {metadata: {name: d}}
- {apiVersion: v1, kind: List, items: }
- {apiVersion: v1, kind: PodList, items: 5}
";
    let manifests = read_text("f", text);
    assert_eq!(
        names(&manifests),
        [
            "v1 Service default/a",
            "networking.k8s.io/v1 Ingress default/b",
            "networking.k8s.io/v1 IngressClass c",
        ]
    );
    assert_eq!(
        lines(&manifests),
        [
            "f:11:5: error: items[1].items[2]: is the number `5`, not a Kubernetes object; write apiVersion, kind and metadata [not-an-object]",
            "f:12:3: error: items[2].apiVersion: is missing; every Kubernetes object needs apiVersion, kind and metadata.name [field-missing]",
            "f:12:3: error: items[2].kind: is missing; every Kubernetes object needs apiVersion, kind and metadata.name [field-missing]",
            "f:14:42: error: items[4].items: must be a list of objects, not a number [not-an-object]",
        ]
    );
}

#[test]
fn stops_telling_after_a_thousand_findings() {
    let text = format!("apiVersion: v1\nkind: List\nitems: [{}]", "x,".repeat(5_000));
    let lines = lines(&read_text("f", &text));
    assert_eq!(lines.len(), 1_000);
    assert!(lines[999].contains("too many errors in this document"), "{}", lines[999]);
}

/// Each is a document of its own, without findings.
#[test]
fn passes_over_what_is_of_no_kind_that_is_read() {
    let documents = [
        // Kustomize files, which may omit kind and version.
        (
            "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [a.yaml]",
            "Kustomization",
        ),
        ("kind: Kustomization\nresources: [a.yaml]", "Kustomization"),
        ("resources: [a.yaml]\nimages: [{name: a}]", ""),
        ("- {op: replace, path: /spec/rules/0/host, value: a.example}", ""),
        // Helm charts, and configuration files of other programs.
        ("apiVersion: v1\nkind: ConfigMap\nbinaryData: {a: !!binary aGk=}", "ConfigMap"),
        (
            "apiVersion: x.example/v1\nkind: X\nspec: {a: !Ref b, c: !Sub [d], e: !!int f, !x g: !y {}}",
            "X",
        ),
        ("apiVersion: x.example/v1\nkind: X\nspec: {a: 1, a: 2, b: {<<: 5}}\nspec: 5", "X"),
        ("--- !x\napiVersion: x.example/v1\nkind: X", "X"),
        ("Resources: {a: !GetAtt b.c}", ""),
        ("apiVersion: v2\nname: chart\nversion: 1.0.0", ""),
        ("apiVersion: v1\nname: chart\nversion: 1.0.0", ""),
        ("ingress: {enabled: true, hosts: []}", ""),
        ("AWSTemplateFormatVersion: '2010-09-09'\nResources: {}", ""),
        // Other kinds, with any content.
        ("apiVersion: batch/v1\nkind: Job\nmetadata: {generateName: x-}", "Job"),
        ("apiVersion: batch/v1\nkind: Job\nmetadata: [x]", "Job"),
        ("apiVersion: apps/v1\nkind: Deployment", "Deployment"),
        (
            "apiVersion: x.example/v1\nkind: AllowList\nmetadata: {name: 5}\nitems: [a, 5]",
            "AllowList",
        ),
        ("apiVersion: x.example/v1\nkind: List\nitems: {a: b}", "List"),
        ("apiVersion: x.example/v1\nkind: PodList\nitems: 5", "PodList"),
        (
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, labels: [x], annotations: 5}",
            "ConfigMap",
        ),
        ("apiVersion: config.openshift.io/v1\nkind: Ingress\nmetadata: {name: cluster}", "Ingress"),
    ];
    for (text, kind) in documents {
        let manifests = read_text("f", text);
        let kinds: Vec<_> = manifests.passed_over.iter().map(|(_, kind, _)| kind).collect();
        assert_eq!((lines(&manifests), kinds), (vec![], vec![kind]), "{text}");
        assert!(manifests.objects.is_empty() && manifests.is_complete(), "{text}");
    }
}

#[test]
fn names_what_a_cluster_would_name() {
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {generateName: web-}\n";
    let manifests = read_text("f", &format!("{pod}---\n{pod}"));
    assert_eq!(lines(&manifests), Vec::<String>::new());
    let names: Vec<_> = manifests.objects.iter().map(|object| &*object.name).collect();
    assert!(names.iter().all(|name| name.starts_with("web-") && name.len() == 9), "{names:?}");
    assert_ne!(names[0], names[1]);
    let again = read_text("f", pod);
    assert_eq!(&*again.objects[0].name, names[0], "generated names are stable");
    let long = read_text("f", &pod.replace("web-", &"é".repeat(100)));
    assert_eq!(long.objects[0].name.len(), 58 + 5);
}

#[test]
fn what_is_flawed_costs_the_objects_that_have_it() {
    let text = "\
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Service, metadata: {name: a}}
- {apiVersion: v1, kind: Secret, metadata: {name: b}, data: {a: !!binary aGk=}}
- {apiVersion: v1, kind: ConfigMap, metadata: {name: c}, data: {a: !x b}}
- {apiVersion: v1, kind: Service, kind: Pod, metadata: {name: d}}
- {apiVersion: v1, kind: Service, metadata: {name: e}}
";
    let manifests = read_text("f", text);
    assert_eq!(names(&manifests), ["v1 Service default/a", "v1 Service default/e"]);
    assert_eq!(
        lines(&manifests),
        [
            "f:5:65: error: the tag `!!binary` is not supported; remove it [yaml-not-valid]",
            "f:7:35: error: the key `kind` is given twice in this mapping; keep one of the two [duplicate-key]",
        ]
    );
    assert!(!manifests.is_complete(), "something is missing");
    for text in ["items: !x [{}]", "items: []\nitems: []"] {
        let manifests = read_text("f", &format!("apiVersion: v1\nkind: List\n{text}"));
        assert_eq!((manifests.failures.len(), manifests.findings.len()), (1, 1), "{text}");
    }
}
