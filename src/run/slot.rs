//! A coordinator's hold on one zygote: starts it, gives it jobs, watches its child, ends it.

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command as Process, ExitStatus, Stdio};
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::time::{Duration, Instant};

use super::failure::{Failure, Summary};
use super::origin::{self, Origin};
use super::protocol::{self, Answer, Birth, Command, Frame, Job};
use crate::kernel::abi::real::blackbox::BlackBox;
use crate::kernel::abi::real::modules::Module;
use crate::kernel::abi::real::{crash, memory, process};

/// How long a stuck child has to say where it is.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How long a child may take to write its report. Nothing of the program runs then.
const TELLING: Duration = Duration::from_secs(600);
/// How much of what a zygote printed is shown, in bytes.
const PRINTED: u64 = 64 * 1024;

/// A zygote that could not be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SlotError {
    /// The system would not have it.
    #[error("cannot {what}: {source}")]
    System {
        /// What could not be done.
        what: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// It ended before it came to the test.
    #[error(
        "the test's program, started again for its runs, ended before it came to the test ({status}); a test must be \
         reachable by `{arguments}`, and what comes before it must not depend on having run once. It printed:\n{printed}"
    )]
    NeverCameUp {
        /// How it ended.
        status: String,
        /// What it was started with.
        arguments: String,
        /// What it wrote.
        printed: String,
    },
    /// It takes too long.
    #[error(
        "the test's program, started again for its runs as `{arguments}`, has not come to the test within {seconds} s. It \
         printed:\n{printed}"
    )]
    TooLate {
        /// How long it had.
        seconds: u64,
        /// What it was started with.
        arguments: String,
        /// What it wrote.
        printed: String,
    },
    /// It ended in the middle of its work.
    #[error(
        "the process that starts the runs ended unexpectedly ({status}). It printed:\n{printed}"
    )]
    Lost {
        /// How it ended.
        status: String,
        /// What it wrote.
        printed: String,
    },
    /// It could not do what it was told.
    #[error("{0}")]
    Trouble(String),
}

fn system(what: &'static str) -> impl FnOnce(io::Error) -> SlotError {
    move |source| SlotError::System { what, source }
}

/// A job under way.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) job: Job,
    pub(crate) since: Instant,
    /// The signs of life when they last changed, and when that was.
    life: (u64, u64, Instant),
    /// Set once the watchdog has ended the child: how long it had been silent.
    pub(crate) stuck: Option<Duration>,
}

/// A zygote and its present job.
pub(crate) struct Slot {
    zygote: Child,
    control: UnixStream,
    answers: BufReader<UnixStream>,
    pub(crate) black_box: &'static BlackBox,
    report: File,
    printed: File,
    arguments: String,
    pub(crate) running: Option<Running>,
    pub(crate) modules: Vec<Module>,
    /// Why seeds cannot share a process, if they cannot.
    pub(crate) unbatched: Option<String>,
    up: bool,
    since: Instant,
    prewarmed: u32,
    printed_before: u64,
}

impl Slot {
    /// Starts a zygote and does not wait for it to come up.
    pub(crate) fn start(
        origin: &Origin,
        earlier: &[Result<Summary, Failure>],
    ) -> Result<Self, SlotError> {
        let file = |name: &CStr| memory::file(name).map_err(system("make a file in memory"));
        let box_file = file(c"squall-black-box")?;
        let report = file(c"squall-report")?;
        let printed = file(c"squall-printed")?;
        let black_box = BlackBox::map(&box_file).map_err(system("map shared memory"))?;
        let (control, theirs) = UnixStream::pair().map_err(system("make a socket pair"))?;
        let birth = Birth {
            control: theirs.as_raw_fd(),
            black_box: box_file.as_raw_fd(),
            report: report.as_raw_fd(),
            test: origin.test.clone(),
            scenario: origin.fingerprint,
            earlier: earlier.to_vec(),
        };
        let birth = serde_json::to_string(&birth).expect("squall bug: a birth is not JSON");
        let arguments = origin.arguments();
        let copy = || printed.try_clone().map_err(system("copy a descriptor"));
        let mut process = Process::new(origin::program());
        process
            .args(&arguments)
            .env(protocol::ZYGOTE, birth)
            // std would print the backtrace of every panic that a program catches, looking up names each time, and errors
            // would capture theirs: calls and allocations that a seed does not decide. A run that fails is explained, with
            // the backtraces of its panics, anyway.
            .env("RUST_BACKTRACE", "0")
            .env_remove("RUST_LIB_BACKTRACE")
            .stdin(Stdio::null())
            .stdout(copy()?)
            .stderr(copy()?);
        process::make_zygote(
            &mut process,
            &[theirs.as_fd(), box_file.as_fd(), report.as_fd()],
        );
        let zygote = process
            .spawn()
            .map_err(system("start the test's program again"))?;
        let answers = BufReader::new(control.try_clone().map_err(system("copy a descriptor"))?);
        let words: Vec<_> = arguments
            .iter()
            .map(|word| word.to_string_lossy().into_owned())
            .collect();
        Ok(Slot {
            zygote,
            control,
            answers,
            black_box,
            report,
            printed,
            arguments: words.join(" "),
            running: None,
            modules: Vec::new(),
            unbatched: None,
            up: false,
            since: Instant::now(),
            prewarmed: 1,
            printed_before: 0,
        })
    }

    /// Readable when an answer waits.
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.control.as_fd()
    }

    /// Whether the zygote has come up and has nothing to do.
    pub(crate) fn idle(&self) -> bool {
        self.up && self.running.is_none()
    }

    /// How long candidates may be silent, if that is what the present job is about.
    pub(crate) fn patience(&self) -> Option<Duration> {
        let trials = self.running.as_ref()?.job.trials.as_ref();
        trials.map(|trials| trials.patience)
    }

    /// Gives the zygote a job.
    pub(crate) fn give(&mut self, job: Job) -> Result<(), SlotError> {
        self.report
            .set_len(0)
            .map_err(system("empty the report file"))?;
        let contexts = self.black_box.contexts.load(Relaxed).min(64);
        if contexts > self.prewarmed {
            self.prewarmed = contexts;
            self.send(&Command::Prewarm(contexts))?;
        }
        self.printed_before = self.printed.metadata().map_or(0, |printed| printed.len());
        self.send(&Command::Run(Box::new(job.clone())))?;
        let now = Instant::now();
        let life = (self.black_box.runs.load(Relaxed), 0, now);
        self.running = Some(Running {
            job,
            since: now,
            life,
            stuck: None,
        });
        Ok(())
    }

    fn send(&mut self, command: &Command) -> Result<(), SlotError> {
        match protocol::send(&mut self.control, command) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(self.lost()),
            Err(source) => Err(SlotError::System {
                what: "talk to the zygote",
                source,
            }),
        }
    }

    /// Takes the answer that waits: the job that is over and its wait status, or nothing if the zygote has only come up.
    pub(crate) fn take(&mut self) -> Result<Option<(Running, i32)>, SlotError> {
        let answer = match protocol::receive(&mut self.answers) {
            Ok(Some(answer)) => answer,
            Ok(None) => return Err(self.lost()),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Err(self.lost()),
            Err(source) => {
                return Err(SlotError::System {
                    what: "hear from the zygote",
                    source,
                });
            }
        };
        match answer {
            Answer::Hello { modules, unbatched } => {
                self.modules = modules;
                self.unbatched = unbatched;
                self.up = true;
                Ok(None)
            }
            Answer::Done { status } => {
                let running = self
                    .running
                    .take()
                    .expect("squall bug: an answer to no question");
                Ok(Some((running, status)))
            }
            Answer::Trouble(text) => Err(SlotError::Trouble(text)),
        }
    }

    fn lost(&mut self) -> SlotError {
        let status = self
            .zygote
            .wait()
            .map_or_else(|error| error.to_string(), |status| status.to_string());
        let printed = self.printed();
        if self.up {
            return SlotError::Lost { status, printed };
        }
        SlotError::NeverCameUp {
            status,
            arguments: self.arguments.clone(),
            printed,
        }
    }

    fn printed(&self) -> String {
        self.printed_since(0)
    }

    /// What was written past the simulation since the present job began.
    pub(crate) fn printed_by_job(&self) -> String {
        self.printed_since(self.printed_before)
    }

    fn printed_since(&self, start: u64) -> String {
        // Read at a position of its own, since the zygote shares the file's. What cannot be read cannot be shown; the error
        // that this goes with is told anyway.
        let length = self.printed.metadata().map_or(0, |printed| printed.len());
        let mut bytes = vec![0; length.saturating_sub(start).min(PRINTED) as usize];
        let read = self.printed.read_at(&mut bytes, start).unwrap_or(0);
        bytes.truncate(read);
        String::from_utf8_lossy(&bytes).trim_end().to_owned()
    }

    /// What the children of the job that has just ended reported.
    pub(crate) fn frames(&mut self) -> Result<Vec<Frame>, SlotError> {
        let length = self.black_box.reported.load(Acquire);
        let mut bytes = Vec::new();
        self.report
            .rewind()
            .map_err(system("read the report file"))?;
        (&self.report)
            .take(length)
            .read_to_end(&mut bytes)
            .map_err(system("read the report file"))?;
        let frames = bytes
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty());
        frames
            .map(|line| serde_json::from_slice(line).map_err(io::Error::from))
            .collect::<io::Result<_>>()
            .map_err(system("understand the report file"))
    }

    /// Looks after the child: if it has made no kernel entry for `limit`, has it say where it is, and ends it. An error if
    /// the zygote has not come up within `birth`.
    pub(crate) fn watch(&mut self, limit: Duration, birth: Duration) -> Result<(), SlotError> {
        if !self.up && self.since.elapsed() > birth {
            let (arguments, printed) = (self.arguments.clone(), self.printed());
            return Err(SlotError::TooLate {
                seconds: birth.as_secs(),
                arguments,
                printed,
            });
        }
        self.watch_child(limit);
        Ok(())
    }

    fn watch_child(&mut self, limit: Duration) {
        let Some(running) = &mut self.running else {
            return;
        };
        let signs = (
            self.black_box.runs.load(Acquire),
            self.black_box.progress.load(Relaxed),
        );
        if signs != (running.life.0, running.life.1) {
            running.life = (signs.0, signs.1, Instant::now());
            return;
        }
        let limit = match self.black_box.telling.load(Relaxed) {
            0 => limit,
            _ => limit.max(TELLING),
        };
        let silent = running.life.2.elapsed();
        let pid = self.black_box.pid.load(Acquire);
        if silent < limit || running.stuck.is_some() || pid == 0 {
            return;
        }
        running.stuck = Some(silent);
        // An error means that it has ended after all, which its status will tell.
        if process::kill(pid, crash::watchdog_signal()).is_ok() {
            let asked = Instant::now();
            while !self.black_box.crash_is_whole() && asked.elapsed() < LAST_WORDS {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        let pid = self.black_box.pid.load(Acquire);
        if pid != 0 {
            let _ = process::kill(pid, libc::SIGKILL);
        }
    }
}

impl Drop for Slot {
    /// Leaves no process behind.
    fn drop(&mut self) {
        let pid = self.black_box.pid.load(Acquire);
        // Errors mean that the processes have ended already.
        if pid != 0 {
            let _ = process::kill(pid, libc::SIGKILL);
        }
        let _ = self.zygote.kill();
        let _ = self.zygote.wait();
    }
}

/// The signal that ended a process, or its exit status.
pub(crate) fn ended_by(status: i32) -> Result<i32, i32> {
    let status = ExitStatus::from_raw(status);
    match status.signal() {
        Some(signal) => Err(signal),
        None => Ok(status.code().unwrap_or(-1)),
    }
}
