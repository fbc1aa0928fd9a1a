//! Behaviours and latencies for the JSON Schema of scenario files.

use super::{Behaviour, BehaviourText, Distribution, FailureMode, Latency, Shares, Time};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use std::borrow::Cow;

impl JsonSchema for Time {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        time()
    }
}

/// A duration, zero included.
pub(crate) fn time() -> Schema {
    json_schema!({
        "type": "string",
        "description": "A duration: a whole number and a unit, such as 250ms",
        "pattern": "^[0-9]+(ns|us|ms|s|m|h|d)$",
    })
}

impl JsonSchema for FailureMode {
    fn schema_name() -> Cow<'static, str> {
        "FailureMode".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "A failure, such as \"status 503\" or \"reset\"" })
    }
}

impl JsonSchema for Shares {
    fn schema_name() -> Cow<'static, str> {
        "Shares".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "Shares by failure",
            "additionalProperties": { "type": "number", "minimum": 0, "maximum": 1 },
        })
    }
}

impl JsonSchema for Latency {
    fn schema_name() -> Cow<'static, str> {
        "Latency".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let fixed = generator.subschema_for::<Time>();
        let other = generator.subschema_for::<Distribution>();
        json_schema!({ "anyOf": [fixed, other] })
    }
}

impl JsonSchema for Behaviour {
    fn schema_name() -> Cow<'static, str> {
        "Behaviour".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        BehaviourText::json_schema(generator)
    }
}
