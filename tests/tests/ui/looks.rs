//! Light and dark, narrow windows, less motion.

use serde_json::json;

use crate::page::{Page, SHOP};

const URL: &str = "http://shop.example.com/cart/3";

#[test]
fn no_view_scrolls_sideways_in_a_narrow_window() {
    let page = Page::open(SHOP);
    page.attempt(URL, "cookie: group=beta");
    for width in [360, 320] {
        page.resize(width, 740);
        for view in ["routes", "certificates", "findings"] {
            page.click(&format!("[data-view={view}]"));
            let sizes = page.run("return [document.documentElement.scrollWidth, innerWidth]");
            assert_eq!(sizes, json!([width, width]), "{view}");
        }
    }
    page.finish();
}

#[test]
fn the_outcome_scrolls_into_a_narrow_window() {
    let page = Page::open(SHOP);
    page.resize(360, 640);
    page.attempt(URL, "");
    page.wait("document.querySelector('#outcome').getBoundingClientRect().top < 100");
    page.finish();
}

#[test]
fn the_colours_follow_the_system() {
    let page = Page::open(SHOP);
    let lightness = || {
        let colour = page.run("return getComputedStyle(document.documentElement).backgroundColor.match(/\\d+/g).map(Number).reduce((a, b) => a + b)");
        colour.as_u64().unwrap()
    };
    page.prefer("prefers-color-scheme", "light");
    assert!(lightness() > 600);
    page.prefer("prefers-color-scheme", "dark");
    assert!(lightness() < 150);
    page.finish();
}

#[test]
fn nothing_moves_with_reduced_motion() {
    let page = Page::open(SHOP);
    let moving = || {
        page.run("return [...document.querySelectorAll('*')].filter((it) => parseFloat(getComputedStyle(it).transitionDuration) > 0 || getComputedStyle(it).animationName !== 'none').length").as_u64().unwrap()
    };
    page.prefer("prefers-reduced-motion", "no-preference");
    assert!(moving() > 0);
    page.prefer("prefers-reduced-motion", "reduce");
    assert_eq!(moving(), 0);
    page.finish();
}
