//! What a search came to: told to the command while it goes on and in its end, and the test's failure if no run came to what some run should have
//! come to, marks and `sometimes` that the test states. `coordinator` and `in_process` ask.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use squall_points::{Kind, Site};

use super::command::{self, Event, Mark};
use super::failure::{Failure, Summary};
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
    /// Tells the command how far it is.
    pub(super) fn tell_progress(&self, total: Option<u64>, signatures: &BTreeMap<String, u32>) {
        let marks = [SOMETIMES, REACHABLE].map(|kind| {
            let of = || self.tallies.of(kind);
            let met = of().filter(|(_, tally)| tally.hits > 0).count();
            [met as u64, of().count() as u64]
        });
        command::tell(&Event::Progress {
            test: self.origin.name(),
            runs: self.runs,
            total,
            simulated: self.simulated,
            met: marks[0][0] + marks[1][0],
            marks: marks[0][1] + marks[1][1],
            failures: signatures.values().sum(),
            signatures,
        });
    }

    /// Tells a command that sweeps of a run that failed.
    pub(super) fn tell_failed(&self, seed: u64, signature: &str, headline: &str) {
        command::tell(&Event::Failed {
            test: self.origin.name(),
            seed,
            signature,
            headline,
        });
    }

    /// What the test has to say when its runs are over: the command hears of a part of a longer search, and there, as in a sweep, which takes few
    /// seeds and asks for figures, it is no failure of this test's if something was missed.
    pub(super) fn missed(&self) -> Option<Failure> {
        if command::part().is_some() {
            // Other parts may come to what this one does not.
            self.tell_part();
            return None;
        }
        match command::sweeps() {
            true => None,
            false => self.unhit(),
        }
    }

    /// What a test that held says.
    pub(super) fn summary(&self, exhausted: Option<u32>) -> Summary {
        let found = self.tallies.of(crate::audit::FOUND);
        Summary {
            runs: self.runs,
            simulated: Duration::from_nanos(self.simulated),
            exhausted,
            found: found.map(|(name, _)| name.to_owned()).collect(),
        }
    }

    /// Tells the command how often this part of its search came to each.
    fn tell_part(&self) {
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
    fn unhit(&self) -> Option<Failure> {
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
