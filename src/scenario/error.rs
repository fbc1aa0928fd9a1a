//! What is wrong with a file, and where.

use crate::nearest::nearest;
use std::fmt;
use std::ops::Range;
use std::path::Path;

/// A scenario file that cannot be used.
///
/// Its text has file, line and column, what is wrong, the line with a mark under the place, and what would do.
#[derive(Clone, PartialEq, Eq)]
pub struct ScenarioError {
    path: String,
    line: usize,
    column: usize,
    message: String,
    /// The line of the file, and how many characters to mark.
    excerpt: Option<(String, usize)>,
    help: Option<String>,
}

impl ScenarioError {
    /// The line, from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// The column in characters, from 1.
    pub fn column(&self) -> usize {
        self.column
    }

    /// What is wrong, in a line.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What would do.
    pub fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }

    pub(super) fn unreadable(path: &Path, source: &std::io::Error) -> ScenarioError {
        ScenarioError {
            path: path.display().to_string(),
            line: 1,
            column: 1,
            message: format!("the scenario file cannot be read: {source}"),
            excerpt: None,
            help: None,
        }
    }

    /// An error at a range of bytes.
    pub(super) fn at(
        path: &Path,
        text: &str,
        span: Range<usize>,
        message: String,
        help: Option<String>,
    ) -> ScenarioError {
        let start = floor(text, span.start);
        let end = floor(text, span.end).max(start);
        let before = &text[..start];
        let begin = before.rfind('\n').map_or(0, |at| at + 1);
        let stop = text[begin..].find('\n').map_or(text.len(), |at| begin + at);
        let line = text[begin..stop].trim_end_matches('\r');
        let marked = text[start..end.min(stop).max(start)].chars().count();
        ScenarioError {
            path: path.display().to_string(),
            line: before.matches('\n').count() + 1,
            column: text[begin..start].chars().count() + 1,
            message,
            excerpt: Some((line.to_owned(), marked.max(1))),
            help,
        }
    }

    /// An error of the TOML reader: the message has serde's form.
    pub(super) fn of_toml(path: &Path, text: &str, error: &toml::de::Error) -> ScenarioError {
        let (message, help) = reworded(error.message());
        let span = error.span().unwrap_or(0..0);
        ScenarioError::at(path, text, span, message, help)
    }
}

/// The largest boundary of a character up to there.
fn floor(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at)
        .rev()
        .find(|i| text.is_char_boundary(*i))
        .unwrap_or(0)
}

/// serde's messages about names, as this crate says them: with the nearest name that there is.
fn reworded(message: &str) -> (String, Option<String>) {
    let kinds = [("unknown field `", "key"), ("unknown variant `", "word")];
    for (start, what) in kinds {
        let Some((name, rest)) = message
            .strip_prefix(start)
            .and_then(|rest| rest.split_once('`'))
        else {
            continue;
        };
        // What the reader of TOML calls a date.
        if name == "$__toml_private_datetime" {
            let help = "in quotes it is a text".to_owned();
            return ("a date cannot be used here".to_owned(), Some(help));
        }
        // The names stand in backquotes: every second piece.
        let known: Vec<&str> = rest.split('`').skip(1).step_by(2).collect();
        let near = nearest(name, known.iter().copied());
        let there = match known.as_slice() {
            [] => "no key is expected here".to_owned(),
            known => format!("there are: {}", known.join(", ")),
        };
        let help = near.map_or(there.clone(), |near| {
            format!("the nearest is `{near}`; {there}")
        });
        return (format!("there is no {what} `{name}` here"), Some(help));
    }
    if let Some(name) = message.strip_prefix("missing field ") {
        return (format!("{name} is missing"), None);
    }
    let mut lines = message.lines();
    let first = lines.next().unwrap_or("it cannot be read").to_owned();
    let rest: Vec<&str> = lines
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    (first, (!rest.is_empty()).then(|| rest.join("; ")))
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ScenarioError {
            path,
            line,
            column,
            message,
            ..
        } = self;
        write!(f, "{path}:{line}:{column}: {message}")?;
        if let Some((text, marked)) = &self.excerpt {
            let number = line.to_string();
            let margin = " ".repeat(number.len());
            // Tabs stay tabs, so that the mark stands where it should.
            let before = text.chars().take(column - 1);
            let indent: String = before.map(|c| if c == '\t' { c } else { ' ' }).collect();
            write!(
                f,
                "\n  {number} | {text}\n  {margin} | {indent}{}",
                "^".repeat(*marked)
            )?;
        }
        match &self.help {
            Some(help) => write!(f, "\n  {help}"),
            None => Ok(()),
        }
    }
}

/// As it is displayed: this is what a failing test shows.
impl fmt::Debug for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for ScenarioError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_told() {
        let (message, help) =
            reworded("unknown field `tmeout`, expected one of `timeout`, `retry`");
        assert_eq!(message, "there is no key `tmeout` here");
        assert_eq!(
            help.unwrap(),
            "the nearest is `timeout`; there are: timeout, retry"
        );
        let (_, help) = reworded("unknown field `zebra`, expected `timeout`");
        assert_eq!(help.unwrap(), "there are: timeout");
    }

    #[test]
    fn a_place_within_a_character_is_before_it() {
        let error = ScenarioError::at(Path::new("x"), "a = \"ä\"", 6..7, "m".into(), None);
        assert_eq!((error.line(), error.column()), (1, 6));
        assert_eq!(error.to_string(), "x:1:6: m\n  1 | a = \"ä\"\n    |      ^");
    }
}
