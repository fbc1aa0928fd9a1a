//! The manifests in `docs/nightly.md` are YAML, and have what the command reads.

use std::path::Path;
use yaml_rust2::{Yaml, YamlLoader};

#[test]
fn the_manifests_for_nights_are_well_formed() {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/nightly.md");
    let guide = std::fs::read_to_string(guide).unwrap();
    let blocks = guide.split("```yaml\n").skip(1);
    let blocks: Vec<Vec<Yaml>> = blocks
        .map(|rest| {
            let block = rest.split("```").next().unwrap();
            YamlLoader::load_from_str(block).unwrap_or_else(|error| panic!("{error}:\n{block}"))
        })
        .collect();
    let [kubernetes, github] = &blocks[..] else {
        panic!("{} manifests", blocks.len());
    };
    let [job] = &kubernetes[..] else {
        panic!("{} documents", kubernetes.len());
    };
    assert_eq!(job["kind"].as_str(), Some("Job"));
    let spec = &job["spec"];
    assert_eq!(spec["completionMode"].as_str(), Some("Indexed"));
    let container = &spec["template"]["spec"]["containers"][0];
    // A shard for each completion; the index comes from Kubernetes itself.
    let shards = &container["env"][0];
    assert_eq!(shards["name"].as_str(), Some("JOB_COMPLETIONS"));
    let count = spec["completions"].as_i64().map(|count| count.to_string());
    assert_eq!(shards["value"].as_str(), count.as_deref());
    let rule = &spec["podFailurePolicy"]["rules"][0]["onExitCodes"];
    assert_eq!(rule["containerName"], container["name"]);
    assert_eq!(container["command"][1].as_str(), Some("squall"));

    let jobs = &github[0]["jobs"];
    let search = &jobs["search"];
    assert!(search["strategy"]["matrix"]["shard"].as_vec().is_some());
    assert_eq!(jobs["merge"]["needs"].as_str(), Some("search"));
    for job in [search, &jobs["merge"]] {
        let steps = job["steps"].as_vec().expect("a list of steps");
        for step in steps {
            assert!(!step["uses"].is_badvalue() || !step["run"].is_badvalue());
        }
        let runs: Vec<&str> = steps
            .iter()
            .filter_map(|step| step["run"].as_str())
            .collect();
        assert!(
            runs.iter().any(|run| run.starts_with("cargo squall ")),
            "{runs:?}"
        );
    }
}
