//! `cargo squall replay`, `shrink` and `explain`: run the test that a saved choice log comes from, with the log.
//!
//! The log names package, target and test, and says whether its runs had the order of tasks chosen; the test itself reads
//! the log. Nothing but the head of the log is looked at here.

use crate::events::Event;
use crate::launch;
use crate::options::Besides;
use anyhow::{Context, Result, bail};
use clap::Args;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What `cargo squall replay` takes.
#[derive(Args, Debug)]
pub struct Replay {
    /// The path of a saved log, or a seed (decimal, or hexadecimal after 0x).
    #[arg(value_name = "LOG|SEED")]
    what: OsString,
    /// What `cargo test` takes besides, such as `--release`; for a seed, also what names the test.
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "CARGO TEST ARGUMENTS"
    )]
    arguments: Vec<OsString>,
}

/// What `cargo squall shrink` and `cargo squall explain` take.
#[derive(Args, Debug)]
pub struct Look {
    /// The path of a saved log.
    #[arg(value_name = "LOG")]
    log: PathBuf,
    /// How long to look, such as 30s or 5m. Default: 300s to shrink, 60s to explain.
    #[arg(long, value_name = "DURATION")]
    budget: Option<String>,
    #[command(flatten)]
    cargo: Besides,
}

/// What `cargo squall report` takes.
#[derive(Args, Debug)]
pub struct Report {
    /// The path of a saved log.
    #[arg(value_name = "LOG")]
    log: PathBuf,
    /// Which reports, with commas: html, perfetto, lines.
    #[arg(
        long = "as",
        value_name = "FORMS",
        default_value = "html,perfetto,lines"
    )]
    forms: String,
    /// The directory to write them to. Default: `squall/reports` in the target directory.
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    #[command(flatten)]
    cargo: Besides,
}

/// `cargo squall report`. That the run fails is what it is for.
pub fn report(asked: &Report) -> Result<u8> {
    let mut variables = vec![("SQUALL_REPORT_AS", asked.forms.clone())];
    if let Some(to) = &asked.to {
        let to = std::path::absolute(to).context("cannot use --to")?;
        let shown = to
            .to_str()
            .context("a variable cannot hold the path of --to")?;
        variables.push(("SQUALL_REPORT", shown.to_owned()));
    }
    let (words, variables, chosen) = prepared(&asked.log, &asked.cargo.arguments, variables)?;
    let ran = launch::observed(&words, variables, chosen, None, &mut |_| {})?;
    let failure = ran.events.into_iter().find_map(|event| match event {
        Event::Ended { failure, .. } => failure,
        _ => None,
    });
    let Some(failure) = failure else {
        eprint!("{}", ran.text);
        bail!("the log was not replayed to a failure, so there is nothing to report");
    };
    if failure.reports.is_empty() {
        bail!("no report was written: {}", failure.headline);
    }
    for file in failure.reports {
        println!("{}", file.display());
    }
    Ok(crate::status::HELD)
}

/// `cargo squall replay`.
pub fn replay(asked: &Replay) -> Result<u8> {
    let text = asked.what.to_string_lossy();
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let seed = match digits {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    match seed {
        Ok(seed) => {
            let variables = vec![("SQUALL_SEED", format!("{seed:#x}"))];
            launch::with(&asked.arguments, variables, true)
        }
        // One hardly ever means a file by such a name.
        Err(_) if digits.is_some() => bail!("{text} is no seed: it must be below 2^64"),
        Err(_) => run(Path::new(&asked.what), &asked.arguments, Vec::new()),
    }
}

/// `cargo squall shrink`.
pub fn shrink(asked: &Look) -> Result<u8> {
    let budget = asked.budget.clone().unwrap_or_else(|| "300s".to_owned());
    run(
        &asked.log,
        &asked.cargo.arguments,
        vec![("SQUALL_SHRINK", budget)],
    )
}

/// `cargo squall explain`.
pub fn explain(asked: &Look) -> Result<u8> {
    let budget = asked.budget.clone().unwrap_or_else(|| "60s".to_owned());
    run(
        &asked.log,
        &asked.cargo.arguments,
        vec![("SQUALL_EXPLAIN", budget)],
    )
}

fn run(log: &Path, arguments: &[OsString], variables: Vec<(&'static str, String)>) -> Result<u8> {
    let (words, variables, chosen) = prepared(log, arguments, variables)?;
    launch::with(&words, variables, chosen)
}

/// The arguments of `cargo test`, the variables, and whether the order of tasks is chosen.
type Prepared = (Vec<OsString>, Vec<(&'static str, String)>, bool);

fn prepared(
    log: &Path,
    arguments: &[OsString],
    mut variables: Vec<(&'static str, String)>,
) -> Result<Prepared> {
    let path = log
        .canonicalize()
        .with_context(|| format!("cannot find the choice log {}", log.display()))?;
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read the choice log {}", log.display()))?;
    let head = Head::of(&text)
        .with_context(|| format!("{} is no choice log of squall's", log.display()))?;
    let shown = path
        .to_str()
        .with_context(|| format!("a variable cannot hold the path {}", path.display()))?;
    variables.push(("SQUALL_REPLAY", shown.to_owned()));
    let words = head.words(&path, arguments)?;
    Ok((words, variables, head.tasks_chosen()))
}

/// What a log says of the test that it comes from.
#[derive(Debug, PartialEq, Eq)]
pub struct Head {
    pub package: String,
    pub target: String,
    pub test: String,
    /// How its run failed.
    pub signature: String,
    /// The words that tell how its runs were started.
    config: String,
}

impl Head {
    /// Reads the head of a log; `None` if the text is no log.
    pub fn of(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        lines.next()?.strip_prefix("squall choice log ")?;
        let lines: Vec<&str> = lines.take_while(|line| !line.starts_with('[')).collect();
        let value = |key: &str| {
            let found = lines
                .iter()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
            found.map(|value| value.trim().to_owned())
        };
        Some(Head {
            package: value("package")?,
            target: value("target")?,
            test: value("test")?,
            signature: value("signature").unwrap_or_default(),
            config: value("config")?,
        })
    }

    /// Where runs could switch; `None` stands for what the command does without being told.
    pub fn points(&self) -> Option<&str> {
        let mut words = self.config.split(' ');
        words.find_map(|word| word.strip_prefix("points="))
    }

    /// Whether the order of tasks was chosen.
    pub fn tasks_chosen(&self) -> bool {
        self.config.split(' ').any(|word| word == "tasks=chosen")
    }

    /// What `cargo test` needs to run this test alone.
    fn words(&self, log: &Path, arguments: &[OsString]) -> Result<Vec<OsString>> {
        if arguments.iter().any(|word| word == "--") {
            bail!("the log names the test, and what follows `--` would be for it: leave that out");
        }
        let mut words = Vec::new();
        let names_manifest =
            |word: &OsString| word.to_string_lossy().starts_with("--manifest-path");
        if !arguments.iter().any(names_manifest)
            && let Some(manifest) = manifest_of(log)
        {
            words.push("--manifest-path".into());
            words.push(manifest.into());
        }
        if let Some(points) = self.points() {
            words.extend(["--points".into(), OsString::from(points)]);
        }
        words.extend_from_slice(arguments);
        words.extend(["-p".into(), OsString::from(&self.package)]);
        match self.target.split_once(' ') {
            Some((kind, name)) => words.extend([format!("--{kind}").into(), name.into()]),
            None if !self.target.is_empty() => words.push(format!("--{}", self.target).into()),
            None => {}
        }
        words.push((&self.test).into());
        words.extend(["--", "--exact", "--include-ignored", "--nocapture"].map(OsString::from));
        Ok(words)
    }
}

/// The manifest of the crate that a log is kept beside; `None` for one that lies elsewhere.
fn manifest_of(log: &Path) -> Option<PathBuf> {
    let manifest = log.parent()?.parent()?.join("Cargo.toml");
    manifest.is_file().then_some(manifest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "squall choice log 2\npackage: shop\ntarget: test buys\ntest: orders::sold\nseed: 0x1\n\
        strategy: pos\nconfig: cpus=4 tasks=chosen\ndigest: 00\nsignature: panic\nomitted: 0\n[departures 0]\ntest: other\n";

    #[test]
    fn the_head_of_a_log_names_its_test() {
        let head = Head::of(LOG).unwrap();
        assert!(head.tasks_chosen());
        let words = head
            .words(Path::new("/nowhere/a.log"), &["--release".into()])
            .unwrap();
        let line = words.join(std::ffi::OsStr::new(" "));
        assert_eq!(
            line,
            "--release -p shop --test buys orders::sold -- --exact --include-ignored --nocapture"
        );
        let unit = Head::of(&LOG.replace("test buys", "lib").replace(" tasks=chosen", "")).unwrap();
        assert!(!unit.tasks_chosen());
        assert!(
            unit.words(Path::new("/x"), &[])
                .unwrap()
                .contains(&"--lib".into())
        );
        assert!(unit.words(Path::new("/x"), &["--".into()]).is_err());
    }

    #[test]
    fn other_files_are_told_from_logs() {
        assert_eq!(Head::of("[package]\nname = 1"), None);
        assert_eq!(Head::of(""), None);
        assert_eq!(Head::of("squall choice log 1\npackage: x\n"), None);
    }
}
