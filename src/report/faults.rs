//! The fault windows of a run, from its notes.

use serde_json::Value;

use super::Recorded;
use crate::kernel::What;

/// A fault that was in force when the run ended.
pub(crate) struct InForce {
    /// What it did to whom.
    pub(crate) what: String,
    /// When it began, in virtual nanoseconds.
    pub(crate) began: u64,
}

/// How many faults there were, and those that were in force in the end.
pub(crate) fn faults(recorded: &Recorded) -> (usize, Vec<InForce>) {
    let mut count = 0;
    let mut open: Vec<(u64, InForce)> = Vec::new();
    for event in &recorded.events {
        let What::Note { kind, data } = &event.what else {
            continue;
        };
        let begins = match &**kind {
            "fault.begin" => true,
            "fault.end" => false,
            _ => continue,
        };
        let Ok(data) = serde_json::from_str::<Value>(data) else {
            continue;
        };
        let id = data.get("id").and_then(Value::as_u64).unwrap_or(0);
        if begins {
            count += 1;
            let what = data.get("what").and_then(Value::as_str).unwrap_or_default();
            let fault = InForce {
                what: what.to_owned(),
                began: event.at,
            };
            open.push((id, fault));
        } else {
            open.retain(|(other, _)| *other != id);
        }
    }
    (count, open.into_iter().map(|(_, fault)| fault).collect())
}
