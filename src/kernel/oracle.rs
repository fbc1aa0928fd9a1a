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

/// How wide the label of a planned fault's question is, in bits.
pub const LABEL_BITS: u32 = 28;
/// Of these, how many tell the occurrences of one kind of fault apart; the others name the kind, and whose plan it is.
pub const OCCURRENCE_BITS: u32 = 18;
/// The bound of the question how a value goes on that was drawn from a strategy with a tree of simpler values: 0, one step simpler; 1,
/// half of that step back; anything else, it stays as it is. Shrinking knows these questions by their bound.
pub const WALK: u64 = 65_521;
/// The bound of the question which seed such a value is made from; that it is small means nothing.
pub const SEEDS: u64 = 4_294_967_291;

/// What labels of one kind of fault have in common.
pub fn label_kind(label: u32) -> u32 {
    label >> OCCURRENCE_BITS
}

/// Stands for "no entity": the parent of the first one.
pub const NOBODY: u32 = u32::MAX;

/// What an entity is about to do when it goes on, as far as that is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Touch {
    /// The object, told apart within one run only: it may be an address. 0 where it is not known.
    pub resource: u64,
    /// The place in the program that does it, the same in every run and process. 0 where it is not known.
    pub site: u64,
    /// Whether it may change the object.
    pub write: bool,
}

impl Touch {
    /// Nothing is known.
    pub const UNKNOWN: Touch = Touch {
        resource: 0,
        site: 0,
        write: true,
    };

    /// Whether the order of the two can matter: both touch the same object, and one of them changes it. Of two that are not
    /// known it is taken to matter. One that is known does not race with one that is not: that one will have a point of
    /// its own when it is about to touch memory, where memory has points at all.
    #[inline]
    pub fn races(self, other: Touch) -> bool {
        self.resource == other.resource && (self.write || other.write)
    }
}

/// Something whose turn can come: a thread, or a task within a runtime. Entities are numbered from 0 in the order of their
/// creation, and a number is not used twice in a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entity {
    /// Who created it; [`NOBODY`] for the first of a run.
    pub parent: u32,
    /// The head of its operation group: what a program's first entity starts is a head, and what that starts in turn belongs
    /// to it.
    pub group: u32,
    /// What it does next.
    pub touch: Touch,
}

/// The most tasks of a queue that a strategy looks at for one answer.
pub const TASKS_SEEN: usize = 32;

/// A scheduling question: at least two entities can go on.
#[derive(Clone, Copy, Debug)]
pub struct Pick<'a> {
    /// Entities in the order in which they became runnable; never fewer than two.
    pub runnable: &'a [u32],
    /// Where in `runnable` the entity stands that runs now; `None` if it blocked or ended.
    pub current: Option<usize>,
    /// The running entity asks to let others go first, as `sched_yield` does.
    pub yielded: bool,
    /// Every entity of the run so far, ended ones too, by its number.
    pub entities: &'a [Entity],
    /// Virtual time in nanoseconds since the start of the run.
    pub now: u64,
}

/// Answers every question that the kernel leaves open.
pub trait Oracle: Any + Send {
    /// The index into `pick.runnable` of the entity that goes on.
    fn pick(&mut self, pick: Pick<'_>) -> usize;
    /// The entity does what its [`Touch`] says while nobody else could, so that there is nothing to pick.
    fn alone(&mut self, entity: u32, touch: Touch) {
        let _ = (entity, touch);
    }
    /// How many questions of this run it has answered, if it counts them.
    fn decisions(&self) -> u64 {
        0
    }
    /// A number in `0..n`, uniform unless a strategy or a log says otherwise; `n` is at least 1. Questions are put so that 0
    /// is the plainest answer: the least delay, nothing cut short, no fault. Shrinking makes numbers smaller.
    fn below(&mut self, domain: Domain, n: u64) -> u64;
    /// As [`Oracle::below`], for what a plan of faults leaves open, or a draw of the test's own. `label` says what the question belongs
    /// to, in [`LABEL_BITS`] bits, so that an answer stays with it whatever else is asked before: see [`label_kind`].
    fn planned(&mut self, domain: Domain, label: u32, n: u64) -> u64 {
        let _ = label;
        self.below(domain, n)
    }
    /// Whether [`Oracle::pick_task`] is of more use with the tasks' identities, which cost time to find. Once it says no in a
    /// run it need not be asked again.
    fn sees_tasks(&self) -> bool {
        false
    }
    /// Which of `tasks` tasks that are ready within one runtime is polled next, 0 being the one that has waited longest;
    /// `tasks` is at least 2. Asked only by a tokio that `cargo squall` instrumented.
    ///
    /// `who` says which tasks they are, in this order; [`Pick::current`] is the one polled last there, if it is ready again.
    /// Of more than [`TASKS_SEEN`] tasks it leaves out the middle: the first half of it are those that have waited longest.
    fn pick_task(&mut self, tasks: u32, who: Option<Pick<'_>>) -> u32 {
        let _ = who;
        self.below(Domain::Schedule, u64::from(tasks)) as u32
    }
    /// How densely this run is preempted at its allocations, in `0..styles`: 0 is not at all. Asked once a run, if at all.
    fn preemption(&mut self, styles: u64) -> u64 {
        let _ = styles;
        0
    }
    /// Fills `bytes` from the domain's stream.
    fn fill(&mut self, domain: Domain, bytes: &mut [u8]);
}
