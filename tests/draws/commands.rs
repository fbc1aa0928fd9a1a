//! Commands for a model: one after the other, and of several clients at once.

use super::{failure, holds, says};
use squall::draw::{Draws, Machine};
use squall::history::{KeyValue, KeyValueOp, KeyValueRet, Model};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// A bounded buffer: `Some(n)` puts, `None` takes.
struct Buffer;

const ROOM: usize = 3;

impl Model for Buffer {
    type State = Vec<u64>;
    type Op = Option<u64>;
    type Ret = Option<u64>;

    fn init(&self) -> Vec<u64> {
        Vec::new()
    }

    fn step(&self, state: &Vec<u64>, op: &Option<u64>, ret: &Option<u64>) -> Option<Vec<u64>> {
        (self.expected(state, op)? == *ret).then(|| self.unknown(state, op).remove(0))
    }

    fn unknown(&self, state: &Vec<u64>, op: &Option<u64>) -> Vec<Vec<u64>> {
        let mut state = state.clone();
        match op {
            Some(n) => state.push(*n),
            None => _ = state.remove(0),
        }
        vec![state]
    }

    fn expected(&self, state: &Vec<u64>, op: &Option<u64>) -> Option<Option<u64>> {
        Some(if op.is_some() {
            None
        } else {
            state.first().copied()
        })
    }

    fn show_op(&self, op: &Option<u64>) -> String {
        op.map_or("take".to_owned(), |n| format!("put {n}"))
    }
}

impl Machine for Buffer {
    fn command(&self, _: &Vec<u64>, draws: &mut Draws<'_>) -> Option<u64> {
        draws.flip().then(|| draws.number(0..50))
    }

    fn possible(&self, state: &Vec<u64>, op: &Option<u64>) -> bool {
        match op {
            Some(_) => state.len() < ROOM,
            None => !state.is_empty(),
        }
    }
}

/// A ring of three places; the wrong one forgets where it begins once it has gone round.
struct Ring {
    places: [u64; ROOM],
    begin: usize,
    len: usize,
    wrong: bool,
}

impl Ring {
    fn call(&mut self, op: Option<u64>) -> Result<Option<u64>, ()> {
        match op {
            Some(n) => {
                let at = self.begin + self.len;
                let at = if self.wrong {
                    at.min(ROOM - 1)
                } else {
                    at % ROOM
                };
                self.places[at] = n;
                self.len += 1;
                Ok(None)
            }
            None => {
                let n = self.places[self.begin];
                self.begin = (self.begin + 1) % ROOM;
                self.len -= 1;
                Ok(Some(n))
            }
        }
    }
}

async fn test(sim: squall::Sim, wrong: bool) {
    let mut ring = Ring {
        places: [0; ROOM],
        begin: 0,
        len: 0,
        wrong,
    };
    let ran = sim.commands(Buffer).up_to(30).run(async |op| {
        tokio::task::yield_now().await;
        ring.call(op)
    });
    ran.await;
}

#[test]
fn a_wrong_answer_is_told_with_the_fewest_commands() {
    let failed = failure(256, |sim| test(sim, true));
    assert_eq!(failed.signature, "the system does as its model");
    says(&failed, "the last of ");
    let takes = failed.text.matches(". take -> ").count();
    let puts = failed.text.matches(". put ").count();
    // Three puts go round nothing: what was taken makes room for a fourth, which lands on the third.
    assert!(takes <= 3 && puts <= 4, "{failed}");
    says(&failed, "which would return Some(");
    holds(100, |sim| test(sim, false));
}

impl Machine for Store {
    fn command(&self, _: &Self::State, draws: &mut Draws<'_>) -> Self::Op {
        let key = (*draws.choose(&["a", "b"])).to_owned();
        match draws.flip() {
            true => KeyValueOp::Put(key, draws.number(1..100)),
            false => KeyValueOp::Get(key),
        }
    }
}

/// The key-value model, with commands.
struct Store(KeyValue<String, u64>);

impl Model for Store {
    type State = <KeyValue<String, u64> as Model>::State;
    type Op = KeyValueOp<String, u64>;
    type Ret = KeyValueRet<u64>;

    fn init(&self) -> Self::State {
        self.0.init()
    }
    fn step(&self, state: &Self::State, op: &Self::Op, ret: &Self::Ret) -> Option<Self::State> {
        self.0.step(state, op, ret)
    }
    fn unknown(&self, state: &Self::State, op: &Self::Op) -> Vec<Self::State> {
        self.0.unknown(state, op)
    }
    fn partition(&self, op: &Self::Op) -> Option<String> {
        self.0.partition(op)
    }
    fn show_op(&self, op: &Self::Op) -> String {
        self.0.show_op(op)
    }
}

/// A store whose wrong form answers reads from a copy that is made later.
async fn clients(sim: squall::Sim, wrong: bool) {
    let stored = Arc::new(Mutex::new([BTreeMap::new(), BTreeMap::new()]));
    let machine = Store(KeyValue::new());
    let commands = sim.commands(machine).up_to(6).named("the store is one");
    let ran = commands.run_clients(2, move |_, op| {
        let stored = stored.clone();
        async move {
            tokio::task::yield_now().await;
            Ok::<_, ()>(match op {
                KeyValueOp::Put(key, value) => {
                    stored.lock().unwrap()[0].insert(key.clone(), value);
                    if !wrong {
                        stored.lock().unwrap()[1].insert(key, value);
                    } else {
                        tokio::spawn(async move {
                            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                            stored.lock().unwrap()[1].insert(key, value);
                        });
                    }
                    KeyValueRet::Done
                }
                KeyValueOp::Get(key) => {
                    KeyValueRet::Value(stored.lock().unwrap()[1].get(&key).copied())
                }
                other => panic!("{other:?} is never drawn"),
            })
        }
    });
    ran.await;
}

#[test]
fn commands_of_several_clients_are_held_to_be_linearizable() {
    let failed = failure(256, |sim| clients(sim, true));
    assert_eq!(failed.signature, "the store is one");
    says(&failed, "not linearizable");
    holds(50, |sim| clients(sim, false));
}
