//! Plots: a panel for each group, a line for each series.

mod axes;

use std::path::Path;

use ingress_tests::bench::Figure;
use plotters::coord::Shift;
use plotters::prelude::*;

use crate::grouped_by;
use axes::{Axis, size};

/// The maximum number of lines in a panel; the others are left out.
const LINES: usize = 7;

const PANEL: (u32, u32) = (460, 330);

/// The width of one item of the legend.
const LEGEND: (u32, u32) = (300, 22);

/// The colour of this filter, in each plot.
const OURS: RGBColor = BLACK;

/// Distinguishable with colour blindness (Okabe and Ito).
const OTHERS: [RGBColor; LINES] = [
    RGBColor(213, 94, 0),
    RGBColor(0, 114, 178),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(150, 150, 150),
];

/// The series of a plot, each with its colour.
type Series<'f> = Vec<(&'f str, RGBColor)>;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws the figures of one quantity, unless there is only one size.
pub(crate) fn draw(figures: &[&Figure], file: &Path) -> bool {
    let sized = || figures.iter().copied().filter(|figure| figure.size.is_some());
    let series = series(sized());
    let is_shown = |figure: &&Figure| series.iter().any(|(name, _)| *name == figure.series);
    let shown: Vec<_> = sized().filter(is_shown).collect();
    let (x, y) = (Axis::of_sizes(&shown), Axis::of_values(&shown));
    if x.has_one_tick() {
        return false;
    }
    let panels = grouped_by(shown.iter().copied(), |figure| &figure.group);
    let columns = panels.len().min(2);
    let rows = panels.len().div_ceil(columns);
    let width = PANEL.0 * whole(columns);
    let per_row = usize::try_from(width / LEGEND.0).unwrap_or(1).max(1);
    let has_budgets = shown.iter().any(|figure| figure.target_number().is_some());
    let items = series.len() + usize::from(has_budgets);
    let legend_height = LEGEND.1 * whole(items.div_ceil(per_row)) + 10;
    let size = (width, PANEL.1 * whole(rows) + legend_height);
    let root = SVGBackend::new(file, size).into_drawing_area();
    root.fill(&WHITE).expect("an image");
    let (top, bottom) = root.split_vertically(size.1 - legend_height);
    for (panel, area) in panels.iter().zip(top.split_evenly((rows, columns))) {
        draw_panel(panel, &series, &x, &y, &area);
    }
    draw_legend(&series, has_budgets, per_row, &bottom);
    root.present().expect("an image is written");
    true
}

/// The first series, with those of this filter before all others.
fn series<'f>(figures: impl Iterator<Item = &'f Figure>) -> Series<'f> {
    let all = grouped_by(figures, |figure| &figure.series);
    let names = all.iter().map(|figures| figures[0].series.as_str());
    let (ours, others): (Vec<_>, Vec<_>) =
        names.partition(|name: &&str| name.starts_with("this filter"));
    let ours = ours.into_iter().map(|name| (name, OURS));
    ours.chain(others.into_iter().zip(OTHERS)).take(LINES).collect()
}

fn draw_panel(figures: &[&Figure], series: &Series<'_>, x: &Axis, y: &Axis, area: &Area<'_>) {
    let mut chart = ChartBuilder::on(area)
        .caption(&figures[0].group, ("sans-serif", 16))
        .margin(10)
        .margin_right(24)
        .x_label_area_size(44)
        .y_label_area_size(66)
        .build_cartesian_2d(x.clone(), y.clone())
        .expect("a chart");
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.12))
        .x_desc("routes in the table")
        .y_desc(figures[0].quantity_with_unit())
        .label_style(("sans-serif", 13))
        .axis_desc_style(("sans-serif", 14))
        .draw()
        .expect("a mesh");
    for (name, colour) in series {
        let of_series = || figures.iter().filter(|figure| figure.series == *name);
        let mut points: Vec<_> = of_series().map(|figure| (size(figure), figure.value)).collect();
        points.sort_by(|one, other| one.0.total_cmp(&other.0));
        let line = LineSeries::new(points.iter().copied(), colour.stroke_width(2));
        chart.draw_series(line).expect("a line");
        let circles = points.into_iter().map(|point| Circle::new(point, 3, colour.filled()));
        chart.draw_series(circles).expect("points");
        let ranges = of_series().filter_map(|figure| {
            let ends = figure.range?.map(|value| (size(figure), value));
            Some(PathElement::new(ends, colour.mix(0.6)))
        });
        chart.draw_series(ranges).expect("ranges");
        let budgets = of_series().filter_map(|figure| {
            let budget = figure.target_number()?;
            let ends = x.around(size(figure)).map(|size| (size, budget));
            Some(PathElement::new(ends, colour.stroke_width(4)))
        });
        chart.draw_series(budgets).expect("budgets");
    }
}

fn draw_legend(series: &Series<'_>, has_budgets: bool, per_row: usize, area: &Area<'_>) {
    let budget = has_budgets.then_some(("short thick bar: its budget", BLACK));
    let items = series.iter().copied().chain(budget);
    for (index, (name, colour)) in items.enumerate() {
        let place =
            |count: usize, size: u32| i32::try_from(whole(count) * size).unwrap_or_default();
        let (left, top) = (20 + place(index % per_row, LEGEND.0), place(index / per_row, LEGEND.1));
        let wide = if index < series.len() { 26 } else { 14 };
        let line = PathElement::new(
            vec![(left + 26 - wide, top + 9), (left + 26, top + 9)],
            colour.stroke_width(if index < series.len() { 2 } else { 4 }),
        );
        area.draw(&line).expect("a line");
        let text = Text::new(name.to_owned(), (left + 34, top + 2), ("sans-serif", 14));
        area.draw(&text).expect("a text");
    }
}

fn whole(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
