//! `cargo test` on a terminal: what cargo and the tests print goes by above, and below it stands a bar for each test that is running.
//! `launch` comes here where both outputs are a terminal; anywhere else nothing stands between them and whoever reads them.

use crate::events::{Event, Name};
use crate::progress::Progress;
use crate::style;
use anyhow::{Context, Result};
use console::Term;
use indicatif::MultiProgress;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, IsTerminal, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;

/// Whether somebody looks on.
pub fn wanted() -> bool {
    io::stderr().is_terminal() && io::stdout().is_terminal()
}

/// What cargo is told, since it cannot see the terminal through us. Settings, not variables: those would reach the tests, and what they start.
pub fn settings() -> Vec<OsString> {
    let colour = anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never;
    let colour = if colour { "always" } else { "never" };
    let (_, width) = Term::stderr().size();
    [
        format!("term.color=\"{colour}\""),
        "term.progress.when=\"always\"".to_owned(),
        format!("term.progress.width={width}"),
    ]
    .into_iter()
    .flat_map(|setting| ["--config".into(), setting.into()])
    .collect()
}

/// The bars of the tests that run.
pub struct Bars {
    all: MultiProgress,
    running: BTreeMap<Name, Progress>,
    /// No bar was there yet: whatever draws by itself, as cargo does while it builds, may.
    untouched: Arc<AtomicBool>,
    readers: Vec<JoinHandle<()>>,
}

impl Bars {
    /// Starts cargo, and hands on what it prints.
    pub fn over(command: &mut Command) -> Result<(Bars, Child)> {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start cargo")?;
        let all = MultiProgress::new();
        let untouched = Arc::new(AtomicBool::new(true));
        let mut readers = Vec::new();
        if let Some(from) = child.stderr.take() {
            let (all, untouched) = (all.clone(), untouched.clone());
            readers.push(std::thread::spawn(move || {
                hand_on(from, io::stderr(), &all, |line| {
                    (!untouched.load(Relaxed)).then(|| line.to_vec())
                });
            }));
        }
        if let Some(from) = child.stdout.take() {
            let all = all.clone();
            readers.push(std::thread::spawn(move || {
                hand_on(from, anstream::stdout(), &all, |line| Some(painted(line)));
            }));
        }
        let bars = Bars {
            all,
            running: BTreeMap::new(),
            untouched,
            readers,
        };
        Ok((bars, child))
    }

    /// What a test told.
    pub fn see(&mut self, event: &Event) {
        match event {
            Event::Progress { test, .. } => {
                self.untouched.store(false, Relaxed);
                let all = &self.all;
                self.running
                    .entry(test.clone())
                    .or_insert_with(|| Progress::among(all, &test.name))
                    .see(event);
            }
            Event::Ended { test, .. } => {
                if let Some(bar) = self.running.remove(test) {
                    bar.end();
                }
            }
            _ => {}
        }
    }

    /// Cargo has ended: takes the bars away, and waits for the last of what was printed.
    pub fn end(self) {
        self.running.into_values().for_each(Progress::end);
        for reader in self.readers {
            // What a reader could not write is lost with the terminal.
            let _ = reader.join();
        }
    }
}

/// Copies line by line, so that the bars stay below. `whole` makes of a line what is shown; `None` lets the bytes through as they come.
fn hand_on(
    mut from: impl Read,
    mut to: impl Write,
    bars: &MultiProgress,
    whole: impl Fn(&[u8]) -> Option<Vec<u8>>,
) {
    let mut held: Vec<u8> = Vec::new();
    let mut buffer = [0; 1 << 14];
    loop {
        let read = match from.read(&mut buffer) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => 0,
        };
        held.extend(&buffer[..read]);
        let mut out = Vec::new();
        let lines = match read {
            0 => held.len(),
            _ => held
                .iter()
                .rposition(|b| *b == b'\n')
                .map_or(0, |at| at + 1),
        };
        for line in held[..lines].split_inclusive(|b| *b == b'\n') {
            out.extend(whole(line).unwrap_or_else(|| line.to_vec()));
        }
        held.drain(..lines);
        if whole(&held).is_none() {
            out.append(&mut held);
        }
        if !out.is_empty() {
            // Where the terminal is gone there is nobody to tell.
            let _ = bars.suspend(|| to.write_all(&out).and_then(|()| to.flush()));
        }
        if read == 0 {
            return;
        }
    }
}

/// A line of libtest's in the colours that it has on a terminal of its own.
fn painted(line: &[u8]) -> Vec<u8> {
    let plain = || line.to_vec();
    let Ok(text) = std::str::from_utf8(line) else {
        return plain();
    };
    let text = text.trim_end_matches(['\n', '\r']);
    if !text.starts_with("test ") {
        return plain();
    }
    let words = [
        ("ok", style::GOOD),
        ("FAILED", style::BAD),
        ("ignored", style::WARNING),
    ];
    for (word, paint) in words {
        let result = text.strip_prefix("test result: ");
        if let Some(rest) = result.and_then(|rest| rest.strip_prefix(word)) {
            return format!("test result: {paint}{word}{paint:#}{rest}\n").into_bytes();
        }
        if let Some(name) = text
            .strip_suffix(word)
            .filter(|name| name.ends_with("... "))
        {
            return format!("{name}{paint}{word}{paint:#}\n").into_bytes();
        }
    }
    plain()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_painted_and_nothing_else() {
        let shown = |line: &str| String::from_utf8(painted(line.as_bytes())).unwrap();
        assert!(shown("test sale ... ok\n").contains("\u{1b}["));
        assert!(shown("test result: FAILED. 1 passed\n").starts_with("test result: \u{1b}["));
        for line in ["running 2 tests\n", "it is ok\n", "test of strength\n"] {
            assert_eq!(shown(line), line);
        }
    }

    #[test]
    fn lines_are_handed_on_whole_and_the_last_one_too() {
        struct Slow(Vec<&'static [u8]>);
        impl Read for Slow {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                if self.0.is_empty() {
                    return Ok(0);
                }
                let part = self.0.remove(0);
                buffer[..part.len()].copy_from_slice(part);
                Ok(part.len())
            }
        }
        #[derive(Default)]
        struct Writes(Vec<String>);
        impl Write for &mut Writes {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.push(String::from_utf8_lossy(bytes).into_owned());
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let parts = || Slow(vec![b"one\ntw", b"o\nth", b"ree"]);
        let bars = MultiProgress::new();
        let mut whole = Writes::default();
        hand_on(parts(), &mut whole, &bars, |line| Some(line.to_vec()));
        assert_eq!(whole.0, ["one\n", "two\n", "three"]);
        let mut raw = Writes::default();
        hand_on(parts(), &mut raw, &bars, |_| None);
        assert_eq!(raw.0, ["one\ntw", "o\nth", "ree"]);
    }
}
