//! What a run of the tests came to, for others: JUnit XML, annotations on GitHub, and a page that lists all tests.

use crate::events::{Event, Failure, Name, Word};
use crate::style;
use anyhow::{Context, Result, bail};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A test that is over.
struct Ended<'a> {
    test: &'a Name,
    word: Word,
    runs: u64,
    simulated: u64,
    took: Duration,
    failure: Option<&'a Failure>,
}

fn ended(events: &[Event]) -> Vec<Ended<'_>> {
    let mut found: Vec<Ended<'_>> = events
        .iter()
        .filter_map(|event| match event {
            Event::Ended {
                test,
                word,
                runs,
                simulated,
                millis,
                failure,
            } => Some(Ended {
                test,
                word: *word,
                runs: *runs,
                simulated: *simulated,
                took: Duration::from_millis(*millis),
                failure: failure.as_ref(),
            }),
            _ => None,
        })
        .collect();
    found.sort_by(|a, b| a.test.cmp(b.test));
    found
}

/// The option that asks for JUnit XML. It is squall's, not cargo's.
const OPTION: &str = "--junit";

/// Takes it out of the arguments of `cargo test`.
pub fn asked(words: &[OsString]) -> Result<(Option<PathBuf>, Vec<OsString>)> {
    let own = words.iter().position(|word| *word == "--");
    let mut rest = words.to_vec();
    let own = own.unwrap_or(rest.len());
    let given = |word: &OsString| {
        let text = word.to_str()?;
        let value = text.strip_prefix(OPTION)?;
        (value.is_empty() || value.starts_with('=')).then(|| value.to_owned())
    };
    let Some(at) = rest[..own].iter().position(|word| given(word).is_some()) else {
        return Ok((None, rest));
    };
    let word = rest.remove(at);
    match given(&word).unwrap_or_default().strip_prefix('=') {
        Some(file) => Ok((Some(PathBuf::from(file)), rest)),
        None if at + 1 < own => {
            let file = rest.remove(at);
            Ok((Some(PathBuf::from(file)), rest))
        }
        None => bail!("{OPTION} needs the file for the XML"),
    }
}

/// Writes the page into the directory of the reports, the XML if it is asked for, and tells GitHub if that is who runs us.
pub fn tell(events: &[Event], reports: &Path, junit: Option<&Path>) -> Result<()> {
    let ended = ended(events);
    if let Some(path) = junit {
        std::fs::write(path, xml(&ended)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    if std::env::var("GITHUB_ACTIONS").is_ok_and(|value| value == "true") {
        for line in ended.iter().filter_map(|test| annotation(test.failure?)) {
            println!("{line}");
        }
    }
    if !ended.is_empty() {
        let path = reports.join("index.html");
        std::fs::create_dir_all(reports)
            .and_then(|()| std::fs::write(&path, page(&ended, reports)))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Tells of the program's `sometimes!` and `reachable!` that no test of the whole suite came to; returns whether there is one.
pub fn tell_unhit(events: &[Event]) -> bool {
    let mut places = BTreeMap::new();
    let mut tests = 0;
    for event in events {
        if let Event::Places { places: told, .. } = event {
            tests += 1;
            for mark in told {
                *places
                    .entry((&mark.name, &mark.site, &mark.kind))
                    .or_insert(0) += mark.hits;
            }
        }
    }
    let unhit = places.iter().filter(|(_, hits)| **hits == 0);
    let unhit: Vec<_> = unhit
        .map(|((name, site, kind), _)| format!("    {name}: {kind}!, at {site}"))
        .collect();
    if unhit.is_empty() {
        return false;
    }
    eprintln!(
        "squall: every test held, but the suite failed: never hit by any run of its {tests} tests:\n{}\n  \
         a suite that does not come to what is of interest proves little: make it likelier, run more seeds, or take the place out",
        unhit.join("\n")
    );
    true
}

fn xml(ended: &[Ended<'_>]) -> Result<String> {
    let mut suites: BTreeMap<String, TestSuite> = BTreeMap::new();
    for test in ended {
        let name = format!("{} {}", test.test.package, test.test.target);
        let status = match test.failure {
            None if test.word == Word::Held => TestCaseStatus::success(),
            // It printed what is wrong, and told no more.
            None => TestCaseStatus::non_success(NonSuccessKind::Failure),
            Some(failure) => {
                let kind = match test.word {
                    Word::Failed => NonSuccessKind::Failure,
                    _ => NonSuccessKind::Error,
                };
                let mut status = TestCaseStatus::non_success(kind);
                status
                    .set_type(failure.signature.as_str())
                    .set_message(failure.headline.as_str())
                    .set_description(failure.text.as_str());
                status
            }
        };
        let mut case = TestCase::new(test.test.name.as_str(), status);
        case.set_classname(name.as_str()).set_time(test.took);
        suites
            .entry(name.clone())
            .or_insert_with(|| TestSuite::new(name.as_str()))
            .add_test_case(case);
    }
    let mut report = Report::new("squall");
    report.add_test_suites(suites.into_values());
    report.to_string().context("cannot write JUnit XML")
}

/// A workflow command of GitHub's: an error at the place that the headline names.
fn annotation(failure: &Failure) -> Option<String> {
    let data = |text: &str| {
        text.replace('%', "%25")
            .replace('\r', "%0D")
            .replace('\n', "%0A")
    };
    let value = |text: &str| data(text).replace(':', "%3A").replace(',', "%2C");
    let mut place = String::new();
    if let Some((file, line)) = place_in(&failure.headline) {
        let _ = write!(place, "file={},line={line},", value(file));
    }
    let title = value(&format!("squall: {}", failure.test));
    let replay = failure
        .text
        .lines()
        .rfind(|line| line.starts_with("replay: "));
    let replay = replay.map_or(String::new(), |line| format!("\n{line}"));
    let message = data(&format!("{}{replay}", failure.headline));
    Some(format!("::error {place}title={title}::{message}"))
}

/// `FILE.rs:LINE:COLUMN`.
fn place_in(text: &str) -> Option<(&str, u32)> {
    text.split_whitespace().find_map(|word| {
        let (file, rest) = word.split_once(".rs:")?;
        let line = rest.split(':').next()?.parse().ok()?;
        Some((&word[..file.len() + 3], line))
    })
}

/// As text in HTML.
pub fn escaped(text: &str) -> String {
    let mut safe = String::new();
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            c => safe.push(c),
        }
    }
    safe
}

const STYLE: &str = "\
:root{color-scheme:light dark;font:15px/1.5 system-ui,sans-serif}body{max-width:75rem;margin:2rem auto;padding:0 1rem}\
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.35rem .6rem;border-bottom:1px solid #8884;vertical-align:top}\
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}.held{color:light-dark(#1a7f37,#3fb950)}.bad{color:light-dark(#cf222e,#f85149)}\
code{font:13px/1.4 ui-monospace,monospace;overflow-wrap:anywhere}";

fn page(ended: &[Ended<'_>], reports: &Path) -> String {
    let failed = ended.iter().filter(|test| test.word != Word::Held).count();
    let runs: u64 = ended.iter().map(|test| test.runs).sum();
    let mut html = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>squall: {failed} of {all} tests failed</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style>\
         <h1>{all} tests, {failed} failed</h1><p>{runs} seeds held.</p>\
         <table><thead><tr><th>test<th>result<th class=\"n\">seeds<th class=\"n\">simulated<th class=\"n\">seconds</thead><tbody>",
        all = ended.len()
    );
    for test in ended {
        let name = &test.test;
        let _ = write!(
            html,
            "<tr><td>{}<br><small>{} {}</small><td>",
            escaped(&name.name),
            escaped(&name.package),
            escaped(&name.target)
        );
        match test.failure {
            None if test.word == Word::Held => {
                html.push_str("<span class=\"held\">held</span>");
            }
            None => html.push_str("<span class=\"bad\">failed</span>"),
            Some(failure) => {
                let _ = write!(
                    html,
                    "<span class=\"bad\">{}</span>",
                    escaped(&failure.headline)
                );
                for file in &failure.reports {
                    // Those beside this page by their name, so that the directory can be moved.
                    let beside = file.strip_prefix(reports).unwrap_or(file);
                    let beside = escaped(&beside.display().to_string());
                    let shown = file.file_name().unwrap_or_default().to_string_lossy();
                    let _ = write!(html, "<br><a href=\"{beside}\">{}</a>", escaped(&shown));
                }
                let replay = failure
                    .text
                    .lines()
                    .rfind(|line| line.starts_with("replay: "));
                if let Some(replay) = replay {
                    let _ = write!(html, "<br><code>{}</code>", escaped(replay));
                }
            }
        }
        // A failure tells of its seed and not of those before.
        let seeds = match test.failure.and_then(|failure| failure.seed) {
            Some(seed) => format!("{seed:#x}"),
            None => test.runs.to_string(),
        };
        let _ = write!(
            html,
            "<td class=\"n\">{seeds}<td class=\"n\">{}<td class=\"n\">{:.1}",
            style::time(test.simulated),
            test.took.as_secs_f64()
        );
    }
    html.push_str("</tbody></table></html>\n");
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events() -> Vec<Event> {
        let line = |name: &str, rest: &str| {
            let text = format!(
                r#"{{"event":"ended","test":{{"package":"shop","target":"test sale","name":"{name}"}},"runs":5,"simulated":7000000,"millis":1500,{rest}}}"#
            );
            serde_json::from_str(&text).unwrap()
        };
        let failure = r#""word":"failed","failure":{"test":"b","seed":3,"signature":"s","headline":"panicked at tests/a.rs:12:5, 5 < 6 & more","log":null,"reports":["/r/b.html"],"text":"x\nreplay: SQUALL_SEED=0x3 cargo test\n"}"#;
        vec![
            line("b", failure),
            line("a", r#""word":"held","failure":null"#),
        ]
    }

    #[test]
    fn the_file_for_the_xml_is_taken_out() {
        let words = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        let (file, rest) =
            asked(&words(&["-p", "a", "--junit", "x.xml", "--", "--junit"])).unwrap();
        assert_eq!(file, Some(PathBuf::from("x.xml")));
        assert_eq!(rest, words(&["-p", "a", "--", "--junit"]));
        assert_eq!(
            asked(&words(&["--junit=y"])).unwrap(),
            (Some("y".into()), vec![])
        );
        assert!(asked(&words(&["--junit", "--", "x"])).is_err());
    }

    #[test]
    fn a_suite_is_told_as_xml_as_a_page_and_to_github() {
        let events = events();
        let ended = ended(&events);
        let xml = xml(&ended).unwrap();
        assert!(
            xml.contains("tests=\"2\"") && xml.contains("failures=\"1\""),
            "{xml}"
        );
        assert!(xml.contains("5 &lt; 6 &amp; more"), "{xml}");
        let page = page(&ended, Path::new("/r"));
        assert!(
            page.contains("href=\"b.html\"") && page.contains("5 &lt; 6 &amp; more"),
            "{page}"
        );
        assert_eq!(
            annotation(ended[1].failure.unwrap()).unwrap(),
            "::error file=tests/a.rs,line=12,title=squall%3A b::panicked at tests/a.rs:12:5, 5 < 6 & more%0Areplay: SQUALL_SEED=0x3 cargo test"
        );
    }
}
