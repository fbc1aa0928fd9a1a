//! What the library noted in a run, in words for its story. Samples of what is measured are for plots and say nothing here.

use serde_json::Value;

/// What a note says to a reader; `None` for what is of no interest.
pub(super) fn phrase(kind: &str, data: &str) -> Option<String> {
    let data: Value = serde_json::from_str(data).ok()?;
    let text = |key: &str| data.get(key).map(words).unwrap_or_default();
    match kind {
        "property" => {
            let (name, state, detail) = (text("name"), text("state"), text("detail"));
            let detail = detail.lines().next().unwrap_or("");
            Some(match detail {
                "" => format!("{state}: {name}"),
                detail => format!("{state}: {name} ({detail})"),
            })
        }
        "fault.begin" => Some(format!("fault begins: {}{}", text("what"), hosts(&data))),
        "fault.end" => Some(format!("fault ends: {}{}", text("what"), hosts(&data))),
        "op" => {
            let (client, op, phase) = (text("client"), text("op"), text("phase"));
            let outcome = text("outcome");
            let outcome = match outcome.as_str() {
                "" => String::new(),
                outcome => format!(" = {outcome}"),
            };
            Some(format!("client {client}: {phase} {op}{outcome}"))
        }
        "event" => {
            let said = [text("message"), text("fields")].into_iter();
            let said: Vec<String> = said.filter(|part| !part.is_empty()).collect();
            let around = match text("span") {
                span if span.is_empty() => span,
                span => format!(" ({span})"),
            };
            Some(format!("{}: {}{around}", text("level"), said.join(" ")))
        }
        _ => None,
    }
}

/// What a note about a span says: it has no place in a story, where each poll would enter it anew.
pub(super) fn span(data: &str) -> Option<String> {
    let data: Value = serde_json::from_str(data).ok()?;
    let text = |key: &str| data.get(key).map(words).unwrap_or_default();
    Some(format!("{} {}", text("phase"), text("span")))
}

/// A value without the quotes of a text.
fn words(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(all) => all.iter().map(words).collect::<Vec<_>>().join(", "),
        value => value.to_string(),
    }
}

fn hosts(data: &Value) -> String {
    let hosts = data.get("hosts").map(words).unwrap_or_default();
    match hosts.as_str() {
        "" => String::new(),
        hosts => format!(" ({hosts})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_put_into_words_and_samples_left_out() {
        let property =
            r#"{"name":"stock >= 0","state":"violated","detail":"of 3\nmore","values":[]}"#;
        assert_eq!(
            phrase("property", property).unwrap(),
            "violated: stock >= 0 (of 3)"
        );
        let fault = r#"{"id":1,"what":"partition","hosts":["a","b"]}"#;
        assert_eq!(
            phrase("fault.begin", fault).unwrap(),
            "fault begins: partition (a, b)"
        );
        let event = r#"{"level":"warn","target":"shop","message":"sold out","fields":"piece=3","span":"request{id=7}"}"#;
        assert_eq!(
            phrase("event", event).unwrap(),
            "warn: sold out piece=3 (request{id=7})"
        );
        let entered = r#"{"phase":"enters","id":3,"span":"request{id=7}"}"#;
        assert_eq!(phrase("span", entered), None);
        assert_eq!(span(entered).unwrap(), "enters request{id=7}");
        assert_eq!(phrase("sample", r#"{"series":"rps","value":3}"#), None);
    }
}
