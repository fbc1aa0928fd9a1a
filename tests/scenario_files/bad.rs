//! The files in `bad/`: their first line is `# LINE:COLUMN part of the message`.

use squall::Scenario;
use std::path::Path;

#[test]
fn every_bad_file_is_refused_at_its_place() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenario_files/bad");
    let mut wrong = Vec::new();
    let mut files: Vec<_> = std::fs::read_dir(directory)
        .expect("the directory is there")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|end| end == "toml"))
        .collect();
    files.sort();
    assert!(files.len() >= 100, "{} files", files.len());
    for path in files {
        let text = String::from_utf8_lossy(&std::fs::read(&path).expect("a file")).into_owned();
        let first = text.lines().next().unwrap_or_default();
        let said = first
            .strip_prefix("# ")
            .and_then(|said| said.split_once(' '));
        let (place, part) = said.unwrap_or_else(|| panic!("{}: no first line", path.display()));
        let Err(error) = Scenario::parse(&path, &text) else {
            wrong.push(format!("{} is accepted", path.display()));
            continue;
        };
        let told = error.to_string();
        let at = format!("{}:{place}: ", path.display());
        if !told.starts_with(&at) || !told.contains(part) {
            wrong.push(format!("expected {place} and {part:?} in\n{told}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn a_file_that_is_not_there_is_told() {
    let error = Scenario::read("/nowhere/a.toml").expect_err("there is none");
    assert!(
        error
            .to_string()
            .starts_with("/nowhere/a.toml:1:1: the scenario file cannot be read"),
        "{error}"
    );
}
