//! Brute force: every order is tried, nothing is remembered. What the checkers are compared with.

use squall::history::{Model, Outcome, Record};

/// Which order is to be kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    RealTime,
    Program,
}

/// Whether there is an order that the model allows.
pub fn has_order<M: Model>(model: &M, records: &[Record<M::Op, M::Ret>], order: Order) -> bool {
    let records: Vec<_> = records
        .iter()
        .filter(|r| r.outcome != Outcome::Failed)
        .collect();
    let mut done = vec![false; records.len()];
    go(model, &records, order, &mut done, &model.init())
}

fn go<M: Model>(
    model: &M,
    records: &[&Record<M::Op, M::Ret>],
    order: Order,
    done: &mut [bool],
    state: &M::State,
) -> bool {
    let waits = |i: usize, done: &[bool]| {
        records.iter().enumerate().any(|(j, other)| {
            let known = other.outcome.ok().is_some();
            let before = match order {
                Order::RealTime => other.precedes(records[i]),
                Order::Program => {
                    other.client == records[i].client && other.invoked < records[i].invoked
                }
            };
            j != i && !done[j] && known && before
        })
    };
    if (0..records.len()).all(|i| done[i] || records[i].outcome.ok().is_none()) {
        return true;
    }
    for i in 0..records.len() {
        if done[i] || waits(i, done) {
            continue;
        }
        let next = match records[i].outcome.ok() {
            Some(ret) => Vec::from_iter(model.step(state, &records[i].op, ret)),
            None => model.unknown(state, &records[i].op),
        };
        done[i] = true;
        for state in next {
            if go(model, records, order, done, &state) {
                done[i] = false;
                return true;
            }
        }
        done[i] = false;
    }
    false
}
