//! Reports of a failure: where they are put, in which forms, and what is said of those that cannot be written.

use std::path::PathBuf;

use super::drive::{Scratch, run};

#[test]
fn each_form_is_a_file_of_its_own() {
    let scratch = Scratch::new();
    let directory = scratch.path().to_str().unwrap();
    let variables = [
        ("SQUALL_REPORT", directory),
        ("SQUALL_REPORT_AS", "html,perfetto,lines"),
    ];
    run("panics", &variables)
        .failed()
        .says(&["  timeline: ", "  perfetto: ", "  lines: "]);
    let files = scratch.files();
    let names: Vec<&str> = files
        .iter()
        .map(|file| file.file_name().unwrap().to_str().unwrap())
        .collect();
    let stem = names[0].strip_suffix(".html").unwrap();
    assert!(stem.starts_with("runner-fixtures.panics-"), "{stem}");
    let wanted = ["html", "jsonl", "perfetto.json"].map(|ending| format!("{stem}.{ending}"));
    assert_eq!(names, wanted);
    let [html, lines, perfetto] = [0, 1, 2].map(|i| std::fs::read_to_string(&files[i]).unwrap());
    assert!(html.starts_with("<!doctype html>") && html.contains("an update was lost"));
    for elsewhere in ["src=", "href=\"http", "@import", "url("] {
        assert!(!html.contains(elsewhere), "the page needs {elsewhere}");
    }
    let lines: Vec<serde_json::Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0]["test"], "fixtures::panics");
    assert!(
        lines[0]["message"]
            .as_str()
            .unwrap()
            .contains("an update was lost")
    );
    let panic = lines.iter().find(|line| line["kind"] == "panic");
    assert_eq!(panic.unwrap()["host"], "test");
    let times: Vec<u64> = lines[1..]
        .iter()
        .map(|line| line["at"].as_u64().unwrap())
        .collect();
    assert!(times.is_sorted(), "events come in the order of time");
    let perfetto: serde_json::Value = serde_json::from_str(&perfetto).unwrap();
    let events = perfetto["traceEvents"].as_array().unwrap();
    for ph in ["M", "X", "i"] {
        assert!(
            events.iter().any(|event| event["ph"] == ph),
            "no event of the kind {ph}"
        );
    }
}

#[test]
fn spans_and_events_of_tracing_are_told() {
    let scratch = Scratch::new();
    let directory = scratch.path().to_str().unwrap();
    let variables = [
        ("SQUALL_REPORT", directory),
        ("SQUALL_REPORT_AS", "lines,perfetto"),
    ];
    run("logs_and_fails", &variables)
        .failed()
        // In the story, and as the program's own subscriber prints it.
        .says(&[
            "warn: nothing is left (request{id=2})",
            "T01:00:00",
            "WARN request{id=2}: runner::fixtures: nothing is left",
        ]);
    let files = scratch.files();
    let [lines, perfetto] = [0, 1].map(|i| std::fs::read_to_string(&files[i]).unwrap());
    let lines: Vec<serde_json::Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let hour = 3_600_000_000_000u64;
    for id in [1, 2] {
        let path = format!("request{{id={id}}}:database{{table=\"pieces\"}}");
        let mut spans = lines[0]["spans"].as_array().unwrap().iter();
        let span = spans.find(|span| span["span"] == *path);
        let span = span.unwrap_or_else(|| panic!("no {path} in {}", lines[0]["spans"]));
        assert!(span["to"].as_u64().unwrap() - span["from"].as_u64().unwrap() >= hour);
        let said = format!("info: sold pieces={id} ({path})");
        let event = lines.iter().find(|line| line["did"] == *said);
        let event = event.unwrap_or_else(|| panic!("no `{said}`"));
        assert_eq!(event["kind"], "log");
        assert!(event["at"].as_u64().unwrap() >= hour);
    }
    let mut logged = lines.iter().filter(|line| line["kind"] == "log");
    assert!(!logged.any(|line| line["did"].to_string().contains("too much")));
    let perfetto: serde_json::Value = serde_json::from_str(&perfetto).unwrap();
    let mut events = perfetto["traceEvents"].as_array().unwrap().iter();
    assert!(events.any(|event| event["cat"] == "span" && event["name"] == "request{id=1}"));
    // A recorded run takes the course of one that is not.
    run("logs_and_holds", &[("SQUALL_REPORT", directory)]).held();
}

#[test]
fn no_report_is_written_where_none_is_wanted() {
    let scratch = Scratch::new();
    let directory = scratch.path().to_str().unwrap();
    let ran = run(
        "panics",
        &[("SQUALL_REPORT", "off"), ("SQUALL_FAILURES", directory)],
    );
    assert!(!ran.failed().text.contains("timeline: "), "{}", ran.text);
    // Whoever keeps no log wants no page either.
    let ran = run("panics", &[]);
    assert!(!ran.failed().text.contains("timeline: "), "{}", ran.text);
    run("should_panic", &[("SQUALL_REPORT", directory)]).held();
    run("passes", &[("SQUALL_REPORT", directory)]).held();
    let files = scratch.files();
    let ending = |file: &PathBuf| file.extension().is_some_and(|ending| ending == "log");
    assert!(files.iter().all(ending), "{files:?}");
}

#[test]
fn a_report_that_cannot_be_written_does_not_hide_the_failure() {
    run("panics", &[("SQUALL_REPORT", "/proc/nowhere")])
        .failed()
        .says(&["an update was lost", "cannot be written: ", "replay: "]);
}
