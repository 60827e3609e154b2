//! Generates `docs/benchmarks.md` and its plots from the figures of the other
//! benchmarks:
//!
//! ```console
//! $ cargo bench -p ingress-tests --bench page          # of the figures that are there
//! $ cargo bench -p ingress-tests --bench page -- all   # of new ones: runs all, for an hour
//! ```
//!
//! After `--`, `all short` takes about ten minutes and writes page, figures and
//! plots to `target` instead of `docs`; other words after `all` are passed to each
//! of the other benchmarks, such as `slices=5`.

mod plot;
mod tables;

use std::fs;
use std::path::Path;
use std::process::Command;

use ingress_tests::bench::{Arguments, Figure, Report, folder};
use ingress_tests::workspace;

/// The benchmarks in the order of the page.
const BENCHES: [&str; 4] = ["envoy", "loading", "module", "matcher"];

/// The arguments of a run that measures.
const ALL: &str = "all";

fn main() {
    let arguments = Arguments::of_process();
    let folder = folder(arguments.is_short());
    if arguments.has(ALL) {
        measure(&arguments, &folder);
    }
    let reports: Vec<_> = BENCHES
        .iter()
        .map(|name| (*name, folder.join(format!("{name}.json"))))
        .filter(|(_, file)| file.is_file())
        .map(|(name, file)| (name, Report::read(&file)))
        .collect();
    let template = workspace().join("docs/benchmarks.md");
    let mut page = fs::read_to_string(&template).expect("docs/benchmarks.md");
    for (name, report) in &reports {
        fill(&mut page, name, &section(name, report, &folder));
    }
    fill(&mut page, "budgets", &tables::budgets(&reports));
    // Next to the folder, because the links on the page are relative.
    let file = folder.with_extension("md");
    fs::write(&file, page).expect("the page is written");
    println!("{}", file.display());
}

/// Runs all benchmarks, after deleting the earlier figures.
fn measure(arguments: &Arguments, folder: &Path) {
    run(Command::new(env!("CARGO")).args(["build", "--release"]));
    for name in BENCHES {
        let _ = fs::remove_file(folder.join(format!("{name}.json")));
        let mut command = Command::new(env!("CARGO"));
        command.args(["bench", "-p", "ingress-tests", "--bench", name, "--"]);
        run(command.args(arguments.without(ALL)));
    }
}

fn run(command: &mut Command) {
    let status = command.current_dir(workspace()).status().expect("cargo runs");
    assert!(status.success(), "{command:?} failed");
}

/// Replaces the text between the markers of a section.
fn fill(page: &mut String, name: &str, section: &str) {
    let (begin, end) = (format!("<!-- figures: {name} -->\n"), "<!-- end of figures -->");
    let Some(start) = page.find(&begin).map(|start| start + begin.len()) else {
        panic!("docs/benchmarks.md has no section for {name}");
    };
    let len = page[start..].find(end).expect("the end of the section");
    page.replace_range(start..start + len, section);
}

/// The figures of a benchmark: a plot and tables for each quantity.
fn section(name: &str, report: &Report, folder: &Path) -> String {
    let quantities = quantities(&report.figures);
    let texts = quantities.iter().map(|quantity| {
        let heading = quantity[0].quantity_with_unit();
        if let Some(value) = only_value(quantity) {
            return format!("\n**{heading}**: {value} for each.\n");
        }
        let file = format!("{name}-{}.svg", slug(&quantity[0].quantity));
        let is_drawn = plot::draw(quantity, &folder.join(&file));
        let alternative = &quantity[0].quantity;
        let plot = if is_drawn {
            format!("\n![{alternative}](benchmarks/{file})\n")
        } else {
            String::new()
        };
        format!("\n**{heading}**\n{plot}{}", tables::of_quantity(quantity))
    });
    tables::origin(report) + &texts.collect::<String>()
}

/// The figures of each quantity, in the order of their first figure.
fn quantities(figures: &[Figure]) -> Vec<Vec<&Figure>> {
    grouped_by(figures.iter(), |figure| &figure.quantity)
}

/// Groups in the order of their first item.
fn grouped_by<'f>(
    figures: impl IntoIterator<Item = &'f Figure>,
    key: impl Fn(&'f Figure) -> &'f str,
) -> Vec<Vec<&'f Figure>> {
    let mut groups: Vec<Vec<&Figure>> = Vec::new();
    for figure in figures {
        match groups.iter_mut().find(|group| key(group[0]) == key(figure)) {
            Some(group) => group.push(figure),
            None => groups.push(vec![figure]),
        }
    }
    groups
}

/// The common value of all figures, if there is one.
fn only_value(figures: &[&Figure]) -> Option<String> {
    let first = figures[0].numbers();
    (figures.len() > 1 && figures.iter().all(|figure| figure.numbers() == first)).then_some(first)
}

fn slug(text: &str) -> String {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric());
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-").to_lowercase()
}
