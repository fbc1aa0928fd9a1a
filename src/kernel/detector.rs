//! The detectors by name, and sets of them: what tests, settings and the kernel call them. `detect` has the work.

use std::fmt;

/// What squall looks for in every run without being told what is right.
///
/// `docs/detectors.md` in the repository says of each what it sees, what it needs to see it, and where it may be wrong.
///
/// ```
/// use squall::Detector;
/// assert_eq!(Detector::BlockingCall.to_string(), "blocking_call");
/// assert!(Detector::BlockingCall.by_default() && !Detector::LeakedTasks.by_default());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Detector {
    /// A poll blocks its thread, and time passes meanwhile.
    BlockingCall,
    /// A poll blocks its thread on a lock that no running thread holds: a task keeps it over an await.
    LockAcrossAwait,
    /// A task or a thread panicked, and nobody asked how it ended.
    UnobservedPanic,
    /// A task returned an `Err`, and nobody asked how it ended.
    DroppedError,
    /// A task waits, and nothing is left that could wake or abort it.
    StalledTask,
    /// Something waits in ever larger numbers while a traffic's load stays the same.
    QueueGrowth,
    /// A lock or a permit was handed to a future that its task polls no more, and others wait for it.
    Futurelock,
    /// Tasks that the test spawned are there when its body returns.
    LeakedTasks,
    /// Threads that the test started are there when its runtime is gone.
    LeakedThreads,
    /// Descriptors that the test opened are open when its runtime is gone.
    LeakedDescriptors,
}

impl Detector {
    /// All of them.
    pub const ALL: [Detector; 10] = [
        Detector::BlockingCall,
        Detector::LockAcrossAwait,
        Detector::UnobservedPanic,
        Detector::DroppedError,
        Detector::StalledTask,
        Detector::QueueGrowth,
        Detector::Futurelock,
        Detector::LeakedTasks,
        Detector::LeakedThreads,
        Detector::LeakedDescriptors,
    ];

    /// Its name in the attribute's `allow` and `detect`.
    pub const fn name(self) -> &'static str {
        match self {
            Detector::BlockingCall => "blocking_call",
            Detector::LockAcrossAwait => "lock_across_await",
            Detector::UnobservedPanic => "unobserved_panic",
            Detector::DroppedError => "dropped_error",
            Detector::StalledTask => "stalled_task",
            Detector::QueueGrowth => "queue_growth",
            Detector::Futurelock => "futurelock",
            Detector::LeakedTasks => "leaked_tasks",
            Detector::LeakedThreads => "leaked_threads",
            Detector::LeakedDescriptors => "leaked_descriptors",
        }
    }

    /// Whether it looks where nobody says otherwise. The others call things wrong that correct programs do, too.
    pub const fn by_default(self) -> bool {
        !matches!(
            self,
            Detector::DroppedError
                | Detector::LeakedTasks
                | Detector::LeakedThreads
                | Detector::LeakedDescriptors
        )
    }

    /// What it finds, by which the failure is known.
    #[allow(dead_code, reason = "where there is no kernel, nobody looks")]
    pub(crate) const fn headline(self) -> &'static str {
        match self {
            Detector::BlockingCall => "a blocking call inside a poll",
            Detector::LockAcrossAwait => "a lock held across an await",
            Detector::UnobservedPanic => "a panic that nobody observes",
            Detector::DroppedError => "an error that nobody observes",
            Detector::StalledTask => "a task that nothing can wake",
            Detector::QueueGrowth => "a queue that grows without bound",
            Detector::Futurelock => "futurelock",
            Detector::LeakedTasks => "leaked tasks",
            Detector::LeakedThreads => "leaked threads",
            Detector::LeakedDescriptors => "leaked descriptors",
        }
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

impl fmt::Display for Detector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Several detectors: what settings say. Combine them with `|`.
///
/// ```
/// use squall::{Detector, Detectors};
/// let both = Detectors::from(Detector::LeakedTasks) | Detector::LeakedThreads.into();
/// assert!(both.contains(Detector::LeakedTasks) && !both.contains(Detector::BlockingCall));
/// assert_eq!(both.to_string(), "leaked_tasks,leaked_threads");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Hash)]
pub struct Detectors(u16);

impl Detectors {
    /// None.
    pub const NONE: Detectors = Detectors(0);
    /// All.
    pub const ALL: Detectors = Detectors((1 << Detector::ALL.len()) - 1);

    /// Those that look where nobody says otherwise.
    pub fn by_default() -> Detectors {
        let on = Detector::ALL.into_iter().filter(|d| d.by_default());
        on.fold(Detectors::NONE, |all, d| all | d.into())
    }

    /// Whether this one is among them.
    pub const fn contains(self, detector: Detector) -> bool {
        self.0 & detector.bit() != 0
    }

    /// Those of these that are not among `others`.
    #[must_use]
    pub const fn without(self, others: Detectors) -> Detectors {
        Detectors(self.0 & !others.0)
    }
}

impl From<Detector> for Detectors {
    fn from(detector: Detector) -> Detectors {
        Detectors(detector.bit())
    }
}

impl std::ops::BitOr for Detectors {
    type Output = Detectors;

    fn bitor(self, other: Detectors) -> Detectors {
        Detectors(self.0 | other.0)
    }
}

impl fmt::Display for Detectors {
    /// The names, with commas between them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let among = Detector::ALL.into_iter().filter(|d| self.contains(*d));
        for (place, detector) in among.enumerate() {
            if place > 0 {
                f.write_str(",")?;
            }
            f.write_str(detector.name())?;
        }
        Ok(())
    }
}
