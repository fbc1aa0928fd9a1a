//! Values that a test lets others set from outside, such as the size of a pool. `run` reads them from the environment and the scenario file,
//! and hands them to each run's `Sim`; what a run asked for is told to a command that sweeps.

use super::Sim;
use crate::{kernel, telling, units};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// The variable that sets some.
pub(crate) const PARAMETERS: &str = "SQUALL_PARAMETERS";
/// What it must be, for messages.
pub(crate) const FORM: &str =
    "an object of JSON with numbers, texts, true or false in it, such as {\"pool\":8}";

/// The values that are set, by name.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Parameters(BTreeMap<String, Value>);

impl Parameters {
    /// Those of an object of JSON, as `SQUALL_PARAMETERS` and the logs of runs have them.
    pub(crate) fn read(text: &str) -> Option<Parameters> {
        let set: Parameters = serde_json::from_str(text).ok()?;
        let plain = |value: &Value| value.is_number() || value.is_string() || value.is_boolean();
        set.0.values().all(plain).then_some(set)
    }

    #[cfg(feature = "scenario")]
    pub(crate) fn set(&mut self, name: &str, value: Value) {
        self.0.insert(name.to_owned(), value);
    }

    /// These, and for all others what `under` says.
    pub(crate) fn over(&self, under: &Parameters) -> Parameters {
        let mut all = under.clone();
        all.0.extend(self.0.clone());
        all
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// As an object of JSON without a space.
impl fmt::Display for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = serde_json::to_string(&self.0).expect("squall bug: parameters that are no JSON");
        // Outside of texts there is none.
        f.write_str(&text.replace(' ', "\\u0020"))
    }
}

/// What a parameter can be: whole numbers, `f32` and `f64`, `bool`, `String`, and [`Duration`], which is written as text with a unit, such as `"250ms"`.
pub trait Parameter: Sized + sealed::Read {}

mod sealed {
    pub trait Read: Sized {
        /// The value; `None` if it is of another type.
        fn read(value: &serde_json::Value) -> Option<Self>;
        /// What it must be, for messages.
        fn form() -> String;
    }
}

use sealed::Read;

macro_rules! whole_numbers {
    ($($type:ty)*) => { $(
        impl Read for $type {
            fn read(value: &Value) -> Option<Self> {
                let signed = value.as_i64().and_then(|n| Self::try_from(n).ok());
                signed.or_else(|| Self::try_from(value.as_u64()?).ok())
            }
            fn form() -> String {
                format!("a whole number from {} to {}", Self::MIN, Self::MAX)
            }
        }
        impl Parameter for $type {}
    )* };
}

whole_numbers!(i8 i16 i32 i64 isize u8 u16 u32 u64 usize);

impl Read for f64 {
    fn read(value: &Value) -> Option<Self> {
        value.as_f64()
    }
    fn form() -> String {
        "a number".to_owned()
    }
}
impl Parameter for f64 {}

impl Read for f32 {
    fn read(value: &Value) -> Option<Self> {
        value.as_f64().map(|value| value as f32)
    }
    fn form() -> String {
        f64::form()
    }
}
impl Parameter for f32 {}

impl Read for bool {
    fn read(value: &Value) -> Option<Self> {
        value.as_bool()
    }
    fn form() -> String {
        "true or false".to_owned()
    }
}
impl Parameter for bool {}

impl Read for String {
    fn read(value: &Value) -> Option<Self> {
        value.as_str().map(str::to_owned)
    }
    fn form() -> String {
        "a text".to_owned()
    }
}
impl Parameter for String {}

impl Read for Duration {
    fn read(value: &Value) -> Option<Self> {
        units::time(value.as_str()?).map(Duration::from_nanos)
    }
    fn form() -> String {
        format!("a duration: {}", units::DURATION_FORM)
    }
}
impl Parameter for Duration {}

/// What the command is told where it sweeps.
#[derive(Serialize)]
#[serde(tag = "event", rename = "parameter")]
struct Asked<'a> {
    name: &'a str,
    /// What is wrong with the value that is set.
    refused: Option<&'a str>,
}

impl Sim {
    /// The value of a parameter of this test: what `SQUALL_PARAMETERS` gives it, else the scenario file, else `default`, which also says its type.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # fn main() {
    /// let held = squall::Builder::new().seeds(2).run(|sim: squall::Sim| async move {
    ///     let pool: usize = sim.parameter("pool", 8);
    ///     let patience = sim.parameter("patience", Duration::from_millis(250));
    ///     let policy = sim.parameter("policy", "backoff".to_owned());
    ///     assert_eq!((pool, patience.as_millis(), &*policy), (8, 250, "backoff"));
    /// });
    /// assert!(held.is_ok(), "{held:?}");
    /// # }
    /// ```
    ///
    /// `SQUALL_PARAMETERS='{"pool":4}' cargo test` runs with another pool, and `cargo squall sweep` with one after another, to compare what traffic came to: see
    /// `docs/sweeps.md`. What was set belongs to a failure: its replay line and its log have it.
    ///
    /// # Panics
    /// If the value that is set is of another type: that fails the run, by the parameter's name.
    #[track_caller]
    pub fn parameter<P: Parameter>(&self, name: &str, default: P) -> P {
        let (value, refused) = match self.parameters.0.get(name) {
            None => (Some(default), None),
            Some(set) => {
                let value = P::read(set);
                let why = || {
                    format!(
                        "the parameter {name} is set to {set}, and the test reads {}",
                        P::form()
                    )
                };
                let refused = value.is_none().then(why);
                (value, refused)
            }
        };
        kernel::unseen(|| {
            if telling::sweeps() {
                telling::tell(&Asked {
                    name,
                    refused: refused.as_deref(),
                });
            }
        });
        match (value, refused) {
            (Some(value), _) => value,
            (None, why) => panic!("{}", why.unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<P: Parameter>(text: &str) -> Option<P> {
        P::read(&serde_json::from_str(text).unwrap())
    }

    #[test]
    fn values_are_of_the_type_of_the_default() {
        assert_eq!(read::<u8>("255"), Some(255));
        assert_eq!(read::<u8>("256"), None);
        assert_eq!(read::<u64>("18446744073709551615"), Some(u64::MAX));
        assert_eq!(read::<i32>("-3"), Some(-3));
        assert_eq!(read::<usize>("-3"), None);
        assert_eq!(read::<usize>("3.5"), None);
        assert_eq!(read::<f64>("3"), Some(3.0));
        assert_eq!(read::<f64>("\"3\""), None);
        assert_eq!(read::<bool>("true"), Some(true));
        assert_eq!(read::<bool>("1"), None);
        assert_eq!(read::<String>("\"backoff\""), Some("backoff".to_owned()));
        assert_eq!(
            read::<Duration>("\"250ms\""),
            Some(Duration::from_millis(250))
        );
        assert_eq!(read::<Duration>("\"0s\""), Some(Duration::ZERO));
        assert_eq!(read::<Duration>("250"), None);
    }

    #[test]
    fn only_objects_of_plain_values_are_read_and_written_without_a_space() {
        let set = Parameters::read(r#"{"pool": 8, "policy": "give up"}"#).unwrap();
        let text = set.to_string();
        assert_eq!(text, r#"{"policy":"give\u0020up","pool":8}"#);
        assert_eq!(Parameters::read(&text), Some(set.clone()));
        let other = Parameters::read(r#"{"pool":4}"#).unwrap();
        assert_eq!(
            other.over(&set).to_string(),
            r#"{"policy":"give\u0020up","pool":4}"#
        );
        for wrong in [
            "",
            "8",
            "[8]",
            r#"{"pool":[8]}"#,
            r#"{"pool":null}"#,
            r#"{"a":{}}"#,
        ] {
            assert_eq!(Parameters::read(wrong), None, "{wrong}");
        }
    }
}
