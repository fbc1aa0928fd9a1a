//! Spans and events of the user's `tracing` in the record of a run that is told: [`layer`] goes onto the user's own subscriber. It calls
//! the kernel for notes alone, and `report` shows them. Feature `tracing`.

use std::fmt::{self, Write};

use serde_json::json;
use tracing_core::field::{Field, Visit};
use tracing_core::span::{Attributes, Id, Record};
use tracing_core::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::kernel;

/// A layer for the program's subscriber, by which spans and events of level `INFO` and above come onto the time line of a failing run, with virtual
/// time stamps: an event on the lane of the task or thread that it happened in, with the spans around it, a span as a bar wherever it was
/// entered, and in a table with its duration.
///
/// ```
/// use tracing_subscriber::layer::SubscriberExt;
/// use tracing_subscriber::util::SubscriberInitExt;
///
/// # fn main() {
/// let held = squall::Builder::new().seeds(3).run(|_: squall::Sim| async {
///     tracing_subscriber::registry().with(squall::tracing::layer()).init();
///     let request = tracing::info_span!("request", id = 7);
///     request.in_scope(|| tracing::info!(pieces = 3, "sold"));
/// });
/// assert!(held.is_ok());
/// # }
/// ```
///
/// It works in each run alike, whether or not the run is told: what the program does must not depend on that. So what is logged is put into
/// words in each run, as a subscriber that prints would do, and costs its time. Outside a simulation it does nothing.
pub fn layer() -> TimelineLayer {
    TimelineLayer { most: Level::INFO }
}

/// What [`layer`] returns.
#[derive(Clone, Debug)]
#[must_use = "it goes onto a subscriber, with `with`"]
pub struct TimelineLayer {
    most: Level,
}

impl TimelineLayer {
    /// What is more verbose than this level is left out. Default: `INFO`. Spans that are left out do not appear around events either. Other layers
    /// of the subscriber are not affected.
    pub fn with_max_level(self, level: Level) -> TimelineLayer {
        TimelineLayer { most: level }
    }

    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.most && kernel::now().is_some()
    }
}

/// What a span is called, kept with it.
struct Words {
    /// The spans around it, each followed by a colon.
    around: String,
    fields: String,
}

impl Words {
    fn path(&self, name: &str) -> String {
        match self.fields.is_empty() {
            true => format!("{}{name}", self.around),
            false => format!("{}{name}{{{}}}", self.around, self.fields),
        }
    }
}

/// Puts fields into words, in order: the message as it is, the others as `name=value`.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing to a string does not fail, and a value that fails to show itself shows what it can.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => {
                let gap = if self.fields.is_empty() { "" } else { " " };
                write!(
                    self.fields,
                    "{gap}{}={value:?}",
                    name.trim_start_matches("r#")
                )
            }
        };
    }
}

impl TimelineLayer {
    /// The innermost span around that is not left out, and those around it.
    fn path<S>(from: Option<tracing_subscriber::registry::SpanRef<'_, S>>) -> String
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let mut scope = from.into_iter().flat_map(|span| span.scope());
        let words = scope.find_map(|span| {
            let extensions = span.extensions();
            Some(extensions.get::<Words>()?.path(span.name()))
        });
        words.unwrap_or_default()
    }

    fn span<S>(&self, phase: &str, id: &Id, context: &Context<'_, S>)
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let Some(span) = context.span(id).filter(|span| self.wants(span.metadata())) else {
            return;
        };
        let extensions = span.extensions();
        let Some(words) = extensions.get::<Words>() else {
            return;
        };
        let target = span.metadata().target();
        kernel::note("span", || {
            json!({ "phase": phase, "id": id.into_u64(), "span": words.path(span.name()), "target": target })
                .to_string()
        });
    }
}

impl<S> Layer<S> for TimelineLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if !self.wants(attributes.metadata()) {
            return;
        }
        let Some(span) = context.span(id) else {
            return;
        };
        let mut text = Text::default();
        attributes.record(&mut text);
        let mut around = Self::path(span.parent());
        if !around.is_empty() {
            around.push(':');
        }
        let fields = text.fields;
        span.extensions_mut().insert(Words { around, fields });
        self.span("opens", id, &context);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id).filter(|span| self.wants(span.metadata())) else {
            return;
        };
        let mut text = Text::default();
        values.record(&mut text);
        if let Some(words) = span.extensions_mut().get_mut::<Words>() {
            if !words.fields.is_empty() && !text.fields.is_empty() {
                words.fields.push(' ');
            }
            words.fields.push_str(&text.fields);
        }
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        self.span("enters", id, &context);
    }

    fn on_exit(&self, id: &Id, context: Context<'_, S>) {
        self.span("leaves", id, &context);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        self.span("closes", &id, &context);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if !self.wants(event.metadata()) {
            return;
        }
        let mut text = Text::default();
        event.record(&mut text);
        let around = Self::path(context.event_span(event));
        let (level, target) = (*event.metadata().level(), event.metadata().target());
        kernel::note("event", || {
            let level = level.to_string().to_lowercase();
            let Text { message, fields } = text;
            json!({ "level": level, "target": target, "message": message, "fields": fields, "span": around }).to_string()
        });
    }
}
