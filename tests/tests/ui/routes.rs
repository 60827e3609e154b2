//! The tree of hosts, paths, services and versions, and what is selected in it.

use ingress_tests::Key;

use crate::page::{Page, SHOP};

fn row(level: u64, text: &str) -> (u64, String) {
    (level, text.to_owned())
}

#[test]
fn the_tree_leads_from_hosts_to_versions() {
    let page = Page::open(SHOP);
    let rows = page.rows();
    let cart = rows.iter().position(|(_, text)| text == "/cart").unwrap();
    assert_eq!(
        rows[cart..cart + 4],
        [
            row(2, "/cart"),
            row(3, "default/cart:80"),
            row(3, "default/cart:80"),
            row(3, "default/cart:80"),
        ]
    );
    let hosts: Vec<_> = rows.iter().filter(|(level, _)| *level == 1).collect();
    assert_eq!(hosts.len(), 3, "{hosts:?}");
    assert_eq!(page.texts(".row .version"), ["version=v2", "version=v1"]);
    assert_eq!(page.text("#routes-count"), "6");
    page.finish();
}

#[test]
fn a_path_shows_its_rules_in_order() {
    let page = Page::open(SHOP);
    page.select("/cart");
    assert_eq!(
        page.texts("#selected .rule"),
        [
            "default/cart-beta manifests/shop.yaml:58 if header cookie matches ^(.*?;)?(group=beta)(;.*)?$ \
             then default/cart:80 version=v2",
            "default/cart-canary manifests/shop.yaml:72 if every request then 90 % default/cart:80 \
             version=v1 10 % default/cart:80 version=v2 timeout: 5 s retries: at most 2, 2 s per try",
            "default if no rule matches then default/cart:80",
        ]
    );
    let facts = page.texts("#selected .facts > div");
    assert!(facts.contains(&"Position manifests/shop.yaml:20".to_owned()), "{facts:?}");
    let related = page.texts("#selected .related li");
    assert!(related.iter().any(|it| it.contains("service serach")), "{related:?}");
    let row =
        "[...document.querySelectorAll('.row')].find((it) => it.innerText.includes('/v1/search'))";
    let marks = page.run(&format!("return {row}.querySelector('.severity').innerText"));
    assert_eq!(marks, "error");
    page.select("default/cart:80");
    assert!(
        page.text("#selected").contains("Endpoints 10.0.1.3:8080"),
        "{}",
        page.text("#selected")
    );
    page.finish();
}

#[test]
fn the_filter_shows_the_paths_with_all_words() {
    let page = Page::open(SHOP);
    page.filter("shop.example CART");
    let rows: Vec<_> = page.rows().into_iter().filter(|(level, _)| *level < 3).collect();
    let expected = [row(1, "shop.example.com"), row(2, "/cart/legal"), row(2, "/cart")];
    assert_eq!(rows, expected);
    page.wait("document.querySelector('#announcer').textContent === '2 paths shown'");
    assert_eq!(page.fragment(), "#filter=shop.example+CART");
    page.filter("nothing like this");
    assert_eq!(page.rows(), []);
    assert_eq!(page.text("#tree-empty"), "No path contains these words.");
    page.finish();
}

#[test]
fn everything_works_with_the_keyboard() {
    let page = Page::open(SHOP);
    let focus = || {
        let focused = page.run("return document.activeElement.id || document.activeElement.name || document.activeElement.innerText");
        focused.as_str().unwrap_or_default().to_owned()
    };
    page.press(&[Key::Tab]);
    assert_eq!(focus(), "skip");
    page.press(&[Key::Enter]);
    assert_eq!(focus(), "content");
    page.press(&[Key::Tab]);
    assert_eq!(focus(), "tree");
    let active = || {
        page.run("return document.getElementById(document.querySelector('#tree').getAttribute('aria-activedescendant')).querySelector('.label').innerText")
    };
    let first = active();
    page.press(&[Key::Left]);
    assert_eq!(page.run("return document.querySelector('.row').ariaExpanded"), "false");
    page.press(&[Key::Right, Key::Down, Key::Down, Key::Up, Key::Left, Key::Left]);
    assert_eq!(active(), first);
    page.press(&[Key::End]);
    assert_ne!(active(), first);
    page.press(&[Key::Home, Key::Down, Key::Enter]);
    assert_eq!(page.texts("#selected h4")[0], "Rules, the first that matches applies");

    page.press(&[Key::Character('/')]);
    assert_eq!(focus(), "filter");
    page.write("legal");
    page.wait("document.documentElement.dataset.filtered === 'legal'");

    // Backwards from the filter: the views, the details, the button, the URL.
    page.run("document.querySelector('[name=method]').focus()");
    page.press(&[Key::Tab]);
    assert_eq!(focus(), "url");
    page.write("shop.example.com/cart/legal");
    page.press(&[Key::Enter]);
    page.wait("document.documentElement.dataset.tried");
    assert_eq!(focus(), "url", "the focus stays");
    page.wait("document.querySelector('#announcer').textContent.startsWith('to default/web:80')");
    page.press(&[Key::Tab, Key::Tab, Key::Tab]);
    assert!(focus().starts_with("Routes"), "{}", focus());
    page.press(&[Key::Tab, Key::Tab, Key::Enter]);
    assert_eq!(page.text("h2:not([hidden] *)"), "Findings");
    page.finish();
}
