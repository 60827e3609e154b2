//! Which host and path an Ingress serves, and which one takes precedence.

use serde_json::json;

use crate::cases::{
    case, check, created, ingress, old_ingress, old_path, one, path, paths, rule, rules,
};

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
                "exact hosts before wildcards before rules without a host",
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
                "case, port and one trailing dot are ignored",
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
                "addresses and an empty authority match only rules without a host",
                &[three()],
                &[
                    ("127.0.0.1:80", "/", "c"),
                    ("[::1]:80", "/", "c"),
                    ("[::1]", "/", "c"),
                    ("", "/", "c"),
                ],
            ),
            case(
                "an empty authority does not match a wildcard",
                &[ingress("wild", &rules(&[rule("*.foo.com", &[path('P', "/", "a")])]))],
                &[("", "/", "404"), ("[::1]", "/", "404")],
            ),
            case(
                "paths of one host in several objects are merged",
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
                "Exact matches the same bytes",
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
                "Prefix matches whole path elements",
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
                "paths are not decoded twice",
                &[ingress("literal", &paths(&[path('E', "/a%20b", "a"), path('P', "/a", "b")]))],
                &[
                    ("h", "/a%20b", "a"),
                    ("h", "/a%2520b", "404"),
                    ("h", "/a%25", "404"),
                    ("h", "/a/%2561", "b"),
                ],
            ),
            case(
                "ImplementationSpecific uses Istio's notation",
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
                "every path of the older API versions uses Istio's notation",
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
                "an absent or empty path matches everything",
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
                "an invalid regular expression affects only its own path",
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
                "Exact and Prefix treat all characters literally",
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
                "Exact takes precedence over Prefix",
                &[one("b", path('P', "/foo/", "b")), one("a", path('E', "/foo", "a"))],
                &[("h", "/foo", "a"), ("h", "/foo/", "b")],
            ),
            case(
                "the longer Prefix takes precedence",
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
                "a Prefix ends at a path element",
                &[one("a", path('P', "/aaa/bbb", "a"))],
                &[("h", "/aaa/bbbxyz", "404"), ("h", "/aaa/bbb/", "a")],
            ),
            case(
                "Exact distinguishes a trailing slash",
                &[one("a", path('E', "/foo/", "a"))],
                &[("h", "/foo", "404"), ("h", "/foo/", "a")],
            ),
            case(
                "of Prefixes with equally many elements, the one with the trailing slash",
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
                "Exact takes precedence over an older ImplementationSpecific",
                &[
                    created(1, &one("old", path('I', "/foo", "b"))),
                    created(2, &one("young", path('E', "/foo", "a"))),
                ],
                &[("h", "/foo", "a")],
            ),
            case(
                "Prefix takes precedence over an older ImplementationSpecific",
                &[
                    created(1, &one("old", path('I', "/foo/.*", "b"))),
                    created(2, &one("young", path('P', "/foo/", "a"))),
                ],
                &[("h", "/foo/x", "a"), ("h", "/foo/", "a")],
            ),
            case(
                "the longer of Prefix and ImplementationSpecific takes precedence",
                &[
                    one("a", path('P', "/foo", "b")),
                    one("b", path('I', "/foo/bar.*", "a")),
                    one("c", path('I', "/f.*", "c")),
                ],
                &[("h", "/foo/bars", "a"), ("h", "/foo/x", "b"), ("h", "/foobar", "c")],
            ),
            case(
                "the older object takes precedence",
                &[
                    created(2, &one("a", path('P', "/foo", "b"))),
                    created(1, &one("z", path('P', "/foo", "a"))),
                    one("0-without-a-time", path('P', "/foo", "c")),
                ],
                &[("h", "/foo", "a")],
            ),
            case(
                "objects of the same age are ordered by name, then by position",
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
                "the older object takes precedence for its host and path only",
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
fn regular_expressions_where_the_settings_allow_them() {
    check(
        &json!({"regexPaths": true}),
        &[
            case(
                "patterns match the whole path without the query",
                &[one("a", path('I', "/v[0-9]+/x", "a"))],
                &[
                    ("h", "/v12/x", "a"),
                    ("h", "/v12/x?y", "a"),
                    ("h", "/v12/x/y", "404"),
                    ("h", "/y/v12/x", "404"),
                    ("h", "/v/x", "404"),
                ],
            ),
            case(
                "patterns come after Exact and Prefix paths, the longest pattern first",
                &[ingress(
                    "a",
                    &paths(&[
                        path('I', "/v[0-9]+/.*x", "a"),
                        path('I', "/v[0-9]+/(.*)x", "b"),
                        path('E', "/v1/x", "c"),
                        path('P', "/v2", "c"),
                    ]),
                )],
                &[
                    ("h", "/v1/x", "c"),
                    ("h", "/v2/yx", "c"),
                    ("h", "/v3/yx", "b"),
                    ("h", "/v3/y", "404"),
                ],
            ),
            case(
                "patterns in old API versions match in the same way",
                &[old_ingress("a", &paths(&[old_path("/(a|b)/.*c", "a")]))],
                &[("h", "/a/c", "a"), ("h", "/b/xc", "a"), ("h", "/c/c", "404")],
            ),
        ],
    );
}
