//! The files that tell of a failure: what goes into them, where they lie. `verify` has them written before the text that names them.

use std::io;
use std::path::{Path, PathBuf};

use super::forms::Form;
use super::origin::Origin;
use super::render;
use super::saved::hash;
use super::settings::Resolved;
use crate::report::{Document, html, lines, perfetto, timeline};

/// What became of the reports of a failure.
#[derive(Default)]
pub(super) struct Written {
    /// Lines that say where they are, or why there is none.
    pub(super) said: Vec<String>,
    pub(super) paths: Vec<PathBuf>,
}

/// Writes the reports of a failure.
pub(super) fn write(origin: &Origin, settings: &Resolved, told: &render::Told<'_>) -> Written {
    let mut out = Written::default();
    let Some(directory) = settings.reports.as_ref().filter(|_| !origin.should_panic) else {
        return out;
    };
    let stem = format!(
        "{}-{:016x}",
        origin.log_prefix(),
        hash(&told.report.verdict.signature())
    );
    let document = document(told);
    for form in &settings.forms {
        let text = match form {
            Form::Html => html(&document),
            Form::Perfetto => perfetto(&document.timeline),
            Form::Lines => lines(&document),
        };
        let path = directory.join(format!("{stem}.{}", form.ending()));
        match put(&path, &text) {
            Ok(()) => {
                out.said.push(format!("{}: {}", word(*form), shown(&path)));
                out.paths.push(path);
            }
            Err(error) => out.said.push(format!(
                "{}: {} cannot be written: {error}",
                word(*form),
                path.display()
            )),
        }
    }
    out
}

fn word(form: Form) -> &'static str {
    match form {
        Form::Html => "timeline",
        form => form.name(),
    }
}

/// Whole, or not at all.
fn put(path: &Path, text: &str) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    let partial = path.with_extension(format!("{}.partial", std::process::id()));
    let written = std::fs::write(&partial, text).and_then(|()| std::fs::rename(&partial, path));
    if written.is_err() {
        // The error to report is the first one.
        let _ = std::fs::remove_file(&partial);
    }
    written
}

/// As somebody would write it who is where the command was given; cargo moves to the package's directory.
fn shown(path: &Path) -> String {
    let here = std::env::var_os("PWD").map(PathBuf::from);
    let short = here.and_then(|here| path.strip_prefix(here).ok().map(Path::to_owned));
    short.as_deref().unwrap_or(path).display().to_string()
}

fn document(told: &render::Told<'_>) -> Document {
    let report = told.report;
    let mut facts = vec![
        ("seed".to_owned(), format!("{:#x}", report.seed), false),
        ("run".to_owned(), render::facts(report).join(", "), false),
        ("replay".to_owned(), told.replay.clone(), true),
    ];
    if let Some(unshrunk) = &told.unshrunk {
        facts.push(("unshrunk".to_owned(), unshrunk.clone(), true));
    }
    if let Some(log) = &told.log {
        facts.push(("log".to_owned(), log.clone(), false));
    }
    Document {
        test: told.test.to_owned(),
        headline: report.verdict.headline(),
        message: render::message(&report.verdict),
        held: report.verdict.passed(),
        facts,
        story: render::story_of(report).table.join("\n"),
        text: render::failure(told),
        timeline: report.trace.as_ref().map(timeline).unwrap_or_default(),
    }
}
