//! Which values are gone through: what the scenario file lists, and what the command line says over that.

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use toml_edit::{Array, DocumentMut, Item};

/// The most combinations.
const CELLS: usize = 1024;

/// A parameter and its values.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Listing {
    pub name: String,
    pub values: Vec<Value>,
}

/// One value of each parameter.
pub type Values = Vec<(String, Value)>;

/// All of them.
#[derive(Debug)]
pub struct Grid {
    pub listings: Vec<Listing>,
}

impl Grid {
    /// What the file lists, with `said` (`NAME=VALUE,..`) in place of it or beside it.
    pub fn of(file: &Path, said: &[String]) -> Result<Grid> {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read {}", file.display()))?;
        let content: DocumentMut = text
            .parse()
            .with_context(|| format!("{} is no TOML", file.display()))?;
        let mut listings = listed(&content);
        let mut before = BTreeSet::new();
        for text in said {
            let listing = read(text)?;
            if !before.insert(listing.name.clone()) {
                bail!(
                    "--parameter names {} twice: give all its values at once",
                    listing.name
                );
            }
            match listings.iter_mut().find(|known| known.name == listing.name) {
                Some(known) => *known = listing,
                None => listings.push(listing),
            }
        }
        if listings.is_empty() {
            bail!(
                "{} lists no values to go through: give some as in --parameter pool=4,8,16, or in the file as in [parameters.pool] with \
                 sweep = [4, 8, 16]",
                file.display()
            );
        }
        let cells = listings.iter().try_fold(1_usize, |cells, listing| {
            cells.checked_mul(listing.values.len())
        });
        if cells.is_none_or(|cells| cells > CELLS) {
            bail!(
                "these are more than {CELLS} combinations of values: a sweep goes through at most so many"
            );
        }
        Ok(Grid { listings })
    }

    /// Every combination, the last parameter's values changing fastest.
    pub fn cells(&self) -> Vec<Values> {
        let mut cells: Vec<Values> = vec![Vec::new()];
        for Listing { name, values } in &self.listings {
            let with = |cell: &Values, value: &Value| {
                let mut cell = cell.clone();
                cell.push((name.clone(), value.clone()));
                cell
            };
            cells = cells
                .iter()
                .flat_map(|cell| values.iter().map(move |value| with(cell, value)))
                .collect();
        }
        cells
    }

    /// Refuses a parameter that no run asked for.
    pub fn all_known(&self, known: &BTreeSet<String>) -> Result<()> {
        let stranger = self
            .listings
            .iter()
            .find(|listing| !known.contains(&listing.name));
        let Some(Listing { name, .. }) = stranger else {
            return Ok(());
        };
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        match known[..] {
            [] => bail!(
                "no run asked for the parameter {name}, or for any other: the test is to ask with sim.parameter(\"{name}\", DEFAULT)"
            ),
            _ => bail!(
                "no run asked for the parameter {name}: there are {}",
                known.join(", ")
            ),
        }
    }
}

/// What `[parameters.NAME]` lists as `sweep`. Lists that are none are the test's to refuse, which says the place.
fn listed(content: &DocumentMut) -> Vec<Listing> {
    let Some(parameters) = content.get("parameters").and_then(Item::as_table_like) else {
        return Vec::new();
    };
    let listing = |(name, item): (&str, &Item)| {
        let sweep = item.as_table_like()?.get("sweep")?;
        let values = sweep.as_array().map(values).unwrap_or_default();
        Some(Listing {
            name: name.to_owned(),
            // One run with any value at all is enough for that.
            values: match values.is_empty() {
                true => vec![Value::Null],
                false => values,
            },
        })
    };
    parameters.iter().filter_map(listing).collect()
}

fn values(array: &Array) -> Vec<Value> {
    let value = |value: &toml_edit::Value| match value {
        toml_edit::Value::String(text) => Some(Value::from(text.value().as_str())),
        toml_edit::Value::Integer(number) => Some(Value::from(*number.value())),
        toml_edit::Value::Float(number) => Some(Value::from(*number.value())),
        toml_edit::Value::Boolean(yes) => Some(Value::from(*yes.value())),
        _ => None,
    };
    let values: Option<Vec<Value>> = array.iter().map(value).collect();
    values.unwrap_or_default()
}

/// `NAME=VALUE,..`.
fn read(text: &str) -> Result<Listing> {
    let form = "--parameter takes a name and its values, as in pool=4,8,16";
    let Some((name, values)) = text.split_once('=') else {
        bail!("{text:?} has no values: {form}");
    };
    let (name, values) = (name.trim(), values.split(',').map(str::trim));
    let mut listing = Listing {
        name: name.to_owned(),
        values: Vec::new(),
    };
    for value in values {
        if name.is_empty() || value.is_empty() {
            bail!("{text:?} leaves something out: {form}");
        }
        let value = plain(value);
        if listing.values.contains(&value) {
            bail!("{text:?} has {value} twice");
        }
        listing.values.push(value);
    }
    Ok(listing)
}

/// A number, true or false, or else a text.
fn plain(text: &str) -> Value {
    if let Ok(number) = text.parse::<i64>() {
        return number.into();
    }
    match (text.parse::<f64>(), text) {
        (Ok(number), _) if number.is_finite() => number.into(),
        (_, "true") => true.into(),
        (_, "false") => false.into(),
        _ => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(text: &str, said: &[&str]) -> Result<Grid> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let said: Vec<String> = said.iter().map(|text| (*text).to_owned()).collect();
        Grid::of(file.path(), &said)
    }

    #[test]
    fn values_come_from_the_file_and_the_command_line() {
        let text = "[parameters]\nrate = 5\n[parameters.pool]\nvalue = 1\nsweep = [2, 4]\n[parameters.policy]\nsweep = [\"a\"]";
        let cells = grid(text, &["pool=8, 9", "share=0.5,true,5x"])
            .unwrap()
            .cells();
        let shown: Vec<String> = cells
            .iter()
            .map(|cell| {
                cell.iter()
                    .map(|(name, value)| format!("{name}={value} "))
                    .collect()
            })
            .collect();
        assert_eq!(shown.len(), 6);
        assert_eq!(shown[0], "pool=8 policy=\"a\" share=0.5 ");
        assert_eq!(shown[1], "pool=8 policy=\"a\" share=true ");
        assert_eq!(shown[5], "pool=9 policy=\"a\" share=\"5x\" ");
    }

    #[test]
    fn what_cannot_be_gone_through_is_refused() {
        let many = (0..40).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
        let (a, b) = (format!("a={many}"), format!("b={many}"));
        let wrong: [(&[&str], &str); 7] = [
            (&[], "lists no values to go through"),
            (&["pool"], "has no values"),
            (&["pool=4,,8"], "leaves something out"),
            (&["=4"], "leaves something out"),
            (&["pool=4,4"], "has 4 twice"),
            (&["pool=4", "pool=8"], "names pool twice"),
            (&[&a, &b], "more than 1024 combinations"),
        ];
        for (said, told) in wrong {
            let error = grid("", said).unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }

    #[test]
    fn a_parameter_that_nobody_asked_for_is_named() {
        let grid = grid("", &["pol=4"]).unwrap();
        let error = grid
            .all_known(&BTreeSet::from(["pool".to_owned()]))
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "no run asked for the parameter pol: there are pool"
        );
        assert!(grid.all_known(&BTreeSet::from(["pol".to_owned()])).is_ok());
    }
}
