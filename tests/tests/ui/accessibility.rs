//! The page with a screen reader: axe's rules for WCAG 2.2 AA, and the tree of Chromium that
//! screen readers get.

use std::fs;

use ingress_tests::python_packages;
use serde_json::{Value, json};

use crate::page::{Page, SHOP};

/// The rules that the page breaks, with the elements.
fn violations(page: &Page) -> Value {
    let axe = python_packages().join("axe_playwright_python/axe.min.js");
    let axe = fs::read_to_string(axe).expect("axe, in the packages of Python");
    page.run(&format!(
        "{axe};
        return axe.run({{runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']}})
          .then(({{violations, passes}}) => [passes.length, violations.map((it) => [it.id, it.help, it.nodes.map((node) => node.html)])])"
    ))
}

#[test]
fn no_rule_of_axe_is_broken() {
    let page = Page::open(SHOP);
    page.attempt("http://shop.example.com/cart/3", "cookie: group=beta");
    for (scheme, width) in [("light", 1280), ("dark", 1280), ("light", 360)] {
        page.prefer("prefers-color-scheme", scheme);
        page.resize(width, 800);
        for view in ["routes", "certificates", "findings"] {
            page.click(&format!("[data-view={view}]"));
            let found = violations(&page);
            assert!(found[0].as_u64().unwrap() > 20, "{found}");
            assert_eq!(found[1], json!([]), "{scheme} {width} {view}");
        }
    }
    page.finish();
}

#[test]
fn each_part_has_a_role_and_a_name() {
    let page = Page::open(SHOP);
    page.attempt("http://shop.example.com/cart/3", "cookie: group=beta");
    let tree = page.devtools("Accessibility.getFullAXTree", &json!({}));
    let nodes: Vec<_> = tree["nodes"].as_array().unwrap().iter().collect();
    let named = |role: &str| -> Vec<&str> {
        let nodes = nodes.iter().filter(|it| it["role"]["value"] == role && it["ignored"] == false);
        nodes.filter_map(|node| node["name"]["value"].as_str()).collect()
    };
    for (role, name) in [
        ("main", ""),
        ("banner", ""),
        ("navigation", "Views"),
        ("form", "Try a request"),
        ("tree", "Hosts and paths"),
        ("searchbox", "Filter"),
        ("textbox", "URL"),
        ("textbox", "Headers, one per line"),
        ("button", "Try"),
        ("link", "Skip to the content"),
        ("heading", "What happens"),
        ("list", "The way of the request"),
    ] {
        assert!(named(role).contains(&name), "{role} {name}: {:?}", named(role));
    }
    let items = named("treeitem");
    assert!(
        items.iter().any(|it| it.contains("/cart") && it.ends_with("on the way of the request")),
        "{items:?}"
    );
    for role in ["button", "link", "textbox", "searchbox", "treeitem", "combobox"] {
        assert!(!named(role).contains(&""), "a {role} has no name");
    }
    page.finish();
}
