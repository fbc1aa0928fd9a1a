//! `run`, `report` and `sweep`, from a scenario file to what they leave.

use crate::drive::{scratch, squall, squall_with};
use serde_json::Value;

const FILE: &str = "scenarios/till.toml";

/// The JSON in what a command printed: from the first line that begins so.
fn json(text: &str) -> Value {
    let from = text.find("\n{").map(|at| at + 1);
    let from = from.or(text.starts_with('{').then_some(0)).expect("JSON");
    let mut values = serde_json::Deserializer::from_str(&text[from..]).into_iter();
    values.next().expect("a value").expect("JSON")
}

#[test]
fn a_scenario_runs_fails_and_is_reported() {
    squall(&["run", FILE, "--locked"])
        .ended(0)
        .says(&["customers_are_served held", ": 4 seeds in "]);
    let ran = squall(&["run", FILE, "--json", "--locked"]).ended(0);
    let told = json(&ran.text);
    assert_eq!(
        (&told["event"], &told["word"]),
        (&"ended".into(), &"held".into())
    );
    assert_eq!(told["runs"], 4);

    let place = scratch("till");
    let failures = place.join("failures");
    let variables = [
        ("SQUALL_PARAMETERS", r#"{"tills":1}"#),
        ("SQUALL_FAILURES", failures.to_str().unwrap()),
        ("SQUALL_SHRINK", "1s"),
    ];
    squall_with(&["run", FILE, "--locked"], &variables)
        .ended(1)
        .says(&["does not hold error_rate < 5%", "\nreplay: SQUALL_REPLAY="]);
    let log = std::fs::read_dir(&failures).unwrap().next().unwrap();
    let log = log.unwrap().path();
    let reports = place.join("reports");
    let words = [
        "report",
        log.to_str().unwrap(),
        "--to",
        reports.to_str().unwrap(),
        "--locked",
    ];
    // The log has its parameters; nothing sets them here.
    squall(&words).says(&["reports"]);
    let mut kinds: Vec<String> = std::fs::read_dir(&reports)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.contains("customers_are_served"))
        .filter_map(|name| name.rsplit_once('.').map(|(_, end)| end.to_owned()))
        .collect();
    kinds.sort();
    assert_eq!(kinds, ["html", "json", "jsonl"]);
    std::fs::remove_dir_all(place).unwrap();
}

#[test]
fn a_sweep_compares_values_and_refuses_what_nobody_asks_for() {
    let page = scratch("till.html");
    let words = [
        "sweep",
        FILE,
        "--seeds",
        "2",
        "--html",
        page.to_str().unwrap(),
    ];
    let ran = squall(&[&words[..], &["--json", "--locked"]].concat()).ended(0);
    let sweep = json(&ran.text);
    let cells = sweep["cells"].as_array().unwrap();
    let of = |cell: &Value| (cell["values"]["tills"].as_i64(), cell["failed"].as_i64());
    assert_eq!(of(&cells[0]), (Some(1), Some(2)));
    assert_eq!(of(&cells[1]), (Some(4), Some(0)));
    let figure =
        |cell: &Value, of: &str, figure: &str| cell["traffic"]["buy"][of][figure].as_f64().unwrap();
    assert!(figure(&cells[0], "throughput", "mean") < figure(&cells[1], "throughput", "mean"));
    assert!(figure(&cells[0], "latency_ns", "p99") > figure(&cells[1], "latency_ns", "p99"));
    let html = std::fs::read_to_string(&page).unwrap();
    assert!(
        html.contains("<svg") && html.contains("SQUALL_PARAMETERS"),
        "{html}"
    );
    std::fs::remove_file(page).unwrap();

    let refused = |parameter: &str, why: &str| {
        let words = [
            "sweep",
            FILE,
            "--seeds",
            "1",
            "--parameter",
            parameter,
            "--locked",
        ];
        squall(&words).ended(2).says(&[why]);
    };
    refused(
        "tills=many",
        "the parameter tills is set to \"many\", and the test reads a whole number",
    );
    refused(
        "tils=4",
        "no run asked for the parameter tils: there are tills",
    );
}
