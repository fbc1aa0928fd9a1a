//! `[parameters]`: the values that runs have of them, and those that a sweep goes through.

use super::file::Table;
use crate::sim::parameter::Parameters;
use serde::de::{Error, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::fmt;

/// The most values of one parameter that a sweep goes through.
pub(super) const VALUES: usize = 64;

/// A number, a text, true or false.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plain(Value);

impl Plain {
    /// What cannot be compared with what in a sweep.
    fn kind(&self) -> &'static str {
        match &self.0 {
            Value::String(_) => "a text",
            Value::Bool(_) => "true or false",
            _ => "a number",
        }
    }
}

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Any;
        impl Visitor<'_> for Any {
            type Value = Plain;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the value of a parameter: a number, a text in quotes, true or false")
            }
            fn visit_bool<E: Error>(self, value: bool) -> Result<Plain, E> {
                Ok(Plain(value.into()))
            }
            fn visit_i64<E: Error>(self, value: i64) -> Result<Plain, E> {
                Ok(Plain(value.into()))
            }
            fn visit_u64<E: Error>(self, value: u64) -> Result<Plain, E> {
                Ok(Plain(value.into()))
            }
            fn visit_f64<E: Error>(self, value: f64) -> Result<Plain, E> {
                match value.is_finite() {
                    true => Ok(Plain(value.into())),
                    false => Err(E::custom(
                        "the value of a parameter is a number that ends somewhere",
                    )),
                }
            }
            fn visit_str<E: Error>(self, value: &str) -> Result<Plain, E> {
                Ok(Plain(value.into()))
            }
        }
        from.deserialize_any(Any)
    }
}

/// The values that a sweep goes through.
#[derive(Clone, Debug)]
struct Swept(Vec<Plain>);

impl<'de> Deserialize<'de> for Swept {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let values = Vec::<Plain>::deserialize(from)?;
        let Some(first) = values.first() else {
            return Err(D::Error::custom("a sweep goes through at least one value"));
        };
        if values.len() > VALUES {
            let count = values.len();
            return Err(D::Error::custom(format!(
                "a sweep goes through at most {VALUES} values of a parameter, not {count}"
            )));
        }
        for (i, value) in values.iter().enumerate() {
            if value.kind() != first.kind() {
                let (one, other) = (first.kind(), value.kind());
                return Err(D::Error::custom(format!(
                    "the values of a parameter are of one type, not {one} and {other}"
                )));
            }
            if values[..i].contains(value) {
                return Err(D::Error::custom(format!(
                    "a sweep goes through each value once, and {} is there twice",
                    value.0
                )));
            }
        }
        Ok(Swept(values))
    }
}

/// `[parameters.NAME]`, or `NAME = VALUE`.
#[derive(Clone, Debug)]
pub(super) struct ParameterText {
    value: Option<Plain>,
    #[allow(dead_code, reason = "the command reads it: here it is only checked")]
    sweep: Option<Swept>,
}

impl<'de> Deserialize<'de> for ParameterText {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Whole {
            value: Option<Plain>,
            sweep: Option<Swept>,
        }
        struct Either;
        impl Either {
            fn plain<E: Error>(value: impl Into<Value>) -> Result<ParameterText, E> {
                Ok(ParameterText {
                    value: Some(Plain(value.into())),
                    sweep: None,
                })
            }
        }
        impl<'de> Visitor<'de> for Either {
            type Value = ParameterText;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, a text in quotes, true or false, or a table with `value` and `sweep`")
            }
            fn visit_bool<E: Error>(self, value: bool) -> Result<ParameterText, E> {
                Either::plain(value)
            }
            fn visit_i64<E: Error>(self, value: i64) -> Result<ParameterText, E> {
                Either::plain(value)
            }
            fn visit_f64<E: Error>(self, value: f64) -> Result<ParameterText, E> {
                match value.is_finite() {
                    true => Either::plain(value),
                    false => Err(E::custom(
                        "the value of a parameter is a number that ends somewhere",
                    )),
                }
            }
            fn visit_str<E: Error>(self, value: &str) -> Result<ParameterText, E> {
                Either::plain(value)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<ParameterText, A::Error> {
                let Whole { value, sweep } = Whole::deserialize(MapAccessDeserializer::new(map))?;
                if let (Some(value), Some(Swept(values))) = (&value, &sweep)
                    && values.iter().any(|other| other.kind() != value.kind())
                {
                    let kind = value.kind();
                    return Err(A::Error::custom(format!(
                        "`value` is {kind}, and `sweep` has others"
                    )));
                }
                Ok(ParameterText { value, sweep })
            }
        }
        from.deserialize_any(Either)
    }
}

/// What is set of them.
pub(super) fn set(parameters: &Table<ParameterText>) -> Parameters {
    let mut set = Parameters::default();
    for (name, text) in parameters {
        if let Some(value) = &text.value {
            set.set(name, value.0.clone());
        }
    }
    set
}
