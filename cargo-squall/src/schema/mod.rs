//! `cargo squall schema`: the JSON Schema of scenario files, for editors. The library makes it of the types that read them (`src/scenario/schema.rs`); a test
//! there compares.

/// The schema.
const TEXT: &str = include_str!("scenario.schema.json");

/// `cargo squall schema`.
pub fn run() -> u8 {
    print!("{TEXT}");
    crate::status::HELD
}

#[cfg(test)]
mod tests {
    use jsonschema::Validator;
    use std::path::{Path, PathBuf};

    fn validator() -> Validator {
        let schema = serde_json::from_str(super::TEXT).unwrap();
        jsonschema::draft202012::new(&schema).unwrap()
    }

    fn files(directory: &str) -> Vec<PathBuf> {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
        let entries = std::fs::read_dir(directory).unwrap();
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        files.retain(|path| path.extension().is_some_and(|end| end == "toml"));
        files.sort();
        assert!(!files.is_empty());
        files
    }

    fn read(path: &Path) -> Option<serde_json::Value> {
        let bytes = std::fs::read(path).unwrap();
        let file: toml::Value = toml::from_str(&String::from_utf8_lossy(&bytes)).ok()?;
        serde_json::to_value(file).ok()
    }

    #[test]
    fn scenario_files_that_are_there_are_valid() {
        let validator = validator();
        let mut all = files("../scenarios/scenarios");
        all.push(Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/scenario_files/good.toml"));
        for path in all {
            let file = read(&path).unwrap();
            let errors = validator.iter_errors(&file);
            let errors: Vec<String> = errors
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect();
            assert!(errors.is_empty(), "{}: {errors:#?}", path.display());
        }
    }

    #[test]
    fn most_bad_files_are_refused() {
        let validator = validator();
        let mut accepted = Vec::new();
        let mut refused = 0;
        for path in files("../tests/scenario_files/bad") {
            // Some are no TOML at all.
            let Some(file) = read(&path) else { continue };
            match validator.is_valid(&file) {
                true => accepted.push(path.file_stem().unwrap().to_string_lossy().into_owned()),
                false => refused += 1,
            }
        }
        assert!(refused >= ACCEPTED.len() * 3, "{refused} refused");
        assert_eq!(accepted, ACCEPTED, "{refused} are refused");
    }

    /// What needs more than one place of the file, or more than a pattern tells.
    const ACCEPTED: [&str; 24] = [
        "025-budget-huge",
        "043-no-stage",
        "050-rate-huge",
        "054-stairs-empty",
        "055-sine-low",
        "058-think-order",
        "059-trace-missing",
        "064-keys-hot",
        "066-keys-many",
        "073-resolution",
        "074-objective-one",
        "076-expect-metric",
        "077-expect-unit",
        "078-expect-operator",
        "079-expect-empty",
        "083-behaviour-mode",
        "084-behaviour-sum",
        "092-range-order",
        "095-period-short",
        "101-quorum",
        "104-plan-stall",
        "105-plan-swizzle",
        "119-sweep-types",
        "121-sweep-value-type",
    ];
}
