//! A running `ingressctl ui`, and a browser that shows its page.

use std::fs;
use std::io::{BufRead, BufReader};
use std::ops::Deref;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use ingress_tests::{Browser, Process, ingressctl};
use tempfile::TempDir;

/// Several services, with two errors.
pub(crate) const SHOP: &str = include_str!("shop.yaml");

/// The folder of manifests in `folder`.
pub(crate) fn manifests_in(folder: &TempDir) -> PathBuf {
    let manifests = folder.path().join("manifests");
    fs::create_dir_all(&manifests).expect("a folder");
    manifests
}

/// `ingressctl ui` on a folder of manifests.
pub(crate) struct Served {
    process: Process,
    folder: TempDir,
    pub(crate) url: String,
}

impl Served {
    pub(crate) fn start(manifests: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = manifests_in(&folder).join("shop.yaml");
        fs::write(file, manifests).expect("a manifest is written");
        Self::of_folder(folder)
    }

    /// Serves the manifests in the folder's `manifests`, and removes it in the end.
    pub(crate) fn of_folder(folder: TempDir) -> Self {
        // The page shows the path as the user wrote it.
        let mut process = Process::spawn(
            Command::new(ingressctl())
                .args(["ui", "-f", "manifests"])
                .current_dir(folder.path())
                .stdout(Stdio::piped()),
        );
        let line = BufReader::new(process.output()).lines().next();
        let line = line.expect("a line of output").expect("text");
        let url = line.strip_prefix("ready ").expect("the URL of the page").to_owned();
        Self { process, folder, url }
    }

    /// The folder of the manifests.
    pub(crate) fn manifests(&self) -> PathBuf {
        self.folder.path().join("manifests")
    }

    /// Replaces the manifests in one step.
    pub(crate) fn replace(&self, manifests: &str) {
        let new = self.manifests().join("shop.new");
        fs::write(&new, manifests).expect("a manifest is written");
        fs::rename(new, self.manifests().join("shop.yaml")).expect("a manifest is replaced");
    }

    /// Ends it like Ctrl-C.
    pub(crate) fn interrupt(self) -> Option<i32> {
        self.process.interrupt()
    }
}

/// The page in a browser.
pub(crate) struct Page {
    served: Served,
    browser: Browser,
}

impl Page {
    /// Shows the manifests.
    pub(crate) fn open(manifests: &str) -> Self {
        Self::of(Served::start(manifests), "")
    }

    /// Shows what is served, with a fragment.
    pub(crate) fn of(served: Served, fragment: &str) -> Self {
        let page = Self { served, browser: Browser::open(1280, 800) };
        page.visit(fragment);
        page
    }

    /// Goes to the page with another fragment, as if the link were opened in a new window.
    pub(crate) fn visit(&self, fragment: &str) {
        self.go("about:blank");
        self.go(&format!("{}{fragment}", self.served.url));
        self.wait("document.documentElement.dataset.version");
    }

    pub(crate) fn served(&self) -> &Served {
        &self.served
    }

    /// The fragment of the link to what the page shows.
    pub(crate) fn fragment(&self) -> String {
        self.run("return location.hash").as_str().expect("a fragment").to_owned()
    }

    /// Tries a request by the form.
    pub(crate) fn attempt(&self, url: &str, headers: &str) {
        if !headers.is_empty() {
            self.run("document.querySelector('#more').open = true");
            self.fill("[name=headers]", headers);
        }
        self.fill("[name=url]", url);
        self.run("delete document.documentElement.dataset.tried");
        self.click("#trial button[type=submit]");
        self.wait("document.documentElement.dataset.tried");
    }

    /// Filters by the field.
    pub(crate) fn filter(&self, text: &str) {
        if text.is_empty() {
            // WebDriver clears a field without the event that a user causes.
            self.run("const field = document.querySelector('#filter'); field.value = ''; field.dispatchEvent(new Event('input'))");
        } else {
            self.fill("#filter", text);
        }
        self.wait(&format!("document.documentElement.dataset.filtered === {text:?}"));
    }

    /// Selects the first row of the tree with this text.
    pub(crate) fn select(&self, text: &str) {
        let row = self.run(&format!(
            "return [...document.querySelectorAll('.row')].find((it) => it.querySelector('.label').innerText === {text:?})?.id ?? null"
        ));
        self.click(&format!("#{}", row.as_str().unwrap_or_else(|| panic!("no row {text}"))));
    }

    /// The rows of the tree, each with its level.
    pub(crate) fn rows(&self) -> Vec<(u64, String)> {
        let rows = self.run(
            "return [...document.querySelectorAll('.row')].map((it) => [Number(it.ariaLevel), it.querySelector('.label').innerText])",
        );
        serde_json::from_value(rows).expect("rows")
    }

    /// Closes the page, which has reported no error, and ends the server like Ctrl-C.
    pub(crate) fn finish(self) {
        let log = self.browser.log();
        assert!(log.is_empty(), "{log:?}");
        assert_eq!(self.served.interrupt(), Some(0));
    }
}

impl Deref for Page {
    type Target = Browser;

    fn deref(&self) -> &Browser {
        &self.browser
    }
}
