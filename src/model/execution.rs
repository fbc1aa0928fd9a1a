//! One execution as loom runs it, step by step. loom traces what it does; the trace says what is done to which object on which thread, and while
//! loom says so, the stack tells from which line. `under_loom` has an execution that fails written down so.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use tracing_core::field::{Field, Visit};
use tracing_core::span::{Attributes, Current, Id, Record};
use tracing_core::{Dispatch, Event, Metadata, Subscriber, dispatcher};

use super::under_loom::here;

/// This file, as the compiler knows it.
pub(super) const FILE: &str = file!();

/// What loom says where a thread ends.
const ENDS: &str = "thread_done: terminate";

/// How many steps are told, the last ones.
const TOLD: usize = 200;

/// What loom does.
#[derive(Clone, Debug, Default)]
pub(super) struct Execution(Arc<Mutex<Steps>>);

#[derive(Debug, Default)]
struct Steps {
    spans: u64,
    /// Which thread a span is about.
    threads: BTreeMap<u64, String>,
    /// The spans that are entered, the innermost last.
    entered: Vec<u64>,
    steps: Vec<Step>,
    /// Where an object was made.
    made: BTreeMap<String, String>,
}

/// A step.
#[derive(Debug)]
struct Step {
    thread: String,
    what: String,
    place: Option<String>,
}

impl Execution {
    /// Writes down what loom does meanwhile.
    pub(super) fn follow(&self, check: impl FnOnce()) {
        dispatcher::with_default(&Dispatch::new(self.clone()), check);
    }

    fn with<R>(&self, with: impl FnOnce(&mut Steps) -> R) -> R {
        with(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The steps, a line each.
    pub(super) fn told(&self) -> String {
        self.with(|steps| {
            let mut text = "  the execution:\n".to_owned();
            let before = steps.steps.len().saturating_sub(TOLD);
            if before > 0 {
                let _ = writeln!(text, "    : {before} steps");
            }
            let told = &steps.steps[before..];
            let width = told.iter().map(|step| step.what.len()).max().unwrap_or(0);
            for step in told {
                let place = step.place.as_deref().unwrap_or_default();
                let line = format!("    thread {} | {:width$}  {place}", step.thread, step.what);
                let _ = writeln!(text, "{}", line.trim_end());
            }
            for (object, place) in &steps.made {
                if told.iter().any(|step| step.is_about(object)) {
                    let _ = writeln!(text, "    {object} is made at {place}");
                }
            }
            text
        })
    }
}

impl Step {
    fn is_about(&self, object: &str) -> bool {
        let at = self.what.find(object);
        at.is_some_and(|at| {
            let behind = self.what[at + object.len()..].chars().next();
            !behind.is_some_and(|next| next.is_ascii_digit())
        })
    }
}

impl Subscriber for Execution {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("loom::")
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        self.with(|steps| {
            steps.spans += 1;
            if attributes.metadata().name() == "thread" {
                let thread = fields.of("id").unwrap_or_default().to_owned();
                steps.threads.insert(steps.spans, thread);
            }
            Id::from_u64(steps.spans)
        })
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let Some(message) = fields.of("message") else {
            return;
        };
        // A new object: who uses it is told by its number.
        if let Some(kind) = message.strip_suffix("::new") {
            if let (Some(object), Some(place)) = (fields.object(kind), here()) {
                self.with(|steps| steps.made.insert(object, place));
            }
            return;
        }
        let Some(what) = fields.step(message) else {
            return;
        };
        let place = here();
        self.with(|steps| {
            let entered = steps.entered.iter().rev();
            let inside = entered.filter_map(|span| steps.threads.get(span)).next();
            // Whoever goes on is the current one when a thread's end is told.
            let ended = fields.of("thread").and_then(number);
            let thread = match ended.filter(|_| message == ENDS) {
                Some(ended) => ended.to_owned(),
                None => inside.map_or("0", String::as_str).to_owned(),
            };
            steps.steps.push(Step {
                thread,
                what,
                place,
            });
        });
    }

    fn enter(&self, span: &Id) {
        self.with(|steps| steps.entered.push(span.into_u64()));
    }

    fn exit(&self, span: &Id) {
        self.with(|steps| {
            let last = steps
                .entered
                .iter()
                .rposition(|entered| *entered == span.into_u64());
            if let Some(last) = last {
                steps.entered.remove(last);
            }
        });
    }

    /// loom enters spans by hand; nobody asks for this.
    fn current_span(&self) -> Current {
        Current::none()
    }
}

/// The fields of an event or a span, as text.
#[derive(Default)]
struct Fields(Vec<(&'static str, String)>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push((field.name(), format!("{value:?}")));
    }
}

impl Fields {
    fn of(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(field, _)| *field == name)?;
        Some(&found.1)
    }

    /// `atomic 3`: the kind, and the number that loom gave it, `Ref<..>(3)`.
    fn object(&self, kind: &str) -> Option<String> {
        let number = number(self.of("state")?)?;
        Some(format!("{} {number}", kind.to_lowercase()))
    }

    /// What a step does, in words; `None` for what loom only says of itself.
    fn step(&self, message: &str) -> Option<String> {
        let object = |kind| self.object(kind).unwrap_or_else(|| kind.to_owned());
        let ordering = |name| self.of(name).unwrap_or("?");
        Some(match message {
            "Atomic::load" => format!("loads {} ({})", object("atomic"), ordering("ordering")),
            "Atomic::store" => {
                format!("stores to {} ({})", object("atomic"), ordering("ordering"))
            }
            "Atomic::rmw" => format!(
                "changes {} ({}, else {})",
                object("atomic"),
                ordering("success"),
                ordering("failure")
            ),
            "Atomic::unsync_load" | "Atomic::with_mut" => {
                format!("has {} for itself", object("atomic"))
            }
            "Mutex::post_acquire" => format!("locks {}", object("mutex")),
            "Mutex::release_lock" => format!("unlocks {}", object("mutex")),
            "Condvar::wait" => format!("waits for {}", object("condvar")),
            "Condvar::notify_one" => format!("wakes one at {}", object("condvar")),
            "Condvar::notify_all" => format!("wakes all at {}", object("condvar")),
            "Notify::wait 1" => "waits for a thread".to_owned(),
            "park" => "parks".to_owned(),
            "spawn" => format!(
                "spawns thread {}",
                self.of("thread").and_then(number).unwrap_or("?")
            ),
            "yield_now" => "yields".to_owned(),
            ENDS => "ends".to_owned(),
            _ => return None,
        })
    }
}

/// The last number in a text.
fn number(text: &str) -> Option<&str> {
    let end = text.rfind(|c: char| c.is_ascii_digit())? + 1;
    let start = text[..end]
        .rfind(|c: char| !c.is_ascii_digit())
        .map_or(0, |at| at + 1);
    Some(&text[start..end])
}
