//! Which Ingresses are served.

use serde_json::json;

use crate::cases::{
    all_of, all_of_in_class, annotated, case, check, class, default_class, ingress,
};

const OURS: &str = "istio.io/ingress-controller";
const THEIRS: &str = "example.com/other";

#[test]
fn in_strict_mode_only_ingresses_of_our_class_count() {
    check(
        &json!({}),
        &[
            case(
                "the annotation takes precedence over the class",
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
                "without the annotation, a class with the gateway's controller",
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
                "without annotation and class, the default class applies",
                &[default_class("ours", OURS), annotated("a", "{}", &all_of("neither.test"))],
                &[("neither.test", "/", "a")],
            ),
            case(
                "of two default classes, neither applies",
                &[
                    default_class("ours", OURS),
                    default_class("also-ours", OURS),
                    annotated("a", "{}", &all_of("neither.test")),
                ],
                &[("neither.test", "/", "404")],
            ),
            case(
                "the default class of another controller is ignored",
                &[default_class("theirs", THEIRS), annotated("a", "{}", &all_of("neither.test"))],
                &[("neither.test", "/", "404")],
            ),
            case(
                "other annotations have no effect",
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
