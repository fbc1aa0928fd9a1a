//! What no run of a test came to, though some run should have: marks and `sometimes` that the test states. `coordinator` asks when every
//! run has held.

use std::fmt::Write;

use squall_points::{Kind, Site};

use super::command::{self, Event, Mark};
use super::failure::Failure;
use super::origin::Origin;
use super::settings::{Resolved, Which};
use crate::check::{REACHABLE, SOMETIMES};
use crate::kernel::Tallies;
use crate::sim::points::POINT;

/// What a search came to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Searched<'a> {
    pub(super) origin: &'a Origin,
    pub(super) settings: &'a Resolved,
    pub(super) tallies: &'a Tallies,
    pub(super) runs: u64,
    /// Virtual nanoseconds.
    pub(super) simulated: u64,
}

impl Searched<'_> {
    /// Tells the command how often this part of its search came to each.
    pub(super) fn tell_part(&self) {
        let mut marks = Vec::new();
        for kind in [SOMETIMES, REACHABLE] {
            let of = self.tallies.of(kind);
            marks.extend(of.map(|(name, tally)| Mark {
                kind,
                name,
                site: &tally.site,
                hits: tally.hits,
            }));
        }
        command::tell(&Event::Part {
            test: self.origin.name(),
            runs: self.runs,
            simulated: self.simulated,
            marks,
        });
    }

    /// Tells the command how often this search came to what the program itself says should happen. No single test fails for that.
    pub(super) fn tell_places(&self) {
        if !matches!(self.settings.which, Which::Explore { .. }) || !command::listens() {
            return;
        }
        let counted = |site: &&Site| matches!(site.kind, Kind::Sometimes | Kind::Reachable);
        let sites: Vec<_> = squall_points::catalogue().iter().filter(counted).collect();
        if sites.is_empty() {
            return;
        }
        let texts: Vec<_> = sites
            .iter()
            .map(|site| [site.kind.to_string(), site.to_string()])
            .collect();
        let hits = |name| {
            let mut of = self.tallies.of(POINT);
            of.find(|(known, _)| *known == name)
                .map_or(0, |(_, tally)| tally.hits)
        };
        let places = sites.iter().zip(&texts).map(|(place, [kind, site])| Mark {
            kind,
            name: place.name,
            site,
            hits: hits(place.name),
        });
        command::tell(&Event::Places {
            test: self.origin.name(),
            places: places.collect(),
        });
    }

    /// The test's failure, if its runs missed something. What replays a seed or a log has nothing to say about that.
    pub(crate) fn unhit(&self) -> Option<Failure> {
        if !matches!(self.settings.which, Which::Explore { .. }) {
            return None;
        }
        let mut missed = Vec::new();
        for kind in [SOMETIMES, REACHABLE] {
            let of = self.tallies.of(kind).filter(|(_, tally)| tally.hits == 0);
            missed.extend(of.map(|(name, tally)| (kind, name, &tally.site)));
        }
        let (_, first, _) = missed.first()?;
        let test = &self.origin.test;
        let mut text = format!(
            "squall: {test} failed over {} runs: never hit: {first}\n",
            self.runs
        );
        for (kind, name, site) in &missed {
            let what = match *kind {
                SOMETIMES => "held in no run",
                _ => "reached by no run",
            };
            let _ = writeln!(text, "    {name}: {kind}, stated at {site}, {what}");
        }
        let _ = writeln!(
            text,
            "  a test that does not come to what is of interest proves little: make it likelier, or run more seeds\nagain: {}",
            self.origin
                .command(&format!("SQUALL_SEEDS={}", self.runs * 4))
        );
        let names: Vec<&str> = missed.iter().map(|(_, name, _)| *name).collect();
        Some(Failure {
            test: test.clone(),
            seed: None,
            signature: format!("never hit: {}", names.join(", ")),
            headline: format!("never hit: {first}"),
            reports: Vec::new(),
            log: None,
            text,
        })
    }
}
