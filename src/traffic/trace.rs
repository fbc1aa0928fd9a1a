//! A recorded trace: what arrived when, from CSV or JSON lines.

use serde::Deserialize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// One request of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) at: Duration,
    pub(super) operation: Option<Arc<str>>,
    pub(super) key: Option<u64>,
}

/// Requests as they came somewhere: when, and as far as known what they asked for.
///
/// CSV has a header with the column `at`, and if need be `operation` and `key`; JSON lines are objects with these fields. `at` is in seconds since
/// the start, with a fraction if need be; lines need not be in order, and empty ones do not count. Quoted CSV fields are refused.
///
/// ```
/// use squall::traffic::Trace;
/// let csv = Trace::from_csv("at,operation,key\n0.25,buy,7\n1.5,browse,\n")?;
/// let json = Trace::from_json_lines(r#"{"at": 0.25, "operation": "buy", "key": 7}"#)?;
/// assert_eq!((csv.len(), json.len()), (2, 1));
/// let wrong = Trace::from_csv("at\nsoon\n").unwrap_err();
/// assert_eq!(wrong.to_string(), "line 2 of the trace: `soon` is no time: seconds since the start, such as 0.25");
/// # Ok::<(), squall::traffic::TraceError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Trace {
    entries: Arc<[Entry]>,
}

/// Why a trace cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// A line is not what it should be.
    #[error("line {line} of the trace: {what}")]
    Line {
        /// Which, from 1 on.
        line: usize,
        /// What is wrong, and what would do.
        what: String,
    },
    /// There is nothing in it.
    #[error("the trace has no requests")]
    Empty,
    /// The file cannot be read.
    #[error("the trace {path} cannot be read")]
    Read {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    at: f64,
    operation: Option<String>,
    key: Option<u64>,
}

impl Trace {
    /// From CSV.
    ///
    /// # Errors
    /// A line that is not as it should be, or no requests.
    pub fn from_csv(text: &str) -> Result<Trace, TraceError> {
        let mut lines = text
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.trim().is_empty());
        let Some((at, header)) = lines.next() else {
            return Err(TraceError::Empty);
        };
        let columns: Vec<&str> = header.split(',').map(str::trim).collect();
        for column in &columns {
            if !["at", "operation", "key"].contains(column) {
                let what = format!("there is no column `{column}`: columns are at, operation, key");
                return Err(wrong(at, what));
            }
        }
        if !columns.contains(&"at") {
            return Err(wrong(at, "the header names no column `at`".to_owned()));
        }
        let entry = |(at, line): (usize, &str)| {
            if line.contains('"') {
                return Err(wrong(at, "quoted fields are not read".to_owned()));
            }
            let fields: Vec<&str> = line.split(',').map(str::trim).collect();
            if fields.len() != columns.len() {
                let what = format!("{} fields, the header has {}", fields.len(), columns.len());
                return Err(wrong(at, what));
            }
            let field = |name| {
                let index = columns.iter().position(|column| *column == name)?;
                Some(fields[index]).filter(|field| !field.is_empty())
            };
            let time = field("at").unwrap_or_default();
            let key = match field("key") {
                None => None,
                Some(key) => Some(key.parse().map_err(|_| {
                    wrong(at, format!("`{key}` is no key: a whole number, 0 or more"))
                })?),
            };
            Ok(Entry {
                at: seconds(at, time, time.parse().ok())?,
                operation: field("operation").map(Arc::from),
                key,
            })
        };
        Trace::of(lines.map(entry).collect::<Result<_, _>>()?)
    }

    /// From JSON lines.
    ///
    /// # Errors
    /// As [`from_csv`](Trace::from_csv).
    pub fn from_json_lines(text: &str) -> Result<Trace, TraceError> {
        let lines = text.lines().enumerate();
        let lines = lines.filter(|(_, line)| !line.trim().is_empty());
        let entry = |(at, line): (usize, &str)| {
            let parsed: Line = serde_json::from_str(line).map_err(|e| wrong(at, e.to_string()))?;
            Ok(Entry {
                at: seconds(at, &parsed.at.to_string(), Some(parsed.at))?,
                operation: parsed.operation.map(Arc::from),
                key: parsed.key,
            })
        };
        Trace::of(lines.map(entry).collect::<Result<_, _>>()?)
    }

    /// From a file: CSV if its name ends in `.csv`, else JSON lines.
    ///
    /// # Errors
    /// As [`from_csv`](Trace::from_csv), or it cannot be read.
    pub fn read(path: impl AsRef<Path>) -> Result<Trace, TraceError> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|source| TraceError::Read {
            path: path.display().to_string(),
            source,
        })?;
        match path.extension().is_some_and(|end| end == "csv") {
            true => Trace::from_csv(&text),
            false => Trace::from_json_lines(&text),
        }
    }

    fn of(mut entries: Vec<Entry>) -> Result<Trace, TraceError> {
        if entries.is_empty() {
            return Err(TraceError::Empty);
        }
        entries.sort_by_key(|entry| entry.at);
        Ok(Trace {
            entries: entries.into(),
        })
    }

    /// How many requests it has; at least one.
    #[allow(clippy::len_without_is_empty, reason = "it never is")]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// When the last one came.
    pub fn length(&self) -> Duration {
        self.entries.last().map_or(Duration::ZERO, |last| last.at)
    }

    pub(super) fn entries(&self) -> Arc<[Entry]> {
        self.entries.clone()
    }
}

/// A year; more is a date and not a time since the start.
const LONGEST: f64 = 365.0 * 86_400.0;

fn seconds(line: usize, text: &str, value: Option<f64>) -> Result<Duration, TraceError> {
    match value {
        Some(value) if (0.0..=LONGEST).contains(&value) => Ok(Duration::from_secs_f64(value)),
        Some(value) if value > LONGEST => {
            let what =
                format!("{text} s is more than a year: times count from the start, not from 1970");
            Err(wrong(line, what))
        }
        _ => {
            let what = format!("`{text}` is no time: seconds since the start, such as 0.25");
            Err(wrong(line, what))
        }
    }
}

fn wrong(line: usize, what: String) -> TraceError {
    TraceError::Line {
        line: line + 1,
        what,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_say_the_same() {
        let csv = Trace::from_csv("key, at ,operation\n\n3,2,b\n,0.5,\n").unwrap();
        let json = "{\"at\":2,\"operation\":\"b\",\"key\":3}\n{\"at\":0.5}\n";
        let json = Trace::from_json_lines(json).unwrap();
        assert_eq!(csv.entries, json.entries);
        assert_eq!(csv.length(), Duration::from_secs(2));
        assert_eq!(csv.entries[0].at, Duration::from_millis(500));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let csv = |text| Trace::from_csv(text).unwrap_err().to_string();
        assert!(csv("").contains("no requests"));
        assert!(csv("at\n").contains("no requests"));
        assert!(csv("time\n1").contains("line 1 of the trace: there is no column `time`"));
        assert!(csv("operation\nbuy").contains("names no column `at`"));
        assert!(csv("at,key\n1\n").contains("line 2 of the trace: 1 fields, the header has 2"));
        assert!(csv("at,key\n1,x\n").contains("`x` is no key"));
        assert!(csv("at\n-1\n").contains("is no time"));
        assert!(csv("at\nNaN\n").contains("is no time"));
        assert!(csv("at\n1700000000\n").contains("not from 1970"));
        assert!(csv("at\n\"1\"\n").contains("quoted"));
        let json = |text| Trace::from_json_lines(text).unwrap_err().to_string();
        assert!(
            json("{\"at\":1}\n{\"when\":1}").contains("line 2 of the trace: unknown field `when`")
        );
        assert!(json("[").contains("line 1"));
    }
}
