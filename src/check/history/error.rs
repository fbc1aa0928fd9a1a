//! What a checker says when it does not say yes.

use std::fmt;

/// Why a history did not pass.
///
/// `Debug` is the same text as `Display`, since a test's failed result is shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub enum CheckError {
    /// The history breaks the rule.
    Violated(Counterexample),
    /// The search was given up: the history may be right or wrong.
    Undecided {
        /// What was being decided, and of which part.
        what: String,
        /// The steps taken.
        steps: u64,
        /// How many operations the part has.
        operations: usize,
    },
    /// The history is not of the kind that this checker can judge.
    Unfit {
        /// The checker.
        check: String,
        /// What is in the way, and the mend.
        why: String,
    },
}

/// Operations that show that a rule is broken.
#[derive(Clone, PartialEq, Eq)]
pub struct Counterexample {
    /// The rule: `linearizable`, `read your writes` and so on.
    pub rule: String,
    /// The part of the data, where the history was taken apart.
    pub part: Option<String>,
    /// Which operations: places in [`History::records`](super::History::records).
    pub operations: Vec<usize>,
    /// All of it in words.
    pub text: String,
}

impl CheckError {
    /// The counterexample, if there is one.
    pub fn counterexample(&self) -> Option<&Counterexample> {
        match self {
            CheckError::Violated(counterexample) => Some(counterexample),
            CheckError::Undecided { .. } | CheckError::Unfit { .. } => None,
        }
    }

    pub(super) fn unfit(check: &str, why: impl Into<String>) -> Self {
        CheckError::Unfit {
            check: check.to_owned(),
            why: why.into(),
        }
    }
}

impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not {}", self.rule)?;
        if let Some(part) = &self.part {
            write!(f, " at {part}")?;
        }
        write!(f, ": {}", self.text.trim_end())
    }
}

impl fmt::Debug for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for CheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CheckError::Violated(counterexample) => counterexample.fmt(f),
            CheckError::Undecided {
                what,
                steps,
                operations,
            } => write!(
                f,
                "undecided whether it is {what}: given up after {steps} steps with {operations} operations; \
                 a larger Bound, a model with `partition`, `observes` and `overwrites`, or fewer operations of unknown outcome help"
            ),
            CheckError::Unfit { check, why } => write!(f, "cannot check {check}: {why}"),
        }
    }
}

impl fmt::Debug for CheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for CheckError {}
