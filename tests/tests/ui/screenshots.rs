//! The images of `docs/ui.md`. `UPDATE_GOLDEN=1` makes them again.

use std::path::Path;
use std::{env, fs};

use ingress_tests::workspace;

use crate::lists::shop_with_certificates;
use crate::page::Page;

/// The largest image, because everyone who clones the repository gets them.
const MAX_BYTES: u64 = 150_000;

const REQUEST: &str = "url=shop.example.com/cart/3&header=cookie:+group%3Dbeta";

/// An image: its name, the view, the colours, and the size.
const IMAGES: [(&str, &str, &str, (u32, u32)); 5] = [
    ("light", REQUEST, "light", (1280, 860)),
    ("dark", REQUEST, "dark", (1280, 860)),
    ("findings", "view=findings", "light", (1280, 860)),
    ("certificates", "view=certificates", "light", (1280, 420)),
    ("narrow", REQUEST, "light", (390, 1500)),
];

fn update(folder: &Path) {
    let page = Page::of(shop_with_certificates().0, "");
    for (name, fragment, scheme, (width, height)) in IMAGES {
        page.resize(width, height);
        page.prefer("prefers-color-scheme", scheme);
        page.visit(&format!("#{fragment}"));
        if fragment.contains("url=") {
            page.wait("document.documentElement.dataset.tried");
        }
        let image = page.screenshot();
        fs::write(folder.join(format!("ui-{name}.png")), image).expect("an image is written");
    }
    page.finish();
}

#[test]
fn the_documentation_has_images_of_the_page() {
    let folder = workspace().join("docs/images");
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::create_dir_all(&folder).unwrap();
        update(&folder);
    }
    let text = fs::read_to_string(workspace().join("docs/ui.md")).unwrap();
    for (name, ..) in IMAGES {
        let file = format!("ui-{name}.png");
        let image = fs::metadata(folder.join(&file)).unwrap_or_else(|error| {
            panic!("docs/images/{file}: {error}; make it with UPDATE_GOLDEN=1 cargo test -p ingress-tests --test ui screenshots")
        });
        assert!(image.len() < MAX_BYTES, "{file} has {} bytes", image.len());
        assert!(text.contains(&format!("images/{file}")), "docs/ui.md does not show {file}");
    }
}
