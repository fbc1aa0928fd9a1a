//! What models came to, as a table and as JSON.

use super::engine::{Came, Engine, Ran};
use crate::events::{Failure, Name, Word};
use crate::list::{Engines, Listed};
use crate::status;
use anyhow::{Context, Result};
use serde::Serialize;

/// A model, and what it came to under each engine.
#[derive(Debug)]
pub struct Row {
    pub model: Listed,
    pub kernel: Came,
    pub loom: Came,
}

impl Row {
    pub fn new(model: Listed, kernel: Came, loom: Came) -> Row {
        Row {
            model,
            kernel,
            loom,
        }
    }

    /// Which engines are to run it.
    pub fn engines(&self) -> Engines {
        self.model.model.unwrap_or_default()
    }

    /// The exit status that it stands for.
    pub fn status(&self) -> u8 {
        let of = |came: &Came| match came {
            Came::LeftOut => status::HELD,
            Came::NotBuilt => status::USAGE,
            Came::Ran(ran) => match ran.word {
                Word::Held => status::HELD,
                Word::Failed if ran.as_stated => status::HELD,
                Word::Failed => status::FAILED,
                Word::Unusable => status::USAGE,
                Word::Trouble => status::TROUBLE,
            },
        };
        of(&self.kernel).max(of(&self.loom))
    }
}

/// The table.
pub fn print(rows: &[Row]) {
    println!("{}", table(rows));
}

fn table(rows: &[Row]) -> String {
    let cells: Vec<[String; 3]> = rows
        .iter()
        .map(|row| {
            let Row {
                model,
                kernel,
                loom,
            } = row;
            [
                format!("  {}", model.name),
                kernel.told(Engine::Kernel),
                loom.told(Engine::Loom),
            ]
        })
        .collect();
    let headings = ["model", "kernel", "loom"].map(str::to_owned);
    let width = |at: usize| {
        let all = cells.iter().chain([&headings]);
        all.map(|cells| cells[at].chars().count())
            .max()
            .unwrap_or(0)
    };
    let (first, second) = (width(0), width(1));
    let line =
        |[name, kernel, loom]: &[String; 3]| format!("{name:first$}  {kernel:second$}  {loom}\n");
    let mut text = line(&headings);
    let mut before = None;
    for (row, cells) in rows.iter().zip(&cells) {
        let target = (&row.model.package, &row.model.target);
        if before != Some(target) {
            text.push_str(&format!("{} {}\n", target.0, target.1));
            before = Some(target);
        }
        text.push_str(&line(cells));
    }
    for row in rows {
        for (came, engine) in [(&row.kernel, Engine::Kernel), (&row.loom, Engine::Loom)] {
            if let Some(why) = came.why_not() {
                let (name, engine) = (&row.model.name, engine.name());
                text.push_str(&format!("{name} is not run under {engine}: {why}\n"));
            }
        }
    }
    let held = rows
        .iter()
        .filter(|row| row.status() == status::HELD)
        .count();
    text.push_str(&format!("{held} of {} models held", rows.len()));
    text
}

/// A line for each model.
pub fn print_json(rows: &[Row]) -> Result<()> {
    for row in rows {
        let line = serde_json::to_string(&Line::of(row)).context("cannot put a model into JSON")?;
        println!("{line}");
    }
    Ok(())
}

/// A model as JSON.
#[derive(Serialize)]
struct Line<'a> {
    event: &'static str,
    test: Name,
    kernel: Side<'a>,
    loom: Side<'a>,
}

/// What it came to under one engine.
#[derive(Default, Serialize)]
struct Side<'a> {
    /// `held`, `failed`, `unusable`, `trouble`, `left_out` or `not_built`.
    word: &'static str,
    /// It failed, as its `#[should_panic]` says.
    as_stated: bool,
    executions: Option<u64>,
    exhausted: bool,
    bound: Option<u64>,
    millis: u64,
    failure: Option<&'a Failure>,
}

impl<'a> Line<'a> {
    fn of(row: &'a Row) -> Line<'a> {
        Line {
            event: "model",
            test: Name {
                package: row.model.package.clone(),
                target: row.model.target.clone(),
                name: row.model.name.clone(),
            },
            kernel: Side::of(&row.kernel),
            loom: Side::of(&row.loom),
        }
    }
}

impl<'a> Side<'a> {
    fn of(came: &'a Came) -> Side<'a> {
        let ran = match came {
            Came::LeftOut => return Side::said("left_out"),
            Came::NotBuilt => return Side::said("not_built"),
            Came::Ran(ran) => ran,
        };
        let Ran {
            word,
            as_stated,
            executions,
            exhausted,
            bound,
            millis,
            failure,
            ..
        } = &**ran;
        Side {
            word: match word {
                Word::Held => "held",
                Word::Failed => "failed",
                Word::Unusable => "unusable",
                Word::Trouble => "trouble",
            },
            as_stated: *as_stated,
            executions: *executions,
            exhausted: *exhausted,
            bound: *bound,
            millis: *millis,
            failure: failure.as_ref(),
        }
    }

    fn said(word: &'static str) -> Side<'a> {
        Side {
            word,
            ..Side::default()
        }
    }
}
