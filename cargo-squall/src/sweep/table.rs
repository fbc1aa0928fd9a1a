//! A sweep as a table on the terminal, and what failed in it.

use super::cell::{Cell, Measured, shown};
use super::{Sweep, cell::Failures};
use crate::style;
use std::collections::BTreeSet;

/// The headings of a row's figures.
pub const HEADINGS: [&str; 9] = [
    "seeds", "failed", "ok/s", "p50", "p90", "p99", "max", "errors", "recovery",
];

/// The names of all traffic, in order; `None` where no run came to the end of any.
pub fn traffics(sweep: &Sweep) -> Vec<Option<&str>> {
    let names = sweep.cells.iter().flat_map(|cell| cell.traffic.keys());
    let names: BTreeSet<&str> = names.map(String::as_str).collect();
    match names.is_empty() {
        true => vec![None],
        false => names.into_iter().map(Some).collect(),
    }
}

/// What a cell's row says under [`HEADINGS`].
pub fn row(cell: &Cell, traffic: Option<&str>) -> Vec<String> {
    let nothing = || "-".to_owned();
    let mut row = vec![cell.runs.to_string(), cell.failed.to_string()];
    let Some(of) = traffic.and_then(|name| cell.traffic.get(name)) else {
        row.extend((row.len()..HEADINGS.len()).map(|_| nothing()));
        return row;
    };
    row.push(of.spread().map_or_else(nothing, |[mean, ..]| figure(mean)));
    for share in [0.5, 0.9, 0.99] {
        row.push(of.quantile(share).map_or_else(nothing, latency));
    }
    row.push(of.longest_ns.map_or_else(nothing, latency));
    row.push(percent(of.error_rate()));
    row.push(recovery(of));
    row
}

fn recovery(of: &Measured) -> String {
    let all = of.recoveries.len();
    match of.recovery() {
        (None, 0) => "-".to_owned(),
        (None, _) => "never".to_owned(),
        (Some([median, longest]), 0) if median == longest => latency(median),
        (Some([median, longest]), 0) => {
            format!("{}, at most {}", latency(median), latency(longest))
        }
        (Some([median, _]), not) => format!("{}, not in {not} of {all}", latency(median)),
    }
}

/// What failed, a line each, and the variables that run its first seed again.
pub fn failures(sweep: &Sweep) -> Vec<(String, String)> {
    let of = |cell: &Cell, failures: &Failures| {
        let Failures {
            headline,
            seeds,
            first,
        } = failures;
        let told = format!(
            "{cell}: {seeds} of {} seeds, first {first:#x}: {headline}",
            cell.runs
        );
        // Text in it may have a quote.
        let set = cell.parameters().replace('\'', "'\\''");
        let again = format!(
            "SQUALL_SEED={first:#x} SQUALL_PARAMETERS='{set}' cargo squall run {}",
            sweep.scenario.display()
        );
        (told, again)
    };
    let cells = sweep.cells.iter();
    cells
        .flat_map(|cell| {
            cell.failures
                .values()
                .map(move |failures| of(cell, failures))
        })
        .collect()
}

/// Prints it all.
pub fn print(sweep: &Sweep) {
    let names: Vec<&str> = sweep
        .parameters
        .iter()
        .map(|listing| listing.name.as_str())
        .collect();
    for traffic in traffics(sweep) {
        match traffic {
            Some(traffic) => anstream::println!(
                "{}: traffic {traffic}, {} seeds each",
                sweep.test,
                sweep.seeds
            ),
            None => anstream::println!("{}: no run came to the end of any traffic", sweep.test),
        }
        let mut rows = vec![
            names
                .iter()
                .chain(&HEADINGS)
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>(),
        ];
        for cell in &sweep.cells {
            let mut line: Vec<String> = cell.values.iter().map(|(_, value)| shown(value)).collect();
            line.extend(row(cell, traffic));
            rows.push(line);
        }
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
        let widths: Vec<usize> = (0..rows[0].len()).filter_map(width).collect();
        let failed = names.len() + 1;
        for (number, row) in rows.iter().enumerate() {
            let mut line = String::new();
            for (column, (text, width)) in row.iter().zip(&widths).enumerate() {
                let paint = match number {
                    0 => style::STRONG,
                    _ if column == failed && text != "0" => style::BAD,
                    _ => style::PLAIN,
                };
                line.push_str(&format!("  {paint}{text:>width$}{paint:#}"));
            }
            anstream::println!("{line}");
        }
    }
    for (told, again) in failures(sweep) {
        anstream::println!("{told}\n    again: {again}");
    }
}

/// A number, to three digits or so.
pub fn figure(value: f64) -> String {
    match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

/// Nanoseconds, to three digits.
pub fn latency(ns: u64) -> String {
    let ns = ns as f64;
    let (value, unit) = match ns {
        ns if ns >= 1e9 => (ns / 1e9, "s"),
        ns if ns >= 1e6 => (ns / 1e6, "ms"),
        ns if ns >= 1e3 => (ns / 1e3, "us"),
        ns => (ns, "ns"),
    };
    let text = figure(value);
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    format!("{text} {unit}")
}

/// A share as a percentage.
pub fn percent(share: f64) -> String {
    match share * 100.0 {
        0.0 => "0 %".to_owned(),
        p if p < 0.1 => "<0.1 %".to_owned(),
        p => format!("{p:.1} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::cell::tests::cell;
    use super::*;

    #[test]
    fn a_row_has_a_figure_for_each_heading() {
        let cell = cell(4, 100, 20);
        let row = row(&cell, Some("buy"));
        let wanted = [
            "2",
            "1",
            "9.90",
            "20 ms",
            "20 ms",
            "20 ms",
            "180 ms",
            "1.0 %",
            "2 s, not in 1 of 2",
        ];
        assert_eq!(row, wanted);
        assert_eq!(super::row(&cell, Some("other")).len(), HEADINGS.len());
    }

    #[test]
    fn figures_have_three_digits() {
        assert_eq!(
            [1234.5, 12.345, 0.123].map(figure),
            ["1234", "12.3", "0.12"]
        );
        assert_eq!(
            [999, 1_500, 2_000_000, 61_000_000_000].map(latency),
            ["999 ns", "1.5 us", "2 ms", "61 s"]
        );
        assert_eq!([0.0, 0.0004, 0.5].map(percent), ["0 %", "<0.1 %", "50.0 %"]);
    }
}
