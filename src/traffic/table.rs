//! Figures and tables for people.

use std::fmt::Write;

/// A number with as many digits as matter, and separated thousands.
pub(super) fn figure(value: f64) -> String {
    if !value.is_finite() {
        return "unlimited".to_owned();
    }
    let text = match value.abs() {
        v if v >= 100.0 || v.fract() == 0.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    };
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) => (whole, fraction.trim_end_matches('0')),
        None => (text.as_str(), ""),
    };
    let mut out = String::new();
    for (i, digit) in whole.chars().enumerate() {
        let left = whole.len() - i;
        if i > 0 && left.is_multiple_of(3) && !out.ends_with('-') {
            out.push(',');
        }
        out.push(digit);
    }
    if !fraction.is_empty() {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

/// Nanoseconds with three digits and the unit that fits.
pub(super) fn time(ns: f64) -> String {
    const UNITS: [(f64, &str); 5] = [
        (3_600e9, "h"),
        (60e9, "min"),
        (1e9, "s"),
        (1e6, "ms"),
        (1e3, "us"),
    ];
    if !ns.is_finite() {
        return "never".to_owned();
    }
    for (unit, name) in UNITS {
        if ns >= unit {
            return format!("{} {name}", three_digits(ns / unit));
        }
    }
    format!("{ns:.0} ns")
}

/// A share as per cent.
pub(super) fn percent(share: f64) -> String {
    if !share.is_finite() {
        return "unlimited".to_owned();
    }
    format!("{} %", three_digits(share * 100.0))
}

fn three_digits(value: f64) -> String {
    let digits = match value {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{value:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// Rows of cells under a header, the first column to the left and the others to the right, each line after `indent`.
pub(super) fn table(indent: &str, rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::from(indent);
        for (column, cell) in row.iter().enumerate() {
            let width = widths[column];
            let _ = match column {
                0 => write!(line, "{cell:<width$}"),
                _ => write!(line, "  {cell:>width$}"),
            };
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_the_digits_that_matter() {
        let figures = [
            0.0,
            0.5,
            1.25,
            12.34,
            123.4,
            1234.0,
            1_234_567.0,
            -1234.0,
            -100.0,
        ];
        let shown = figures.map(figure);
        assert_eq!(
            shown,
            [
                "0",
                "0.5",
                "1.25",
                "12.3",
                "123",
                "1,234",
                "1,234,567",
                "-1,234",
                "-100"
            ]
        );
        let times = [0.0, 999.0, 1_500.0, 26.2e9, 800e6, 3_600e9, f64::INFINITY].map(time);
        assert_eq!(
            times,
            [
                "0 ns", "999 ns", "1.5 us", "26.2 s", "800 ms", "1 h", "never"
            ]
        );
        assert_eq!(percent(0.0214), "2.14 %");
    }
}
