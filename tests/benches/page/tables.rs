//! The tables of the page.

use std::collections::BTreeSet;
use std::fmt::Write;

use ingress_tests::bench::{Figure, Report, grouped};

use crate::grouped_by;

/// The command and machine of a benchmark's figures, and what was left out.
pub(crate) fn origin(report: &Report) -> String {
    let machine = &report.machine;
    let mut text = format!(
        "\n`{}` printed these, on {} cores ({}), {} GiB, with Envoy {}.\n",
        report.command, machine.cores, machine.processor, machine.memory_gib, machine.envoy
    );
    for note in &report.notes {
        writeln!(text, "* {note}.").expect("text");
    }
    text
}

/// A table for each group of a quantity: one row per series, one column per size.
pub(crate) fn of_quantity(figures: &[&Figure]) -> String {
    let sizes: BTreeSet<_> = figures.iter().filter_map(|figure| figure.size).collect();
    let mut text = String::new();
    for group in grouped_by(figures.iter().copied(), |figure| &figure.group) {
        write!(text, "\n| {} |", group[0].group).expect("text");
        for size in &sizes {
            write!(text, " {} |", grouped(size)).expect("text");
        }
        writeln!(text, "\n| --- |{}", " --- |".repeat(sizes.len())).expect("text");
        for series in grouped_by(group, |figure| &figure.series) {
            write!(text, "| {} |", series[0].series).expect("text");
            for size in &sizes {
                let figure = series.iter().find(|figure| figure.size == Some(*size));
                write!(text, " {} |", figure.map(|figure| cell(figure)).unwrap_or_default())
                    .expect("text");
            }
            text.push('\n');
        }
    }
    text
}

/// A figure, with its budget if that is missed.
fn cell(figure: &Figure) -> String {
    match (&figure.target, figure.is_kept()) {
        (Some(target), Some(false)) => format!("{}, **budget {target}**", figure.numbers()),
        _ => figure.numbers(),
    }
}

/// All budgets, except those of the many kinds of requests in the module, of which
/// only the missed ones are listed.
pub(crate) fn budgets(reports: &[(&str, Report)]) -> String {
    let mut text = "\n| what | figure | budget | |\n| --- | --- | --- | --- |\n".to_owned();
    let (mut kinds, mut missed) = (0, 0);
    for (name, report) in reports {
        for figure in &report.figures {
            let Some(is_kept) = figure.is_kept() else { continue };
            if *name == "module" {
                kinds += 1;
                missed += usize::from(!is_kept);
            }
            if *name != "module" || !is_kept {
                text += &row(figure, is_kept);
            }
        }
    }
    writeln!(text, "\nOf the {kinds} budgets of requests in the module, {missed} are missed.")
        .expect("text");
    text
}

fn row(figure: &Figure, is_kept: bool) -> String {
    let Figure { group, quantity, series, unit, .. } = figure;
    let size = figure.size.map(grouped).unwrap_or_default();
    let target = figure.target.as_deref().unwrap_or_default();
    let verdict = if is_kept { "kept" } else { "**missed**" };
    let numbers = figure.numbers();
    format!(
        "| {size} {group}: {quantity}, {series} | {numbers} {unit} | {target} {unit} | {verdict} |\n"
    )
}
