//! Axes whose ticks are round numbers.

use std::ops::Range;

use ingress_tests::bench::{Figure, grouped};
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

/// The ratio of values from which a scale is logarithmic.
const WIDE: f64 = 20.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scale {
    Linear,
    Log,
}

#[derive(Clone, Debug)]
pub(crate) struct Axis {
    scale: Scale,
    range: Range<f64>,
    ticks: Vec<f64>,
}

impl Axis {
    /// The sizes, each with a tick.
    pub(crate) fn of_sizes(figures: &[&Figure]) -> Self {
        let mut ticks: Vec<_> = figures.iter().map(|figure| size(figure)).collect();
        ticks.sort_by(f64::total_cmp);
        ticks.dedup();
        let (least, most) = (ticks[0], ticks[ticks.len() - 1]);
        let margin = (most / least).powf(0.06);
        Self { scale: Scale::Log, range: least / margin..most * margin, ticks }
    }

    /// The values, from 0 unless the scale is logarithmic.
    pub(crate) fn of_values(figures: &[&Figure]) -> Self {
        let values = figures.iter().flat_map(|figure| {
            let range = figure.range.into_iter().flatten();
            [figure.value].into_iter().chain(range).chain(figure.target_number())
        });
        let (least, most) = values.fold((f64::INFINITY, 0.0_f64), |(least, most), value| {
            (least.min(value), most.max(value))
        });
        if least > 0.0 && most / least > WIDE { Self::log(least, most) } else { Self::linear(most) }
    }

    fn linear(most: f64) -> Self {
        let most = if most > 0.0 { most } else { 1.0 };
        // A step of 1, 2 or 5 times a power of ten, for about five ticks.
        let power = 10.0_f64.powf((most / 5.0).log10().floor());
        let steps = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
        let step = steps.into_iter().find(|step| most / step <= 6.0).unwrap_or(most);
        let range = 0.0..most * 1.08;
        let ticks = (0_u8..=7).map(|count| f64::from(count) * step);
        let ticks = ticks.filter(|tick| *tick <= range.end).collect();
        Self { scale: Scale::Linear, range, ticks }
    }

    fn log(least: f64, most: f64) -> Self {
        let range = least / 1.3..most * 1.3;
        let is_long = range.end / range.start > 1_000.0;
        let factors: &[f64] = if is_long { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let powers = (-9_i32..=12).map(|power| 10.0_f64.powi(power));
        let ticks = powers.flat_map(|power| factors.iter().map(move |factor| power * factor));
        let ticks = ticks.filter(|tick| range.contains(tick)).collect();
        Self { scale: Scale::Log, range, ticks }
    }

    pub(crate) fn has_one_tick(&self) -> bool {
        self.ticks.len() < 2
    }

    /// From slightly below to slightly above a size.
    pub(crate) fn around(&self, size: f64) -> [f64; 2] {
        let little = (self.range.end / self.range.start).powf(0.04);
        [size / little, size * little]
    }

    /// The position of a value on the axis, from 0 to 1.
    fn part(&self, value: f64) -> f64 {
        let Range { start, end } = self.range;
        match self.scale {
            Scale::Linear => (value - start) / (end - start),
            Scale::Log => (value / start).ln() / (end / start).ln(),
        }
    }
}

/// The size of a figure.
pub(crate) fn size(figure: &Figure) -> f64 {
    let size = figure.size.and_then(|size| u32::try_from(size).ok());
    size.map_or(1.0, f64::from)
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    #[expect(clippy::cast_possible_truncation, reason = "an image has few pixels")]
    fn map(&self, value: &f64, (from, to): (i32, i32)) -> i32 {
        from + (f64::from(to - from) * self.part(*value)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.range.clone()
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        if self.range.end >= 10.0 && *value >= 0.95 || *value == 0.0 {
            return grouped(value);
        }
        let text = format!("{value:.3}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}
