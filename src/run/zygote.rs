//! The zygote: the test's own program, started anew for this one test, that forks a child for each batch of seeds.
//!
//! It comes up through the same code as the coordinator did, up to the call that runs the test; here it turns into a
//! server on the socket that the coordinator gave it, and lives until that socket closes. Nothing else runs in it: libtest's
//! main thread waits for the test's, so that a fork finds no lock held.

use std::fs::File;
use std::io::{self, BufReader};
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::time::{Duration, Instant};

use super::child::{self, Equipment};
use super::protocol::{self, Answer, Birth, Command, Job, Trials};
use super::scribe::Scribe;
use super::settings::{Resolved, audited};
use super::start::Body;
use crate::kernel::abi::real::blackbox::BlackBox;
use crate::kernel::abi::real::process::{self, Fork};
use crate::kernel::abi::real::{crash, modules};
use crate::kernel::{self, image};

/// The exit status of a zygote that could not do its work and told its coordinator, or has lost it.
const LOST: i32 = 3;

/// Serves the coordinator until it closes the socket. Never returns.
pub(crate) fn serve(birth: &Birth, settings: Resolved, body: Box<Body>) -> ! {
    process::forget_variable(protocol::ZYGOTE);
    let control = match process::adopt(birth.control) {
        Ok(control) => UnixStream::from(control),
        Err(error) => {
            eprintln!(
                "squall: {} does not name open descriptors: {error}",
                protocol::ZYGOTE
            );
            process::exit_now(LOST);
        }
    };
    let served = Zygote::new(birth, control, settings, body).and_then(|mut zygote| zygote.serve());
    match served {
        Ok(()) => process::exit_now(0),
        Err(error) => {
            eprintln!("squall: the zygote of {} cannot go on: {error}", birth.test);
            process::exit_now(LOST)
        }
    }
}

struct Zygote {
    control: UnixStream,
    commands: BufReader<UnixStream>,
    with: Equipment,
}

impl Zygote {
    fn new(
        birth: &Birth,
        control: UnixStream,
        settings: Resolved,
        body: Box<Body>,
    ) -> io::Result<Self> {
        let black_box = BlackBox::map(&process::adopt(birth.black_box)?)?;
        let report = File::from(process::adopt(birth.report)?);
        let scribe = Scribe::new();
        scribe.hook();
        crash::watch(black_box)?;
        let with = Equipment {
            settings: Box::leak(Box::new(settings)),
            body: Box::leak(body),
            black_box,
            report: Box::leak(Box::new(report)),
            scribe,
        };
        let commands = BufReader::new(control.try_clone()?);
        Ok(Zygote {
            control,
            commands,
            with,
        })
    }

    fn serve(&mut self) -> io::Result<()> {
        wait_for_quiet()?;
        // Where the system does not allow it, a program that reads the counter is not deterministic; the audit tells.
        kernel::fault::trap_tsc(true);
        // One context carries the first run's body; how many more are of use shows after it.
        if !self.with.settings.os_threads {
            kernel::prewarm(1);
        }
        let unbatched = match self.with.settings.os_threads {
            // What they hold, std's records of them among it, cannot be put back between runs.
            true => Some("the OS threads of a run outlive it".to_owned()),
            false => image::snapshot().err().map(|reason| reason.to_string()),
        };
        self.answer(&Answer::Hello {
            modules: modules::loaded(),
            unbatched,
        })?;
        while let Some(command) = protocol::receive(&mut self.commands)? {
            match command {
                Command::Prewarm(contexts) => kernel::prewarm(contexts),
                Command::Run(job) => {
                    let answer = match self.run(&job) {
                        Ok(status) => Answer::Done { status },
                        Err(error) => Answer::Trouble(format!("cannot fork: {error}")),
                    };
                    self.answer(&answer)?;
                }
            }
        }
        Ok(())
    }

    fn answer(&mut self, answer: &Answer) -> io::Result<()> {
        protocol::send(&mut self.control, answer)
    }

    /// Runs a job; returns the wait status of the first child that did not end well, or 0.
    fn run(&mut self, job: &Job) -> io::Result<i32> {
        self.with.black_box.begin_job();
        if let Some(trials) = job.trials.as_ref().filter(|_| !job.batch) {
            return self.one_by_one(job, trials);
        }
        if job.batch || job.explain.is_some() {
            return self.fork(job, None);
        }
        for seed in job.first..=job.first + (job.count - 1) {
            let alone = Job {
                first: seed,
                count: 1,
                ..job.clone()
            };
            for again in [false, true] {
                if again && !audited(seed, job.audit) {
                    continue;
                }
                let steps = self.with.black_box.progress.load(Relaxed);
                self.with.black_box.begin_child();
                let status = self.fork(&alone, again.then_some(steps))?;
                if status != 0 {
                    return Ok(status);
                }
            }
        }
        Ok(0)
    }

    /// Candidates, each in a process of its own.
    fn one_by_one(&mut self, job: &Job, trials: &Trials) -> io::Result<i32> {
        let since = Instant::now();
        for (i, candidate) in trials.candidates.iter().enumerate() {
            let candidates = vec![candidate.clone()];
            let alone = Job {
                trials: Some(Trials {
                    candidates,
                    first: trials.first + i as u64,
                    ..trials.clone()
                }),
                ..job.clone()
            };
            self.with.black_box.begin_child();
            let status = self.fork(&alone, None)?;
            // A report says that this one counts.
            let hit = trials.cost.is_some() && self.with.black_box.reported.load(Acquire) > 0;
            if status != 0 || hit {
                return Ok(status);
            }
            if since.elapsed() >= trials.slice {
                break;
            }
        }
        Ok(0)
    }

    fn fork(&mut self, job: &Job, again: Option<u64>) -> io::Result<i32> {
        let me = std::process::id();
        match process::fork()? {
            Fork::Child => {
                if !process::die_with_parent(me) {
                    process::exit_now(LOST);
                }
                // A fork switches this off. Where the system does not know it, calls past libc reach the real system.
                kernel::trap::trap_calls(true);
                // The socket stays open in this copy; the coordinator sees the zygote's end by its process.
                child::run(self.with, job, again)
            }
            Fork::Parent(pid) => {
                let black_box = self.with.black_box;
                black_box.pid.store(pid, Release);
                process::wait_ended(pid)?;
                // From here on nobody may signal this number: once reaped, it may become another process's.
                black_box.pid.store(0, Release);
                process::reap(pid)
            }
        }
    }
}

/// Waits until libtest's main thread has gone to sleep after starting this one: it may still be printing.
fn wait_for_quiet() -> io::Result<()> {
    let give_up = Instant::now() + Duration::from_secs(10);
    let mut quiet = 0;
    while quiet < 2 {
        if process::others_sleep()? {
            quiet += 1;
        } else if Instant::now() > give_up {
            return Err(io::Error::other(
                "another thread of the test binary keeps running, so that a fork would not be safe",
            ));
        } else {
            quiet = 0;
            std::thread::sleep(Duration::from_micros(200));
        }
    }
    Ok(())
}
