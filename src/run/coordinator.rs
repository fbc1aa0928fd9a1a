//! One test: many seeds, run by zygotes, watched and judged from here. Runs on libtest's thread, or the caller's.
//!
//! The coordinator never runs the test's body. It hands out seeds, and when one fails it has it run again alone, with
//! everything taken down, to see whether it fails the same way; `verify` has that part.

use std::collections::{BTreeMap, HashSet};
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use super::command;
use super::coverage::Coverage;
use super::failure::{Failure, Summary};
use super::judge::{Ended, Last};
use super::origin::Origin;
use super::protocol::Job;
use super::saved::SavedError;
use super::searched::Searched;
use super::settings::{Isolation, Resolved, Which};
use super::slot::{Slot, SlotError};
use super::unusable;
use crate::choice::{Decision, LogError};
use crate::explore::{Profile, Progress};
use crate::kernel::Output;
use crate::kernel::abi::real::interrupt::Listener;
use crate::kernel::abi::real::{poll, process};
use crate::kernel::{self, Domain, Tallies};
use crate::sim::parameter::Parameters;

/// How often the signs of life of the children are looked at.
const LOOK: Duration = Duration::from_millis(50);
/// How often the command is told how far a test is, at the most.
const TELL: Duration = Duration::from_millis(200);
/// The exit status of a part of a search whose command is gone.
const LOST: i32 = 3;
/// How long a zygote may take to come up.
const BIRTH: Duration = Duration::from_secs(60);

/// Why a test could not be run to an end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// A zygote failed.
    #[error(transparent)]
    Slot(#[from] SlotError),
    /// A saved log cannot be used.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The saved logs cannot be used.
    #[error(transparent)]
    Saved(#[from] SavedError),
    /// Waiting failed.
    #[error("cannot wait for the runs: {0}")]
    Wait(std::io::Error),
    /// There is nothing to say that the test held.
    #[error(
        "no seed was run, so nothing is known about the test; give it a larger SQUALL_BUDGET or at least one seed"
    )]
    NoSeed,
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
}

/// The runs of one test.
pub(crate) struct Coordinator<'a> {
    pub(crate) origin: &'a Origin,
    pub(crate) settings: &'a Resolved,
    earlier: &'a [Result<Summary, Failure>],
    pub(crate) slots: Vec<Slot>,
    listener: Listener,
    pub(crate) refused: HashSet<String>,
    pub(crate) runs: u64,
    /// Runs that failed, by signature.
    signatures: BTreeMap<String, u32>,
    /// Virtual nanoseconds of runs that passed, in all.
    pub(crate) simulated: u64,
    pub(crate) total: Option<u64>,
    /// When the command was last told how far the test is.
    told: Option<Instant>,
    /// Each seed gets a process of its own after all.
    pub(super) apart: bool,
    /// The last seed that passed behind others in its process.
    pub(super) behind: Option<Behind>,
    /// What strategies may know of the test, once seed 0 has run.
    pub(crate) profile: Option<Profile>,
    /// What instrumented code has reached.
    pub(crate) coverage: Coverage,
    /// What the runs counted.
    pub(crate) tallies: Tallies,
    /// Those of the log that is run again, while it is.
    pub(crate) parameters: Option<Parameters>,
    /// How far a search came that ends by itself.
    pub(crate) progress: Option<Progress>,
    /// Lines to print in the end, since a search may begin anew.
    pub(crate) digests: Vec<String>,
}

/// A seed that passed behind others in its process.
pub(super) struct Behind {
    pub(super) job: Job,
    pub(super) last: Last,
}

/// Runs the test. `earlier` is what runs before this one within the test came to.
pub(crate) fn run(
    origin: &Origin,
    settings: &Resolved,
    earlier: &[Result<Summary, Failure>],
) -> Result<Summary, Failure> {
    if let Some(command) = command::part()
        && !process::die_with_parent(command)
    {
        // It has ended already, and nobody would read what comes of this.
        process::exit_now(LOST);
    }
    let mut coordinator = Coordinator::new(origin, settings, earlier)
        .map_err(|trouble| unusable(&origin.test, trouble))?;
    let result = coordinator.run();
    for line in &coordinator.digests {
        println!("{line}");
    }
    if kernel::instrumented()
        && matches!(settings.which, Which::Explore { .. })
        && coordinator.runs > 0
    {
        let told = coordinator.coverage.told(kernel::edges());
        eprintln!("squall: {}: {told}", origin.test);
    }
    let searched = coordinator.searched();
    searched.tell_places();
    let missed = searched.missed();
    match result.map(|failure| failure.or(missed)) {
        Ok(None) => {
            let progress = coordinator.progress;
            Ok(searched.summary(progress.and_then(|progress| progress.exhausted())))
        }
        Ok(Some(failure)) => Err(failure),
        Err(Trouble::Interrupted) => coordinator.interrupted(),
        Err(trouble) => Err(unusable(&origin.test, trouble)),
    }
}

impl<'a> Coordinator<'a> {
    /// One that has done nothing yet.
    pub(crate) fn new(
        origin: &'a Origin,
        settings: &'a Resolved,
        earlier: &'a [Result<Summary, Failure>],
    ) -> Result<Self, Trouble> {
        Ok(Coordinator {
            origin,
            settings,
            earlier,
            slots: Vec::new(),
            listener: Listener::new().map_err(Trouble::Wait)?,
            refused: HashSet::new(),
            runs: 0,
            signatures: BTreeMap::new(),
            simulated: 0,
            total: None,
            told: None,
            apart: false,
            behind: None,
            profile: None,
            coverage: Coverage::default(),
            tallies: Tallies::default(),
            parameters: None,
            progress: None,
            digests: Vec::new(),
        })
    }
}

impl Coordinator<'_> {
    /// What it has come to.
    pub(super) fn searched(&self) -> Searched<'_> {
        Searched {
            origin: self.origin,
            settings: self.settings,
            tallies: &self.tallies,
            runs: self.runs,
            simulated: self.simulated,
        }
    }

    fn run(&mut self) -> Result<Option<Failure>, Trouble> {
        // Read before anything runs: a damaged log must not be found out after an hour.
        let replay = match &self.settings.which {
            Which::Replay(path) => vec![self.case().kept().load(path)?],
            Which::Explore { .. } => self.case().kept().all()?,
            Which::Seed(_) | Which::Batch(..) => Vec::new(),
        };
        let slots = match self.settings.which {
            Which::Explore { .. } => self.settings.jobs,
            _ => 1,
        };
        for _ in 0..slots {
            self.slots.push(Slot::start(self.origin, self.earlier)?);
        }
        for (path, log) in replay {
            if let Some(failure) = self.replay(&path, &log)? {
                return Ok(Some(failure));
            }
        }
        let found = match self.settings.which {
            Which::Replay(_) => None,
            Which::Seed(run) if self.settings.exhaustive() => {
                let ended = self.numbered(run.saturating_add(1), None)?;
                let failed = ended.failed.is_some().then(|| self.verify(ended));
                failed.transpose()?
            }
            Which::Seed(seed) => {
                // In a process of its own, and so for its audit.
                self.apart = true;
                self.learn(seed, seed)?;
                let failed = self.one_job(seed, 1)?;
                self.examine(failed)?
            }
            Which::Batch(first, last) => {
                self.learn(first, last)?;
                let failed = self.one_job(first, (last - first).saturating_add(1))?;
                self.examine(failed)?
            }
            Which::Explore {
                first,
                seeds,
                budget,
            } => {
                self.total = seeds;
                if self.settings.exhaustive() {
                    return self.exhaust(seeds, budget);
                }
                return self.search(first, seeds, budget);
            }
        };
        Ok(found.map(|found| found.failure))
    }

    /// Books the seeds of a job, unless they only serve to look closer at a failure.
    pub(crate) fn count(&mut self, ended: &Ended) {
        self.runs += ended.passed + u64::from(ended.failed.is_some());
        self.simulated += ended.simulated;
        if let Some(failed) = &ended.failed {
            *self.signatures.entry(failed.how.signature()).or_default() += 1;
        }
        self.tell_progress(ended.failed.is_some());
        self.keep_digests(ended);
        if ended.failed.is_none() && ended.job.batch && ended.passed > 1 {
            self.behind = ended.last.map(|last| Behind {
                job: ended.job.clone(),
                last,
            });
        }
    }

    /// How many runs failed.
    fn failures(&self) -> u32 {
        self.signatures.values().sum()
    }

    /// Tells the command how far the test is, now and then.
    fn tell_progress(&mut self, at_once: bool) {
        let now = Instant::now();
        if !at_once && self.told.is_some_and(|told| now - told < TELL) {
            return;
        }
        self.told = Some(now);
        self.searched().tell_progress(self.total, &self.signatures);
    }

    /// Waits for the first zygote.
    pub(crate) fn come_up(&mut self) -> Result<(), Trouble> {
        while !self.slots[0].idle() {
            self.wait()?;
        }
        Ok(())
    }

    /// Runs one job on the first zygote while all others rest.
    pub(crate) fn alone(&mut self, mut job: Job) -> Result<Ended, Trouble> {
        self.come_up()?;
        // Where candidates answer from departures no strategy is asked.
        if job
            .trials
            .as_ref()
            .is_none_or(|trials| trials.cost.is_none())
        {
            job.profile.clone_from(&self.profile);
        }
        job.parameters.clone_from(&self.parameters);
        self.slots[0].give(job)?;
        loop {
            if let Some(ended) = self.wait()?.pop() {
                return Ok(ended);
            }
        }
    }

    /// Waits until something has happened or it is time to look at the children; returns the jobs that are over.
    pub(super) fn wait(&mut self) -> Result<Vec<Ended>, Trouble> {
        if self.listener.pressed() {
            return Err(Trouble::Interrupted);
        }
        let mut fds: Vec<BorrowedFd<'_>> = vec![self.listener.fd()];
        fds.extend(self.slots.iter().map(Slot::fd));
        let ready = poll::readable(&fds, LOOK).map_err(Trouble::Wait)?;
        if ready[0] {
            return Err(Trouble::Interrupted);
        }
        let mut over = Vec::new();
        for (i, ready) in ready[1..].iter().enumerate() {
            let slot = &mut self.slots[i];
            if *ready {
                if let Some((running, status)) = slot.take()? {
                    over.push(self.judge(i, running, status)?);
                }
            } else {
                slot.watch(slot.patience().unwrap_or(self.settings.watchdog), BIRTH)?;
            }
        }
        Ok(over)
    }

    /// What the last run on the first zygote printed.
    pub(crate) fn output(&self) -> Output {
        self.slots[0].black_box.output()
    }

    /// The decisions of the last explained run on the first zygote, in order, and how many more there were.
    pub(crate) fn taken_decisions(&self) -> (Vec<(Domain, Decision)>, u64) {
        super::recorder::recorded(self.slots[0].black_box)
    }

    /// Whether candidates may share a process. What comes of them is confirmed in processes of its own.
    pub(crate) fn batches(&self) -> bool {
        // A single seed has its own process for its audit, and not because it must.
        let must = self.apart && !matches!(self.settings.which, Which::Seed(_));
        !must && self.settings.isolation == Isolation::Batch && self.slots[0].unbatched.is_none()
    }

    /// Ends everything after Ctrl-C, says how far the test came, and ends the process with the last of its coordinators.
    fn interrupted(self) -> ! {
        let failures = self.failures();
        let Coordinator {
            origin,
            slots,
            listener,
            runs,
            total,
            ..
        } = self;
        drop(slots);
        let of = total.map_or(String::new(), |total| format!(" of {total}"));
        let text = format!(
            "squall: {} interrupted: {runs}{of} seeds done, {failures} failures\n",
            origin.test
        );
        // Past libtest's capture, which would be lost.
        process::write_now(2, text.as_bytes());
        if listener.leave() {
            process::exit_now(130);
        }
        loop {
            std::thread::park();
        }
    }
}
