//! What a test's body may return, and the error type for bodies that do not care which.

use std::error::Error as StdError;
use std::fmt;

/// The result of a test's body: `Ok(())`, or why the test fails.
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

/// Any error, for test bodies: every error type turns into it with `?`, and so do texts with [`Error::msg`].
pub struct Error(Box<dyn StdError + Send + Sync>);

impl Error {
    /// An error that is only a message.
    pub fn msg(message: impl Into<String>) -> Self {
        Error(message.into().into())
    }

    /// The error inside.
    pub fn inner(&self) -> &(dyn StdError + Send + Sync + 'static) {
        &*self.0
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for Error {
    fn from(error: E) -> Self {
        Error(Box::new(error))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Error {
    /// The message and, line by line, its causes: this is what a failing test shows.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, "\ncaused by: {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// What a test's body returns: nothing, or a `Result` whose error can be shown.
#[diagnostic::on_unimplemented(
    message = "a squall test cannot return `{Self}`",
    label = "must be `()`, or a `Result<(), E>` whose `E` is `Debug`"
)]
pub trait Returned {
    /// Ok, or the error in words.
    fn outcome(self) -> std::result::Result<(), String>;
}

impl Returned for () {
    fn outcome(self) -> std::result::Result<(), String> {
        Ok(())
    }
}

impl Returned for std::convert::Infallible {
    fn outcome(self) -> std::result::Result<(), String> {
        match self {}
    }
}

impl<T: Returned, E: fmt::Debug> Returned for std::result::Result<T, E> {
    fn outcome(self) -> std::result::Result<(), String> {
        match self {
            Ok(value) => value.outcome(),
            Err(error) => Err(format!("{error:?}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the order failed")]
    struct Order(#[source] std::num::ParseIntError);

    #[test]
    fn an_error_tells_its_causes() {
        fn body() -> Result {
            Err(Order("x".parse::<u8>().unwrap_err()))?;
            Ok(())
        }
        let expected = "the order failed\ncaused by: invalid digit found in string";
        assert_eq!(body().outcome(), Err(expected.to_owned()));
        assert_eq!(Ok::<(), String>(()).outcome(), Ok(()));
        assert_eq!(Error::msg("no").to_string(), "no");
    }
}
