//! Requests to try: the outcome is that of `ingressctl explain`.

use std::process::Command;

use ingress_tests::ingressctl;
use serde_json::Value;

use crate::page::{Page, SHOP};

const URL: &str = "http://shop.example.com/cart/3";
const COOKIE: &str = "cookie: group=beta";

/// What the command says about a request.
fn explained(page: &Page, url: &str, headers: &[&str]) -> Value {
    let mut command = Command::new(ingressctl());
    command.args(["explain", "-o", "json", "-f"]).arg(page.served().manifests()).arg(url);
    let output = command.args(headers.iter().flat_map(|it| ["-H", it])).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn the_way_of_a_request_lights_up() {
    let page = Page::open(SHOP);
    page.attempt(URL, COOKIE);
    let steps = [
        "Host shop.example.com",
        "Path prefix /cart",
        "Rule default/cart-beta",
        "Service default/cart:80 version=v2",
    ];
    assert_eq!(page.texts(".way li"), steps);
    let lit = page.texts(".row.lit");
    assert_eq!(lit.len(), 3, "{lit:?}");
    assert!(lit[0].contains("shop.example.com") && lit[2].contains("version=v2"), "{lit:?}");
    assert!(page.text("#selected .rule.lit").starts_with("default/cart-beta"));
    page.wait("document.querySelector('#announcer').textContent.startsWith('to default/cart:80')");

    let expected = explained(&page, URL, &[COOKIE]);
    assert_eq!(page.text(".reason"), expected["reason"].as_str().unwrap());
    let candidates = expected["candidates"].as_array().unwrap();
    let mut verdicts: Vec<_> =
        candidates.iter().map(|it| it["verdict"].as_str().unwrap()).collect();
    let mut shown = page.texts("ul.verdicts .why");
    verdicts.sort_unstable();
    shown.sort_unstable();
    assert_eq!(shown, verdicts);
    assert!(page.texts("ol.verdicts li")[1].ends_with("an earlier rule applies"));
    page.finish();
}

#[test]
fn what_is_not_served_has_its_reason() {
    let page = Page::open(SHOP);
    page.attempt("shop.example.org/", "");
    assert_eq!(page.text(".result"), "404");
    assert!(page.text(".reason").starts_with("no route serves this host and path"));
    assert_eq!(page.texts(".row.lit"), [""; 0]);
    page.attempt("shop.example.com/%2f", "");
    assert!(page.text(".reason").contains("encoded slash"), "{}", page.text(".reason"));
    page.attempt("api.example.com/v1/orders/old", "");
    assert_eq!(page.text(".result"), "302 to http://api.example.com/v1/orders");
    for (url, headers, problem) in [
        ("ftp://shop.example.com", "", "use http or https"),
        ("shop.example.com", "no colon", "write it as 'name: value'"),
    ] {
        page.attempt(url, headers);
        assert!(page.text("#outcome").contains(problem), "{}", page.text("#outcome"));
    }
    page.finish();
}

#[test]
fn a_random_number_is_exact() {
    let page = Page::open(SHOP);
    // The last two digits select v2. The nearest number of JavaScript ends in 000: v1.
    page.run("document.querySelector('#more').open = true");
    page.fill("[name=random]", "9007199254740999");
    page.attempt(URL, "");
    let service = |page: &Page| page.texts(".way li").pop();
    assert_eq!(service(&page).as_deref(), Some("Service default/cart:80 version=v2"));
    page.visit(&page.fragment());
    page.wait("document.documentElement.dataset.tried");
    assert_eq!(service(&page).as_deref(), Some("Service default/cart:80 version=v2"));
    page.finish();
}

#[test]
fn a_link_restores_the_request_the_filter_and_the_selection() {
    let page = Page::open(SHOP);
    page.filter("example");
    page.attempt(URL, COOKIE);
    page.select("/cart/legal");
    let link = page.fragment();
    let shown = |page: &Page| {
        let fields = page.run("return ['url', 'headers'].map((it) => document.querySelector(`[name=${it}]`).value).concat(document.querySelector('#filter').value)");
        (fields, page.texts(".row.lit"), page.texts(".way li"), page.text("#selected h3"))
    };
    let before = shown(&page);
    page.visit(&link);
    page.wait("document.documentElement.dataset.tried");
    assert_eq!(shown(&page), before);
    assert_eq!(page.text("#selected h3"), "shop.example.com /cart/legal");

    // The history has each request.
    page.attempt("api.example.com/v1/orders", "");
    page.run("history.back()");
    page.wait("document.querySelector('.way')?.innerText.includes('cart-beta')");
    assert_eq!(page.fragment(), link);
    page.finish();
}
