//! The files of the page: written by hand, and part of the command.

/// A file of the page.
pub(super) struct Asset {
    /// Its path after the token.
    pub(super) path: &'static str,
    pub(super) content_type: &'static str,
    pub(super) content: &'static str,
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

macro_rules! assets {
    ($($path:literal: $file:literal, $content_type:ident;)*) => {
        const ASSETS: &[Asset] = &[$(Asset {
            path: $path,
            content_type: $content_type,
            content: include_str!(concat!("assets/", $file)),
        },)*];
    };
}

assets! {
    "": "index.html", HTML;
    "page.css": "page.css", CSS;
    "page.js": "page.js", SCRIPT;
    "dom.js": "dom.js", SCRIPT;
    "link.js": "link.js", SCRIPT;
    "tree.js": "tree.js", SCRIPT;
    "details.js": "details.js", SCRIPT;
    "trial.js": "trial.js", SCRIPT;
    "lists.js": "lists.js", SCRIPT;
}

/// The file at this path after the token.
pub(super) fn asset(path: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.path == path)
}
