//! The leaves of a scenario file: durations, rates, shares, sizes, names. Each refuses what it cannot be where it is read, so that the
//! error has its place.

use crate::explore::Selection;
use crate::fault::FaultKind;
use crate::traffic::{Rate, rps};
use crate::units;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::marker::PhantomData;
use std::ops::RangeInclusive;
use std::time::Duration;

/// A value that is written as text.
macro_rules! text_values {
    ($($(#[$doc:meta])* $name:ident($inner:ty): $form:expr, $read:expr;)*) => { $(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub(super) struct $name(pub(super) $inner);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                struct Text;
                impl Visitor<'_> for Text {
                    type Value = $name;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($form)
                    }
                    fn visit_str<E: Error>(self, text: &str) -> Result<$name, E> {
                        let read: fn(&str) -> Result<$inner, String> = $read;
                        read(text).map($name).map_err(E::custom)
                    }
                }
                from.deserialize_str(Text)
            }
        }
    )* };
}

fn time(text: &str) -> Result<Duration, String> {
    let ns = units::time(text);
    ns.map(Duration::from_nanos)
        .ok_or_else(|| format!("{text:?} is no duration; it is {}", units::DURATION_FORM))
}

fn some_time(text: &str) -> Result<Duration, String> {
    match time(text)? {
        Duration::ZERO => Err(format!("{text:?} is no time at all; it must be longer")),
        time => Ok(time),
    }
}

fn rate(text: &str) -> Result<Rate, String> {
    const FORM: &str = "a number and a unit (rps, /s, rpm or /min), such as \"50rps\"";
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    let (number, unit) = text.split_at(at.unwrap_or(text.len()));
    let value: Option<f64> = number.parse().ok();
    let in_a_second = match (value, unit.trim_start()) {
        (Some(value), "rps" | "/s") => value,
        (Some(value), "rpm" | "/min") => value / 60.0,
        _ => return Err(format!("{text:?} is no rate; it is {FORM}")),
    };
    match (0.0..=1e9).contains(&in_a_second) {
        true => Ok(rps(in_a_second)),
        false => Err(format!(
            "a rate is at most 1,000,000,000 in a second, not {text:?}"
        )),
    }
}

fn kind(text: &str) -> Result<FaultKind, String> {
    text.parse().map_err(|_| {
        let known = FaultKind::ALL.map(FaultKind::name);
        let near = crate::nearest::nearest(text, known.into_iter());
        let near = near.map_or(String::new(), |near| format!("the nearest is `{near}`; "));
        format!(
            "there is no fault `{text}`\n{near}there are: {}",
            known.join(", ")
        )
    })
}

fn strategy(text: &str) -> Result<Selection, String> {
    text.parse()
        .map_err(|error: crate::explore::UnknownStrategy| error.to_string())
}

fn size(text: &str) -> Result<Option<u64>, String> {
    match text {
        "none" => Ok(None),
        text => match units::bytes(text) {
            Some(bytes) => Ok(Some(bytes)),
            None => Err(format!(
                "{text:?} is no size; it is {}, or \"none\"",
                units::SIZE_FORM
            )),
        },
    }
}

text_values! {
    /// A duration, zero included.
    Time(Duration): "a duration in quotes, such as \"250ms\"", time;
    /// A duration that is not zero.
    SomeTime(Duration): "a duration in quotes, such as \"250ms\"", some_time;
    /// Requests in a time.
    PerTime(Rate): "a rate in quotes, such as \"50rps\" or \"120/min\"", rate;
    /// A kind of fault.
    Kind(FaultKind): "the name of a fault in quotes, such as \"crash\"", kind;
    /// Who goes on.
    Strategy(Selection): "the name of a strategy in quotes, such as \"portfolio\"", strategy;
    /// Bytes, or no limit.
    Size(Option<u64>): "a size in quotes, such as \"8GiB\", or \"none\"", size;
}

/// A number within bounds.
macro_rules! bounded {
    ($($(#[$doc:meta])* $name:ident($inner:ty, $read:ty): $least:expr, $most:expr, $form:literal;)*) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
        pub(super) struct $name(pub(super) $inner);

        impl $name {
            pub(super) const BOUNDS: ($inner, $inner) = ($least, $most);
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let given = <$read>::deserialize(from)?;
                let (least, most) = Self::BOUNDS;
                let inner = <$inner>::try_from(given).ok();
                match inner.filter(|value| (least..=most).contains(value)) {
                    Some(value) => Ok($name(value)),
                    None => Err(D::Error::custom(format!(concat!($form, ", not {}"), given))),
                }
            }
        }
    )* };
}

bounded! {
    /// 1 and more.
    Count(u64, i64): 1, i64::MAX as u64, "this is a whole number from 1 on";
    /// Processes and processors.
    Few(u32, i64): 1, 1024, "this is a whole number from 1 to 1024";
    /// Hosts of a name.
    Hosts(u32, i64): 1, 64, "there are from 1 to 64 hosts of a name";
    /// Descriptors of a host.
    Descriptors(u32, i64): 1, 1 << 20, "descriptors are from 1 to 1,048,576";
    /// Of a hundred.
    Percent(u32, i64): 0, 100, "a percentage is from 0 to 100";
    /// Weights, retries and the like.
    Small(u32, i64): 0, u32::MAX, "this is a whole number from 0 to 4,294,967,295";
    /// Parts in a million that a clock gains or loses.
    Drift(i32, i64): -900_000, 900_000, "a clock drifts by -900,000 to 900,000 parts in a million";
    /// The same without a sign.
    Parts(u32, i64): 0, 900_000, "a clock drifts by 0 to 900,000 parts in a million";
    /// A share.
    Share(f64, f64): 0.0, 1.0, "a share is a number from 0 to 1";
    /// Of Zipf's law.
    Exponent(f64, f64): 0.0, 4.0, "the exponent is a number from 0 to 4";
}

/// From one value to another: `["1ms", "5ms"]`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Range<T>(pub(super) T, pub(super) T);

impl<'de, T: Deserialize<'de> + PartialOrd> Deserialize<'de> for Range<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Pair<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de> + PartialOrd> Visitor<'de> for Pair<T> {
            type Value = Range<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a range: a list of the least and the most, such as [\"1ms\", \"5ms\"]")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Range<T>, A::Error> {
                let form = "a range is a list of two: the least and the most";
                let (Some(least), Some(most)) =
                    (list.next_element::<T>()?, list.next_element::<T>()?)
                else {
                    return Err(A::Error::custom(form));
                };
                if list.next_element::<serde::de::IgnoredAny>()?.is_some() {
                    return Err(A::Error::custom(form));
                }
                if least
                    .partial_cmp(&most)
                    .is_none_or(std::cmp::Ordering::is_gt)
                {
                    return Err(A::Error::custom(
                        "the range begins with more than it ends with: the least comes first",
                    ));
                }
                Ok(Range(least, most))
            }
        }
        from.deserialize_seq(Pair(PhantomData))
    }
}

impl PartialOrd for Time {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        self.0.partial_cmp(&other.0)
    }
}

impl PartialOrd for SomeTime {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        self.0.partial_cmp(&other.0)
    }
}

impl Range<Time> {
    pub(super) fn times(&self) -> RangeInclusive<Duration> {
        self.0.0..=self.1.0
    }
}

/// A name, or a list of them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Names(pub(super) Vec<String>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Names;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a host's name in quotes, or a list of names")
            }
            fn visit_str<E: Error>(self, name: &str) -> Result<Names, E> {
                Ok(Names(vec![name.to_owned()]))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Names, A::Error> {
                let mut names = Vec::new();
                while let Some(name) = list.next_element()? {
                    names.push(name);
                }
                match names.is_empty() {
                    true => Err(A::Error::custom("there is at least one name")),
                    false => Ok(Names(names)),
                }
            }
        }
        from.deserialize_any(Either)
    }
}
