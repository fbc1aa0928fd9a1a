//! The JSON Schema of scenario files, for editors. `cargo squall schema` prints it, from
//! `cargo-squall/scenario.schema.json`, and a test compares the two.

use super::file::File;
use super::parameters::{ParameterText, Plain, VALUES as SWEPT};
use super::values::{
    Count, Descriptors, Drift, Exponent, Few, Hosts, Kind, Names, Parts, PerTime, Percent, Range,
    Share, Size, Small, SomeTime, Strategy, Time,
};
use crate::explore::Name;
use crate::fault::FaultKind;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;

/// The JSON Schema of scenario files (feature `schema`), for editors. `cargo squall schema` prints the same.
///
/// It says which keys there are and of what form values are. What needs more than one place of a file, such as a range that begins with
/// less than it ends with, only [`Scenario::parse`](crate::Scenario::parse) refuses.
pub fn schema() -> String {
    let mut schema = schemars::schema_for!(File);
    schema.insert("title".to_owned(), "A scenario of squall".into());
    let text = serde_json::to_string_pretty(&schema).expect("squall bug: a schema that is no JSON");
    text + "\n"
}

/// Leaves: what they are in words, and in a schema.
macro_rules! leaves {
    ($($type:ty, $name:literal: $schema:expr;)*) => { $(
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    )* };
}

const DURATION: &str = "^[0-9]+(ns|us|ms|s|m|h|d)$";
/// The same, but not zero.
const SOME: &str = "^0*[1-9][0-9]*(ns|us|ms|s|m|h|d)$";

fn number(bounds: (f64, f64)) -> Schema {
    json_schema!({ "type": "number", "minimum": bounds.0, "maximum": bounds.1 })
}

fn whole(least: i64, most: i64) -> Schema {
    json_schema!({ "type": "integer", "minimum": least, "maximum": most })
}

leaves! {
    Time, "Time": json_schema!({ "type": "string", "description": "A duration: a whole number and a unit, such as 250ms", "pattern": DURATION });
    SomeTime, "SomeTime": json_schema!({ "type": "string", "description": "A duration that is not zero", "pattern": SOME });
    PerTime, "Rate": json_schema!({ "type": "string", "description": "A rate", "pattern": "^[0-9.]+ *(rps|/s|rpm|/min)$" });
    Size, "Size": json_schema!({ "type": "string", "description": "A size, or none", "pattern": "^([0-9]+(KiB|MiB|GiB|TiB)|none)$" });
    Kind, "FaultKind": json_schema!({ "type": "string", "enum": FaultKind::ALL.map(FaultKind::name) });
    Strategy, "Strategy": {
        let mut names = vec!["portfolio"];
        names.extend(Name::ALL.iter().map(|name| name.as_str()));
        json_schema!({ "type": "string", "enum": names })
    };
    Names, "Hosts": json_schema!({ "anyOf": [
        { "type": "string" },
        { "type": "array", "items": { "type": "string" }, "minItems": 1 },
    ] });
    Count, "Count": whole(1, i64::MAX);
    Few, "Few": whole(1, 1024);
    Hosts, "HostCount": whole(1, 64);
    Descriptors, "Descriptors": whole(1, 1 << 20);
    Percent, "Percent": whole(0, 100);
    Small, "Number": whole(0, u32::MAX.into());
    Drift, "Drift": whole(-900_000, 900_000);
    Parts, "Parts": whole(0, 900_000);
    Share, "Share": number(Share::BOUNDS);
    Exponent, "Exponent": number(Exponent::BOUNDS);
    Plain, "Value": json_schema!({ "type": ["number", "string", "boolean"] });
}

impl JsonSchema for ParameterText {
    fn schema_name() -> Cow<'static, str> {
        "Parameter".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<Plain>();
        json_schema!({ "anyOf": [value, {
            "type": "object",
            "additionalProperties": false,
            "properties": {
                "value": value,
                "sweep": { "type": "array", "items": value, "minItems": 1, "maxItems": SWEPT, "uniqueItems": true },
            },
        }] })
    }
}

impl<T: JsonSchema> JsonSchema for Range<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("RangeOf{}", T::schema_name()).into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let item = generator.subschema_for::<T>();
        json_schema!({ "description": "The least and the most", "type": "array", "items": item, "minItems": 2, "maxItems": 2 })
    }
}
