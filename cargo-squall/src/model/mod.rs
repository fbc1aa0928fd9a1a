//! `cargo squall model`: every model under the kernel's exhaustive search and under loom, and what both came to in one table.
//!
//! The tests are built twice: as `cargo squall test --points memory` builds them, and with `--cfg loom` in a target directory of its own (`loom`).
//! Each model then runs in a process of its own (`engine`), since loom may abort where an execution failed.

mod engine;
mod loom;
mod table;

use crate::arguments::Arguments as Words;
use crate::filter::{Filter, with_dashes};
use crate::launch;
use crate::list;
use crate::scenario;
use crate::status;
use crate::workspace::Workspace;
use anyhow::{Result, bail};
use clap::Args;
use engine::{Bench, Came, Engine};
use std::ffi::OsString;
use table::Row;

/// What `cargo squall model` takes.
#[derive(Args, Debug)]
pub struct Arguments {
    /// What the models came to as objects of JSON, a line each.
    #[arg(long)]
    json: bool,
    /// Names of models, and what `cargo test` takes to choose what is built, such as `-p PACKAGE` or `--release`. After `--` names,
    /// `--exact`, `--skip`, `--ignored` and `--include-ignored`.
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "FILTER | CARGO TEST ARGUMENTS"
    )]
    arguments: Vec<OsString>,
}

/// `cargo squall model`.
pub fn run(asked: &Arguments) -> Result<u8> {
    let words = with_dashes(&asked.arguments, &std::env::args_os().collect::<Vec<_>>());
    let dashes = words.iter().position(|word| word == "--");
    let own = &words[..dashes.unwrap_or(words.len())];
    if own.iter().any(|word| word == "--json") {
        bail!("--json goes before names and cargo's arguments");
    }
    let filter = Filter::of(&words)?;
    let kernels = at_every_access(own);
    let home = Workspace::ask(&Words::of(own))?.target.join("squall");

    let mut models = list::tests(&kernels)?;
    models.retain(|test| test.model.is_some());
    let all = models.len();
    models.retain(|test| filter.takes(test));
    if models.is_empty() {
        let why = match all {
            0 => "there is none: a model is a function with #[squall::model]".to_owned(),
            all => format!("of {all} none is meant: check the names, and whether they are ignored"),
        };
        bail!("no model is run; {why}");
    }
    let bench = Bench::new(&home, launch::variables(&kernels)?)?;
    let mut rows: Vec<Row> = models
        .into_iter()
        .map(|model| Row::new(model, Came::LeftOut, Came::LeftOut))
        .collect();
    for row in rows.iter_mut().filter(|row| row.engines().kernel) {
        row.kernel = bench.under_kernel(&row.model)?;
        tell(row, Engine::Kernel, &row.kernel, asked.json);
        if let Some(interrupted) = row.kernel.interrupted() {
            return Ok(interrupted);
        }
    }
    under_loom(&bench, &mut rows, own, asked.json)?;
    if let Some(interrupted) = rows.iter().find_map(|row| row.loom.interrupted()) {
        return Ok(interrupted);
    }
    match asked.json {
        true => table::print_json(&rows)?,
        false => table::print(&rows),
    }
    Ok(rows.iter().map(Row::status).max().unwrap_or(status::HELD))
}

/// Builds and runs what loom is to run, target by target: one that does not compile so leaves the others be.
fn under_loom(bench: &Bench, rows: &mut [Row], words: &[OsString], json: bool) -> Result<()> {
    let of_loom = |row: &Row| row.engines().loom;
    let place = |row: &Row| (row.model.manifest_dir.clone(), row.model.target.clone());
    let mut targets: Vec<_> = rows.iter().filter(|row| of_loom(row)).map(place).collect();
    targets.dedup();
    for (package, target) in targets {
        let built = loom::build(&package, &target, &bench.home, words)?;
        for row in rows.iter_mut() {
            if !of_loom(row) || row.model.manifest_dir != package || row.model.target != target {
                continue;
            }
            row.loom = match &built {
                Some(executable) => bench.under_loom(&row.model, executable)?,
                None => Came::NotBuilt,
            };
            tell(row, Engine::Loom, &row.loom, json);
            if row.loom.interrupted().is_some() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Says what a model came to, as soon as it has.
fn tell(row: &Row, engine: Engine, came: &Came, json: bool) {
    if json {
        return;
    }
    let name = &row.model.name;
    let told = came.told(engine);
    eprintln!("squall: {name} under {}: {told}", engine.name());
    let Came::Ran(ran) = came else {
        return;
    };
    match &ran.failure {
        Some(_) if ran.as_stated => {}
        Some(failure) => scenario::page(failure),
        None if !ran.output.is_empty() => eprintln!("{}", ran.output),
        None => {}
    }
}

/// The words for the kernel's build: switches before every access, unless something else is asked for.
fn at_every_access(words: &[OsString]) -> Vec<OsString> {
    let mut words = words.to_vec();
    let said = |word: &OsString| {
        let text = word.to_string_lossy();
        text == "--points" || text.starts_with("--points=")
    };
    if !words.iter().any(said) {
        words.push("--points=memory".into());
    }
    words
}
