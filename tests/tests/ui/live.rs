//! The page follows the files.

use crate::page::{Page, SHOP};

#[test]
fn a_change_of_a_file_is_shown_without_a_reload() {
    let page = Page::open(SHOP);
    page.attempt("http://shop.example.com/cart/3", "");
    page.run("window.isSamePage = true");
    assert!(page.text(".way").contains("/cart"));
    let typed = "http://shop.example.com/half";
    page.fill("[name=url]", typed);
    page.served().replace(&SHOP.replace("path: /cart\n", "path: /basket\n"));
    page.wait("[...document.querySelectorAll('.label')].some((it) => it.innerText === '/basket')");
    // The request is tried again.
    page.wait("document.querySelector('.way')?.innerText.includes('cart') === false");
    assert_eq!(page.texts(".way li")[1], "Path prefix /");
    // What is being typed stays.
    assert_eq!(page.run("return document.querySelector('[name=url]').value"), typed);
    assert_eq!(page.run("return window.isSamePage"), true);
    page.wait("document.querySelector('#announcer').textContent !== ''");

    page.served().replace("{ this is: [no YAML");
    page.wait("document.querySelector('#problem').innerText.includes('could not be read')");
    page.served().replace(SHOP);
    page.wait("document.querySelector('#problem').hidden");
    page.finish();
}
