//! `cargo squall run SCENARIO.toml`: finds the tests that the file is bound to, runs them, and shows how far they are.
//!
//! What libtest prints is kept back: a failure's page is what there is to see. It is shown as it is where no test said what it came to.

use crate::events::{Event, Failure, Name, Word};
use crate::launch::{self, Ran};
use crate::list::{self, Listed};
use crate::options::Besides;
use crate::progress::Progress;
use crate::style;
use anyhow::{Context, Result, bail};
use clap::Args;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What `cargo squall run` takes.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The scenario file.
    #[arg(value_name = "SCENARIO.toml")]
    file: PathBuf,
    /// Only this one of the tests that are bound to it.
    #[arg(long, value_name = "NAME")]
    test: Option<String>,
    /// What the tests came to, as objects of JSON, a line each, on standard output.
    #[arg(long)]
    json: bool,
    /// Also as JUnit XML.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    #[command(flatten)]
    cargo: Besides,
}

/// `cargo squall run`.
pub fn run(asked: &Arguments) -> Result<u8> {
    let (file, words) = file_and_words(&asked.file, &asked.cargo.arguments)?;
    let tests = bound(&file, &asked.file, asked.test.as_deref(), &words)?;
    let mut status = crate::status::HELD;
    for test in &tests {
        status = status.max(one(test, asked, &words)?);
    }
    Ok(status)
}

/// The scenario file's own path, and what `cargo test` is told so that it finds the package that the file lies in.
pub fn file_and_words(file: &Path, arguments: &[OsString]) -> Result<(PathBuf, Vec<OsString>)> {
    // clap keeps what follows, and not the dashes.
    if std::env::args_os().any(|word| word == "--") {
        bail!("the file names the test, and what follows `--` would be for it: leave that out");
    }
    let path = file
        .canonicalize()
        .with_context(|| format!("cannot find the scenario file {}", file.display()))?;
    let mut words = arguments.to_vec();
    let said = |word: &OsString| word.to_string_lossy().starts_with("--manifest-path");
    if !words.iter().any(said) {
        words.push("--manifest-path".into());
        words.push(manifest_above(&path)?.into());
    }
    Ok((path, words))
}

/// The manifest of the package that the file lies in.
fn manifest_above(file: &Path) -> Result<PathBuf> {
    let above = file.ancestors().skip(1).map(|at| at.join("Cargo.toml"));
    let package = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.lines().any(|line| line.trim() == "[package]")
    };
    let found = above.into_iter().find(package);
    found.with_context(|| {
        format!(
            "{} lies in no package: say where the test is with --manifest-path",
            file.display()
        )
    })
}

/// The tests that are bound to the file, or the one of them that is `named`; messages show the file as it was `given`.
pub fn bound(
    file: &Path,
    given: &Path,
    named: Option<&str>,
    words: &[OsString],
) -> Result<Vec<Listed>> {
    let all = list::tests(words)?;
    let binds = |test: &&Listed| {
        let scenario = test.scenario.as_ref();
        let path = scenario.and_then(|path| test.manifest_dir.join(path).canonicalize().ok());
        path.is_some_and(|path| path == file)
    };
    let found: Vec<Listed> = all.iter().filter(binds).cloned().collect();
    if found.is_empty() {
        let mut others: Vec<String> = all
            .iter()
            .filter_map(|test| {
                Some(format!(
                    "{} ({})",
                    test.scenario.as_ref()?.display(),
                    test.name
                ))
            })
            .collect();
        others.dedup();
        let others = match others.is_empty() {
            true => "no test is bound to any".to_owned(),
            false => format!("there are tests for {}", others.join(", ")),
        };
        bail!(
            "no test is bound to {} by #[squall::scenario(\"..\")]: {others}",
            given.display()
        );
    }
    let Some(name) = named else {
        return Ok(found);
    };
    let of_name: Vec<Listed> = found
        .iter()
        .filter(|test| test.name == name)
        .cloned()
        .collect();
    if of_name.is_empty() {
        let names: Vec<&str> = found.iter().map(|test| test.name.as_str()).collect();
        bail!(
            "the tests that are bound to {} are {}, not {name}",
            given.display(),
            names.join(", ")
        );
    }
    Ok(of_name)
}

/// What `cargo test` is told so that it runs this test alone.
pub fn words_for(test: &Listed, words: &[OsString]) -> Vec<OsString> {
    let mut words = words.to_vec();
    words.extend(["-p".into(), OsString::from(&test.package)]);
    match test.target.split_once(' ') {
        Some((kind, name)) => words.extend([format!("--{kind}").into(), name.into()]),
        None => words.push(format!("--{}", test.target).into()),
    }
    words.push((&test.name).into());
    words.extend(["--", "--exact", "--include-ignored"].map(OsString::from));
    words
}

fn one(test: &Listed, asked: &Arguments, words: &[OsString]) -> Result<u8> {
    let words = words_for(test, words);
    let mut variables = Vec::new();
    // Somebody waits for this one test, and not for a suite.
    if std::env::var_os("SQUALL_SHRINK").is_none() {
        variables.push(("SQUALL_SHRINK", "30s".to_owned()));
    }
    let since = Instant::now();
    let mut progress = Progress::new(&test.name);
    let Ran {
        status,
        events,
        text,
    } = launch::observed(
        &words,
        variables,
        true,
        asked.junit.as_deref(),
        &mut |event| {
            progress.see(event);
        },
    )?;
    progress.end();
    let ended: Vec<&Event> = events
        .iter()
        .filter(|event| matches!(event, Event::Ended { .. }))
        .collect();
    if ended.is_empty() {
        eprint!("{text}");
    }
    for event in ended {
        if asked.json {
            let line = serde_json::to_string(event).context("cannot put an event into JSON")?;
            println!("{line}");
            continue;
        }
        let Event::Ended {
            test,
            word,
            runs,
            simulated,
            failure,
            ..
        } = event
        else {
            continue;
        };
        match failure {
            Some(failure) => page(failure),
            None => held(test, *word, *runs, *simulated, since),
        }
    }
    Ok(status)
}

/// The page of a failure: what it is in front, and what to do about it last.
pub fn page(failure: &Failure) {
    for (number, line) in failure.text.lines().enumerate() {
        let paint = match line {
            _ if number == 0 => style::BAD,
            line if line.starts_with("replay: ") => style::STRONG,
            _ => style::PLAIN,
        };
        anstream::eprintln!("{paint}{line}{paint:#}");
    }
}

fn held(test: &Name, word: Word, runs: u64, simulated: u64, since: Instant) {
    let took = since.elapsed().as_secs_f64();
    let paint = if word == Word::Held {
        style::GOOD
    } else {
        style::BAD
    };
    anstream::eprintln!(
        "squall: {paint}{} held{paint:#}: {runs} seeds in {took:.1} s, {} simulated",
        test.name,
        style::time(simulated)
    );
}
