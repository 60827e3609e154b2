//! Which backend gets a request.

use ingress_tests::Upstream;
use serde_json::json;

use crate::cases::{
    backend, case, check, check_with, created, ingress, old_ingress, old_path, path, path_to,
    paths, rule, rules, service, within,
};

#[test]
fn what_nothing_else_serves_goes_to_the_default_backend() {
    let with_default =
        |service: &str, rest: &str| format!("{{defaultBackend: {}{rest}}}", backend(service));
    check(
        &json!({}),
        &[
            case("without a default backend", &[], &[("h", "/", "404"), ("", "/x", "404")]),
            case(
                "the default backend serves every host and path",
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
                "the older API versions call it backend",
                &[old_ingress("old", "{backend: {serviceName: b, servicePort: 80}}")],
                &[("any", "/", "b")],
            ),
            case(
                "the default backend of the oldest object, if several have one",
                &[
                    created(3, &ingress("a", &with_default("b", ""))),
                    created(1, &ingress("b", &with_default("a", ""))),
                    created(2, &ingress("c", &with_default("c", ""))),
                ],
                &[("any", "/", "a")],
            ),
            case(
                "a rule without http sends its host to the default backend",
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
                "without a default backend, the host is not served",
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
                "a default backend whose Service is missing returns 503",
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
            "a port is given by number or by name",
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
            "a backend is never in another namespace",
            &[
                ingress("here", &paths(&[path('E', "/here", "d")])),
                within("zone", &ingress("there", &paths(&[path('E', "/there", "d")]))),
                within("zone", &ingress("back", &paths(&[path('E', "/back", "a")]))),
            ],
            &[("h", "/here", "503"), ("h", "/there", "d"), ("h", "/back", "503")],
        ),
    ];
    check_with(&json!({"hostOwnership": "shared"}), &services, &cases);
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
            service("tls", "{ports: [{name: web, port: 80, appProtocol: tls}]}"),
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
            "a path with a finding does not affect other paths",
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
        case("ExternalName is rejected", &[to_outside()], &[("h", "/outside", "503")]),
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
