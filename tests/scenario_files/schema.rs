//! The JSON Schema that the command prints is the one that these types have.

use std::path::Path;

#[test]
fn the_schema_of_the_command_is_that_of_the_library() {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("cargo-squall/src/schema/scenario.schema.json");
    let schema = squall::schema();
    if std::env::var_os("SCHEMA_WRITE").is_some() {
        std::fs::write(&file, &schema).expect("the schema is written");
    }
    let printed = std::fs::read_to_string(&file).expect("the schema is there");
    assert!(
        printed == schema,
        "write it anew: SCHEMA_WRITE=1 cargo test --test scenario_files the_schema"
    );
}
