//! How far a test is, live on a terminal: seeds done and per second, simulated time, what the runs came to of what some run must, time
//! left. Nothing at all where standard error is no terminal.

use crate::events::Event;
use crate::style;
use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};
use std::fmt;
use std::time::Duration;

/// A bar for one test.
pub struct Progress {
    bar: ProgressBar,
    name: String,
}

impl Progress {
    /// As [`Progress::new`], shown under another name.
    pub fn labelled(label: &str, name: &str) -> Progress {
        let progress = Progress::new(name);
        progress.bar.set_prefix(label.to_owned());
        progress
    }

    /// With nothing done. indicatif draws nothing where there is no terminal.
    pub fn new(name: &str) -> Progress {
        Progress::shown(ProgressBar::no_length(), name)
    }

    /// Likewise, below the others.
    pub fn among(others: &MultiProgress, name: &str) -> Progress {
        Progress::shown(others.add(ProgressBar::no_length()), name)
    }

    fn shown(bar: ProgressBar, name: &str) -> Progress {
        bar.set_style(form("{spinner} {prefix} starts"));
        bar.set_prefix(name.to_owned());
        bar.enable_steady_tick(Duration::from_millis(120));
        Progress {
            bar,
            name: name.to_owned(),
        }
    }

    /// What a test told.
    pub fn see(&mut self, event: &Event) {
        let Event::Progress {
            test,
            runs,
            total,
            simulated,
            met,
            marks,
            failures,
            signatures,
        } = event
        else {
            return;
        };
        if test.name != self.name {
            return;
        }
        self.bar.set_position(*runs);
        let mut message = format!("{} simulated", style::time(*simulated));
        if *marks > 0 {
            message.push_str(&format!(", {met} of {marks} that must happen did"));
        }
        for (signature, runs) in signatures {
            message.push_str(&format!("\n  {runs} failed: {}", line(signature)));
        }
        self.bar.set_message(message);
        if *failures > 0 {
            // The search is over, so rates and times would mislead.
            self.bar.set_style(form(
                "{spinner} {prefix} {pos} seeds, {msg}\n  it is confirmed and made simpler",
            ));
            return;
        }
        match total {
            Some(total) => {
                self.bar.set_length(*total);
                self.bar.set_style(form(
                    "{spinner} {prefix} {wide_bar:.green} {pos}/{len} seeds, {rate}, {eta} left\n  {msg}",
                ));
            }
            None => self.bar.set_style(form(
                "{spinner} {prefix} {pos} seeds, {rate}, for {elapsed}\n  {msg}",
            )),
        }
    }

    /// Takes the bar away.
    pub fn end(self) {
        self.bar.finish_and_clear();
    }
}

/// As much of a signature as has room in a line.
fn line(signature: &str) -> String {
    const ROOM: usize = 80;
    let first = signature.lines().next().unwrap_or_default();
    match first.char_indices().nth(ROOM) {
        Some((at, _)) => format!("{}…", &first[..at]),
        None => first.to_owned(),
    }
}

fn form(template: &str) -> ProgressStyle {
    // The templates are those above.
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .with_key("rate", |state: &ProgressState, to: &mut dyn fmt::Write| {
            // A bar without its rate is a bar still.
            let _ = write!(to, "{:.0}/s", state.per_sec());
        })
}
