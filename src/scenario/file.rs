//! A scenario file as a whole, and the chapters on the run, hosts, settings and properties. Every table refuses keys that it does not know.

use super::error::ScenarioError;
use super::faults::NemesisText;
use super::load::TrafficText;
use super::parameters::ParameterText;
use super::values::{Count, Descriptors, Few, Hosts, Percent, Size, SomeTime, Strategy};
use crate::sim::dependency::Behaviour;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// A table whose keys are names.
pub(crate) type Table<T> = BTreeMap<String, T>;

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// The editor's business.
    #[serde(rename = "$schema")]
    _schema: Option<String>,
    pub(super) test: Option<String>,
    #[serde(default)]
    pub(super) run: Run,
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(with = "Table<serde_json::Value>"))]
    pub(super) settings: Table<toml::Value>,
    #[serde(default)]
    pub(super) parameters: Table<ParameterText>,
    #[serde(default)]
    pub(super) hosts: Table<HostText>,
    #[serde(default)]
    pub(super) traffic: Table<TrafficText>,
    #[serde(default)]
    pub(super) dependencies: Table<Behaviour>,
    pub(super) nemesis: Option<NemesisText>,
    #[serde(default)]
    pub(super) properties: Table<PropertyText>,
}

impl File {
    pub(super) fn read(path: &Path, text: &str) -> Result<File, ScenarioError> {
        let file: Result<File, _> = toml::from_str(text);
        let mut file = file.map_err(|error| ScenarioError::of_toml(path, text, &error))?;
        for traffic in file.traffic.values_mut() {
            traffic.complete(path, text)?;
        }
        if let Some(nemesis) = &file.nemesis {
            nemesis.check(path, text)?;
        }
        Ok(file)
    }
}

/// `[run]`: how the test is run, under what the environment says and over what the attribute says.
#[derive(Debug, Default, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Run {
    pub(super) seeds: Option<Count>,
    pub(super) budget: Option<SomeTime>,
    pub(super) strategy: Option<Strategy>,
    pub(super) isolation: Option<Isolation>,
    pub(super) jobs: Option<Few>,
    pub(super) audit: Option<Percent>,
    pub(super) watchdog: Option<SomeTime>,
    pub(super) memory: Option<Size>,
    pub(super) cpus: Option<Few>,
    pub(super) descriptors: Option<Descriptors>,
    pub(super) max_time: Option<SomeTime>,
    pub(super) max_steps: Option<Count>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(crate) enum Isolation {
    Batch,
    Process,
}

/// Everything that `[run]` says, one by one.
pub(crate) struct Said {
    pub(crate) seeds: Option<u64>,
    pub(crate) budget: Option<std::time::Duration>,
    pub(crate) strategy: Option<crate::explore::Selection>,
    pub(crate) isolation: Option<Isolation>,
    pub(crate) jobs: Option<u32>,
    pub(crate) audit: Option<u32>,
    pub(crate) watchdog: Option<std::time::Duration>,
    pub(crate) memory: Option<Option<u64>>,
    pub(crate) cpus: Option<u32>,
    pub(crate) descriptors: Option<u32>,
    pub(crate) max_time: Option<std::time::Duration>,
    pub(crate) max_steps: Option<u64>,
}

impl Run {
    pub(crate) fn said(&self) -> Said {
        Said {
            seeds: self.seeds.map(|n| n.0),
            budget: self.budget.as_ref().map(|t| t.0),
            strategy: self.strategy.as_ref().map(|s| s.0),
            isolation: self.isolation,
            jobs: self.jobs.map(|n| n.0),
            audit: self.audit.map(|n| n.0),
            watchdog: self.watchdog.as_ref().map(|t| t.0),
            memory: self.memory.as_ref().map(|s| s.0),
            cpus: self.cpus.map(|n| n.0),
            descriptors: self.descriptors.map(|n| n.0),
            max_time: self.max_time.as_ref().map(|t| t.0),
            max_steps: self.max_steps.map(|n| n.0),
        }
    }
}

/// `[hosts.NAME]`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct HostText {
    count: Option<Hosts>,
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(with = "Table<serde_json::Value>"))]
    pub(super) settings: Table<toml::Value>,
}

impl HostText {
    pub(super) fn count(&self) -> u32 {
        self.count.map_or(1, |count| count.0)
    }
}

/// `[properties."NAME"]`.
#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(super) struct PropertyText {
    pub(super) within: Option<SomeTime>,
}
