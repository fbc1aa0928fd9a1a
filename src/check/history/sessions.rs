//! What clients may expect of a store that is weaker than linearizable: session guarantees, causal order, bounded staleness, convergence.
//!
//! All of it follows from which write each read saw; so values must be told apart: no two writes of one key have the same.

use super::History;
use super::error::{CheckError, Counterexample};
use super::record::{Moment, Outcome, Record};
use super::timeline::{Entry, draw, time};
use super::versions::{Event, Source, Versions};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::time::Duration;

/// What an operation does to a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Access<K, V> {
    /// It read this value of a key; `None`: there was none.
    Read(K, Option<V>),
    /// It wrote this value; `None`: it took the key away.
    Write(K, Option<V>),
    /// It changed a key, and nobody knows to what: what reads of this key saw is then known only where another write is known to have
    /// written it.
    Changed(K),
}

/// How far an operation takes part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Part {
    /// In everything.
    Whole,
    /// Only its writes can be seen; what its client did before and after is not looked at.
    Writes,
}

/// A history as reads and writes, and the questions that can be asked of it.
///
/// Guarantees are those of Terry and others, "Session guarantees for weakly consistent replicated data" (1994); a session is a client.
/// A version is *older* than another if its write comes before the other's in causal order, or if it is the initial absence of a value.
/// Operations of unknown outcome promise nothing, but what they wrote may be seen.
///
/// ```
/// use squall::history::{History, KeyValueOp, KeyValueRet, Sessions};
///
/// let history = History::new();
/// let client = history.client("phone");
/// client.invoke(KeyValueOp::Put("draft", "v1")).ok(KeyValueRet::Done);
/// client.invoke(KeyValueOp::Put("draft", "v2")).ok(KeyValueRet::Done);
/// client.invoke(KeyValueOp::Get("draft")).ok(KeyValueRet::Value(Some("v1")));
/// let sessions = Sessions::of(&history, KeyValueOp::accesses)?;
/// sessions.monotonic_reads()?;
/// let error = sessions.read_your_writes().unwrap_err();
/// assert!(error.to_string().starts_with("not read your writes at \"draft\""), "{error}");
/// # Ok::<(), squall::history::CheckError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Sessions {
    versions: Versions,
    entries: Vec<Entry>,
    keys: Vec<String>,
    quiet: Option<Moment>,
}

impl Sessions {
    /// The reads and writes of a history. `accesses` says what an operation did, from what it was and what it returned, if that is known.
    ///
    /// # Errors
    /// If two writes of a key have the same value, and if a value was read that nobody wrote.
    pub fn of<Op, Ret, K, V>(
        history: &History<Op, Ret>,
        accesses: impl FnMut(&Op, Option<&Ret>) -> Vec<Access<K, V>>,
    ) -> Result<Self, CheckError>
    where
        Op: Clone + Debug,
        Ret: Clone + Debug,
        K: Ord + Clone + Debug,
        V: Ord + Clone + Debug,
    {
        Self::among(&history.records(), history.quiet(), accesses, |_| {
            Part::Whole
        })
    }

    pub(super) fn among<Op, Ret, K, V>(
        records: &[Record<Op, Ret>],
        quiet: Option<Moment>,
        mut accesses: impl FnMut(&Op, Option<&Ret>) -> Vec<Access<K, V>>,
        part: impl Fn(usize) -> Part,
    ) -> Result<Self, CheckError>
    where
        Op: Debug,
        Ret: Debug,
        K: Ord + Clone + Debug,
        V: Ord + Clone + Debug,
    {
        let mut keys: BTreeMap<K, u32> = BTreeMap::new();
        let mut values: BTreeMap<V, u32> = BTreeMap::new();
        let mut clients: BTreeMap<&super::ClientId, u32> = BTreeMap::new();
        let mut events = Vec::new();
        let mut unclear = BTreeSet::new();
        let show =
            |r: &Record<Op, Ret>| Entry::of(r, format!("{:?}", r.op), |ret| format!("{ret:?}"));
        let entries: Vec<Entry> = records.iter().map(show).collect();
        let mut order: Vec<usize> = (0..records.len()).collect();
        order.sort_by_key(|i| records[*i].invoked);
        for place in order {
            let record = &records[place];
            if matches!(record.outcome, Outcome::Failed) {
                continue;
            }
            let known = record.outcome.ok().is_some();
            let next = clients.len() as u32;
            let client = *clients.entry(&record.client).or_insert(next);
            for access in accesses(&record.op, record.outcome.ok()) {
                let (key, value, write) = match access {
                    Access::Read(key, value) => (key, value, false),
                    Access::Write(key, value) => (key, value, true),
                    Access::Changed(key) => {
                        let next = keys.len() as u32;
                        unclear.insert(*keys.entry(key).or_insert(next));
                        continue;
                    }
                };
                if !write && (!known || part(place) == Part::Writes) {
                    continue;
                }
                let next = keys.len() as u32;
                let key = *keys.entry(key).or_insert(next);
                let value = value.map(|value| {
                    let next = values.len() as u32;
                    *values.entry(value).or_insert(next)
                });
                events.push(Event {
                    place,
                    client,
                    key,
                    value,
                    write,
                    known,
                    alone: !known || part(place) == Part::Writes,
                    first: part(place) == Part::Writes,
                    invoked: record.invoked,
                    ended: record.ended.filter(|_| known),
                });
            }
        }
        let mut names = vec![String::new(); keys.len()];
        for (key, number) in &keys {
            names[*number as usize] = format!("{key:?}");
        }
        let mut sessions = Sessions {
            versions: Versions::default(),
            entries,
            keys: names,
            quiet,
        };
        if let Some((a, b)) = Versions::twins(&events) {
            let line = |e: &Event| sessions.entries[e.place].line();
            return Err(CheckError::unfit(
                "what reads saw",
                format!(
                    "`{}` and `{}` write the same value to one key; let every write have a value of its own",
                    line(a),
                    line(b)
                ),
            ));
        }
        sessions.versions = Versions::of(events, &unclear);
        if let Some(read) = sessions.versions.out_of_nowhere() {
            return Err(sessions.broken(
                "read what was written",
                read,
                &[read],
                "nobody wrote this value",
            ));
        }
        if let Some(round) = sessions.versions.circle() {
            let why = "each of these must have come before the next, and the last before the first";
            return Err(sessions.broken("causal", round[0], &round, why));
        }
        Ok(sessions)
    }

    /// A client that reads a key twice never sees an older version the second time, nor one that it saw before another.
    ///
    /// # Errors
    /// With the reads.
    pub fn monotonic_reads(&self) -> Result<(), CheckError> {
        let v = &self.versions;
        let mut seen: BTreeMap<(u32, u32), Vec<usize>> = BTreeMap::new();
        for at in v.reads() {
            let event = &v.events[at];
            let before = seen.entry((event.client, event.key)).or_default();
            for earlier in before.iter() {
                let (then, now) = (v.sources[*earlier], v.sources[at]);
                if v.older(now, then) {
                    let why = "the second read sees an older version";
                    return Err(self.broken(
                        "monotonic reads",
                        at,
                        &self.with_sources(&[*earlier, at]),
                        why,
                    ));
                }
                let between = before
                    .iter()
                    .find(|b| *b > earlier && v.differ(v.sources[**b], then));
                if let (true, Some(between)) = (then == now && now != Source::Anyone, between) {
                    let why = "the last read sees what the first saw, though another version was seen between";
                    let reads = self.with_sources(&[*earlier, *between, at]);
                    return Err(self.broken("monotonic reads", at, &reads, why));
                }
            }
            before.push(at);
        }
        Ok(())
    }

    /// A client that wrote a key and then reads it sees what it wrote, or something that is not older.
    ///
    /// # Errors
    /// With the write and the read.
    pub fn read_your_writes(&self) -> Result<(), CheckError> {
        let v = &self.versions;
        let mut wrote: BTreeMap<(u32, u32), usize> = BTreeMap::new();
        for (at, event) in v.events.iter().enumerate() {
            let whose = (event.client, event.key);
            if event.write && !event.alone {
                wrote.insert(whose, at);
            }
            let Some(own) = wrote.get(&whose).filter(|_| !event.write) else {
                continue;
            };
            if v.older(v.sources[at], Source::Write(*own)) {
                let why = "the read sees an older version than its own client wrote";
                return Err(self.broken(
                    "read your writes",
                    at,
                    &self.with_sources(&[*own, at]),
                    why,
                ));
            }
        }
        Ok(())
    }

    /// Whoever saw a write sees, from then on, what its client had written before it.
    ///
    /// # Errors
    /// With the writes and the reads.
    pub fn monotonic_writes(&self) -> Result<(), CheckError> {
        let v = &self.versions;
        self.seen_before(
            "monotonic writes",
            "written before that by its client",
            |first, second| {
                let (first, second) = (&v.events[first], &v.events[second]);
                !first.alone && first.client == second.client
            },
        )
    }

    /// Whoever saw a write sees, from then on, what its client had read before it.
    ///
    /// # Errors
    /// With the writes and the reads.
    pub fn writes_follow_reads(&self) -> Result<(), CheckError> {
        let v = &self.versions;
        self.seen_before(
            "writes follow reads",
            "read before that by its client",
            |first, second| {
                let whose = v.events[second].client;
                let read = |at: &usize| {
                    v.events[*at].client == whose && v.sources[*at] == Source::Write(first)
                };
                v.events[..second]
                    .iter()
                    .enumerate()
                    .any(|(at, e)| !e.write && read(&at))
            },
        )
    }

    /// Whoever reads the version of `second`, and then a key that `first` wrote, sees `first` or nothing older, for all that come `before`.
    fn seen_before(
        &self,
        rule: &str,
        how: &str,
        before: impl Fn(usize, usize) -> bool,
    ) -> Result<(), CheckError> {
        let v = &self.versions;
        let mut saw: BTreeMap<u32, BTreeMap<usize, usize>> = BTreeMap::new();
        for at in v.reads() {
            let event = &v.events[at];
            let saw = saw.entry(event.client).or_default();
            for (second, read) in saw.iter() {
                let lost = v.writes_of(event.key).find(|first| {
                    v.older(v.sources[at], Source::Write(*first))
                        && v.causes(*first, *second)
                        && before(*first, *second)
                });
                if let Some(first) = lost {
                    let why =
                        format!("its client had seen another write, and misses one that was {how}");
                    let events = self.with_sources(&[first, *second, *read, at]);
                    return Err(self.broken(rule, at, &events, &why));
                }
            }
            if let Source::Write(write) = v.sources[at] {
                saw.entry(write).or_insert(at);
            }
        }
        Ok(())
    }

    /// The history is causally consistent: there is a causal order, made of what each client did in its order and of each read after the
    /// write that it saw, without a circle, and no read misses a write that comes before it there, or sees what such a write
    /// replaced.
    ///
    /// This is what Bouajjani, Enea, Guerraoui and Hamza ("On verifying causal consistency", 2017) call CC: without the patterns
    /// CyclicCO, WriteCOInitRead, ThinAirRead and WriteCORead. Clients may see concurrent writes in different orders.
    ///
    /// # Errors
    /// With the read and the writes.
    pub fn causal(&self) -> Result<(), CheckError> {
        let v = &self.versions;
        for at in v.reads() {
            let source = v.sources[at];
            for write in v.writes_of(v.events[at].key) {
                if v.causes(write, at) && v.older(source, Source::Write(write)) {
                    let why = match source {
                        Source::Initial => {
                            "the read misses a write that comes before it in causal order"
                        }
                        _ => "the read sees a version that was replaced before it in causal order",
                    };
                    let chain = v.chain(write, at);
                    return Err(self.broken("causal", at, &self.with_sources(&chain), why));
                }
            }
        }
        Ok(())
    }

    /// Whether no read sees a version that had been replaced for longer than `most` when it began; 0: not at all.
    ///
    /// # Errors
    /// With the read, and the write that it misses.
    pub fn bounded_staleness(&self, most: Duration) -> Result<(), CheckError> {
        for at in self.versions.reads() {
            let read = &self.versions.events[at];
            let newer = self.newer(at);
            let since = newer
                .iter()
                .filter_map(|w| self.versions.events[*w].ended.map(|e| (e, *w)));
            let Some((ended, write)) = since.min() else {
                continue;
            };
            let stale = read.invoked.at.saturating_sub(ended.at);
            if stale > most {
                let why = format!(
                    "what it sees was replaced {} before it, {} at most are allowed",
                    time(stale),
                    time(most)
                );
                return Err(self.broken(
                    "fresh enough",
                    at,
                    &self.with_sources(&[write, at]),
                    &why,
                ));
            }
        }
        Ok(())
    }

    /// Whether no read misses more than `most` versions that were newer than what it saw and complete when it began.
    ///
    /// # Errors
    /// With the read and what it misses.
    pub fn bounded_versions(&self, most: usize) -> Result<(), CheckError> {
        for at in self.versions.reads() {
            let mut newer = self.newer(at);
            if newer.len() > most {
                let why = format!(
                    "it misses {} newer versions, {most} at most are allowed",
                    newer.len()
                );
                newer.push(at);
                return Err(self.broken("fresh enough", at, &self.with_sources(&newer), &why));
            }
        }
        Ok(())
    }

    /// Writes that began after the one that a read saw had ended, and had ended when it began.
    fn newer(&self, read: usize) -> Vec<usize> {
        let v = &self.versions;
        let source = match v.sources[read] {
            Source::Initial => None,
            Source::Write(write) => Some(write),
            Source::Anyone => return Vec::new(),
        };
        let after_source = |w: usize| source.is_none_or(|s| v.precedes(s, w));
        v.writes_of(v.events[read].key)
            .filter(|w| v.precedes(*w, read) && after_source(*w))
            .collect()
    }

    /// Whether all reads since [`History::quiet_from_now`] agree: each key has one value for everybody, one that was written.
    ///
    /// # Errors
    /// With two reads that disagree; and if nobody said since when nothing is written, if somebody wrote then, or if no key
    /// was read twice since: then nothing would have been checked.
    pub fn converged(&self) -> Result<(), CheckError> {
        const WHAT: &str = "whether it converged";
        let v = &self.versions;
        let Some(quiet) = self.quiet else {
            let why = "call `History::quiet_from_now` when everything is written and the system has settled, then read";
            return Err(CheckError::unfit(WHAT, why));
        };
        let mut first: BTreeMap<u32, usize> = BTreeMap::new();
        let mut twice = false;
        for (at, event) in v
            .events
            .iter()
            .enumerate()
            .filter(|(_, e)| e.invoked >= quiet)
        {
            if event.write {
                let line = self.entries[event.place].line();
                return Err(CheckError::unfit(
                    WHAT,
                    format!("`{line}` writes after that"),
                ));
            }
            let writes = || v.writes_of(event.key).filter(|w| v.events[*w].known);
            if v.sources[at] == Source::Initial && writes().next().is_some() {
                let mut events: Vec<usize> = writes().collect();
                events.push(at);
                return Err(self.broken(
                    "converged",
                    at,
                    &events,
                    "nothing is left of what was written",
                ));
            }
            let other = *first.entry(event.key).or_insert(at);
            twice |= other != at;
            if v.events[other].value != event.value {
                let why = "these reads see different versions, though nothing was written any more";
                return Err(self.broken("converged", at, &self.with_sources(&[other, at]), why));
            }
        }
        match twice {
            true => Ok(()),
            false => Err(CheckError::unfit(
                WHAT,
                "no key was read twice after that; let every replica be read",
            )),
        }
    }

    /// Events, and the writes that the reads among them saw.
    fn with_sources(&self, events: &[usize]) -> Vec<usize> {
        let mut all = events.to_vec();
        for at in events {
            if let Some(Source::Write(write)) = self.versions.sources.get(*at) {
                all.push(*write);
            }
        }
        all
    }

    fn broken(&self, rule: &str, at: usize, events: &[usize], why: &str) -> CheckError {
        let places: BTreeSet<usize> = events
            .iter()
            .map(|e| self.versions.events[*e].place)
            .collect();
        let entries: Vec<Entry> = places.iter().map(|p| self.entries[*p].clone()).collect();
        CheckError::Violated(Counterexample {
            rule: rule.to_owned(),
            part: Some(self.keys[self.versions.events[at].key as usize].clone()),
            operations: places.into_iter().collect(),
            text: format!("{why}\n{}", draw(&entries)),
        })
    }
}
