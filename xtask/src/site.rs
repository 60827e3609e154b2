//! `cargo xtask site`: the documentation as a site.
//!
//! The pages link to each other, and to files and folders of the repository, by relative
//! paths. The site has the same paths, with the files that are linked to, so each link
//! works in both. A folder is a page that shows its files.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use clap::Args;
use pulldown_cmark::{Event, Options, Parser, Tag};

use crate::step::{made_by, make_empty, program, run, step, workspace};

/// Searching is the only feature that the pages use.
const MDBOOK: [&str; 5] = ["mdbook", "0.5.4", "--no-default-features", "--features", "search"];
/// A file in each site, which says that the folder is one.
const SIGN: &str = ".ingress-site";
const SUMMARY: &str = "docs/SUMMARY.md";
const README: &str = "README.md";

/// Make the documentation as a site, and check its links
///
/// Writes HTML that any web server can serve, or a browser open.
#[derive(Debug, Args)]
pub(crate) struct Site {
    /// Write to this folder, which is new, empty, or has an earlier site, which is deleted
    #[arg(short, long, value_name = "DIR", default_value = "target/site")]
    output: PathBuf,
}

impl Site {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let book = tempfile::tempdir()?;
        let pages = Pages::read()?;
        pages.write(&book.path().join("src"))?;
        fs::copy(workspace().join("docs/book.toml"), book.path().join("book.toml"))?;
        let output = workspace().join(&self.output);
        step("the site");
        make_empty(&output, SIGN)?;
        let mdbook = program(&MDBOOK)?;
        run(Command::new(mdbook).arg("build").arg(book.path()).arg("--dest-dir").arg(&output))?;
        // mdBook has deleted it.
        fs::write(output.join(SIGN), "")?;
        step("its links");
        let lychee = made_by("tests/python/lychee.sh")?;
        let mut check = Command::new(lychee);
        check.args(["--offline", "--include-fragments", "--no-progress", "--root-dir"]);
        // mdBook's own page for wrong addresses has a base of its own.
        check.arg(&output).args(["--exclude-path", "404.html"]).arg(&output);
        run(&mut check)?;
        println!("{}", output.join("index.html").display());
        Ok(())
    }
}

/// All that the site shows, by path in the repository.
struct Pages {
    /// Markdown, with links to the paths of the site.
    texts: BTreeMap<PathBuf, String>,
    /// Files that pages link to or show.
    files: BTreeSet<PathBuf>,
    /// The table of contents.
    summary: String,
}

impl Pages {
    fn read() -> anyhow::Result<Self> {
        let summary = fs::read_to_string(workspace().join(SUMMARY)).context(SUMMARY)?;
        let mut pages = Self { texts: BTreeMap::new(), files: BTreeSet::new(), summary };
        pages.add(Path::new(SUMMARY))?;
        for link in links(&pages.summary) {
            pages.add(&beside(Path::new(SUMMARY), &link))?;
        }
        // A page of a folder can link to others.
        let mut folders = BTreeSet::new();
        while let Some(folder) = pages.next_folder(&folders) {
            pages.add_folder(&folder)?;
            folders.insert(folder);
        }
        pages.complete(&folders);
        Ok(pages)
    }

    fn add(&mut self, page: &Path) -> anyhow::Result<()> {
        let path = workspace().join(page);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        self.texts.insert(page.to_owned(), text);
        Ok(())
    }

    /// A folder that a page links to, and that is no page yet.
    fn next_folder(&self, known: &BTreeSet<PathBuf>) -> Option<PathBuf> {
        self.targets().find(|target| {
            let is_page = self.texts.contains_key(&target.join(README));
            workspace().join(target).is_dir() && !is_page && !known.contains(target)
        })
    }

    /// All paths in the repository that pages link to.
    fn targets(&self) -> impl Iterator<Item = PathBuf> {
        self.texts
            .iter()
            .flat_map(|(page, text)| links(text).into_iter().map(move |link| beside(page, &link)))
    }

    /// Shows the files of a folder, if it has no page of its own.
    fn add_folder(&mut self, folder: &Path) -> anyhow::Result<()> {
        let page = folder.join(README);
        if workspace().join(&page).is_file() {
            return self.add(&page);
        }
        let mut text = format!("# {}\n", folder.display());
        let mut entries: Vec<_> =
            fs::read_dir(workspace().join(folder))?.collect::<Result<_, _>>()?;
        entries.sort_by_key(fs::DirEntry::path);
        for entry in entries {
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.path().is_dir() {
                writeln!(text, "\n* [{name}/]({name})")?;
                continue;
            }
            writeln!(text, "\n* [{name}]({name})")?;
            let language = name.rsplit('.').next().unwrap_or_default();
            let content = fs::read_to_string(entry.path()).unwrap_or_default();
            if matches!(language, "yaml" | "toml") && content.lines().count() < 200 {
                let content = content.trim_end().replace('\n', "\n  ");
                writeln!(text, "\n  ```{language}\n  {content}\n  ```")?;
            }
        }
        self.texts.insert(page, text);
        Ok(())
    }

    /// Adds the files that are linked to, and leads links to folders to their pages.
    fn complete(&mut self, folders: &BTreeSet<PathBuf>) {
        let mut files: BTreeSet<_> = self.targets().collect();
        files.retain(|path| workspace().join(path).is_file() && !self.texts.contains_key(path));
        self.files = files;
        for (page, text) in &mut self.texts {
            for link in links(text) {
                if let Some(index) = index_of(page, &link, folders) {
                    *text = text.replace(&format!("]({link})"), &format!("]({index})"));
                }
            }
        }
        self.contents(folders);
    }

    /// The contents are at the root of the site, and have the pages of folders.
    fn contents(&mut self, folders: &BTreeSet<PathBuf>) {
        let mut named = BTreeSet::new();
        for link in links(&self.summary) {
            let page = beside(Path::new(SUMMARY), &link);
            let moved = format!("]({})", in_site(&page).display());
            self.summary = self.summary.replace(&format!("]({link})"), &moved);
            named.insert(page);
        }
        // Writing to a string does not fail.
        let _ = writeln!(self.summary, "\n# Files\n- [All pages]({SUMMARY})");
        for folder in folders {
            let page = folder.join(README);
            if !named.contains(&page) {
                let (folder, page) = (folder.display(), in_site(&page));
                let _ = writeln!(self.summary, "- [{folder}]({})", page.display());
            }
        }
    }

    fn write(&self, root: &Path) -> anyhow::Result<()> {
        let write = |path: &Path, content: &[u8]| -> anyhow::Result<()> {
            let path = root.join(path);
            fs::create_dir_all(path.parent().context("a folder")?)?;
            fs::write(&path, content).with_context(|| path.display().to_string())
        };
        write(Path::new("SUMMARY.md"), self.summary.as_bytes())?;
        for (page, text) in &self.texts {
            write(&in_site(page), text.as_bytes())?;
        }
        for file in &self.files {
            write(file, &fs::read(workspace().join(file))?)?;
        }
        ensure!(!self.texts.is_empty(), "{SUMMARY} names no page");
        Ok(())
    }
}

/// The relative links in a text, and its pictures.
fn links(text: &str) -> Vec<String> {
    let mut links = Vec::new();
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        if let Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) = event {
            let is_relative = !dest_url.contains(':') && !dest_url.starts_with('#');
            links.extend(is_relative.then(|| dest_url.to_string()));
        }
    }
    links
}

/// The link to the page of a folder, for a link to the folder or its `README.md`.
fn index_of(page: &Path, link: &str, folders: &BTreeSet<PathBuf>) -> Option<String> {
    if folders.contains(&beside(page, link)) {
        return Some(format!("{}/index.md", link.trim_end_matches('/')));
    }
    link.contains(README).then(|| link.replace(README, "index.md"))
}

/// Where a page is in the site: web servers look for an index, not for a README.
fn in_site(page: &Path) -> PathBuf {
    if page.ends_with(README) { page.with_file_name("index.md") } else { page.to_owned() }
}

/// The path in the repository that a link on a page leads to.
fn beside(page: &Path, link: &str) -> PathBuf {
    let path = link.split('#').next().unwrap_or_default();
    let mut target = page.parent().unwrap_or(Path::new("")).to_owned();
    for part in Path::new(path).components() {
        match part {
            Component::ParentDir => drop(target.pop()),
            Component::Normal(name) => target.push(name),
            _ => {}
        }
    }
    target
}
