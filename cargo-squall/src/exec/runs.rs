//! Starts the coordinator of each test, several side by side if asked for, and says what became of it. A test that fails under
//! squall runs natively once, too: what fails there as well is no finding of squall's. A whole program does not.

use super::existing;
use crate::events::{Event, Name, REPORT_VARIABLE, Word};
use crate::status;
use anyhow::{Context, Result};
use serde::Deserialize;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Makes a process the coordinator of its own program's runs; the library reads it (`src/run/program.rs`).
const EXEC_VARIABLE: &str = "CARGO_SQUALL_EXEC";
/// How long a test may take natively before it counts as one that hangs.
const NATIVELY: Duration = Duration::from_secs(60);
/// How many seeds are named.
const NAMED: usize = 8;

/// One test, or a whole program.
#[derive(Debug, Clone)]
pub struct Test {
    /// Its name.
    pub name: String,
    /// The arguments that run it.
    pub words: Vec<OsString>,
}

impl Test {
    /// The program as one test.
    pub fn whole(binary: &Path, words: &[OsString]) -> Test {
        let name = binary.file_name().unwrap_or(binary.as_os_str());
        Test {
            name: name.to_string_lossy().into_owned(),
            words: words.to_vec(),
        }
    }
}

/// The tests of a binary, and how to run them.
#[derive(Debug)]
pub struct Suite {
    /// What is preloaded.
    pub library: PathBuf,
    /// The binary.
    pub binary: PathBuf,
    /// Variables that options set.
    pub variables: Vec<(&'static str, String)>,
    /// How many tests run side by side.
    pub jobs: usize,
    /// Cargo started the command for this binary.
    pub by_cargo: bool,
    /// libtest calls the tests.
    pub libtest: bool,
}

/// What a coordinator says in the end.
#[derive(Debug, Deserialize)]
enum Told {
    /// Every seed passed.
    Held { runs: u64 },
    /// A seed failed, or nothing could be run.
    Failed {
        seed: Option<u64>,
        signature: String,
        #[serde(default)]
        survey: Option<Survey>,
    },
}

/// How many seeds fail, counted after the first one did.
#[derive(Debug, Deserialize)]
struct Survey {
    /// Seeds that ran.
    runs: u64,
    /// Those that failed, with what they have in common with others that fail so.
    failing: Vec<(u64, String)>,
}

/// What became of a test.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
enum Verdict {
    Passed,
    /// Some seeds fail, and it passes natively.
    Flaky,
    /// It fails under every seed that ran, and passes natively.
    Failed,
    /// It fails natively as well.
    Broken,
    /// A call that the simulation refuses, or another trouble of squall's.
    Trouble,
    /// Wrong usage: a variable that cannot be used, say.
    Unusable,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Verdict::Passed => "PASS",
            Verdict::Flaky => "FLAKY",
            Verdict::Failed => "FAIL",
            Verdict::Broken => "BROKEN",
            Verdict::Trouble => "TROUBLE",
            Verdict::Unusable => "UNUSABLE",
        }
    }

    fn status(self) -> u8 {
        match self {
            Verdict::Passed => status::HELD,
            Verdict::Flaky | Verdict::Failed | Verdict::Broken => status::FAILED,
            Verdict::Trouble => status::TROUBLE,
            Verdict::Unusable => status::USAGE,
        }
    }

    /// The word that `launch` knows it by.
    fn reported(self) -> Word {
        match self {
            Verdict::Passed => Word::Held,
            Verdict::Flaky | Verdict::Failed | Verdict::Broken => Word::Failed,
            Verdict::Trouble => Word::Trouble,
            Verdict::Unusable => Word::Unusable,
        }
    }
}

struct Ended {
    verdict: Verdict,
    took: Duration,
    runs: u64,
    /// What stands behind the name.
    remark: String,
    output: Output,
}

impl Suite {
    /// Runs the tests and says what became of them; the status is that of the gravest verdict.
    pub fn run(&self, tests: &[Test]) -> Result<u8> {
        let since = Instant::now();
        let shown = self.shown(&self.binary);
        println!("squall: {} of {shown}", count(tests.len(), "test"));
        let queue: Mutex<VecDeque<&Test>> = Mutex::new(tests.iter().collect());
        let done: Mutex<Vec<(Verdict, u64)>> = Mutex::new(Vec::new());
        let trouble: Mutex<Option<anyhow::Error>> = Mutex::new(None);
        let side_by_side = self.jobs.min(tests.len());
        let bug = "squall bug: a thread of the command panicked";
        std::thread::scope(|scope| {
            for _ in 0..side_by_side {
                scope.spawn(|| {
                    loop {
                        let Some(test) = queue.lock().expect(bug).pop_front() else {
                            return;
                        };
                        let ended = match self.one(test, tests.len() == 1) {
                            Ok(ended) => ended,
                            Err(error) => {
                                queue.lock().expect(bug).clear();
                                trouble.lock().expect(bug).get_or_insert(error);
                                return;
                            }
                        };
                        let mut done = done.lock().expect(bug);
                        // Under the lock: the texts of two tests do not mix.
                        self.show(test, &ended);
                        done.push((ended.verdict, ended.runs));
                    }
                });
            }
        });
        if let Some(error) = trouble.into_inner().expect(bug) {
            return Err(error);
        }
        let done = done.into_inner().expect(bug);
        self.summary(&done, since.elapsed());
        let gravest = [status::TROUBLE, status::FAILED, status::USAGE];
        let some = |status: &u8| done.iter().any(|(verdict, _)| verdict.status() == *status);
        Ok(gravest.into_iter().find(some).unwrap_or(status::HELD))
    }

    /// Runs a test under its seeds and judges it.
    fn one(&self, test: &Test, alone: bool) -> Result<Ended> {
        let since = Instant::now();
        let result = std::env::temp_dir().join(format!(
            "squall-{}-{:?}.json",
            std::process::id(),
            std::thread::current().id()
        ));
        // Only one seed's run shows as it goes; what others print is of no interest unless they fail.
        let show = alone && self.one_seed();
        let mut command = self.command(test);
        command
            .env(EXEC_VARIABLE, self.told(test, &result, show)?)
            .env("LD_PRELOAD", self.preloaded())
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .env("SQUALL_JOBS", if alone { self.jobs } else { 1 }.to_string());
        if show {
            command.stdout(Stdio::inherit()).stderr(Stdio::inherit());
        } else {
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
        }
        let output = command
            .spawn()
            .and_then(std::process::Child::wait_with_output)
            .with_context(|| format!("cannot start {}", self.binary.display()))?;
        let told = std::fs::read(&result);
        // It may not be there: the process ended before it could leave it.
        let _ = std::fs::remove_file(&result);
        let told: Option<Told> = told
            .ok()
            .and_then(|told| serde_json::from_slice(&told).ok());
        let (verdict, runs, remark) = match told {
            Some(Told::Held { runs }) => (Verdict::Passed, runs, String::new()),
            Some(Told::Failed { seed: None, .. }) => (Verdict::Unusable, 0, String::new()),
            Some(Told::Failed {
                seed: Some(seed),
                signature,
                survey,
            }) => self.judge(test, seed, &signature, survey)?,
            None => {
                let remark = format!("the process that runs it ended early ({})", output.status);
                (Verdict::Trouble, 0, remark)
            }
        };
        Ok(Ended {
            verdict,
            took: since.elapsed(),
            runs,
            remark,
            output,
        })
    }

    /// Whether one seed alone was asked for.
    fn one_seed(&self) -> bool {
        let value = |name: &str| {
            let option = self.variables.iter().find(|(set, _)| *set == name);
            option
                .map(|(_, value)| value.clone())
                .or_else(|| std::env::var(name).ok())
        };
        value("SQUALL_SEED").is_some() || value("SQUALL_SEEDS").is_some_and(|seeds| seeds == "1")
    }

    /// What a test that fails under a seed is.
    fn judge(
        &self,
        test: &Test,
        seed: u64,
        signature: &str,
        survey: Option<Survey>,
    ) -> Result<(Verdict, u64, String)> {
        let survey = survey.unwrap_or(Survey {
            runs: 1,
            failing: vec![(seed, signature.to_owned())],
        });
        let named: Vec<String> = survey
            .failing
            .iter()
            .take(NAMED)
            .map(|(seed, _)| format!("{seed:#x}"))
            .collect();
        let more = if survey.failing.len() > NAMED {
            ", .."
        } else {
            ""
        };
        let mut remark = format!(
            "fails under {} of {}: {}{more}",
            survey.failing.len(),
            count(survey.runs as usize, "seed"),
            named.join(", ")
        );
        let mut ways: Vec<&str> = survey.failing.iter().map(|(_, way)| way.as_str()).collect();
        ways.sort_unstable();
        ways.dedup();
        if ways.len() > 1 {
            write!(remark, "; in {} ways: {}", ways.len(), ways.join("; "))?;
        }
        let ours = ["nondeterministic", "state between runs", "refused "];
        if ours.iter().any(|start| signature.starts_with(start)) {
            return Ok((Verdict::Trouble, survey.runs, remark));
        }
        // Of a program nobody knows what it would do to the real world.
        if self.libtest {
            if let Some(how) = self.fails_natively(test)? {
                write!(remark, "; without squall it fails, too ({how})")?;
                return Ok((Verdict::Broken, survey.runs, remark));
            }
            remark.push_str("; without squall it passes");
        }
        let verdict = match survey.failing.len() as u64 == survey.runs {
            true => Verdict::Failed,
            false => Verdict::Flaky,
        };
        Ok((verdict, survey.runs, remark))
    }

    fn command(&self, test: &Test) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(&test.words).stdin(Stdio::null());
        command
    }

    /// How a test fails in an ordinary run, if it does.
    fn fails_natively(&self, test: &Test) -> Result<Option<String>> {
        let mut command = self.command(test);
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", self.binary.display()))?;
        let since = Instant::now();
        loop {
            if let Some(ended) = child.try_wait().context("cannot wait for the test")? {
                return Ok((!ended.success()).then(|| ended.to_string()));
            }
            if since.elapsed() > NATIVELY {
                child.kill().context("cannot end the test")?;
                child.wait().context("cannot wait for the test")?;
                return Ok(Some(format!("not over after {} s", NATIVELY.as_secs())));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What the coordinator is told.
    fn told(&self, test: &Test, result: &Path, show: bool) -> Result<String> {
        let variable = |name: &str| std::env::var(name).ok();
        let manifest = variable("CARGO_MANIFEST_DIR").filter(|_| self.by_cargo);
        let target = existing::target(&self.binary);
        let told = serde_json::json!({
            "test": test.name,
            "package": variable("CARGO_PKG_NAME").filter(|_| self.by_cargo).unwrap_or_else(|| target.clone()),
            "target": if self.libtest { format!("test {target}") } else { format!("bin {target}") },
            "manifest_dir": manifest,
            "command": self.again(test),
            "result": result,
            "show": show,
            "preload": variable("LD_PRELOAD"),
        });
        serde_json::to_string(&told).context("cannot put the test into words")
    }

    /// The command that runs a test again, as a person would write it.
    fn again(&self, test: &Test) -> String {
        let ignored = |word: &&OsString| *word == "--ignored" || *word == "--include-ignored";
        let ignored = test.words.iter().find(ignored);
        let ignored = ignored.map(|word| word.to_string_lossy().into_owned());
        if self.by_cargo
            && let Some(words) = existing::again(&self.binary, self.libtest.then_some(&test.name))
        {
            let words = words.into_iter().chain(ignored);
            return words
                .map(|word| quoted(&word))
                .collect::<Vec<_>>()
                .join(" ");
        }
        let binary = quoted(&self.shown(&self.binary));
        let mut words = vec!["cargo squall exec --".to_owned(), binary];
        if self.libtest {
            words.extend([quoted(&test.name), "--exact".to_owned()]);
            words.extend(ignored);
        } else {
            let own = test.words.iter().map(|word| word.to_string_lossy());
            words.extend(own.map(|word| quoted(&word)));
        }
        words.join(" ")
    }

    /// A path as a person here would write it.
    fn shown(&self, path: &Path) -> String {
        let here = std::env::current_dir().unwrap_or_default();
        let inner = path.strip_prefix(&here).unwrap_or(path);
        match inner.components().count() {
            1 => format!("./{}", inner.display()),
            _ => inner.display().to_string(),
        }
    }

    fn preloaded(&self) -> OsString {
        let mut all = self.library.clone().into_os_string();
        if let Some(before) = std::env::var_os("LD_PRELOAD").filter(|before| !before.is_empty()) {
            all.push(" ");
            all.push(before);
        }
        all
    }

    fn show(&self, test: &Test, ended: &Ended) {
        let digests = String::from_utf8_lossy(&ended.output.stdout);
        print!("{digests}");
        let said = String::from_utf8_lossy(&ended.output.stderr);
        eprint!("{said}");
        let name = &test.name;
        let took = ended.took.as_secs_f64();
        let colon = if ended.remark.is_empty() { "" } else { ": " };
        let (word, seeds) = (ended.verdict.word(), count(ended.runs as usize, "seed"));
        println!(
            "{word:>12} [{took:>8.3}s, {seeds:>9}] {name}{colon}{}",
            ended.remark
        );
        let Some(report) = std::env::var_os(REPORT_VARIABLE).filter(|_| self.by_cargo) else {
            return;
        };
        let event = Event::Ended {
            test: Name {
                package: String::new(),
                target: String::new(),
                name: name.clone(),
            },
            word: ended.verdict.reported(),
            runs: ended.runs,
            simulated: 0,
            millis: u64::try_from(ended.took.as_millis()).unwrap_or(u64::MAX),
            failure: None,
        };
        let line =
            serde_json::to_string(&event).expect("squall bug: an event that is no JSON") + "\n";
        let file = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(&report);
        if let Err(error) =
            file.and_then(|mut file| std::io::Write::write_all(&mut file, line.as_bytes()))
        {
            eprintln!(
                "squall: cannot report {name}: {}: {error}",
                report.to_string_lossy()
            );
        }
    }

    fn summary(&self, done: &[(Verdict, u64)], took: Duration) {
        let seeds: u64 = done.iter().map(|(_, runs)| runs).sum();
        let mut parts = Vec::new();
        let all = [
            (Verdict::Passed, "passed"),
            (Verdict::Flaky, "flaky"),
            (Verdict::Failed, "failed under every seed"),
            (Verdict::Broken, "fail without squall, too"),
            (Verdict::Trouble, "in trouble"),
            (Verdict::Unusable, "not run"),
        ];
        for (verdict, word) in all {
            let n = done.iter().filter(|(other, _)| *other == verdict).count();
            if n > 0 {
                parts.push(format!("{n} {word}"));
            }
        }
        println!(
            "{:>12} [{:>8.3}s, {:>9}] {}: {}",
            "Summary",
            took.as_secs_f64(),
            count(seeds as usize, "run"),
            count(done.len(), "test"),
            parts.join(", ")
        );
    }
}

fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// A word as a shell reads it back.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suite(libtest: bool) -> Suite {
        Suite {
            library: "/lib.so".into(),
            binary: "/nowhere/it is".into(),
            variables: Vec::new(),
            jobs: 1,
            by_cargo: false,
            libtest,
        }
    }

    #[test]
    fn a_replay_line_survives_a_shell() {
        let test = Test {
            name: "a::b".to_owned(),
            words: ["a::b", "--exact", "--nocapture", "--include-ignored"]
                .map(OsString::from)
                .to_vec(),
        };
        assert_eq!(
            suite(true).again(&test),
            "cargo squall exec -- '/nowhere/it is' a::b --exact --include-ignored"
        );
        let program = Test::whole(Path::new("/nowhere/it is"), &["it's".into(), "-x".into()]);
        assert_eq!(
            suite(false).again(&program),
            "cargo squall exec -- '/nowhere/it is' 'it'\\''s' -x"
        );
    }
}
