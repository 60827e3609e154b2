//! Draws the panels of the dashboard without Grafana.

use std::path::Path;
use std::thread;
use std::time::Duration;

use ingress_tests::{Prometheus, say, workspace};
use plotters::coord::Shift;
use plotters::prelude::*;
use serde_json::Value;

use crate::dashboard::{Panel, panels};
use crate::rig::Rig;

const SECONDS: u64 = 90;
const COLUMNS: usize = 3;
const PANEL: (u32, u32) = (480, 230);

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A line: its name, and its values at seconds before now.
type Line = (String, Vec<(f64, f64)>);

/// `cargo test -p ingress-tests --test monitoring plot -- --ignored --nocapture`
#[test]
#[ignore = "draws a picture, in two minutes"]
fn plot_of_the_dashboard() {
    let rig = Rig::start("monitoring-plot");
    let prometheus = rig.watch();
    let file = workspace().join("target/dashboard.svg");
    rig.under_traffic(|| {
        thread::sleep(Duration::from_secs(SECONDS));
        draw(&prometheus, &file);
    });
    say(&format!("written to {}", file.display()));
}

fn draw(prometheus: &Prometheus, file: &Path) {
    let panels = panels();
    let rows = panels.len().div_ceil(COLUMNS);
    let width = PANEL.0 * u32::try_from(COLUMNS).unwrap();
    let height = PANEL.1 * u32::try_from(rows).unwrap();
    let root = SVGBackend::new(file, (width, height)).into_drawing_area();
    root.fill(&WHITE).unwrap();
    for (panel, area) in panels.iter().zip(root.split_evenly((rows, COLUMNS))) {
        draw_panel(&lines(prometheus, panel), panel, &area);
    }
    root.present().unwrap();
}

fn lines(prometheus: &Prometheus, panel: &Panel) -> Vec<Line> {
    let mut lines = Vec::new();
    for (query, legend) in &panel.queries {
        for series in prometheus.query_range(query, SECONDS).unwrap() {
            let values = series["values"].as_array().unwrap();
            let last = values.last().unwrap()[0].as_f64().unwrap();
            let value = |value: &Value| {
                let number = value[1].as_str()?.parse::<f64>().ok()?;
                number.is_finite().then_some((value[0].as_f64()? - last, number))
            };
            lines.push((
                named(legend, &series["metric"]),
                values.iter().filter_map(value).collect(),
            ));
        }
    }
    lines
}

/// The legend with the values of labels.
fn named(legend: &str, labels: &Value) -> String {
    let mut name = legend.to_owned();
    for (label, value) in labels.as_object().into_iter().flatten() {
        name = name.replace(&format!("{{{{{label}}}}}"), value.as_str().unwrap_or_default());
    }
    // Labels without a value are absent.
    let mut parts = name.split("{{");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |name, part| name + part.split_once("}}").map_or(part, |(_, rest)| rest))
}

fn draw_panel(lines: &[Line], panel: &Panel, area: &Area<'_>) {
    let values = lines.iter().flat_map(|(_, points)| points.iter().map(|(_, value)| *value));
    let most = values.fold(0.0, f64::max);
    let most = if most > 0.0 { most * 1.15 } else { 1.0 };
    #[expect(clippy::cast_precision_loss, reason = "some minutes")]
    let start = -(SECONDS as f64);
    let mut chart = ChartBuilder::on(area)
        .caption(&panel.title, ("sans-serif", 15))
        .margin(8)
        .x_label_area_size(20)
        .y_label_area_size(58)
        .build_cartesian_2d(start..0.0, 0.0..most)
        .unwrap();
    chart
        .configure_mesh()
        .disable_x_mesh()
        .y_labels(5)
        .x_labels(4)
        .y_label_formatter(&|value| short(*value))
        .x_label_formatter(&|second| format!("{second} s"))
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.1))
        .draw()
        .unwrap();
    for (index, (name, points)) in lines.iter().enumerate() {
        let color = Palette99::pick(index).to_rgba();
        chart
            .draw_series(LineSeries::new(points.iter().copied(), color.stroke_width(2)))
            .unwrap()
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 12, y)], color.stroke_width(2)));
    }
    if !lines.is_empty() {
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .label_font(("sans-serif", 11))
            .background_style(WHITE.mix(0.7))
            .draw()
            .unwrap();
    }
}

fn short(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{:.0} M", value / 1e6),
        value if value >= 1e3 => format!("{:.0} k", value / 1e3),
        value if value >= 10.0 => format!("{value:.0}"),
        value => format!("{value:.2}"),
    }
}
