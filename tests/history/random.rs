//! Random histories: clients of a correct object, of which some answers are then falsified.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use squall::history::{Model, Outcome, Record};
use std::time::Duration;

pub struct Random(ChaCha8Rng);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(ChaCha8Rng::seed_from_u64(seed))
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.0.next_u64() % n
    }

    pub fn chance(&mut self, of: u64) -> bool {
        self.below(of) == 0
    }
}

/// How a history is made.
pub struct Shape {
    pub clients: u64,
    pub operations: u64,
    /// One in so many has an unknown outcome; 0: none.
    pub unknown: u64,
    /// How long an operation takes at most, where the next one of its client begins one later.
    pub longest: u64,
}

/// A history of a correct object: each operation takes effect at a random moment between its invocation and its end.
/// `ret` says what comes back of an operation in a state, and the state then.
pub fn correct<M: Model>(
    model: &M,
    random: &mut Random,
    shape: &Shape,
    mut op: impl FnMut(&mut Random) -> M::Op,
    ret: impl Fn(&M::State, &M::Op) -> M::Ret,
    key: impl Fn(&M::Op) -> usize,
) -> Vec<Record<M::Op, M::Ret>> {
    let mut free = vec![0; shape.clients as usize];
    let mut planned = Vec::new();
    for _ in 0..shape.operations {
        let client = random.below(shape.clients) as usize;
        let start = free[client] + random.below(3);
        let end = start + 1 + random.below(shape.longest);
        free[client] = end + 1;
        let effect = start + random.below(end - start + 1);
        let unknown = shape.unknown > 0 && random.chance(shape.unknown);
        let effect = match unknown {
            // It may take effect late, or never.
            true if random.chance(2) => u64::MAX,
            true => effect + random.below(10),
            false => effect,
        };
        planned.push((effect, client, start, end, op(random), unknown));
    }
    planned.sort_by_key(|p| p.0);
    let mut states: Vec<M::State> = Vec::new();
    let mut records = Vec::new();
    for (effect, client, start, end, op, unknown) in planned {
        let key = key(&op);
        while states.len() <= key {
            states.push(model.init());
        }
        let mut outcome = Outcome::Unknown;
        if effect != u64::MAX {
            let ret = ret(&states[key], &op);
            states[key] = model
                .step(&states[key], &op, &ret)
                .expect("the object is correct");
            if !unknown {
                outcome = Outcome::Ok(ret);
            }
        }
        let times = (Duration::from_nanos(start), Duration::from_nanos(end));
        records.push(Record::new(client, op, outcome, times.0, times.1));
    }
    records.sort_by_key(|r| r.invoked);
    records
}
