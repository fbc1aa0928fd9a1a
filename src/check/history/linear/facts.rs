//! What is known of the items of a search before it begins, and what can be concluded from it at any time in O(1).

use super::problem::{Item, NONE, Steps};
use std::collections::BTreeMap;

/// At most so many steps are taken to find out which writes nobody can have seen.
const MOST: usize = 2_000_000;

/// What is known of items.
pub(super) struct Facts {
    /// By item: the state that it leaves, if it overwrites whatever was there.
    pub leaves: Vec<u32>,
    /// By item: it overwrites, and no operation is legal in the state that it leaves but those that overwrite it.
    pub unseen: Vec<bool>,
    /// By item: the one state in which it is legal, if that is known.
    pub only_in: Vec<u32>,
    /// Whether there are items that leave every state as it is.
    pub observers: bool,
    /// Whether there are items that are the same in all but their times.
    pub classes: bool,
    /// By item: the one state that it leaves where it changes anything.
    makes: Vec<u32>,
    /// Where that is known of all that change anything: by state, how many items that may leave it, and how many that are legal
    /// in it alone, are not in order yet.
    left: Option<Vec<(u32, u32)>>,
}

impl Facts {
    pub(super) fn of(items: &[Item], steps: &mut dyn Steps) -> Self {
        let mut facts = Facts {
            leaves: vec![NONE; items.len()],
            unseen: vec![false; items.len()],
            only_in: vec![NONE; items.len()],
            observers: items.iter().any(|i| i.observer && !i.optional),
            makes: vec![NONE; items.len()],
            classes: items.iter().any(|i| i.class != NONE),
            left: None,
        };
        let mut plain = true;
        for (place, item) in items.iter().enumerate() {
            facts.leaves[place] = steps.overwrites(item.op).unwrap_or(NONE);
            if facts.leaves[place] == NONE {
                facts.only_in[place] = steps.only_in(item.op).unwrap_or(NONE);
            }
            if item.observer {
                continue;
            }
            facts.makes[place] = match facts.leaves[place] {
                NONE => steps.leaves(item.op).unwrap_or(NONE),
                leaves => leaves,
            };
            plain &= facts.makes[place] != NONE;
        }
        facts.look_for_unseen(items, steps);
        if plain {
            let states = facts.makes.iter().chain(&facts.only_in);
            let most = states.filter(|s| **s != NONE).max().copied().unwrap_or(0);
            let mut left = vec![(0, 0); most as usize + 1];
            for (makes, only_in) in facts.makes.iter().zip(&facts.only_in) {
                if let Some(left) = left.get_mut(*makes as usize) {
                    left.0 += 1;
                }
                if let Some(left) = left.get_mut(*only_in as usize) {
                    left.1 += 1;
                }
            }
            facts.left = Some(left);
        }
        facts
    }

    /// The same, but nothing is [`dead`](Facts::dead) or [`hopeless`](Facts::hopeless).
    pub(super) fn without_foresight(mut self) -> Self {
        self.left = None;
        self
    }

    fn look_for_unseen(&mut self, items: &[Item], steps: &mut dyn Steps) {
        // By state that is left by an overwriting item: whether anything else is legal there.
        let mut seen: BTreeMap<u32, bool> = self.leaves.iter().map(|s| (*s, false)).collect();
        seen.remove(&NONE);
        let looking =
            |(place, item): &(usize, &Item)| self.leaves[*place] == NONE && item.op != NONE;
        let mut slow = Vec::new();
        for (place, item) in items.iter().enumerate().filter(looking) {
            match self.only_in[place] {
                NONE => slow.push(item),
                only => {
                    seen.entry(only).and_modify(|s| *s = true);
                }
            }
        }
        if slow.iter().any(|i| i.optional) || slow.len() * seen.len() > MOST {
            return;
        }
        let mut to = Vec::new();
        for (state, seen) in &mut seen {
            for item in &slow {
                if *seen {
                    break;
                }
                to.clear();
                steps.step(*state, item.op, &mut to);
                *seen = !to.is_empty();
            }
        }
        for (leaves, unseen) in self.leaves.iter().zip(&mut self.unseen) {
            *unseen = *leaves != NONE && !seen[leaves];
        }
    }

    /// An item is put in order, or taken out again.
    pub(super) fn count(&mut self, place: u32, on: bool) {
        let Some(left) = &mut self.left else { return };
        let change = |n: &mut u32| *n = if on { *n - 1 } else { *n + 1 };
        if let Some(left) = left.get_mut(self.makes[place as usize] as usize) {
            change(&mut left.0);
        }
        if let Some(left) = left.get_mut(self.only_in[place as usize] as usize) {
            change(&mut left.1);
        }
    }

    /// Whether something that is not in order yet was legal in `state` alone, which is gone for good now that it was overwritten.
    pub(super) fn dead(&self, state: u32, next: u32) -> bool {
        let of = |left: &Vec<(u32, u32)>| left.get(state as usize).copied();
        let left = self.left.as_ref().and_then(of);
        state != next && matches!(left, Some((0, 1..)))
    }

    /// Whether `urgent` is legal only in a state that is not now and never will be again.
    pub(super) fn hopeless(&self, urgent: u32, state: u32) -> bool {
        let only = self.only_in[urgent as usize];
        let left = self
            .left
            .as_ref()
            .map(|left| left[only.min(left.len() as u32 - 1) as usize]);
        only != NONE && only != state && matches!(left, Some((0, _)))
    }
}
