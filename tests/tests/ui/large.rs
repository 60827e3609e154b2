//! Ten thousand routes.

use std::time::{Duration, Instant};

use ingress_tests::bench::{Notation, Shape, manifests};
use ingress_tests::{Browser, say};

use crate::page::{Page, Served};

const ROUTES: usize = 10_000;

/// No machine is so slow, unless the page is.
const LIMIT: Duration = Duration::from_secs(30);

fn painted(browser: &Browser) -> f64 {
    let paint =
        browser.wait("performance.getEntriesByName('first-contentful-paint')[0]?.startTime");
    paint.as_f64().unwrap()
}

fn show(shape: Shape) {
    let upstream = "10.0.0.1:80".parse().unwrap();
    let served = Served::start(&manifests(shape, ROUTES, upstream, Notation::Yaml));
    let page = Page::of(served, "");
    let rows = page.run("return performance.now()").as_f64().unwrap();
    let paint = painted(&page);
    assert_eq!(page.text("#routes-count"), "10,000");
    let (host, path) = shape.route(7_777);
    let wanted = format!("{host} {path}");

    let filtered = page.run(&format!(
        "const field = document.querySelector('#filter');
         field.value = {wanted:?};
         const start = performance.now();
         field.dispatchEvent(new Event('input'));
         return new Promise((done) => {{
           const look = () => document.documentElement.dataset.filtered
             ? requestAnimationFrame(() => done(performance.now() - start)) : setTimeout(look, 1);
           look();
         }})"
    ));
    let rows_left: Vec<_> = page.rows().into_iter().filter(|(level, _)| *level < 3).collect();
    assert_eq!(rows_left, [(1, host.clone()), (2, path.clone())]);
    assert!(page.run("return document.querySelectorAll('*').length").as_u64().unwrap() < 2_000);

    page.filter("");
    let start = Instant::now();
    page.attempt(&format!("http://{host}{path}/x"), "");
    let tried = start.elapsed();
    assert!(page.texts(".row.lit").iter().any(|row| row.contains(&path)));
    say(&format!(
        "{ROUTES} {}: first paint {paint:.0} ms, all routes {rows:.0} ms, filter {:.0} ms, request {} ms",
        shape.name(),
        filtered.as_f64().unwrap(),
        tried.as_millis()
    ));
    assert!(paint < LIMIT.as_secs_f64() * 1_000.0 && tried < LIMIT, "{paint} {tried:?}");
    page.finish();
}

#[test]
fn ten_thousand_paths_of_a_host_are_shown() {
    show(Shape::Paths);
}

#[test]
fn ten_thousand_hosts_are_shown() {
    show(Shape::Hosts);
}
