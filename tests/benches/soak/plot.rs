//! Plots over time: memory, requests, waits, threads and descriptors.

use std::path::{Path, PathBuf};

use ingress_tests::bench::Usage;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use crate::Seen;
use crate::limits::Limits;
use crate::sampler::Sample;

const SIZE: (u32, u32) = (920, 330);

/// Distinguishable with colour blindness (Okabe and Ito).
const ORANGE: RGBColor = RGBColor(213, 94, 0);
const BLUE: RGBColor = RGBColor(0, 114, 178);
const GREEN: RGBColor = RGBColor(0, 158, 115);

type Chart<'c, 'f> = ChartContext<'c, SVGBackend<'f>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

type Value = fn(&Sample) -> Option<f64>;

struct Line {
    name: String,
    colour: RGBColor,
    value: Value,
}

/// Draws all plots, and returns their files.
pub(crate) fn draw_all(seen: &Seen, limits: &Limits, folder: &Path) -> Vec<PathBuf> {
    let memory =
        format!("resident memory, MiB (limits {} and {})", limits.envoy, limits.controller);
    let line = |name: &str, colour, value| Line { name: name.to_owned(), colour, value };
    let plots = [
        (
            "memory",
            memory.as_str(),
            vec![
                line("Envoy", BLACK, |it| it.envoy.map(|usage| usage.resident_mib)),
                line("the controller", ORANGE, |it| it.controller.map(|usage| usage.resident_mib)),
            ],
        ),
        (
            "requests",
            "requests in a second",
            vec![
                line("answered rightly", BLACK, |it| Some(whole(it.answered))),
                line("failed while Envoy was killed", BLUE, |it| Some(whole(it.excused))),
                line("lost", ORANGE, |it| Some(whole(it.lost))),
            ],
        ),
        (
            "slowest",
            "slowest request of a second, ms",
            vec![line("slowest", BLACK, |it| (it.answered > 0).then_some(it.slowest_ms))],
        ),
        (
            "threads-and-descriptors",
            "number",
            vec![
                line("Envoy: threads", BLACK, |it| it.envoy.map(threads)),
                line("Envoy: open files and sockets", BLUE, |it| it.envoy.map(descriptors)),
                line("controller: threads", ORANGE, |it| it.controller.map(threads)),
                line("controller: open files and sockets", GREEN, |it| {
                    it.controller.map(descriptors)
                }),
            ],
        ),
    ];
    let draw_one = |(name, title, lines): (&str, &str, Vec<Line>)| {
        let file = folder.join(format!("soak-{name}.svg"));
        draw(&file, title, &lines, seen);
        file
    };
    plots.into_iter().map(draw_one).collect()
}

fn threads(usage: Usage) -> f64 {
    whole(usage.threads)
}

fn descriptors(usage: Usage) -> f64 {
    whole(usage.descriptors)
}

fn draw(file: &Path, title: &str, lines: &[Line], seen: &Seen) {
    let minutes = seen.samples.last().map_or(1.0, |it| it.at / 60.0);
    let values = lines.iter().flat_map(|line| seen.samples.iter().filter_map(line.value));
    // With space for the legend above the lines.
    let most = values.fold(1.0, f64::max) * 1.45;
    let root = SVGBackend::new(file, SIZE).into_drawing_area();
    root.fill(&WHITE).expect("an image");
    let mut chart = ChartBuilder::on(&root)
        .caption(title, ("sans-serif", 16))
        .margin(10)
        .margin_right(24)
        .x_label_area_size(44)
        .y_label_area_size(66)
        .build_cartesian_2d(0.0..minutes, 0.0..most)
        .expect("a chart");
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.12))
        .x_desc("minutes (bars at the bottom: kills, black of Envoy, orange of the controller)")
        .label_style(("sans-serif", 13))
        .axis_desc_style(("sans-serif", 14))
        .draw()
        .expect("a mesh");
    draw_kills(&mut chart, most, seen);
    draw_lines(&mut chart, lines, &seen.samples);
    let mut legend = chart.configure_series_labels();
    legend.position(SeriesLabelPosition::UpperLeft);
    legend
        .background_style(WHITE.mix(0.8))
        .label_font(("sans-serif", 13))
        .draw()
        .expect("a legend");
    root.present().expect("an image is written");
}

fn draw_kills(chart: &mut Chart<'_, '_>, most: f64, seen: &Seen) {
    let record = &seen.turns;
    for (kills, colour) in [(&record.envoy_kills, BLACK), (&record.controller_kills, ORANGE)] {
        let bars = kills.iter().map(|kill| {
            let points = [0.0, 0.06].map(|part| (kill.at / 60.0, most * part));
            PathElement::new(points, colour.stroke_width(2))
        });
        chart.draw_series(bars).expect("kills");
    }
}

fn draw_lines(chart: &mut Chart<'_, '_>, lines: &[Line], samples: &[Sample]) {
    for line in lines {
        let colour = line.colour;
        let parts = pieces(samples, line.value);
        let paths = parts.into_iter().map(|part| PathElement::new(part, colour.stroke_width(1)));
        let drawn = chart.draw_series(paths).expect("a line");
        let sign = move |(x, y)| PathElement::new([(x, y), (x + 22, y)], colour.stroke_width(2));
        drawn.label(line.name.as_str()).legend(sign);
    }
}

/// Consecutive samples that have a value: there is no line while a process does not
/// run.
fn pieces(samples: &[Sample], value: Value) -> Vec<Vec<(f64, f64)>> {
    let runs = samples.chunk_by(|one, next| value(one).is_some() == value(next).is_some());
    let points = runs.map(|run| {
        run.iter().filter_map(|it| Some((it.at / 60.0, value(it)?))).collect::<Vec<_>>()
    });
    points.filter(|points| points.len() > 1).collect()
}

fn whole(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
