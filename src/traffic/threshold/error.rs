//! Errors of thresholds: an expression that is none, and one that does not hold.

use super::Threshold;
use std::fmt;
use std::ops::Range;

/// An expression that cannot be used: what is wrong, where, and what would do.
///
/// Its text has the line of the expression and a caret under the place.
#[derive(Clone, PartialEq, Eq)]
pub struct ExpressionError {
    pub(super) expression: String,
    pub(super) span: Range<usize>,
    pub(super) message: String,
    pub(super) help: Option<String>,
}

impl ExpressionError {
    /// What is wrong, in a line.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Where in the expression it is wrong: a range of bytes on character boundaries, possibly empty at the end.
    pub fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    /// What would do.
    pub fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }
}

impl fmt::Display for ExpressionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (before, after) = self.expression.split_at(self.span.start);
        let begin = before.rfind('\n').map_or(0, |at| at + 1);
        let end = before.len() + after.find('\n').unwrap_or(after.len());
        let line = &self.expression[begin..end];
        let to = self.span.end.min(end).max(self.span.start);
        let marked = self.expression[self.span.start..to].chars().count();
        writeln!(f, "{}", self.message)?;
        writeln!(f, "  {line}")?;
        f.write_str("  ")?;
        // Tabs stay tabs, so that the caret stands where it should.
        for c in before[begin..].chars() {
            f.write_str(if c == '\t' { "\t" } else { " " })?;
        }
        f.write_str(&"^".repeat(marked.max(1)))?;
        match &self.help {
            Some(help) => write!(f, "\n  {help}"),
            None => Ok(()),
        }
    }
}

/// As it is displayed: this is what a failing test shows.
impl fmt::Debug for ExpressionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for ExpressionError {}

/// Thresholds that do not hold: which, what was measured, and the report. Or an expression that cannot be used.
///
/// `Display` and `Debug` are the same text. Its first line holds no measured values, so that a failure is known by it.
#[derive(Clone)]
pub struct Broken {
    pub(super) headline: String,
    pub(super) details: String,
    pub(super) thresholds: Vec<Threshold>,
}

impl Broken {
    pub(in super::super) fn wrong(error: ExpressionError) -> Broken {
        Broken {
            headline: "a threshold cannot be used".to_owned(),
            details: error.to_string(),
            thresholds: Vec::new(),
        }
    }

    /// The first line: the traffic, and the first threshold that does not hold.
    pub fn headline(&self) -> &str {
        &self.headline
    }

    /// Everything else: a line for each threshold that does not hold, and the report.
    pub fn details(&self) -> &str {
        self.details.trim_end()
    }

    /// The thresholds that do not hold; none if the expression cannot be used.
    pub fn thresholds(&self) -> &[Threshold] {
        &self.thresholds
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.headline, self.details())
    }
}

impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Broken {}
