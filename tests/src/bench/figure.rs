//! One measured number.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One measured number and its description. Figures that differ only in `size` are
/// one line of a plot; figures with the same `group` and `quantity` are one table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// The conditions, such as `paths, HTTP/1.1`.
    pub group: String,
    /// The measured quantity, such as `CPU per request`.
    pub quantity: String,
    /// The unit of `value`, such as `µs`; empty for a ratio.
    pub unit: String,
    /// The program that was measured, such as `this filter`.
    pub series: String,
    /// The number of paths or hosts, if it matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<usize>,
    /// The number itself; the median of several measurements.
    pub value: f64,
    /// The quartiles, or another range of `value`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<[f64; 2]>,
    /// The budget, such as `≤ 15`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

impl Figure {
    /// A figure without size, range and target.
    pub fn new(group: &str, quantity: &str, series: &str, value: f64, unit: &str) -> Self {
        Self {
            group: group.to_owned(),
            quantity: quantity.to_owned(),
            unit: unit.to_owned(),
            series: series.to_owned(),
            size: None,
            value,
            range: None,
            target: None,
        }
    }

    /// The median of `values`, with the quartiles as the range.
    ///
    /// # Panics
    /// If there are no values.
    pub fn median(
        group: &str,
        quantity: &str,
        series: &str,
        values: impl IntoIterator<Item = f64>,
        unit: &str,
    ) -> Self {
        let mut values: Vec<_> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let [low, median, high] = [1, 2, 3].map(|quarters| quantile(&values, quarters));
        Self { range: Some([low, high]), ..Self::new(group, quantity, series, median, unit) }
    }

    /// The same figure at this size.
    #[must_use]
    pub fn at(self, size: usize) -> Self {
        Self { size: Some(size), ..self }
    }

    /// The same figure with a budget, if there is one.
    #[must_use]
    pub fn target(self, target: Option<&str>) -> Self {
        Self { target: target.map(str::to_owned), ..self }
    }

    /// Whether both figures measure the same quantity, so that the later one
    /// replaces the earlier one.
    pub(crate) fn is_of_same(&self, other: &Self) -> bool {
        let of = |figure: &Self| {
            let Self { group, quantity, series, size, .. } = figure.clone();
            (group, quantity, series, size)
        };
        of(self) == of(other)
    }

    /// The number in the budget, which is a maximum or an exact value.
    pub fn target_number(&self) -> Option<f64> {
        let target = self.target.as_deref()?;
        target.trim_start_matches("≤ ").replace(',', "").parse().ok()
    }

    /// Whether the figure, as printed, is within its budget, if it has one.
    pub fn is_kept(&self) -> Option<bool> {
        let printed = number(self.value).replace(',', "").parse().unwrap_or(self.value);
        self.target_number().map(|most| printed <= most)
    }

    /// Quantity and unit, for a heading or an axis.
    pub fn quantity_with_unit(&self) -> String {
        let Self { quantity, unit, .. } = self;
        if unit.is_empty() { quantity.clone() } else { format!("{quantity}, {unit}") }
    }

    /// Value and range, for a table.
    pub fn numbers(&self) -> String {
        let value = number(self.value);
        match self.range {
            Some([low, high]) => format!("{value} ({} to {})", number(low), number(high)),
            None => value,
        }
    }
}

/// A quartile of the sorted values, interpolated between two of them if necessary.
fn quantile(values: &[f64], quarters: usize) -> f64 {
    let last = values.len() - 1;
    let (index, rest) = (last * quarters / 4, last * quarters % 4);
    let next = values[last.min(index + 1)];
    let part = [0.0, 0.25, 0.5, 0.75][rest];
    values[index] + (next - values[index]) * part
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.size.map(grouped).unwrap_or_default();
        let Self { quantity, series, unit, .. } = self;
        write!(f, "  {size:>7}  {series:34} {quantity:28} {} {unit}", self.numbers())?;
        match &self.target {
            Some(target) => write!(f, " (budget {target})"),
            None => Ok(()),
        }
    }
}

/// Three significant digits, or a whole number, with thousands separated.
fn number(value: f64) -> String {
    match value.abs() {
        1_000.0.. => grouped(value),
        size if size.fract() == 0.0 => format!("{value:.0}"),
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// A whole number with thousands separated.
pub fn grouped(value: impl fmt::Display) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_printed_with_three_digits() {
        let values = [0.0, 3.0, 0.123_4, 1.234_5, 12.345, 123.45, 1_234.5, 1_234_567.0];
        let printed = values.map(number);
        assert_eq!(printed, ["0", "3", "0.12", "1.23", "12.3", "123", "1,234", "1,234,567"]);
    }

    #[test]
    fn a_median_has_quartiles() {
        let figure = Figure::median("g", "q", "s", [5.0, 1.0, 3.0, 2.0, 4.0], "ms");
        assert_eq!((figure.value, figure.range), (3.0, Some([2.0, 4.0])));
        let of_two = Figure::median("g", "q", "s", [2.0, 1.0], "ms");
        assert_eq!((of_two.value, of_two.range), (1.5, Some([1.25, 1.75])));
        assert!(figure.is_of_same(&Figure::new("g", "q", "s", 7.0, "ms")));
        assert!(!figure.is_of_same(&figure.clone().at(10)));
    }

    #[test]
    fn a_budget_is_kept_or_not() {
        let figure = Figure::new("g", "q", "s", 1_100.0, "ms");
        assert_eq!(figure.is_kept(), None);
        assert_eq!(figure.clone().target(Some("≤ 1,100")).is_kept(), Some(true));
        let printed_alike = Figure { value: 1.104, ..figure.clone() };
        assert_eq!(printed_alike.target(Some("≤ 1.10")).is_kept(), Some(true));
        assert_eq!(figure.target(Some("≤ 0.80")).is_kept(), Some(false));
    }
}
