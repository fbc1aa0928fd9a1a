//! The table of an audit.

use std::fmt;

/// What an audit found: a row for each cell, in the order in which they were listed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Table {
    pub(super) title: String,
    pub(super) head: Vec<String>,
    pub(super) rows: Vec<Row>,
    /// How a row is run again, with `<seed>` for its seed.
    pub(super) again: String,
}

/// A cell and what was found there, in the worst of its runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    pub(super) cells: Vec<String>,
    pub(super) weak: bool,
    pub(super) seed: Option<u64>,
}

impl Row {
    /// The columns, the cell's own name first.
    pub fn columns(&self) -> &[String] {
        &self.cells
    }

    /// Whether it is a weakness.
    pub fn is_weak(&self) -> bool {
        self.weak
    }

    /// The seed of the run that it tells of; `None` if the cell was not run.
    pub fn seed(&self) -> Option<u64> {
        self.seed
    }

    /// Whether a column has this in it.
    pub fn says(&self, text: &str) -> bool {
        self.cells.iter().any(|cell| cell.contains(text))
    }
}

impl Table {
    /// All rows.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Those that tell of a weakness.
    pub fn weak(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.weak)
    }

    /// What runs a row again: its seed does.
    pub fn replay(&self, row: &Row) -> Option<String> {
        let seed = format!("{:#x}", row.seed?);
        Some(self.again.replace("<seed>", &seed))
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines: Vec<Vec<String>> = Vec::new();
        let mut head = self.head.clone();
        head.extend(["seed".to_owned(), String::new()]);
        lines.push(head);
        for row in &self.rows {
            let mut line = row.cells.clone();
            line.resize(self.head.len(), String::new());
            line.push(row.seed.map_or("-".to_owned(), |seed| format!("{seed:#x}")));
            line.push(if row.weak { "weak" } else { "" }.to_owned());
            lines.push(line);
        }
        let width = |column: usize| {
            let lengths = lines.iter().map(|line| line[column].chars().count());
            lengths.max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..lines[0].len()).map(width).collect();
        let weak = self.weak().count();
        writeln!(
            f,
            "audit of {}: {} cells, {weak} weak",
            self.title,
            self.rows.len()
        )?;
        for line in &lines {
            let mut text = String::from(" ");
            for (cell, width) in line.iter().zip(&widths) {
                text.push_str(&format!(" {cell:<width$} "));
            }
            writeln!(f, "{}", text.trim_end())?;
        }
        writeln!(f, "a row again: {}", self.again)
    }
}
