//! Starts cargo on the tests, against the instrumented tokio, and turns what came of it into an exit status.
//!
//! The copy is passed as a path override (cargo's `paths` setting), which takes the place of the locked package without
//! changing `Cargo.lock`: `--locked` goes on working, and cargo keeps both builds in the same target directory.

use crate::arguments::Arguments;
use crate::events::{self, Event, REPORT_VARIABLE, Word};
use crate::exec::existing;
use crate::instrument;
use crate::live::{self, Bars};
use crate::points::{Instrumented, Points};
use crate::status;
use crate::suite;
use crate::workspace::{Workspace, cargo};
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::ffi::OsString;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

/// Tells the tests who runs them, so that replay lines name the same command.
const COMMAND_VARIABLE: &str = "CARGO_SQUALL";

/// Tells them where a run may switch.
const POINTS_VARIABLE: &str = "CARGO_SQUALL_POINTS";

/// How often is looked for what tests tell.
const LOOK: Duration = Duration::from_millis(100);

/// `cargo squall test`.
pub fn test(words: &[OsString]) -> Result<u8> {
    let without = existing::asked(words);
    let words = without.as_deref().unwrap_or(words);
    let (junit, words) = suite::asked(words)?;
    // Suites that know nothing of squall may poll by hand, and count on a poll that does not end early.
    let unsaid = match without {
        Some(_) => Points::Awaits,
        None => Points::default(),
    };
    let (points, words) = Points::take(&words, unsaid)?;
    if without.is_some() && points == Points::Memory {
        bail!(
            "--existing and --points memory do not go together: the instrumentation calls squall, which those tests do not have"
        );
    }
    let mut run = Run::new("test", points, &words)?;
    run.junit = junit;
    if without.is_some() {
        run.settings.extend(existing::settings(&words)?);
        run.variables.push(existing::variable(&words)?);
    }
    run.tests(&words)
}

/// `cargo test` with these variables, with the order of tasks chosen or on stock tokio.
pub fn with(
    words: &[OsString],
    variables: Vec<(&'static str, String)>,
    chosen: bool,
) -> Result<u8> {
    let (points, words) = Points::take(words, Points::default())?;
    let mut run = Run::new("test", points, &words)?;
    if !chosen {
        run.overriding.clear();
    }
    run.variables = variables;
    run.tests(&words)
}

/// What tests came to that were run with somebody looking on.
pub struct Ran {
    /// The exit status.
    pub status: u8,
    /// What they told, in order.
    pub events: Vec<Event>,
    /// What cargo and they printed.
    pub text: String,
}

/// `cargo test` as [`test()`] does it, but nothing is shown of what it prints: `look` gets what the tests tell, as soon as they do.
pub fn observed(
    words: &[OsString],
    variables: Vec<(&'static str, String)>,
    chosen: bool,
    junit: Option<&Path>,
    look: &mut dyn FnMut(&Event),
) -> Result<Ran> {
    let (points, words) = Points::take(words, Points::default())?;
    let mut run = Run::new("test", points, &words)?;
    if !chosen {
        run.overriding.clear();
    }
    run.variables = variables;
    run.junit = junit.map(Path::to_owned);
    let mut child = run
        .command(&["test"], &words)?
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start cargo")?;
    fn collect(from: Option<impl Read + Send + 'static>) -> JoinHandle<Vec<u8>> {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            // What was read until then is worth showing.
            let _ = from.map(|mut from| from.read_to_end(&mut bytes));
            bytes
        })
    }
    let readers = [collect(child.stderr.take()), collect(child.stdout.take())];
    let ended = run.watch(&mut child, look)?;
    let printed = readers.map(|reader| reader.join().unwrap_or_default());
    let told = std::fs::read_to_string(&run.report).unwrap_or_default();
    let status = run.judge(ended, || run.compiles(&words));
    Ok(Ran {
        status,
        events: events::read(&told).collect(),
        text: String::from_utf8_lossy(&printed.concat()).into_owned(),
    })
}

/// `cargo squall nextest`.
pub fn nextest(words: &[OsString]) -> Result<u8> {
    let (junit, words) = suite::asked(words)?;
    let (points, words) = Points::take(&words, Points::default())?;
    let Some((verb, rest)) = words.split_first() else {
        bail!("say what nextest is to do, as in `cargo squall nextest run`");
    };
    let mut run = Run::new("nextest run", points, &words)?;
    run.junit = junit;
    let verb = verb.to_str().context("nextest has no such subcommand")?;
    let ended = run
        .command(&["nextest", verb], rest)?
        .status()
        .context("cannot start cargo")?;
    // nextest says by itself: 100 for tests that failed, others for builds and usage.
    Ok(run.judge(ended, || ended.code() == Some(100)))
}

/// Builds the tests as [`test()`] does and says where they are, in order. Words after `--` are for tests that run, and not looked at.
pub fn executables(words: &[OsString]) -> Result<Vec<PathBuf>> {
    let (points, words) = Points::take(words, Points::default())?;
    let own = words.iter().take_while(|word| *word != "--");
    let own: Vec<OsString> = own.cloned().collect();
    let run = Run::new("test", points, &own)?;
    let verb = [
        "test",
        "--no-run",
        "--message-format=json-render-diagnostics",
    ];
    let output = run
        .command(&verb, &own)?
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    if !output.status.success() {
        bail!(
            "the tests cannot be built (`cargo test --no-run`: {})",
            output.status
        );
    }
    let mut found = Vec::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        #[derive(Deserialize)]
        struct Message {
            executable: Option<PathBuf>,
            profile: Option<Profile>,
        }
        #[derive(Deserialize)]
        struct Profile {
            test: bool,
        }
        let Ok(message) = serde_json::from_str::<Message>(line) else {
            continue;
        };
        if message.profile.is_some_and(|profile| profile.test) {
            found.extend(message.executable);
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// Where the command keeps what it makes.
pub fn home(words: &[OsString]) -> Result<PathBuf> {
    let workspace = Workspace::ask(&Arguments::of(words))?;
    Ok(workspace.target.join("squall"))
}

/// What the tests are told of the command that built them.
pub fn variables(words: &[OsString]) -> Result<Vec<(&'static str, String)>> {
    let (points, words) = Points::take(words, Points::default())?;
    let run = Run::new("test", points, &words)?;
    Ok(run.told())
}

/// One run of the tests.
struct Run {
    /// The subcommand, for replay lines.
    name: &'static str,
    /// The cargo setting that puts the copy in tokio's place; empty where tokio stays as it is.
    overriding: Vec<OsString>,
    /// What else cargo is told.
    settings: Vec<OsString>,
    variables: Vec<(&'static str, String)>,
    points: Points,
    /// What memory points need.
    instrumented: Option<Instrumented>,
    /// What the tests say of themselves.
    report: PathBuf,
    /// Where reports are kept.
    reports: PathBuf,
    /// Where JUnit XML goes, if it is asked for.
    junit: Option<PathBuf>,
    runs_nothing: bool,
    /// No test is left out.
    whole: bool,
}

impl Run {
    fn new(name: &'static str, points: Points, words: &[OsString]) -> Result<Run> {
        let arguments = Arguments::of(words);
        let workspace = Workspace::ask(&arguments)?;
        let home = workspace.target.join("squall");
        std::fs::create_dir_all(&home)
            .with_context(|| format!("cannot make {}", home.display()))?;
        // nextest has verbs that run nothing, such as `list`.
        let nextest_lists = name != "test"
            && words
                .first()
                .is_some_and(|verb| verb != "run" && verb != "r");
        let report = home.join(format!("report-{}", std::process::id()));
        // An earlier run with this number may have been ended before it could look at its own.
        let _ = std::fs::remove_file(&report);
        let instrumented = match points {
            Points::Memory => Some(Instrumented::prepare(&workspace)?),
            Points::Awaits | Points::Polls => None,
        };
        Ok(Run {
            name,
            overriding: overriding(&workspace)?,
            settings: Vec::new(),
            variables: Vec::new(),
            points,
            instrumented,
            report,
            reports: home.join("reports"),
            junit: None,
            runs_nothing: arguments.runs_nothing || nextest_lists,
            // What nextest leaves out is written in words of its own.
            whole: name == "test" && !arguments.selects,
        })
    }

    /// `cargo test`, and what it came to.
    fn tests(&self, words: &[OsString]) -> Result<u8> {
        if self.runs_nothing || !live::wanted() {
            let ended = self.command(&["test"], words)?.status();
            let ended = ended.context("cannot start cargo")?;
            return Ok(self.judge(ended, || self.compiles(words)));
        }
        let mut command = self.command_with(&["test"], &live::settings(), words)?;
        let (mut bars, mut child) = Bars::over(&mut command)?;
        let ended = self.watch(&mut child, &mut |event| bars.see(event));
        bars.end();
        Ok(self.judge(ended?, || self.compiles(words)))
    }

    /// Waits for cargo; `look` gets what the tests tell, as soon as they do.
    fn watch(&self, child: &mut Child, look: &mut dyn FnMut(&Event)) -> Result<ExitStatus> {
        let mut seen = 0;
        loop {
            let ended = child.try_wait().context("cannot wait for cargo")?;
            let told = std::fs::read_to_string(&self.report).unwrap_or_default();
            // The last line may be half written.
            let whole = told.rfind('\n').map_or(0, |at| at + 1);
            events::read(told.get(seen..whole).unwrap_or_default()).for_each(|event| look(&event));
            seen = seen.max(whole);
            match ended {
                Some(ended) => return Ok(ended),
                None => std::thread::sleep(LOOK),
            }
        }
    }

    /// Whether the tests can be built. Asked only after a failure: what was built is not built again.
    fn compiles(&self, words: &[OsString]) -> bool {
        let own = words.iter().take_while(|word| *word != "--");
        let own: Vec<OsString> = own.cloned().collect();
        let Ok(mut again) = self.command(&["test", "--no-run", "--quiet"], &own) else {
            return false;
        };
        let again = again.stdout(Stdio::null()).stderr(Stdio::null()).status();
        again.is_ok_and(|ended| ended.success())
    }

    fn command(&self, verb: &[&str], words: &[OsString]) -> Result<Command> {
        self.command_with(verb, &[], words)
    }

    fn command_with(
        &self,
        verb: &[&str],
        settings: &[OsString],
        words: &[OsString],
    ) -> Result<Command> {
        let mut command = Command::new(cargo());
        command
            .args(verb)
            .args(&self.overriding)
            .args(&self.settings)
            .args(settings)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .env(REPORT_VARIABLE, &self.report);
        if let Some(instrumented) = &self.instrumented {
            instrumented.apply(&mut command)?;
        }
        command.args(words);
        command
            .env_remove(COMMAND_VARIABLE)
            .env_remove(POINTS_VARIABLE)
            .envs(self.told());
        Ok(command)
    }

    /// What the tests are told of the command; nothing where nothing is instrumented.
    fn told(&self) -> Vec<(&'static str, String)> {
        if self.overriding.is_empty() && self.points != Points::Memory {
            return Vec::new();
        }
        let verb = format!("{}{}", self.name, self.points.suffix());
        vec![
            (COMMAND_VARIABLE, verb),
            (POINTS_VARIABLE, self.points.name().to_owned()),
        ]
    }

    /// The exit status: the gravest of what the tests said, or what `cargo` came to.
    fn judge(&self, cargo: ExitStatus, compiles: impl FnOnce() -> bool) -> u8 {
        let told = std::fs::read_to_string(&self.report).unwrap_or_default();
        // It may not be there: no test of squall's ran.
        let _ = std::fs::remove_file(&self.report);
        let events: Vec<Event> = events::read(&told).collect();
        if let Err(error) = suite::tell(&events, &self.reports, self.junit.as_deref()) {
            eprintln!("squall: {error:#}");
            return status::USAGE;
        }
        let ended: Vec<&Word> = events
            .iter()
            .filter_map(|event| match event {
                Event::Ended { word, .. } => Some(word),
                _ => None,
            })
            .collect();
        let gravest = ended.iter().max();
        match (cargo.code(), cargo.signal()) {
            (Some(0), _) if ended.is_empty() && !self.runs_nothing => {
                eprintln!(
                    "squall: no test of squall's ran: check the filters, and that tests carry #[squall::test]"
                );
                status::USAGE
            }
            (Some(0), _) if self.whole && suite::tell_unhit(&events) => status::FAILED,
            (Some(0), _) => status::HELD,
            // As a shell says it: ended by a signal, or by Ctrl-C.
            (Some(interrupted @ 128..), _) => interrupted as u8,
            (None, Some(signal)) => 128 | signal as u8,
            _ if gravest == Some(&&Word::Trouble) => status::TROUBLE,
            _ if gravest == Some(&&Word::Failed) => status::FAILED,
            _ if gravest == Some(&&Word::Unusable) => status::USAGE,
            // Another test failed, if one ran at all.
            _ if compiles() => status::FAILED,
            _ => status::USAGE,
        }
    }
}

/// The cargo setting that puts the copy in tokio's place; empty where tokio stays as it is, which is said.
fn overriding(workspace: &Workspace) -> Result<Vec<OsString>> {
    let why = match &workspace.tokio {
        Err(no) => no.to_string(),
        Ok(tokio) => match instrument::copy_of(tokio, &workspace.target)? {
            Ok(copy) => return Ok(vec!["--config".into(), setting(&copy)?.into()]),
            Err(mismatch) => format!(
                "tokio {} is not known to this cargo-squall: {mismatch}",
                tokio.version
            ),
        },
    };
    eprintln!(
        "squall: {why}. The tests run on stock tokio: the tasks of a current_thread runtime keep tokio's order."
    );
    Ok(Vec::new())
}

fn setting(copy: &Path) -> Result<String> {
    let path = copy
        .to_str()
        .with_context(|| format!("cargo cannot be told of the path {}", copy.display()))?;
    // A JSON string is a TOML string.
    Ok(format!("paths=[{}]", serde_json::to_string(path)?))
}
