//! What a host's program may return.

use std::fmt::Debug;

/// Nothing, or a result whose error fails the run.
pub trait HostOutcome {
    /// The failure, if it is one.
    fn failure(self) -> Option<String>;
}

impl HostOutcome for () {
    fn failure(self) -> Option<String> {
        None
    }
}

/// The type `!`, which can be named only as what a function returns: the outcome of a server that loops for ever.
type Never = <fn() -> ! as Returns>::Output;

/// Names what a function pointer returns.
pub trait Returns {
    /// That type.
    type Output;
}

impl<T> Returns for fn() -> T {
    type Output = T;
}

impl HostOutcome for Never {
    fn failure(self) -> Option<String> {
        self
    }
}

impl<E: Debug> HostOutcome for Result<(), E> {
    fn failure(self) -> Option<String> {
        self.err().map(|e| format!("{e:?}"))
    }
}

/// A failure that was put into words already.
#[cfg(not(squall_madsim))]
pub(super) struct Worded(pub(super) Option<String>);

#[cfg(not(squall_madsim))]
impl HostOutcome for Worded {
    fn failure(self) -> Option<String> {
        self.0
    }
}
