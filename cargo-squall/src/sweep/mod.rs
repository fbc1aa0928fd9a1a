//! `cargo squall sweep SCENARIO.toml`: runs a test with one value of its parameters after another, and compares what its traffic came to.
//!
//! `grid` knows the values, `cell` what the runs with some of them came to, `table` and `page` show it. What a run tells is in
//! `src/sim/parameter.rs` and `src/traffic/told.rs` of the library; failures do not end a search there.

mod cell;
mod grid;
mod page;
mod plot;
mod table;

use crate::events::Event;
use crate::launch::{self, Ran};
use crate::list::Listed;
use crate::options::Besides;
use crate::progress::Progress;
use crate::scenario;
use crate::status;
use anyhow::{Context, Result, bail};
use cell::Cell;
use clap::Args;
use grid::{Grid, Listing};
use serde::Serialize;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What `cargo squall sweep` takes.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The scenario file.
    #[arg(value_name = "SCENARIO.toml")]
    file: PathBuf,
    /// Values of a parameter, in place of those that the file lists: `pool=4,8,16`. May be given for several.
    #[arg(long, value_name = "NAME=VALUE,..")]
    parameter: Vec<String>,
    /// How many seeds run with each combination of values.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// Which of the tests that are bound to the file, where there are several.
    #[arg(long, value_name = "NAME")]
    test: Option<String>,
    /// As an object of JSON on standard output, in place of the table.
    #[arg(long)]
    json: bool,
    /// Where the page with the plots goes. Default: target/squall/sweeps/SCENARIO.html.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[command(flatten)]
    cargo: Besides,
}

/// All of it.
#[derive(Serialize)]
struct Sweep {
    scenario: PathBuf,
    test: String,
    /// Of each cell.
    seeds: u64,
    /// What is swept over.
    parameters: Vec<Listing>,
    cells: Vec<Cell>,
}

/// `cargo squall sweep`.
pub fn run(asked: &Arguments) -> Result<u8> {
    let (file, words) = scenario::file_and_words(&asked.file, &asked.cargo.arguments)?;
    let grid = Grid::of(&file, &asked.parameter)?;
    let tests = scenario::bound(&file, &asked.file, asked.test.as_deref(), &words)?;
    let [test] = &tests[..] else {
        let names: Vec<&str> = tests.iter().map(|test| test.name.as_str()).collect();
        bail!(
            "several tests are bound to {}: say which one with --test: {}",
            asked.file.display(),
            names.join(", ")
        );
    };
    let mut sweep = Sweep {
        scenario: asked.file.clone(),
        test: test.name.clone(),
        seeds: asked.seeds,
        parameters: grid.listings.clone(),
        cells: Vec::new(),
    };
    let mut known = BTreeSet::new();
    let cells = grid.cells();
    for (number, values) in cells.iter().enumerate() {
        let mut cell = Cell::new(values.clone());
        let label = format!("{cell} ({} of {})", number + 1, cells.len());
        let ran = one(test, &cell, asked.seeds, &label, &words)?;
        if let Some(status) = unusable(&ran)? {
            return Ok(status);
        }
        for event in &ran.events {
            if let Event::Parameter { name, .. } = event {
                known.insert(name.clone());
            }
            cell.add(event);
        }
        sweep.cells.push(cell);
        // With others they may be asked for.
        if grid.listings.len() == 1 || number + 1 == cells.len() {
            grid.all_known(&known)?;
        }
    }
    if asked.json {
        let text = serde_json::to_string_pretty(&sweep).context("cannot put it into JSON")?;
        println!("{text}");
    } else {
        table::print(&sweep);
    }
    let place = match &asked.html {
        Some(place) => place.clone(),
        None => {
            let stem = asked.file.file_stem().unwrap_or_default();
            let place = launch::home(&words)?.join("sweeps").join(stem);
            place.with_extension("html")
        }
    };
    write(&place, &page::of(&sweep))?;
    eprintln!("squall: the plots: {}", place.display());
    Ok(status::HELD)
}

fn write(place: &Path, text: &str) -> Result<()> {
    let above = place.parent().unwrap_or(Path::new(""));
    std::fs::create_dir_all(above)
        .and_then(|()| std::fs::write(place, text))
        .with_context(|| format!("cannot write {}", place.display()))
}

/// The runs of one cell.
fn one(test: &Listed, cell: &Cell, seeds: u64, label: &str, words: &[OsString]) -> Result<Ran> {
    let words = scenario::words_for(test, words);
    let variables = vec![
        ("SQUALL_PARAMETERS", cell.parameters()),
        ("SQUALL_SEEDS", seeds.to_string()),
        // What fails is a figure here: it is neither kept nor looked into.
        ("SQUALL_FAILURES", "off".to_owned()),
        ("SQUALL_REPORT", "off".to_owned()),
        ("CARGO_SQUALL_SWEEP", "1".to_owned()),
    ];
    let mut progress = Progress::labelled(label, &test.name);
    let ran = launch::observed(&words, variables, true, None, &mut |event| {
        progress.see(event);
    });
    progress.end();
    ran
}

/// The exit status, if the runs say nothing about the values: they could not be made.
fn unusable(ran: &Ran) -> Result<Option<u8>> {
    for event in &ran.events {
        match event {
            Event::Parameter {
                refused: Some(why), ..
            } => bail!("{why}"),
            Event::Ended {
                failure: Some(failure),
                ..
            } => {
                eprint!("{}", failure.text);
                return Ok(Some(ran.status));
            }
            _ => {}
        }
    }
    let ended = |event: &Event| matches!(event, Event::Ended { .. });
    if !ran.events.iter().any(ended) {
        eprint!("{}", ran.text);
        return Ok(Some(ran.status.max(status::FAILED)));
    }
    Ok(None)
}
