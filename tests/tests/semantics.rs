//! Which host and path an Ingress serves: each case through the module offline
//! and through a real Envoy, with the same outcome.

use std::fs;

use ingress_tests::{Offline, Serving, Upstream, wait_until};
use serde_json::{Value, json};

/// Manifests, and what becomes of requests for them.
struct Case {
    /// The rule that it proves.
    name: &'static str,
    manifests: String,
    requests: &'static [Request],
}

/// An authority, a path, and what serves it: a service or a status.
type Request = (&'static str, &'static str, &'static str);

fn case<const N: usize>(
    name: &'static str,
    manifests: &[String; N],
    requests: &'static [Request],
) -> Case {
    Case { name, manifests: manifests.concat(), requests }
}

/// An Ingress of our class, of the version `v1`.
fn ingress(name: &str, spec: &str) -> String {
    annotated(name, "{kubernetes.io/ingress.class: istio}", spec)
}

fn annotated(name: &str, annotations: &str, spec: &str) -> String {
    object(
        "networking.k8s.io/v1",
        &format!("Ingress\nmetadata: {{name: {name}, annotations: {annotations}}}\nspec: {spec}"),
    )
}

/// An Ingress of an API version that had no path types.
fn old_ingress(name: &str, spec: &str) -> String {
    let v1 = ingress(name, spec);
    v1.replace("networking.k8s.io/v1", "extensions/v1beta1")
}

/// `ingress`, made at a time of the year 2020.
fn created(month: u8, ingress: &str) -> String {
    ingress.replace(
        "metadata: {",
        &format!("metadata: {{creationTimestamp: \"2020-{month:02}-01T00:00:00Z\", "),
    )
}

/// `object`, in a namespace.
fn within(namespace: &str, object: &str) -> String {
    object.replace("metadata: {", &format!("metadata: {{namespace: {namespace}, "))
}

fn class(name: &str, metadata: &str, controller: &str) -> String {
    object(
        "networking.k8s.io/v1",
        &format!(
            "IngressClass\nmetadata: {{name: {name}{metadata}}}\nspec: {{controller: {controller}}}"
        ),
    )
}

fn default_class(name: &str, controller: &str) -> String {
    class(
        name,
        ", annotations: {ingressclass.kubernetes.io/is-default-class: \"true\"}",
        controller,
    )
}

fn service(name: &str, spec: &str) -> String {
    object("v1", &format!("Service\nmetadata: {{name: {name}}}\nspec: {spec}"))
}

fn object(api_version: &str, kind_and_rest: &str) -> String {
    format!("---\napiVersion: {api_version}\nkind: {kind_and_rest}\n")
}

/// The spec of an Ingress with these rules.
fn rules(rules: &[String]) -> String {
    format!("{{rules: [{}]}}", rules.join(", "))
}

/// A rule for `host`, or for every host where that is empty.
fn rule(host: &str, paths: &[String]) -> String {
    format!("{{host: \"{host}\", http: {{paths: [{}]}}}}", paths.join(", "))
}

/// A path of type `E`xact, `P`refix or `I`mplementationSpecific.
fn path(path_type: char, path: &str, service: &str) -> String {
    path_to(path_type, path, &backend(service))
}

fn path_to(path_type: char, path: &str, backend: &str) -> String {
    let path_type = match path_type {
        'E' => "Exact",
        'P' => "Prefix",
        _ => "ImplementationSpecific",
    };
    format!("{{path: \"{path}\", pathType: {path_type}, backend: {backend}}}")
}

/// A path without a type, of an old API version.
fn old_path(path: &str, service: &str) -> String {
    format!("{{path: \"{path}\", backend: {{serviceName: {service}, servicePort: 80}}}}")
}

fn backend(service: &str) -> String {
    format!("{{service: {{name: {service}, port: {{number: 80}}}}}}")
}

/// The spec of an Ingress that serves all of `host` from `a`.
fn all_of(host: &str) -> String {
    rules(&[rule(host, &[path('P', "/", "a")])])
}

/// `all_of`, in a class.
fn all_of_in_class(class: &str, host: &str) -> String {
    all_of(host).replacen('{', &format!("{{ingressClassName: {class}, "), 1)
}

/// The spec of an Ingress with paths for every host.
fn paths(paths: &[String]) -> String {
    rules(&[rule("", paths)])
}

/// An Ingress with one path for every host.
fn one(name: &str, path: String) -> String {
    ingress(name, &paths(&[path]))
}

/// Runs the cases under `settings`, offline and through a real Envoy.
fn check(settings: &Value, cases: &[Case]) {
    let upstreams = ["a", "b", "c"].map(Upstream::start);
    let services: Vec<_> = upstreams
        .iter()
        .zip(["a", "b", "c"])
        .map(|(at, name)| at.manifests(name, "http", 80))
        .collect();
    check_with(settings, &services.concat(), cases);
}

/// As [`check`], with these services in place of `a`, `b` and `c`.
fn check_with(settings: &Value, services: &str, cases: &[Case]) {
    let marked = Upstream::start(MARKER);
    let services = marked.manifests(MARKER, "http", 80) + services;
    let typed = serde_json::from_value(settings.clone()).expect("settings");
    let manifests: Vec<_> = cases
        .iter()
        .enumerate()
        .map(|(index, case)| format!("{services}{}{}", marker(index), case.manifests))
        .collect();
    for (case, manifests) in cases.iter().zip(&manifests) {
        let offline = Offline::of_manifests(manifests, &typed);
        case.check("offline", |authority, path| offline.get(authority, path));
    }

    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), settings.to_string()).expect("settings are written");
    let settings = file.path().to_str().expect("a path in UTF-8");
    // One worker: what one request is served from, the next one is, too.
    let flags = ["--settings", settings, "--access-log", "false", "--concurrency", "1"];
    let serving = Serving::start_with(&manifests[0], &flags);
    for (index, (case, manifests)) in cases.iter().zip(&manifests).enumerate() {
        if index > 0 {
            serving.replace(manifests);
            wait_until(case.name, || serving.get(&marker_host(index), "/").by() == MARKER);
        }
        case.check("Envoy", |authority, path| serving.get(authority, path).by());
    }
}

impl Case {
    #[track_caller]
    fn check(&self, through: &str, serves: impl Fn(&str, &str) -> String) {
        let outcomes: Vec<_> = self
            .requests
            .iter()
            .map(|(authority, path, _)| (*authority, *path, serves(authority, path)))
            .collect();
        let expected: Vec<_> = self
            .requests
            .iter()
            .map(|(authority, path, expected)| (*authority, *path, (*expected).to_owned()))
            .collect();
        assert_eq!(outcomes, expected, "{}, through {through}", self.name);
    }
}

/// A service that only [`marker`] leads to.
const MARKER: &str = "marker";

/// Tells that the manifests of a case are served: a host of its own.
fn marker(index: usize) -> String {
    ingress(MARKER, &rules(&[rule(&marker_host(index), &[path('E', "/", MARKER)])]))
}

fn marker_host(index: usize) -> String {
    format!("case-{index}.marker.test")
}

const OURS: &str = "istio.io/ingress-controller";
const THEIRS: &str = "example.com/other";

#[test]
fn in_strict_mode_only_ingresses_of_our_class_count() {
    check(
        &json!({}),
        &[
            case(
                "the annotation decides, whatever the class",
                &[
                    ingress("plain", &all_of("annotated.test")),
                    ingress("both", &all_of_in_class("missing", "both.test")),
                    class("ours", "", OURS),
                    annotated(
                        "other",
                        "{kubernetes.io/ingress.class: nginx}",
                        &all_of_in_class("ours", "other.test"),
                    ),
                ],
                &[
                    ("annotated.test", "/", "a"),
                    ("both.test", "/", "a"),
                    ("other.test", "/", "404"),
                ],
            ),
            case(
                "without the annotation, a class whose controller is ours",
                &[
                    class("ours", "", OURS),
                    class("theirs", "", THEIRS),
                    annotated("a", "{}", &all_of_in_class("ours", "ours.test")),
                    annotated("b", "{}", &all_of_in_class("theirs", "theirs.test")),
                    annotated("c", "{}", &all_of_in_class("missing", "missing.test")),
                    annotated("d", "{}", &all_of("neither.test")),
                ],
                &[
                    ("ours.test", "/", "a"),
                    ("theirs.test", "/", "404"),
                    ("missing.test", "/", "404"),
                    ("neither.test", "/", "404"),
                ],
            ),
            case(
                "neither belongs to the default class",
                &[default_class("ours", OURS), annotated("a", "{}", &all_of("neither.test"))],
                &[("neither.test", "/", "a")],
            ),
            case(
                "of two default classes neither is",
                &[
                    default_class("ours", OURS),
                    default_class("also-ours", OURS),
                    annotated("a", "{}", &all_of("neither.test")),
                ],
                &[("neither.test", "/", "404")],
            ),
            case(
                "the default class of another controller is not ours",
                &[default_class("theirs", THEIRS), annotated("a", "{}", &all_of("neither.test"))],
                &[("neither.test", "/", "404")],
            ),
            case(
                "no other annotation changes anything",
                &[annotated(
                    "a",
                    "{kubernetes.io/ingress.class: istio, nginx.ingress.kubernetes.io/rewrite-target: /gone, \
                     nginx.ingress.kubernetes.io/force-ssl-redirect: \"true\", \
                     nginx.ingress.kubernetes.io/server-snippet: \"return 418;\"}",
                    &all_of("annotated.test"),
                )],
                &[("annotated.test", "/x", "a"), ("annotated.test", "/gone", "a")],
            ),
        ],
    );
}

#[test]
fn in_default_mode_ingresses_without_a_class_count_in_addition() {
    check(
        &json!({"ingressControllerMode": "default"}),
        &[case(
            "default mode",
            &[
                class("ours", "", OURS),
                class("theirs", "", THEIRS),
                ingress("a", &all_of("annotated.test")),
                annotated("b", "{}", &all_of("neither.test")),
                annotated("c", "{}", &all_of_in_class("ours", "ours.test")),
                annotated("d", "{}", &all_of_in_class("theirs", "theirs.test")),
                annotated("e", "{kubernetes.io/ingress.class: nginx}", &all_of("other.test")),
            ],
            &[
                ("annotated.test", "/", "a"),
                ("neither.test", "/", "a"),
                ("ours.test", "/", "a"),
                ("theirs.test", "/", "404"),
                ("other.test", "/", "404"),
            ],
        )],
    );
}

#[test]
fn in_off_mode_no_ingress_counts() {
    check(
        &json!({"ingressControllerMode": "off"}),
        &[case(
            "off",
            &[
                default_class("ours", OURS),
                ingress("a", &all_of("annotated.test")),
                annotated("b", "{}", &all_of("neither.test")),
                annotated("c", "{}", &all_of_in_class("ours", "ours.test")),
            ],
            &[
                ("annotated.test", "/", "404"),
                ("neither.test", "/", "404"),
                ("ours.test", "/", "404"),
            ],
        )],
    );
}

#[test]
fn the_names_of_our_class_and_controller_are_settings() {
    check(
        &json!({"ingressClass": "edge", "controllerName": THEIRS}),
        &[case(
            "named otherwise",
            &[
                class("ours", "", OURS),
                class("theirs", "", THEIRS),
                annotated("a", "{kubernetes.io/ingress.class: edge}", &all_of("edge.test")),
                ingress("b", &all_of("istio.test")),
                annotated("c", "{}", &all_of_in_class("theirs", "theirs.test")),
                annotated("d", "{}", &all_of_in_class("ours", "ours.test")),
            ],
            &[
                ("edge.test", "/", "a"),
                ("istio.test", "/", "404"),
                ("theirs.test", "/", "a"),
                ("ours.test", "/", "404"),
            ],
        )],
    );
}

#[test]
fn the_most_specific_host_serves_and_nothing_falls_through() {
    let three = || {
        ingress(
            "hosts",
            &rules(&[
                rule("", &[path('P', "/", "c")]),
                rule("*.foo.com", &[path('P', "/", "b")]),
                rule("bar.foo.com", &[path('P', "/only", "a")]),
            ]),
        )
    };
    check(
        &json!({}),
        &[
            case(
                "exact before wildcard before none",
                &[three()],
                &[
                    ("bar.foo.com", "/only", "a"),
                    ("bar.foo.com", "/else", "404"),
                    ("baz.foo.com", "/else", "b"),
                    ("other.com", "/else", "c"),
                ],
            ),
            case(
                "a wildcard stands for exactly one label",
                &[ingress("wild", &rules(&[rule("*.foo.com", &[path('P', "/", "a")])]))],
                &[
                    ("bar.foo.com", "/", "a"),
                    ("baz.bar.foo.com", "/", "404"),
                    ("foo.com", "/", "404"),
                    (".foo.com", "/", "404"),
                    ("*.foo.com", "/", "404"),
                    ("barfoo.com", "/", "404"),
                ],
            ),
            case(
                "case, port and one trailing dot do not count",
                &[three()],
                &[
                    ("BAR.Foo.Com", "/only", "a"),
                    ("bar.foo.com:8443", "/only", "a"),
                    ("bar.foo.com.", "/only", "a"),
                    ("BAR.foo.com.:80", "/only", "a"),
                    ("baz.FOO.com.:80", "/", "b"),
                    ("bar.foo.com..", "/only", "404"),
                ],
            ),
            case(
                "an address, an IPv6 literal and nothing are nobody's host but no host's",
                &[three()],
                &[
                    ("127.0.0.1:80", "/", "c"),
                    ("[::1]:80", "/", "c"),
                    ("[::1]", "/", "c"),
                    ("", "/", "c"),
                ],
            ),
            case(
                "nothing matches only rules without a host",
                &[ingress("wild", &rules(&[rule("*.foo.com", &[path('P', "/", "a")])]))],
                &[("", "/", "404"), ("[::1]", "/", "404")],
            ),
            case(
                "hosts of several objects are one host",
                &[
                    ingress("one", &rules(&[rule("foo.com", &[path('P', "/one", "a")])])),
                    ingress("two", &rules(&[rule("foo.com", &[path('P', "/two", "b")])])),
                ],
                &[("foo.com", "/one", "a"), ("foo.com", "/two", "b"), ("foo.com", "/", "404")],
            ),
        ],
    );
}

#[test]
fn paths_match_by_their_type() {
    check(
        &json!({}),
        &[
            case(
                "Exact is equal, byte by byte",
                &[ingress("exact", &paths(&[path('E', "/foo", "a"), path('E', "/bar/", "b")]))],
                &[
                    ("h", "/foo", "a"),
                    ("h", "/foo?x=/bar/", "a"),
                    ("h", "/foo/", "404"),
                    ("h", "/FOO", "404"),
                    ("h", "/foo/x", "404"),
                    ("h", "/bar/", "b"),
                    ("h", "/bar", "404"),
                    ("h", "/?/foo", "404"),
                ],
            ),
            case(
                "Prefix goes element by element",
                &[ingress("prefix", &paths(&[path('P', "/foo", "a"), path('P', "/bar/", "b")]))],
                &[
                    ("h", "/foo", "a"),
                    ("h", "/foo/", "a"),
                    ("h", "/foo/x", "a"),
                    ("h", "/foobar", "404"),
                    ("h", "/fo", "404"),
                    ("h", "/bar", "b"),
                    ("h", "/bar/", "b"),
                    ("h", "/bar/x", "b"),
                    ("h", "/barx", "404"),
                    ("h", "/", "404"),
                ],
            ),
            case(
                "Prefix / matches everything",
                &[ingress("root", &paths(&[path('P', "/", "a")]))],
                &[("h", "/", "a"), ("h", "/foo", "a"), ("h", "/?x", "a")],
            ),
            case(
                "nothing is decoded a second time",
                &[ingress("literal", &paths(&[path('E', "/a%20b", "a"), path('P', "/a", "b")]))],
                &[
                    ("h", "/a%20b", "a"),
                    ("h", "/a%2520b", "404"),
                    ("h", "/a%25", "404"),
                    ("h", "/a/%2561", "b"),
                ],
            ),
            case(
                "ImplementationSpecific is in Istio's notation",
                &[ingress(
                    "istio",
                    &paths(&[
                        path('I', "/status/.*", "a"),
                        path('I', "/foo.*", "b"),
                        path('I', "/star/*", "c"),
                        path('I', "/exact", "a"),
                    ]),
                )],
                &[
                    ("h", "/status/200", "a"),
                    ("h", "/status/", "a"),
                    ("h", "/status", "404"),
                    ("h", "/foo", "b"),
                    ("h", "/foobar", "b"),
                    ("h", "/foo/x", "b"),
                    ("h", "/fo", "404"),
                    ("h", "/star/x", "c"),
                    ("h", "/star", "404"),
                    ("h", "/exact", "a"),
                    ("h", "/exact/", "404"),
                    ("h", "/exactly", "404"),
                ],
            ),
            case(
                "so is every path of the older API versions",
                &[
                    old_ingress(
                        "old",
                        &rules(&[rule(
                            "old.test",
                            &[old_path("/status/.*", "a"), old_path("/exact", "b")],
                        )]),
                    ),
                    old_ingress("newer", &rules(&[rule("newer.test", &[old_path("/.*", "c")])]))
                        .replace("extensions", "networking.k8s.io"),
                    old_ingress(
                        "typed",
                        &rules(&[rule(
                            "typed.test",
                            &[old_path("/foo", "a").replacen('{', "{pathType: Prefix, ", 1)],
                        )]),
                    )
                    .replace("extensions", "networking.k8s.io"),
                ],
                &[
                    ("old.test", "/status/200", "a"),
                    ("old.test", "/status", "404"),
                    ("old.test", "/exact", "b"),
                    ("old.test", "/exact/x", "404"),
                    ("newer.test", "/anything", "c"),
                    ("typed.test", "/foo/x", "a"),
                    ("typed.test", "/foobar", "404"),
                ],
            ),
            case(
                "absent and empty are everything",
                &[ingress(
                    "absent",
                    &rules(&[
                        rule("empty.test", &[path('I', "", "a")]),
                        rule("absent.test", &[path('I', "", "b").replace("path: \"\", ", "")]),
                    ]),
                )],
                &[
                    ("empty.test", "/", "a"),
                    ("empty.test", "/x/y", "a"),
                    ("absent.test", "/", "b"),
                    ("absent.test", "/x/y", "b"),
                ],
            ),
            case(
                "a regular expression elsewhere takes down that path only",
                &[ingress(
                    "regex",
                    &paths(&[
                        path('I', "/(a|b)", "a"),
                        path('I', "/x.*/y", "b"),
                        path('I', "/good", "c"),
                    ]),
                )],
                &[("h", "/a", "404"), ("h", "/xx/y", "404"), ("h", "/good", "c")],
            ),
            case(
                "to Exact and Prefix every character is itself",
                &[ingress("literal", &paths(&[path('E', "/a.*", "a"), path('P', "/(b)", "b")]))],
                &[
                    ("h", "/a.*", "a"),
                    ("h", "/ax", "404"),
                    ("h", "/(b)/x", "b"),
                    ("h", "/b", "404"),
                ],
            ),
        ],
    );
}

#[test]
fn the_most_specific_path_serves_whatever_object_it_is_in() {
    check(
        &json!({}),
        &[
            case(
                "Exact before Prefix",
                &[one("b", path('P', "/foo/", "b")), one("a", path('E', "/foo", "a"))],
                &[("h", "/foo", "a"), ("h", "/foo/", "b")],
            ),
            case(
                "the longer Prefix",
                &[ingress(
                    "a",
                    &paths(&[
                        path('P', "/", "c"),
                        path('P', "/aaa", "b"),
                        path('P', "/aaa/bbb", "a"),
                    ]),
                )],
                &[
                    ("h", "/aaa/bbb/ccc", "a"),
                    ("h", "/aaa/bbb", "a"),
                    ("h", "/aaa/ccc", "b"),
                    ("h", "/aaa", "b"),
                    ("h", "/aaaccc", "c"),
                ],
            ),
            case(
                "a Prefix ends with its element",
                &[one("a", path('P', "/aaa/bbb", "a"))],
                &[("h", "/aaa/bbbxyz", "404"), ("h", "/aaa/bbb/", "a")],
            ),
            case(
                "a trailing slash counts for Exact",
                &[one("a", path('E', "/foo/", "a"))],
                &[("h", "/foo", "404"), ("h", "/foo/", "a")],
            ),
            case(
                "of two Prefixes of as many elements the one with the slash",
                &[one("a", path('P', "/foo", "b")), one("b", path('P', "/foo/", "a"))],
                &[("h", "/foo", "a"), ("h", "/foo/", "a"), ("h", "/foo/x", "a")],
            ),
        ],
    );
}

#[test]
fn of_equal_paths_the_type_decides_then_age_then_name_then_position() {
    check(
        &json!({}),
        &[
            case(
                "Exact before ImplementationSpecific, though the younger",
                &[
                    created(1, &one("old", path('I', "/foo", "b"))),
                    created(2, &one("young", path('E', "/foo", "a"))),
                ],
                &[("h", "/foo", "a")],
            ),
            case(
                "Prefix before ImplementationSpecific, though the younger",
                &[
                    created(1, &one("old", path('I', "/foo/.*", "b"))),
                    created(2, &one("young", path('P', "/foo/", "a"))),
                ],
                &[("h", "/foo/x", "a"), ("h", "/foo/", "a")],
            ),
            case(
                "the longer of Prefix and ImplementationSpecific",
                &[
                    one("a", path('P', "/foo", "b")),
                    one("b", path('I', "/foo/bar.*", "a")),
                    one("c", path('I', "/f.*", "c")),
                ],
                &[("h", "/foo/bars", "a"), ("h", "/foo/x", "b"), ("h", "/foobar", "c")],
            ),
            case(
                "the older object",
                &[
                    created(2, &one("a", path('P', "/foo", "b"))),
                    created(1, &one("z", path('P', "/foo", "a"))),
                    one("0-without-a-time", path('P', "/foo", "c")),
                ],
                &[("h", "/foo", "a")],
            ),
            case(
                "of the same age, by name, then by position",
                &[
                    created(1, &one("b", path('E', "/foo", "c"))),
                    created(
                        1,
                        &ingress("a", &paths(&[path('E', "/foo", "a"), path('E', "/foo", "b")])),
                    ),
                ],
                &[("h", "/foo", "a")],
            ),
            case(
                "what is older wins for its host and path only",
                &[
                    created(1, &one("old", path('P', "/foo", "a"))),
                    created(
                        2,
                        &ingress(
                            "young",
                            &paths(&[path('P', "/foo", "b"), path('P', "/bar", "b")]),
                        ),
                    ),
                ],
                &[("h", "/foo", "a"), ("h", "/bar", "b")],
            ),
        ],
    );
}

#[test]
fn what_nothing_else_serves_goes_to_the_default_backend() {
    let with_default =
        |service: &str, rest: &str| format!("{{defaultBackend: {}{rest}}}", backend(service));
    check(
        &json!({}),
        &[
            case("without one it is not found", &[], &[("h", "/", "404"), ("", "/x", "404")]),
            case(
                "every host and path",
                &[
                    ingress("default", &with_default("c", "")),
                    ingress("rule", &rules(&[rule("foo.com", &[path('E', "/foo", "a")])])),
                ],
                &[
                    ("foo.com", "/foo", "a"),
                    ("foo.com", "/bar", "c"),
                    ("any", "/", "c"),
                    ("", "/", "c"),
                    ("a@foo.com", "/", "404"),
                ],
            ),
            case(
                "the older versions spell it backend",
                &[old_ingress("old", "{backend: {serviceName: b, servicePort: 80}}")],
                &[("any", "/", "b")],
            ),
            case(
                "the oldest object's, if several have one",
                &[
                    created(3, &ingress("a", &with_default("b", ""))),
                    created(1, &ingress("b", &with_default("a", ""))),
                    created(2, &ingress("c", &with_default("c", ""))),
                ],
                &[("any", "/", "a")],
            ),
            case(
                "a rule without http sends its host there",
                &[ingress(
                    "bare",
                    &with_default(
                        "c",
                        &format!(
                            ", rules: [{{host: bare.foo.com}}, {}]",
                            rule("*.foo.com", &[path('P', "/", "a")])
                        ),
                    ),
                )],
                &[("bare.foo.com", "/", "c"), ("other.foo.com", "/", "a")],
            ),
            case(
                "and where there is none, to nobody",
                &[ingress(
                    "bare",
                    &rules(&[
                        "{host: bare.foo.com}".into(),
                        rule("*.foo.com", &[path('P', "/", "a")]),
                    ]),
                )],
                &[("bare.foo.com", "/", "404"), ("other.foo.com", "/", "a")],
            ),
            case(
                "one whose service is missing answers 503",
                &[ingress("default", &with_default("missing", ""))],
                &[("any", "/", "503")],
            ),
        ],
    );
}

#[test]
fn a_backend_is_a_port_of_a_service_in_the_ingresss_namespace() {
    let upstreams = ["a", "b", "c", "d"].map(Upstream::start);
    let [a, b, c, d] = &upstreams;
    let services = a.manifests("a", "http", 80)
        + &b.manifests("b", "web", 80)
        + &c.manifests("c", "grpc-api", 80)
        + &within("zone", &d.manifests("d", "http", 80));
    let cases = [
        case(
            "by number or by name",
            &[
                ingress(
                    "ports",
                    &paths(&[
                        path('E', "/number", "a"),
                        path_to('E', "/name", "{service: {name: a, port: {name: http}}}"),
                    ]),
                ),
                old_ingress(
                    "old",
                    &paths(&[
                        old_path("/old/number", "a"),
                        old_path("/old/name", "a").replace("80", "http"),
                        old_path("/old/other", "a").replace("80", "grpc"),
                    ]),
                ),
            ],
            &[
                ("h", "/number", "a"),
                ("h", "/name", "a"),
                ("h", "/old/number", "a"),
                ("h", "/old/name", "a"),
                ("h", "/old/other", "503"),
            ],
        ),
        case(
            "a name without a known protocol is HTTP, and grpc is HTTP/2",
            &[ingress("names", &paths(&[path('E', "/b", "b"), path('E', "/c", "c")]))],
            &[("h", "/b", "b"), ("h", "/c", "c")],
        ),
        case(
            "of no other namespace",
            &[
                ingress("here", &paths(&[path('E', "/here", "d")])),
                within("zone", &ingress("there", &paths(&[path('E', "/there", "d")]))),
                within("zone", &ingress("back", &paths(&[path('E', "/back", "a")]))),
            ],
            &[("h", "/here", "503"), ("h", "/there", "d"), ("h", "/back", "503")],
        ),
    ];
    check_with(&json!({}), &services, &cases);
}

#[test]
fn what_cannot_be_reached_stays_exposed_and_answers_503() {
    let upstreams = ["a", "b", "c"].map(Upstream::start);
    let outside = Upstream::start("outside");
    let names = ["a", "b", "c"];
    let services: String = upstreams
        .iter()
        .zip(names)
        .map(|(at, name)| at.manifests(name, "http", 80))
        .chain([
            service("raw", "{ports: [{name: tcp-raw, port: 80}]}"),
            service("tls", "{ports: [{name: web, port: 80, appProtocol: https}]}"),
            service(
                "outside",
                &format!(
                    "{{type: ExternalName, externalName: localhost, ports: [{{name: http, port: {}}}]}}",
                    outside.address.port()
                ),
            ),
        ])
        .collect();
    let to_outside = || {
        ingress(
            "outside",
            &paths(&[path_to('E', "/outside", "{service: {name: outside, port: {name: http}}}")]),
        )
    };
    let cases = [
        case(
            "one bad path never takes its neighbours down",
            &[ingress(
                "bad",
                &paths(&[
                    path('P', "/", "c"),
                    path('P', "/service", "missing"),
                    path_to('P', "/port", "{service: {name: a, port: {number: 81}}}"),
                    path_to('P', "/name", "{service: {name: a, port: {name: web}}}"),
                    path_to('P', "/neither", "{service: {name: a}}"),
                    path_to(
                        'P',
                        "/resource",
                        "{resource: {apiGroup: example.com, kind: Bucket, name: a}}",
                    ),
                    path('P', "/raw", "raw"),
                    path('P', "/tls", "tls"),
                    path('E', "/good", "a"),
                ]),
            )],
            &[
                ("h", "/good", "a"),
                ("h", "/service", "503"),
                ("h", "/service/x", "503"),
                ("h", "/port", "503"),
                ("h", "/name", "503"),
                ("h", "/neither", "503"),
                ("h", "/resource", "503"),
                ("h", "/raw", "503"),
                ("h", "/tls", "503"),
                ("h", "/else", "c"),
            ],
        ),
        case("an ExternalName is refused", &[to_outside()], &[("h", "/outside", "503")]),
    ];
    check_with(&json!({}), &services, &cases);
    check_with(
        &json!({"externalNameServices": true}),
        &services,
        &[case("unless the settings allow it", &[to_outside()], &[("h", "/outside", "outside")])],
    );
}

#[test]
fn paths_of_an_ingress_with_tls_are_served_on_http_too() {
    let tls = "tls: [{hosts: [foo.com], secretName: missing}]";
    let spec = rules(&[rule("foo.com", &[path('P', "/", "a")])]);
    check(
        &json!({}),
        &[case(
            "with TLS",
            &[ingress("tls", &spec.replacen('{', &format!("{{{tls}, "), 1))],
            &[("foo.com", "/", "a")],
        )],
    );
}
