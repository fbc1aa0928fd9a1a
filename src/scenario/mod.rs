//! Scenario files: what a test is run with, written in TOML beside its code, so that it can be changed without compiling.
//!
//! `#[squall::scenario("file.toml")]` comes in through `run/scenario.rs`. `file` is the form of a file as serde reads it, `load`, `faults` and `parameters`
//! its chapters on traffic, on the nemesis and on what can be set from outside, `values` the leaves, `error` says what is wrong and where. Calls `sim`, `traffic` and `fault`, and has nothing to do with runs.

mod error;
mod faults;
mod file;
mod load;
mod parameters;
#[cfg(feature = "schema")]
mod schema;
mod values;

pub use error::ScenarioError;
pub(crate) use file::{Isolation as RunIsolation, Run};
#[cfg(feature = "schema")]
pub use schema::schema;

use crate::fault::{Nemesis, Plan};
use crate::nearest::nearest;
use crate::sim::Sim;
use crate::sim::dependency::{Behaviour, Stub};
use crate::sim::parameter::Parameters;
use crate::traffic::{Load, Traffic};
use file::File;
use serde::de::DeserializeOwned;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// What a scenario file says, for the body of the test that it is bound to.
///
/// Everything is asked for by the name that it has in the file; the chapters are described in `docs/scenario-files.md`. Names that the
/// file does not have fail the test with a line that lists those that there are.
///
/// ```no_run
/// use squall::{Scenario, Sim};
///
/// #[squall::scenario("scenarios/flash-sale.toml")]
/// async fn stock_is_never_oversold(sim: Sim, scenario: Scenario) -> squall::Result {
///     let pieces: u64 = scenario.setting("pieces");
///     sim.host("shop", move || async move { /* .. serve so many pieces .. */ let _ = pieces; });
///     sim.nemesis(scenario.nemesis());
///     scenario.traffic("buy").run(|_| async { std::io::Result::Ok(()) }).await;
///     Ok(())
/// }
/// # fn main() {}
/// ```
#[derive(Clone, Debug)]
pub struct Scenario {
    file: Arc<Read>,
    sim: Option<Sim>,
}

#[derive(Debug)]
struct Read {
    /// The path as messages show it.
    path: String,
    text: String,
    content: File,
}

impl Scenario {
    /// Reads a file's text; `path` is for messages, and the place from which other files are named.
    ///
    /// # Errors
    /// It is no TOML, or not a scenario: with file, line, column and what would do.
    pub fn parse(path: impl AsRef<Path>, text: &str) -> Result<Scenario, ScenarioError> {
        let path = path.as_ref();
        let content = File::read(path, text)?;
        Ok(Scenario {
            file: Arc::new(Read {
                path: path.display().to_string(),
                text: text.to_owned(),
                content,
            }),
            sim: None,
        })
    }

    /// Reads a file.
    ///
    /// # Errors
    /// As [`Scenario::parse`], or it cannot be read.
    pub fn read(path: impl AsRef<Path>) -> Result<Scenario, ScenarioError> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path)
            .map_err(|source| ScenarioError::unreadable(path, &source))?;
        Scenario::parse(path, &text)
    }

    /// The scenario in a run's world.
    pub(crate) fn within(&self, sim: Sim) -> Scenario {
        Scenario {
            file: self.file.clone(),
            sim: Some(sim),
        }
    }

    /// What the file says of how the test is run.
    pub(crate) fn run(&self) -> &Run {
        &self.file.content.run
    }

    /// The parameters that the file sets.
    pub(crate) fn parameters(&self) -> Parameters {
        parameters::set(&self.file.content.parameters)
    }

    /// The test that the file says it is for.
    pub(crate) fn test(&self) -> Option<&str> {
        self.file.content.test.as_deref()
    }

    /// A number that is another one once the text is.
    pub(crate) fn fingerprint(&self) -> u64 {
        // FNV-1a.
        let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        let bytes = self.file.text.as_bytes();
        bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
    }

    /// The file's path, as it was given.
    pub fn path(&self) -> &Path {
        Path::new(&self.file.path)
    }

    /// The traffic of this name, ready to be sent: `[traffic.NAME]` with all that is in it.
    ///
    /// # Panics
    /// If the file has none, and outside a simulation.
    #[track_caller]
    pub fn traffic(&self, name: &str) -> Traffic {
        let text = self.entry("traffic", &self.file.content.traffic, name);
        text.traffic(self.sim(), name)
    }

    /// Its load alone.
    ///
    /// # Panics
    /// If the file has none of this name.
    #[track_caller]
    pub fn load(&self, name: &str) -> Load {
        self.entry("traffic", &self.file.content.traffic, name)
            .load()
    }

    /// How a dependency behaves: `[dependencies.NAME]`.
    ///
    /// # Panics
    /// If the file has none of this name.
    #[track_caller]
    pub fn dependency(&self, name: &str) -> Behaviour {
        let dependencies = &self.file.content.dependencies;
        self.entry("dependencies", dependencies, name).clone()
    }

    /// The faults: `[nemesis]`. None at all where the file has no such table. Dependencies that it breaks must be there already.
    ///
    /// # Panics
    /// If it breaks a dependency that the test has not made, and, where there are such, outside a simulation.
    #[track_caller]
    pub fn nemesis(&self) -> Nemesis {
        let Some(text) = &self.file.content.nemesis else {
            return Nemesis::from(Plan::new());
        };
        text.nemesis(&|name| {
            let stubs = self.sim().dependencies();
            let known: Vec<&str> = stubs.iter().map(Stub::name).collect();
            let found = stubs.iter().find(|stub| stub.name() == name);
            found.cloned().unwrap_or_else(|| {
                let path = &self.file.path;
                panic!(
                    "{path}: the nemesis is to break {name:?}, and the test has made {}",
                    list(&known)
                )
            })
        })
    }

    /// The names of the hosts of `[hosts.NAME]`: the name itself where `count` is 1 or left out, else `NAME-1` and so on.
    ///
    /// # Panics
    /// If the file has none of this name.
    #[track_caller]
    pub fn hosts(&self, name: &str) -> Vec<String> {
        let host = self.entry("hosts", &self.file.content.hosts, name);
        match host.count() {
            1 => vec![name.to_owned()],
            many => (1..=many).map(|i| format!("{name}-{i}")).collect(),
        }
    }

    /// A setting of a host, or of the hosts, of `[hosts.HOST]`: `settings.NAME`.
    ///
    /// # Panics
    /// If the file has none, or it is of another type.
    #[track_caller]
    pub fn host_setting<T: DeserializeOwned>(&self, host: &str, name: &str) -> T {
        let entry = self.entry("hosts", &self.file.content.hosts, host);
        self.value(&format!("hosts.{host}.settings"), &entry.settings, name)
    }

    /// A value of `[settings]`.
    ///
    /// # Panics
    /// If the file has none of this name, or it is of another type.
    #[track_caller]
    pub fn setting<T: DeserializeOwned>(&self, name: &str) -> T {
        self.value("settings", &self.file.content.settings, name)
    }

    /// A duration of `[settings]`, such as `"250ms"`.
    ///
    /// # Panics
    /// As [`Scenario::setting`].
    #[track_caller]
    pub fn duration(&self, name: &str) -> Duration {
        self.setting::<values::Time>(name).0
    }

    /// Within which time a property is to hold: `[properties."NAME"]`, `within`.
    ///
    /// # Panics
    /// If the file does not say so.
    #[track_caller]
    pub fn within_of(&self, property: &str) -> Duration {
        let text = self.entry("properties", &self.file.content.properties, property);
        match &text.within {
            Some(time) => time.0,
            None => panic!(
                "{}: [properties.{property:?}] does not say `within`",
                self.file.path
            ),
        }
    }

    #[track_caller]
    fn sim(&self) -> &Sim {
        let Some(sim) = &self.sim else {
            panic!(
                "{}: this needs a run: the Scenario that a test's body gets",
                self.file.path
            )
        };
        sim
    }

    #[track_caller]
    fn entry<'a, T>(&self, chapter: &str, table: &'a file::Table<T>, name: &str) -> &'a T {
        table.get(name).unwrap_or_else(|| {
            let known: Vec<&str> = table.keys().map(String::as_str).collect();
            let near = nearest(name, known.iter().copied());
            let near = near.map_or(String::new(), |near| format!("; the nearest is {near:?}"));
            let path = &self.file.path;
            panic!(
                "{path}: there is no [{chapter}.{name}]: there is {}{near}",
                list(&known)
            )
        })
    }

    #[track_caller]
    fn value<T: DeserializeOwned>(
        &self,
        chapter: &str,
        table: &file::Table<toml::Value>,
        name: &str,
    ) -> T {
        let value = self.entry(chapter, table, name).clone();
        value.try_into().unwrap_or_else(|error: toml::de::Error| {
            let path = &self.file.path;
            panic!("{path}: {chapter}.{name}: {}", error.message())
        })
    }
}

fn list(names: &[&str]) -> String {
    match names {
        [] => "none".to_owned(),
        names => names.join(", "),
    }
}
