//! The kernel's only source of decisions: one trait that `choice` implements.
//!
//! The kernel never draws a random number. Whatever the real world would leave open (which thread goes on, how long a
//! packet travels, what `getrandom` returns) is a question to the [`Oracle`], so a run is a function of the answers.

use std::any::Any;

/// The area that a decision belongs to. Each has a stream of its own, so that changing the decisions of one domain
/// (while shrinking, say) leaves the others as they were.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Domain {
    /// Which thread or task goes on.
    Schedule = 0,
    /// Latency, segmentation, loss.
    Network = 1,
    /// What a kernel entry costs, in virtual nanoseconds.
    Time = 2,
    /// Injected failures.
    Faults = 3,
    /// Arrivals and operation mixes.
    Traffic = 4,
    /// Bytes for `getrandom` and its kin.
    Entropy = 5,
    /// Draws of the test's own.
    User = 6,
    /// The settings of the run itself: runtime flavour, worker count, strategy.
    Config = 7,
}

impl Domain {
    /// Every domain, in the order of the stream numbers.
    pub const ALL: [Domain; 8] = [
        Domain::Schedule,
        Domain::Network,
        Domain::Time,
        Domain::Faults,
        Domain::Traffic,
        Domain::Entropy,
        Domain::User,
        Domain::Config,
    ];
}

/// A scheduling question: at least two threads can go on.
#[derive(Clone, Copy, Debug)]
pub struct Pick<'a> {
    /// Thread numbers in the order in which they became runnable; never fewer than two.
    pub runnable: &'a [u32],
    /// Where in `runnable` the thread stands that runs now; `None` if it blocked or ended.
    pub current: Option<usize>,
    /// Virtual time in nanoseconds since the start of the run.
    pub now: u64,
}

/// Answers every question that the kernel leaves open.
pub trait Oracle: Any + Send {
    /// The index into `pick.runnable` of the thread that goes on.
    fn pick(&mut self, pick: Pick<'_>) -> usize;
    /// A number in `0..n`, uniform unless a strategy or a log says otherwise; `n` is at least 1.
    fn below(&mut self, domain: Domain, n: u64) -> u64;
    /// Which of `tasks` tasks that are ready within one runtime is polled next, 0 being the one that has waited longest;
    /// `tasks` is at least 2. Asked only by a tokio that `cargo squall` instrumented.
    fn pick_task(&mut self, tasks: u32) -> u32 {
        self.below(Domain::Schedule, u64::from(tasks)) as u32
    }
    /// Fills `bytes` from the domain's stream.
    fn fill(&mut self, domain: Domain, bytes: &mut [u8]);
}
