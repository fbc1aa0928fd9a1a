//! What a child process takes down about the present run, outside the black box: panics, notes, how the body ended.
//!
//! The panic hook and the body write it on simulated threads, `child` reads it when the run is over. It lives on the heap
//! behind a leaked pointer, so that putting the statics back between runs leaves it alone.

use std::any::Any;
use std::backtrace::Backtrace;
use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::kernel;

/// A panic, caught or not.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PanicReport {
    /// The name of the thread.
    pub thread: String,
    /// File, line and column.
    pub site: String,
    /// The message.
    pub message: String,
    /// Where, if the run was explained.
    pub backtrace: Option<String>,
}

/// How the body ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum BodyEnd {
    /// It returned, with an error perhaps.
    Returned(Result<(), String>),
    /// It panicked, with this message.
    Panicked(String),
}

struct Panic {
    thread: String,
    site: String,
    message: String,
    /// Captured without names; finding those reads files, which must wait until the run is over.
    backtrace: Option<Backtrace>,
}

#[derive(Default)]
struct Page {
    panics: Vec<Panic>,
    notes: Vec<String>,
    end: Option<BodyEnd>,
}

/// Takes down what happens in a run.
#[derive(Default)]
pub(crate) struct Scribe {
    page: Mutex<Page>,
    /// Whether panics are to have backtraces.
    backtraces: AtomicBool,
}

/// The most panics of a run that are kept; a program may catch panics by the million.
const PANICS: usize = 64;

impl Scribe {
    /// A scribe for the life of the process.
    pub(crate) fn new() -> &'static Self {
        Box::leak(Box::default())
    }

    fn page(&self) -> MutexGuard<'_, Page> {
        // A panic while the page was open has been taken down or has not; the page itself is whole.
        self.page.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has every panic taken down. It is still printed as usual.
    pub(crate) fn hook(&'static self) {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            self.panicked(info);
            usual(info);
        }));
    }

    pub(super) fn panicked(&self, info: &PanicHookInfo<'_>) {
        let thread = std::thread::current()
            .name()
            .unwrap_or("unnamed")
            .to_owned();
        let site = info.location().map(ToString::to_string).unwrap_or_default();
        let message = message_of(info.payload());
        let backtrace = self
            .backtraces
            .load(Ordering::Relaxed)
            // Capturing makes calls and allocates, which must not show in the run.
            .then(|| kernel::unseen(Backtrace::force_capture));
        kernel::tell_panic(&site, &message);
        let mut page = self.page();
        if page.panics.len() < PANICS {
            page.panics.push(Panic {
                thread,
                site,
                message,
                backtrace,
            });
        }
    }

    /// Begins a run.
    pub(crate) fn begin(&self, backtraces: bool) {
        self.backtraces.store(backtraces, Ordering::Relaxed);
        // A fresh one: what the last run wrote lies on that run's own heap, the lists included.
        *self.page() = Page::default();
    }

    /// Something that a report should say of this run.
    pub(crate) fn note(&self, text: String) {
        self.page().notes.push(text);
    }

    /// The body has ended.
    pub(crate) fn ended(&self, end: BodyEnd) {
        self.page().end = Some(end);
    }

    /// What was taken down of the run: how the body ended, panics, notes.
    pub(crate) fn close(&self) -> (Option<BodyEnd>, Vec<PanicReport>, Vec<String>) {
        let mut page = self.page();
        let panics = page
            .panics
            .drain(..)
            .map(
                |Panic {
                     thread,
                     site,
                     message,
                     backtrace,
                 }| {
                    let backtrace = backtrace.map(|backtrace| backtrace.to_string());
                    PanicReport {
                        thread,
                        site,
                        message,
                        backtrace,
                    }
                },
            )
            .collect();
        (page.end.take(), panics, std::mem::take(&mut page.notes))
    }

    /// How the body ended, where nothing else is of interest.
    pub(crate) fn passed(&self) -> bool {
        matches!(self.page().end, Some(BodyEnd::Returned(Ok(()))))
    }
}

/// The text of a panic's payload.
pub(crate) fn message_of(payload: &(dyn Any + Send)) -> String {
    match (
        payload.downcast_ref::<&str>(),
        payload.downcast_ref::<String>(),
    ) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => "(a panic whose payload is no text)".to_owned(),
    }
}
