//! The bridge between a model's types and the numbers of the search: states and operations are numbered as they appear.

use super::super::{Model, Outcome, Record};
use super::problem::{Item, NEVER, NONE, Steps, sorted};
use super::search::{ByWords, Words};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::hash::Hasher;

/// The operations of a part of a history, and the states that the model was seen in.
pub(super) struct Space<'a, M: Model> {
    pub model: &'a M,
    pub records: &'a [Record<M::Op, M::Ret>],
    states: Vec<M::State>,
    numbers: HashMap<M::State, u32, ByWords>,
}

impl<'a, M: Model> Space<'a, M> {
    pub(super) fn new(model: &'a M, records: &'a [Record<M::Op, M::Ret>]) -> Self {
        Space {
            model,
            records,
            states: Vec::new(),
            numbers: HashMap::default(),
        }
    }

    fn number(&mut self, state: M::State) -> u32 {
        if let Some(number) = self.numbers.get(&state) {
            return *number;
        }
        let number = self.states.len() as u32;
        self.states.push(state.clone());
        self.numbers.insert(state, number);
        number
    }

    pub(super) fn state(&self, number: u32) -> &M::State {
        &self.states[number as usize]
    }

    fn ret(&self, op: u32) -> Option<&'a M::Ret> {
        self.records[op as usize].outcome.ok()
    }

    /// The operations at these places of the records, as the search wants them. Those that failed, and those that tell nothing, are left out.
    pub(super) fn items(&self, places: &[usize]) -> Vec<Item> {
        let mut moments: Vec<_> = places
            .iter()
            .flat_map(|p| [Some(self.records[*p].invoked), self.records[*p].ended])
            .flatten()
            .collect();
        moments.sort_unstable();
        moments.dedup();
        let rank = |moment| moments.partition_point(|m| *m < moment) as u64;
        let mut clients = BTreeMap::new();
        let mut classes: BTreeMap<u64, Vec<(usize, u32)>> = BTreeMap::new();
        let mut text = String::new();
        let mut items = Vec::new();
        for place in places {
            let record = &self.records[*place];
            let known = clients.len() as u32;
            let client = *clients.entry(&record.client).or_insert(known);
            let ret = record.outcome.ok();
            let observer = self.model.observes(&record.op, ret);
            let optional = ret.is_none();
            if record.outcome == Outcome::Failed || optional && observer {
                continue;
            }
            // Equal texts are only a hint: what is equal but reads differently is merely not known to be the same.
            text.clear();
            let _ = write!(text, "{:?} {ret:?}", record.op);
            let mut words = Words::default();
            words.write(text.as_bytes());
            let alike = classes.entry(words.finish()).or_default();
            let same = |(other, _): &&(usize, u32)| {
                let other = &self.records[*other];
                other.op == record.op && other.outcome == record.outcome
            };
            let class = match alike.iter().find(same) {
                Some((_, class)) => *class,
                None => {
                    alike.push((*place, *place as u32));
                    *place as u32
                }
            };
            let end = match record.ended {
                Some(ended) if !optional => rank(ended),
                _ => NEVER,
            };
            items.push(Item {
                op: *place as u32,
                start: rank(record.invoked),
                end,
                due: end,
                optional,
                observer,
                class,
                client,
                before: NONE,
            });
        }
        sorted(items)
    }
}

impl<M: Model> Steps for Space<'_, M> {
    fn init(&mut self) -> u32 {
        self.number(self.model.init())
    }

    fn step(&mut self, state: u32, op: u32, to: &mut Vec<u32>) {
        let (model, record) = (self.model, &self.records[op as usize]);
        match self.ret(op) {
            Some(ret) => {
                let next = model.step(&self.states[state as usize], &record.op, ret);
                to.extend(next.map(|next| self.number(next)));
            }
            None => {
                for next in model.unknown(&self.states[state as usize], &record.op) {
                    let next = self.number(next);
                    to.push(next);
                }
            }
        }
    }

    fn overwrites(&mut self, op: u32) -> Option<u32> {
        let (model, record) = (self.model, &self.records[op as usize]);
        let ret = self.ret(op);
        if !model.overwrites(&record.op, ret) {
            return None;
        }
        let init = self.init();
        let mut to = Vec::new();
        self.step(init, op, &mut to);
        // A model that says so of something else is not believed.
        (to.len() == 1).then(|| to[0])
    }

    fn leaves(&mut self, op: u32) -> Option<u32> {
        let state = self
            .model
            .leaves(&self.records[op as usize].op, self.ret(op))?;
        Some(self.number(state))
    }

    fn only_in(&mut self, op: u32) -> Option<u32> {
        let ret = self.ret(op)?;
        let state = self.model.only_in(&self.records[op as usize].op, ret)?;
        Some(self.number(state))
    }
}
