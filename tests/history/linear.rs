//! Linearizability and sequential consistency: against brute force, and on histories that are known.

use crate::oracle::{self, Order};
use crate::random::{Random, Shape, correct};
use squall::history::*;
use std::time::Duration;

/// As many random histories of each model as the default run has time for.
const FEW: u64 = 2_000;
const MANY: u64 = 10_000;

fn agrees<M: Model>(
    model: &M,
    histories: u64,
    op: impl Fn(&mut Random) -> M::Op,
    ret: impl Fn(&M::State, &M::Op) -> M::Ret,
    falsify: impl Fn(&mut Random, &mut M::Ret),
) {
    let mut random = Random::new(1);
    let mut verdicts = [[0; 2]; 2];
    for n in 0..histories {
        let shape = Shape {
            clients: 2 + random.below(3),
            operations: 2 + random.below(6),
            unknown: [0, 4][random.below(2) as usize],
            longest: 1 + random.below(12),
        };
        let mut records = correct(model, &mut random, &shape, &op, &ret, |_| 0);
        let lies = random.below(3);
        for _ in 0..lies {
            let at = random.below(records.len() as u64) as usize;
            if let Outcome::Ok(ret) = &mut records[at].outcome {
                falsify(&mut random, ret);
            }
        }
        let history: History<M::Op, M::Ret> = records.iter().cloned().collect();
        for (i, order) in [Order::RealTime, Order::Program].into_iter().enumerate() {
            let right = oracle::has_order(model, &records, order);
            let said = match order {
                Order::RealTime => history.check(model),
                Order::Program => history.check_sequential(model),
            };
            verdicts[i][usize::from(right)] += 1;
            assert_eq!(
                said.is_ok(),
                right,
                "{n}, {order:?}: {said:?}\n{records:#?}"
            );
            if lies == 0 {
                assert!(right, "a correct object");
            }
            if let Err(error) = said {
                let counterexample = error.counterexample().expect("decided");
                let few: Vec<_> = counterexample
                    .operations
                    .iter()
                    .map(|i| records[*i].clone())
                    .collect();
                assert!(
                    !oracle::has_order(model, &few, order),
                    "{n}: {error}\n{records:#?}"
                );
            }
        }
    }
    // Both verdicts were met often.
    assert!(
        verdicts.iter().flatten().all(|n| *n > histories / 20),
        "{verdicts:?}"
    );
}

fn registers(histories: u64) {
    let op = |r: &mut Random| match r.below(2) {
        0 => RegisterOp::Read,
        _ => RegisterOp::Write(r.below(4)),
    };
    let ret = |state: &u64, op: &RegisterOp<u64>| match op {
        RegisterOp::Read => RegisterRet::Value(*state),
        RegisterOp::Write(_) => RegisterRet::Written,
    };
    agrees(&Register::new(0), histories, op, ret, |r, ret| {
        if let RegisterRet::Value(value) = ret {
            *value = r.below(5);
        }
    });
}

fn cas_registers(histories: u64) {
    let op = |r: &mut Random| match r.below(3) {
        0 => CasRegisterOp::Read,
        1 => CasRegisterOp::Write(r.below(3)),
        _ => CasRegisterOp::Cas {
            from: r.below(3),
            to: r.below(3),
        },
    };
    let ret = |state: &u64, op: &CasRegisterOp<u64>| match op {
        CasRegisterOp::Read => CasRegisterRet::Value(*state),
        CasRegisterOp::Write(_) => CasRegisterRet::Written,
        CasRegisterOp::Cas { from, .. } => CasRegisterRet::Swapped(from == state),
    };
    agrees(
        &CasRegister::new(0),
        histories,
        op,
        ret,
        |r, ret| match ret {
            CasRegisterRet::Value(value) => *value = r.below(4),
            CasRegisterRet::Swapped(swapped) => *swapped = !*swapped,
            CasRegisterRet::Written => {}
        },
    );
}

fn counters(histories: u64) {
    let op = |r: &mut Random| match r.below(2) {
        0 => CounterOp::Get,
        _ => CounterOp::Add(r.below(4) as i64 - 1),
    };
    let ret = |state: &i64, op: &CounterOp| match op {
        CounterOp::Get => CounterRet::Value(*state),
        CounterOp::Add(n @ 1) => CounterRet::Value(state + n),
        CounterOp::Add(_) => CounterRet::Done,
    };
    agrees(&Counter::new(), histories, op, ret, |r, ret| {
        if let CounterRet::Value(value) = ret {
            *value += r.below(3) as i64 - 1;
        }
    });
}

fn sets(histories: u64) {
    let op = |r: &mut Random| {
        let item = r.below(3);
        match r.below(4) {
            0 => SetOp::Add(item),
            1 => SetOp::Remove(item),
            2 => SetOp::Contains(item),
            _ => SetOp::Read,
        }
    };
    let ret = |state: &std::collections::BTreeSet<u64>, op: &SetOp<u64>| match op {
        SetOp::Add(0) => SetRet::Done,
        SetOp::Add(item) => SetRet::Was(!state.contains(item)),
        SetOp::Remove(item) | SetOp::Contains(item) => SetRet::Was(state.contains(item)),
        SetOp::Read => SetRet::Items(state.clone()),
    };
    agrees(&Set::new(), histories, op, ret, |r, ret| match ret {
        SetRet::Was(was) => *was = !*was,
        SetRet::Items(items) => {
            let item = r.below(3);
            if !items.remove(&item) {
                items.insert(item);
            }
        }
        SetRet::Done => {}
    });
}

fn queues(histories: u64) {
    let op = |r: &mut Random| match r.below(2) {
        0 => QueueOp::Dequeue,
        _ => QueueOp::Enqueue(r.below(4)),
    };
    let ret = |state: &std::collections::VecDeque<u64>, op: &QueueOp<u64>| match op {
        QueueOp::Enqueue(_) => QueueRet::Done,
        QueueOp::Dequeue => QueueRet::Item(state.front().copied()),
    };
    agrees(&Queue::new(), histories, op, ret, |r, ret| {
        if let QueueRet::Item(item) = ret {
            *item = Some(r.below(5)).filter(|i| *i < 4);
        }
    });
}

fn stores(histories: u64) {
    let text = |n: u64| ["a", "b", "c"][n as usize].to_owned();
    let op = move |r: &mut Random| match r.below(8) {
        0..3 => KeyValueOp::Get("k"),
        3 | 4 => KeyValueOp::Put("k", text(r.below(3))),
        5 => KeyValueOp::Append("k", text(r.below(3))),
        6 => KeyValueOp::Delete("k"),
        _ => KeyValueOp::Cas {
            key: "k",
            from: Some(r.below(4)).filter(|n| *n < 3).map(text),
            to: text(r.below(3)),
        },
    };
    let ret = |state: &Option<String>, op: &KeyValueOp<&'static str, String>| match op {
        KeyValueOp::Get(_) => KeyValueRet::Value(state.clone()),
        KeyValueOp::Put(..) => KeyValueRet::Done,
        KeyValueOp::Append(_, more) if more == "a" => {
            KeyValueRet::Value(Some(state.clone().unwrap_or_default() + more))
        }
        KeyValueOp::Append(..) => KeyValueRet::Done,
        KeyValueOp::Delete(_) => KeyValueRet::Was(state.is_some()),
        KeyValueOp::Cas { from, .. } => KeyValueRet::Swapped(from == state),
    };
    agrees(
        &KeyValue::new(),
        histories,
        op,
        ret,
        move |r, ret| match ret {
            KeyValueRet::Value(value) => *value = Some(r.below(4)).filter(|n| *n < 3).map(text),
            KeyValueRet::Was(flag) | KeyValueRet::Swapped(flag) => *flag = !*flag,
            KeyValueRet::Done => {}
        },
    );
}

macro_rules! against_brute_force {
    ($($few:ident, $many:ident: $what:ident;)*) => { $(
        #[test]
        fn $few() {
            $what(FEW);
        }

        #[test]
        #[ignore = "takes a while: cargo test --release --test history brute_force -- --ignored"]
        fn $many() {
            $what(MANY);
        }
    )* };
}

against_brute_force! {
    registers_agree_with_brute_force, all_registers_agree_with_brute_force: registers;
    cas_registers_agree_with_brute_force, all_cas_registers_agree_with_brute_force: cas_registers;
    counters_agree_with_brute_force, all_counters_agree_with_brute_force: counters;
    sets_agree_with_brute_force, all_sets_agree_with_brute_force: sets;
    queues_agree_with_brute_force, all_queues_agree_with_brute_force: queues;
    stores_agree_with_brute_force, all_stores_agree_with_brute_force: stores;
}

/// A store's history: so many operations of so many clients at so many keys, each with a value of its own.
fn big(
    operations: u64,
    clients: u64,
    keys: u64,
    seed: u64,
) -> Vec<Record<KeyValueOp<usize, u64>, KeyValueRet<u64>>> {
    let mut value = 0;
    let shape = Shape {
        clients,
        operations,
        unknown: 200,
        longest: 60,
    };
    let op = |r: &mut Random| {
        let key = r.below(keys) as usize;
        value += 1;
        match r.below(10) {
            0..5 => KeyValueOp::Get(key),
            5..9 => KeyValueOp::Put(key, value),
            _ => KeyValueOp::Delete(key),
        }
    };
    let ret = |state: &Option<u64>, op: &KeyValueOp<usize, u64>| match op {
        KeyValueOp::Get(_) => KeyValueRet::Value(*state),
        KeyValueOp::Put(..) => KeyValueRet::Done,
        KeyValueOp::Delete(_) => KeyValueRet::Was(state.is_some()),
        _ => unreachable!(),
    };
    let random = &mut Random::new(seed);
    correct(&KeyValue::new(), random, &shape, op, ret, |op| *op.key())
}

#[test]
#[ignore = "prints times: cargo test --release --test history big_histories -- --ignored --nocapture"]
fn big_histories() {
    for keys in [100, 10, 3, 1] {
        for seed in 0..3 {
            let mut records = big(10_000, 50, keys, seed);
            for broken in [false, true] {
                if broken {
                    // A value that was overwritten long ago.
                    let mut last = None;
                    let mut lies = 0;
                    for r in records.iter_mut().skip(7_000) {
                        if let (KeyValueOp::Get(0), Outcome::Ok(KeyValueRet::Value(value))) =
                            (&r.op, &mut r.outcome)
                        {
                            match (&last, lies) {
                                (None, _) => last = Some(*value),
                                (Some(old), 0)
                                    if r.invoked.at > Duration::from_nanos(6_200)
                                        && *old != *value =>
                                {
                                    *value = *old;
                                    lies = 1;
                                }
                                _ => {}
                            }
                        }
                    }
                }
                let history: History<_, _> = records.iter().cloned().collect();
                let start = std::time::Instant::now();
                let said = history.check(&KeyValue::new());
                let took = start.elapsed();
                println!("{keys} keys, seed {seed}, broken {broken}: {took:?}");
                match said {
                    Ok(checked) => println!("   {checked:?}"),
                    Err(error) => println!("   {error}"),
                }
            }
        }
    }
}

#[test]
fn a_stale_read_is_told_in_few_lines() {
    let history = History::new();
    let (a, b, c) = (
        history.client("a"),
        history.client("b"),
        history.client("c"),
    );
    for i in 0..20 {
        a.invoke(KeyValueOp::Put("x", i)).ok(KeyValueRet::Done);
        b.invoke(KeyValueOp::Get("x"))
            .ok(KeyValueRet::Value(Some(i)));
        c.invoke(KeyValueOp::Put("y", i)).ok(KeyValueRet::Done);
    }
    history.check(&KeyValue::new()).expect("nothing is stale");
    b.invoke(KeyValueOp::Get("x"))
        .ok(KeyValueRet::Value(Some(7)));
    let error = history.check(&KeyValue::new()).expect_err("stale");
    let text = error.to_string();
    println!("{text}");
    assert_eq!(
        error.counterexample().expect("one").operations.len(),
        3,
        "{text}"
    );
    assert!(
        text.starts_with("not linearizable at \"x\": 3 of 41 operations show it\n"),
        "{text}"
    );
    assert!(text.contains("b: get \"x\" -> 7: it holds"), "{text}");
}
