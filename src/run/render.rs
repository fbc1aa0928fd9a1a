//! The text of a failure. `coordinator` gathers what there is to say, this file says it.

use std::fmt::Write;

use super::command;
use super::frames;
use super::ran::RunReport;
use super::scribe::PanicReport;
use super::start::names_runtime;
use super::verdict::{Difference, Verdict};
use crate::choice::explain::{clean_runs, findability};
use crate::kernel::Output;
use crate::kernel::{Event, Refused, ThreadReport, Violation};
use crate::report::{self, Ending, Recorded, Size, Story};
use crate::units::show_nanoseconds;

/// Lines of a seed's output that are shown, from its beginning and from its end, each.
const OUTPUT_LINES: usize = 40;
/// How far the story is indented, in characters.
const INDENT: usize = 2;
/// Events before the end that are shown where there is no story.
const EVENTS: usize = 12;

/// All that a failure has to say.
pub(crate) struct Told<'a> {
    pub(crate) test: &'a str,
    pub(crate) report: &'a RunReport,
    pub(crate) output: &'a Output,
    /// Lines between the verdict and the run's details.
    pub(crate) remarks: Vec<String>,
    /// The command that fails the same way.
    pub(crate) replay: String,
    /// The command that replays the run as it was before it was shrunk.
    pub(crate) unshrunk: Option<String>,
    /// What became of the log.
    pub(crate) log: Option<String>,
    /// Where the reports are.
    pub(crate) reports: Vec<String>,
}

/// A text in the making; writing to a `String` cannot fail.
struct Page(String);

impl Page {
    fn line(&mut self, text: impl AsRef<str>) {
        self.0.push_str(text.as_ref());
        self.0.push('\n');
    }

    /// Lines under a heading, each indented.
    fn block(&mut self, indent: usize, text: &str) {
        for line in text.lines() {
            let _ = writeln!(self.0, "{:indent$}{line}", "");
        }
    }
}

/// The text of a failure.
pub(crate) fn failure(told: &Told<'_>) -> String {
    let Told {
        test,
        report,
        output,
        remarks,
        replay,
        unshrunk,
        log,
        reports,
    } = told;
    let mut page = Page(String::new());
    page.line(format!(
        "squall: {test} failed with seed {:#x}: {}",
        report.seed,
        report.verdict.headline()
    ));
    let story = story_of(report);
    verdict(&mut page, &report.verdict, &story.waits);
    for remark in remarks {
        page.line(format!("  {remark}"));
    }
    // What a nemesis drew is long, and so may be what the test did.
    let (nemesis, facts): (Vec<String>, Vec<String>) = facts(report)
        .into_iter()
        .partition(|fact| fact.starts_with("nemesis") || fact.starts_with("drawn"));
    page.line(format!("  the run: {}", facts.join(", ")));
    nemesis
        .iter()
        .for_each(|note| page.line(format!("  {note}")));
    faults(&mut page, report.trace.as_ref());
    if let Some(divergence) = &report.divergence {
        page.line(format!("  {divergence}"));
    }
    other_panics(&mut page, report);
    refused(&mut page, &report.refused);
    tell(&mut page, &story, report.trace.as_ref());
    show_output(&mut page, output);
    if !report.outside.is_empty() {
        page.line("  its process printed, past the simulation:");
        report
            .outside
            .lines()
            .take(OUTPUT_LINES)
            .for_each(|line| printed(&mut page, line));
    }
    if let Some(log) = log {
        page.line(format!("  log: {log}"));
    }
    for line in reports {
        page.line(format!("  {line}"));
    }
    if let Some(unshrunk) = unshrunk {
        page.line(format!("  unshrunk: {unshrunk}"));
    }
    page.line(format!("replay: {replay}"));
    page.0
}

/// How often a failure shows, and what it takes to believe that it is gone.
pub(super) fn often(failed: u64, runs: u64) -> String {
    let p = findability(failed, runs);
    format!(
        "{failed} of {runs} runs failed so: {} clean runs in a row say with 95 % confidence that it is mended",
        clean_runs(p)
    )
}

/// What kind of run it was.
pub(super) fn facts(report: &RunReport) -> Vec<String> {
    let mut facts = vec![format!("strategy {}", report.strategy)];
    facts.extend(report.notes.iter().cloned());
    let on_runtime = report.notes.iter().any(|note| names_runtime(note));
    if on_runtime && command::subcommand().is_none() {
        facts.push("tasks in tokio's own order (`cargo squall test` tries others)".to_owned());
    }
    // A run that took its process with it could not say how far it came.
    if report.virtual_ns > 0 {
        facts.push(format!(
            "{} of simulated time",
            show_nanoseconds(report.virtual_ns)
        ));
    }
    if report.steps > 0 {
        facts.push(format!("{} kernel entries", report.steps));
    }
    facts
}

/// The faults of a nemesis or a plan: how many there were, and which were in force in the end.
fn faults(page: &mut Page, recorded: Option<&Recorded>) {
    let Some((count, open)) = recorded.map(report::faults).filter(|(count, _)| *count > 0) else {
        return;
    };
    let s = if count == 1 { "" } else { "s" };
    if open.is_empty() {
        return page.line(format!("  {count} fault{s}, none in force in the end"));
    }
    page.line(format!("  {count} fault{s}; in force in the end:"));
    for fault in open {
        let since = show_nanoseconds(fault.began);
        page.line(format!("    {}, since {since}", fault.what));
    }
}

fn verdict(page: &mut Page, verdict: &Verdict, waits: &[String]) {
    match verdict {
        Verdict::Passed | Verdict::Exited { .. } | Verdict::Status { .. } => {}
        Verdict::Panicked(panic) => panicked(page, panic),
        Verdict::HostFailed {
            panic: Some(panic), ..
        } => panicked(page, panic),
        Verdict::Error { message } | Verdict::HostFailed { message, .. } => page.block(4, message),
        Verdict::Violated(violation) => violated(page, violation),
        Verdict::Deadlock { threads }
        | Verdict::Livelock { threads, .. }
        | Verdict::TimeLimit { threads, .. }
        | Verdict::StepLimit { threads, .. } => {
            waits
                .iter()
                .for_each(|line| page.line(format!("    {line}")));
            if let Verdict::Livelock { tasks, .. } = verdict {
                let line = |place| page.line(format!("    it runs: the task spawned at {place}"));
                tasks.iter().for_each(line);
            }
            table(page, threads, !waits.is_empty());
        }
        Verdict::Stuck { backtrace, .. }
        | Verdict::Signalled { backtrace, .. }
        | Verdict::StackOverflow { backtrace } => where_it_was(page, backtrace),
        Verdict::Aborted { backtrace, panic } => {
            if let Some(panic) = panic {
                page.block(4, &panic.message);
            }
            where_it_was(page, backtrace);
        }
        Verdict::OutOfMemory { message, .. } => page.block(4, message),
        Verdict::Refused { then, .. } => self::verdict(page, then, waits),
        Verdict::Nondeterministic(difference) | Verdict::Drift { difference, .. } => {
            differs(page, difference);
        }
        Verdict::Leak { there, .. } => self::verdict(page, there, waits),
    }
}

/// The verdict in a line, with the first of what it says for itself.
pub(super) fn headline(verdict: &Verdict) -> String {
    match message(verdict)
        .lines()
        .find(|line| !line.trim().is_empty())
    {
        Some(line) => format!("{}: {}", verdict.headline(), line.trim()),
        None => verdict.headline(),
    }
}

/// What the failure says for itself, without where it was.
pub(super) fn message(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Error { message } | Verdict::OutOfMemory { message, .. } => message.clone(),
        Verdict::HostFailed {
            message,
            panic: None,
            ..
        } => message.clone(),
        Verdict::Violated(violation) => {
            let mut page = Page(String::new());
            violated(
                &mut page,
                &Violation {
                    backtrace: None,
                    ..violation.clone()
                },
            );
            page.0
                .lines()
                .map(str::trim_start)
                .collect::<Vec<_>>()
                .join("\n")
        }
        verdict => panic_of(verdict).map_or_else(String::new, |panic| panic.message.clone()),
    }
}

fn panicked(page: &mut Page, panic: &PanicReport) {
    page.block(4, &panic.message);
    if let Some(backtrace) = &panic.backtrace {
        where_it_was(page, backtrace);
    }
}

fn violated(page: &mut Page, violation: &Violation) {
    page.block(4, &violation.detail);
    for (name, value) in &violation.values {
        // A value may be a struct over several lines.
        page.block(4, &format!("{name} = {value}"));
    }
    page.line(format!(
        "    at {} of simulated time",
        show_nanoseconds(violation.at)
    ));
    if let Some(backtrace) = &violation.backtrace {
        where_it_was(page, backtrace);
    }
}

fn where_it_was(page: &mut Page, backtrace: &str) {
    let trimmed = frames::trim(backtrace);
    if !trimmed.is_empty() {
        page.line("  backtrace:");
        page.block(4, &trimmed);
    }
}

/// Every thread: what it is, what it is in, what it waits for, and where. Without those that idle, if it has been `told` what
/// the tasks wait for.
fn table(page: &mut Page, threads: &[ThreadReport], told: bool) {
    // What the tasks of a runtime wait for has been said; its own threads only wait for work.
    let idle =
        |thread: &&ThreadReport| told && thread.backtrace.as_deref().is_some_and(frames::idles);
    let threads: Vec<&ThreadReport> = threads.iter().filter(|thread| !idle(thread)).collect();
    if threads.is_empty() {
        return;
    }
    let rows: Vec<[String; 4]> = threads
        .iter()
        .map(|thread| {
            let name = if thread.name.is_empty() {
                "(unnamed)"
            } else {
                &thread.name
            };
            [
                thread.id.to_string(),
                format!("{name} on {}", thread.host),
                thread.call.clone(),
                thread.waits_for.clone(),
            ]
        })
        .collect();
    let head = ["thread", "name", "in", "waits for"].map(str::to_owned);
    let mut widths = [0; 4];
    for row in rows.iter().chain([&head]) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for row in [&head].into_iter().chain(&rows) {
        let mut line = String::from("   ");
        for (width, cell) in widths.iter().zip(row) {
            let _ = write!(line, " {cell:width$} ");
        }
        page.line(line.trim_end());
    }
    for thread in threads {
        let Some(backtrace) = &thread.backtrace else {
            continue;
        };
        let trimmed = frames::trim(backtrace);
        if !trimmed.is_empty() {
            page.line(format!("  thread {} is at:", thread.id));
            page.block(4, &trimmed);
        }
    }
}

fn differs(page: &mut Page, difference: &Difference) {
    let [one, other] = &difference.outcomes;
    page.line(format!("    once:   {one}"));
    page.line(format!("    again:  {other}"));
    let Some([one, other]) = &difference.events else {
        page.line("    with every event recorded it took the same course each time, so the event that differs is unknown");
        return;
    };
    page.line(format!(
        "  after {} equal events, the first that differs:",
        difference.common
    ));
    for (name, event) in [("once:  ", one), ("again: ", other)] {
        match event {
            Some(event) => page.line(format!("    {name} {}", show(event))),
            None => page.line(format!("    {name} the run was over")),
        }
    }
    if let Some(backtrace) = &difference.backtrace {
        where_it_was(page, backtrace);
    }
}

fn show(event: &Event) -> String {
    format!(
        "{:>10}  thread {}  {}",
        show_nanoseconds(event.at),
        event.thread,
        event.what
    )
}

/// The panic that a verdict is about.
fn panic_of(verdict: &Verdict) -> Option<&PanicReport> {
    match verdict {
        Verdict::Panicked(panic)
        | Verdict::Aborted {
            panic: Some(panic), ..
        }
        | Verdict::HostFailed {
            panic: Some(panic), ..
        } => Some(panic),
        Verdict::Refused { then, .. } | Verdict::Leak { there: then, .. } => panic_of(then),
        _ => None,
    }
}

/// Panics besides the one that the verdict is about: tasks and threads whose panic was caught or lost.
fn other_panics(page: &mut Page, report: &RunReport) {
    let told = panic_of(&report.verdict);
    let others = report.panics.iter().filter(|panic| told != Some(*panic));
    for panic in others.take(8) {
        let first = panic.message.lines().next().unwrap_or("");
        page.line(format!(
            "  also: thread {} panicked at {}: {first}",
            panic.thread, panic.site
        ));
    }
}

fn refused(page: &mut Page, calls: &[Refused]) {
    let mut told: Vec<(&str, &str)> = Vec::new();
    for call in calls {
        if told.contains(&(&call.call, &call.backtrace)) {
            continue;
        }
        told.push((&call.call, &call.backtrace));
        page.line(format!("  {}", refusal(call)));
        if !call.tolerated {
            let trimmed = frames::trim(&call.backtrace);
            page.block(4, &trimmed);
        }
    }
}

/// One line about a refused call.
pub(crate) fn refusal(call: &Refused) -> String {
    format!(
        "refused: {} is not simulated and failed with {} (thread {} on host {})",
        call.call,
        call.errno.name(),
        call.thread,
        call.host
    )
}

/// Where a refused call was made, in a word.
pub(crate) fn refusal_site(call: &Refused) -> String {
    frames::place(&call.backtrace).unwrap_or_else(|| "an unknown place".to_owned())
}

/// The story of a run that was recorded.
pub(super) fn story_of(report: &RunReport) -> Story {
    let Some(recorded) = report.trace.as_ref() else {
        return Story::default();
    };
    let size = Size {
        width: columns().saturating_sub(INDENT),
        ..Size::default()
    };
    report::story(recorded, ending(&report.verdict), size)
}

fn ending(verdict: &Verdict) -> Ending<'_> {
    match verdict {
        Verdict::Deadlock { .. }
        | Verdict::Livelock { .. }
        | Verdict::TimeLimit { .. }
        | Verdict::StepLimit { .. } => Ending::Waiting,
        Verdict::Refused { then, .. } | Verdict::Leak { there: then, .. } => ending(then),
        verdict => match panic_of(verdict) {
            Some(panic) => Ending::Panic(&panic.site),
            None => Ending::Other,
        },
    }
}

/// The story's table; where nothing of the program's own was taken down, the last events.
fn tell(page: &mut Page, story: &Story, recorded: Option<&Recorded>) {
    if !story.table.is_empty() {
        page.line("  the story:");
        page.block(INDENT, &story.table.join("\n"));
        return;
    }
    let events = recorded.map_or(&[][..], |recorded| &recorded.events);
    if events.is_empty() {
        return;
    }
    let from = events.len().saturating_sub(EVENTS);
    page.line(format!(
        "  the last {} of {} events:",
        events.len() - from,
        events.len()
    ));
    for event in &events[from..] {
        page.line(format!("    {}", show(event)));
    }
}

/// The width of the page in characters: COLUMNS, where a shell says it.
fn columns() -> usize {
    let said = std::env::var("COLUMNS")
        .ok()
        .and_then(|text| text.parse().ok());
    said.unwrap_or(100).clamp(60, 200)
}

fn show_output(page: &mut Page, output: &Output) {
    let text = output.text();
    if text.is_empty() {
        return;
    }
    // The backtrace is in the report; std's advice on how to get one would mislead.
    let advice = "note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace";
    let lines: Vec<&str> = text.lines().filter(|line| *line != advice).collect();
    page.line("  the run printed:");
    if lines.len() <= 2 * OUTPUT_LINES {
        lines.iter().for_each(|line| printed(page, line));
        return;
    }
    let (head, rest) = lines.split_at(OUTPUT_LINES);
    let (middle, tail) = rest.split_at(rest.len() - OUTPUT_LINES);
    head.iter().for_each(|line| printed(page, line));
    let more = if output.missing > 0 {
        format!(" and {} bytes", output.missing)
    } else {
        String::new()
    };
    page.line(format!("    | [... {} lines{more} ...]", middle.len()));
    tail.iter().for_each(|line| printed(page, line));
}

/// A line of output, unless it is very long its whole.
fn printed(page: &mut Page, line: &str) {
    const WIDTH: usize = 1000;
    if line.len() <= WIDTH {
        return page.line(format!("    | {line}"));
    }
    let start: String = line.chars().take(WIDTH).collect();
    page.line(format!(
        "    | {start} [... {} bytes]",
        line.len() - start.len()
    ));
}
