//! Columns of text: cells that wrap, a margin at the left, rules. `story` says what stands in them.

use std::fmt::Write;

/// One row: the margin, the column and the text; or a line across all columns.
pub(super) enum Row {
    Cell {
        margin: String,
        column: usize,
        text: String,
    },
    /// Something between rows, such as how many were left out.
    Rule(String),
}

/// Rows of the margin's width in characters.
const MARGIN: usize = 9;
/// No column is narrower than this; beyond, columns give way to names.
const NARROWEST: usize = 20;

/// How many columns fit.
pub(super) fn fitting(width: usize) -> usize {
    (width.saturating_sub(MARGIN + 1) / (NARROWEST + 3)).max(1)
}

/// The table. `titles` has one entry for each column; the lines are at most `width` characters long.
pub(super) fn table(titles: &[String], rows: &[Row], width: usize) -> Vec<String> {
    let n = titles.len().max(1);
    let each = (width.saturating_sub(MARGIN + 1) / n)
        .saturating_sub(3)
        .max(NARROWEST.min(width));
    // No wider than what stands in it.
    let mut widths: Vec<usize> = titles
        .iter()
        .map(|title| title.chars().count().clamp(12, each))
        .collect();
    for row in rows {
        if let Row::Cell { column, text, .. } = row {
            let longest = wrap(text, each)
                .iter()
                .map(|line| line.chars().count())
                .max();
            widths[*column] = widths[*column].max(longest.unwrap_or(0));
        }
    }
    let mut lines = Vec::new();
    let titled: Vec<Vec<String>> = titles
        .iter()
        .zip(&widths)
        .map(|(title, w)| wrap(title, *w))
        .collect();
    let height = titled.iter().map(Vec::len).max().unwrap_or(0);
    for i in 0..height {
        let cells = titled
            .iter()
            .map(|title| title.get(i).map_or("", String::as_str));
        lines.push(line("", cells, &widths));
    }
    let rule: Vec<String> = widths.iter().map(|w| "-".repeat(*w)).collect();
    lines.push(line("", rule.iter().map(String::as_str), &widths));
    for row in rows {
        match row {
            Row::Rule(text) => lines.push(format!("{:MARGIN$} {text}", "")),
            Row::Cell {
                margin,
                column,
                text,
            } => {
                for (i, part) in wrap(text, widths[*column]).iter().enumerate() {
                    let margin = if i == 0 { margin } else { "" };
                    let cells = (0..n).map(|c| if c == *column { part.as_str() } else { "" });
                    lines.push(line(margin, cells, &widths));
                }
            }
        }
    }
    lines
}

/// The rows with a name in front, for more actors than columns fit.
pub(super) fn list(titles: &[String], rows: &[Row], width: usize) -> Vec<String> {
    let name = titles
        .iter()
        .map(|title| title.chars().count())
        .max()
        .unwrap_or(0)
        .min(24);
    let mut lines = Vec::new();
    let mut last = usize::MAX;
    for row in rows {
        match row {
            Row::Rule(text) => {
                lines.push(format!("{:MARGIN$} {text}", ""));
                last = usize::MAX;
            }
            Row::Cell {
                margin,
                column,
                text,
            } => {
                for (i, part) in wrap(text, width.saturating_sub(MARGIN + name + 4).max(20))
                    .iter()
                    .enumerate()
                {
                    let margin = if i == 0 { margin } else { "" };
                    let who = if i == 0 && last != *column {
                        titles[*column].as_str()
                    } else {
                        ""
                    };
                    let who: String = who.chars().take(name).collect();
                    lines.push(format!("{margin:>MARGIN$} {who:name$} | {part}"));
                }
                last = *column;
            }
        }
    }
    lines
}

fn line<'a>(margin: &str, cells: impl Iterator<Item = &'a str>, widths: &[usize]) -> String {
    let mut out = format!("{margin:>MARGIN$}");
    for (cell, width) in cells.zip(widths) {
        let _ = write!(out, " | {cell:width$}");
    }
    out.trim_end().to_owned()
}

/// Lines of at most `width` characters, broken at spaces where there are any.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = Vec::new();
    let mut now = String::new();
    for word in text.split(' ') {
        let mut word: Vec<char> = word.chars().collect();
        let gap = usize::from(!now.is_empty());
        if now.chars().count() + gap + word.len() > width && !now.is_empty() {
            lines.push(std::mem::take(&mut now));
        }
        while word.len() > width {
            let rest = word.split_off(width);
            lines.push(word.into_iter().collect());
            word = rest;
        }
        if !now.is_empty() {
            now.push(' ');
        }
        now.extend(word);
    }
    lines.push(now);
    lines
}
