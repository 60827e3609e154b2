//! An inspection for a terminal.

use std::cmp::Reverse;
use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use super::Inspection;
use crate::finding::one_line;

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();

/// The inspection of the module in this file. It has colours, which the caller removes if they
/// are not wanted.
pub(crate) fn text(file: &str, module: &Inspection) -> String {
    let mut text = String::new();
    let version = module.abi_version.as_ref();
    let version = version.map_or("no ABI version".to_owned(), |it| format!("ABI {it}"));
    let _ = writeln!(text, "{}: {} bytes, {version}", one_line(file), grouped(module.size));
    write_producers(&mut text, module);
    write_memory(&mut text, module);
    write_imports(&mut text, module);
    write_exports(&mut text, module);
    write_sections(&mut text, module);
    if module.problems.is_empty() {
        let _ = writeln!(text, "{GOOD}Envoy can load this module.{GOOD:#}");
    } else {
        let _ = writeln!(text, "{BAD}Envoy cannot load this module:{BAD:#}");
        for problem in &module.problems {
            let _ = writeln!(text, "  {}", one_line(problem));
        }
    }
    text
}

fn write_producers(text: &mut String, module: &Inspection) {
    for producer in &module.producers {
        let (role, name) = (one_line(&producer.role), one_line(&producer.name));
        let version = one_line(&producer.version);
        let line = format!("{role}: {name} {version}");
        let _ = writeln!(text, "{}", line.trim_end());
    }
}

fn write_memory(text: &mut String, module: &Inspection) {
    let Some(memory) = &module.memory else {
        text.push_str("memory: none\n");
        return;
    };
    let maximum =
        memory.maximum_pages.map_or("no maximum".to_owned(), |pages| format!("at most {pages}"));
    let kib = memory.pages.saturating_mul(64);
    let _ = writeln!(text, "memory: {} pages ({kib} KiB) at the start, {maximum}", memory.pages);
}

fn write_imports(text: &mut String, module: &Inspection) {
    let _ = writeln!(text, "imports ({})", module.imports.len());
    for import in &module.imports {
        let name = one_line(&format!("{}.{}", import.module, import.name));
        let _ = write!(text, "  {name} {}", import.r#type);
        write_problem(text, import.problem.as_deref());
    }
}

fn write_exports(text: &mut String, module: &Inspection) {
    let (used, others): (Vec<_>, Vec<_>) = module.exports.iter().partition(|export| export.used);
    let _ = writeln!(text, "exports that Envoy uses ({})", used.len());
    for export in used {
        let _ = write!(text, "  {} {}", one_line(&export.name), export.r#type);
        write_problem(text, export.problem.as_deref());
    }
    if !others.is_empty() {
        let names: Vec<_> = others.iter().map(|export| one_line(&export.name)).collect();
        let _ = writeln!(text, "other exports ({})\n  {}", names.len(), names.join(", "));
    }
}

fn write_problem(text: &mut String, problem: Option<&str>) {
    let _ = match problem {
        Some(problem) => writeln!(text, "  {BAD}{problem}{BAD:#}"),
        None => writeln!(text),
    };
}

/// The sections, largest first.
fn write_sections(text: &mut String, module: &Inspection) {
    let mut sections: Vec<_> = module.sections.iter().collect();
    sections.sort_by_key(|section| Reverse(section.size));
    let names: Vec<_> = sections.iter().map(|section| one_line(&section.name)).collect();
    let wide = names.iter().map(|name| name.chars().count()).max().unwrap_or_default();
    let digits = sections.first().map_or(0, |section| grouped(section.size).len());
    let _ = writeln!(text, "sections (bytes)");
    for (section, name) in sections.iter().zip(names) {
        let tenths = section.size.saturating_mul(1000) / module.size.max(1);
        let size = grouped(section.size);
        let percent = format!("{}.{}", tenths / 10, tenths % 10);
        let _ = writeln!(text, "  {name:wide$}  {size:>digits$}  {percent:>5} %");
    }
}

/// A number with a comma between thousands.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
