//! Session guarantees, causal order, staleness, convergence; effects, messages, sums; the matrix. Each checker with a history
//! that breaks its rule, and the repaired twin.

use squall::history::*;
use std::fmt::Debug;
use std::time::Duration;

type Store = History<KeyValueOp<&'static str, u32>, KeyValueRet<u32>>;

/// A store's history, one operation after another: client, `r` or `w`, key, value (0: none).
fn store(operations: &[(&str, char, &'static str, u32)]) -> Store {
    let history = History::new();
    for &(client, what, key, value) in operations {
        let client = history.client(client);
        match what {
            'w' => client
                .invoke(KeyValueOp::Put(key, value))
                .ok(KeyValueRet::Done),
            'u' => client.invoke(KeyValueOp::Put(key, value)).unknown(),
            'd' => client.invoke(KeyValueOp::Delete(key)).ok(KeyValueRet::Done),
            _ => {
                let value = Some(value).filter(|v| *v > 0);
                client
                    .invoke(KeyValueOp::Get(key))
                    .ok(KeyValueRet::Value(value));
            }
        }
    }
    history
}

fn sessions(operations: &[(&str, char, &'static str, u32)]) -> Sessions {
    Sessions::of(&store(operations), KeyValueOp::accesses).expect("fit")
}

fn breaks<T: Debug>(said: Result<T, CheckError>, rule: &str, words: &str) {
    let error = said.expect_err("the rule is broken");
    let text = error.to_string();
    println!("{text}\n");
    let counterexample = error
        .counterexample()
        .unwrap_or_else(|| panic!("decided: {text}"));
    assert_eq!(counterexample.rule, rule, "{text}");
    assert!(!counterexample.operations.is_empty(), "{text}");
    assert!(text.contains(words), "{text}");
    assert_eq!(format!("{error:?}"), text);
}

fn refuses<T: Debug>(said: Result<T, CheckError>, words: &str) {
    let error = said.expect_err("refused");
    assert!(matches!(error, CheckError::Unfit { .. }), "{error}");
    assert!(error.to_string().contains(words), "{error}");
}

#[test]
fn reads_that_go_back_are_found() {
    let older = sessions(&[
        ("a", 'w', "x", 1),
        ("a", 'w', "x", 2),
        ("b", 'r', "x", 2),
        ("b", 'r', "x", 1),
    ]);
    breaks(older.monotonic_reads(), "monotonic reads", "older version");
    let initial = sessions(&[("a", 'w', "x", 1), ("b", 'r', "x", 1), ("b", 'r', "x", 0)]);
    breaks(
        initial.monotonic_reads(),
        "monotonic reads",
        "older version",
    );
    // The writes are concurrent, but no order of them fits.
    let back = [
        ("a", 'w', "x", 1),
        ("b", 'w', "x", 2),
        ("c", 'r', "x", 1),
        ("c", 'r', "x", 2),
    ];
    sessions(&back).monotonic_reads().expect("it went on");
    let again = sessions(&[&back[..], &[("c", 'r', "x", 1)]].concat());
    breaks(again.monotonic_reads(), "monotonic reads", "seen between");
    // Two clients may differ.
    let two = sessions(&[
        ("a", 'w', "x", 1),
        ("a", 'w', "x", 2),
        ("b", 'r', "x", 2),
        ("c", 'r', "x", 1),
    ]);
    two.monotonic_reads().expect("each goes on");
    // Where a key was taken away, nothing is known of an absent value.
    let gone = sessions(&[
        ("a", 'w', "x", 1),
        ("b", 'r', "x", 1),
        ("a", 'd', "x", 0),
        ("b", 'r', "x", 0),
    ]);
    gone.monotonic_reads().expect("it was deleted");
}

#[test]
fn own_writes_that_are_missed_are_found() {
    let missed = sessions(&[("a", 'w', "x", 1), ("a", 'r', "x", 0)]);
    breaks(
        missed.read_your_writes(),
        "read your writes",
        "its own client wrote",
    );
    let older = sessions(&[
        ("b", 'w', "x", 1),
        ("a", 'r', "x", 1),
        ("a", 'w', "x", 2),
        ("a", 'r', "x", 1),
    ]);
    breaks(
        older.read_your_writes(),
        "read your writes",
        "its own client wrote",
    );
    sessions(&[("a", 'w', "x", 1), ("b", 'w', "x", 2), ("a", 'r', "x", 2)])
        .read_your_writes()
        .expect("replaced");
    sessions(&[("a", 'u', "x", 1), ("a", 'r', "x", 0)])
        .read_your_writes()
        .expect("nobody knows of the write");
    sessions(&[("a", 'w', "x", 1), ("b", 'r', "x", 0)])
        .read_your_writes()
        .expect("not its own");
}

#[test]
fn writes_that_come_out_of_order_are_found() {
    let swapped = [
        ("a", 'w', "x", 1),
        ("a", 'w', "y", 2),
        ("b", 'r', "y", 2),
        ("b", 'r', "x", 0),
    ];
    breaks(
        sessions(&swapped).monotonic_writes(),
        "monotonic writes",
        "written before that",
    );
    let reply = [
        ("a", 'w', "x", 1),
        ("b", 'r', "x", 1),
        ("b", 'w', "y", 2),
        ("c", 'r', "y", 2),
        ("c", 'r', "x", 0),
    ];
    breaks(
        sessions(&reply).writes_follow_reads(),
        "writes follow reads",
        "read before that",
    );
    sessions(&reply)
        .monotonic_writes()
        .expect("of different clients");
    breaks(sessions(&reply).causal(), "causal", "misses a write");
    let mended = [&reply[..4], &[("c", 'r', "x", 1)]].concat();
    let mended = sessions(&mended);
    mended.writes_follow_reads().expect("mended");
    mended.monotonic_writes().expect("mended");
    mended.causal().expect("mended");
}

#[test]
fn causal_order_is_kept_or_not() {
    let replaced = [
        ("a", 'w', "x", 1),
        ("b", 'r', "x", 1),
        ("b", 'w', "x", 2),
        ("c", 'r', "x", 2),
        ("c", 'r', "x", 1),
    ];
    breaks(sessions(&replaced).causal(), "causal", "replaced before it");
    // Concurrent writes may be seen in either order.
    let concurrent = [
        ("a", 'w', "x", 1),
        ("b", 'w', "x", 2),
        ("c", 'r', "x", 1),
        ("c", 'r', "x", 2),
        ("d", 'r', "x", 2),
        ("d", 'r', "x", 1),
    ];
    sessions(&concurrent).causal().expect("concurrent");
    let circle = store(&[
        ("a", 'r', "x", 1),
        ("a", 'w', "y", 1),
        ("b", 'r', "y", 1),
        ("b", 'w', "x", 1),
    ]);
    breaks(
        Sessions::of(&circle, KeyValueOp::accesses),
        "causal",
        "the last before the first",
    );
    let nowhere = store(&[("a", 'r', "x", 7)]);
    breaks(
        Sessions::of(&nowhere, KeyValueOp::accesses),
        "read what was written",
        "nobody wrote",
    );
    let twins = store(&[("a", 'w', "x", 1), ("b", 'w', "x", 1)]);
    refuses(
        Sessions::of(&twins, KeyValueOp::accesses),
        "a value of its own",
    );
}

#[test]
fn staleness_is_bounded_by_time_and_versions() {
    let ms = Duration::from_millis;
    let put = |n: u64, at: u64| {
        Record::new(
            "a",
            KeyValueOp::Put("x", n),
            Outcome::Ok(KeyValueRet::Done),
            ms(at),
            ms(at + 1),
        )
    };
    let get = |n: u64, at: u64| {
        let got = Outcome::Ok(KeyValueRet::Value(Some(n)));
        Record::new("b", KeyValueOp::Get("x"), got, ms(at), ms(at + 1))
    };
    let history: History<_, _> = [put(1, 0), put(2, 10), put(3, 20), put(4, 30), get(2, 40)]
        .into_iter()
        .collect();
    let sessions = Sessions::of(&history, KeyValueOp::accesses).expect("fit");
    sessions
        .bounded_staleness(ms(19))
        .expect("replaced at 21 ms");
    breaks(
        sessions.bounded_staleness(ms(18)),
        "fresh enough",
        "replaced 19 ms before it",
    );
    sessions.bounded_versions(2).expect("two are newer");
    breaks(
        sessions.bounded_versions(1),
        "fresh enough",
        "misses 2 newer versions",
    );
    // What is under way need not be seen.
    let history: History<_, _> = [put(1, 0), put(2, 39), get(1, 40)].into_iter().collect();
    let sessions = Sessions::of(&history, KeyValueOp::accesses).expect("fit");
    sessions
        .bounded_staleness(Duration::ZERO)
        .expect("concurrent");
    sessions.bounded_versions(0).expect("concurrent");
}

#[test]
fn replicas_converge_or_not() {
    let of = |history: &Store| {
        Sessions::of(history, KeyValueOp::accesses)
            .expect("fit")
            .converged()
    };
    let history = store(&[
        ("a", 'w', "x", 1),
        ("b", 'w', "x", 2),
        ("a", 'r', "x", 1),
        ("b", 'r', "x", 2),
    ]);
    refuses(of(&history), "quiet_from_now");
    history.quiet_from_now();
    refuses(of(&history), "no key was read twice");
    let read = |client: &str, value| {
        history
            .client(client)
            .invoke(KeyValueOp::Get("x"))
            .ok(KeyValueRet::Value(value));
    };
    read("r1", Some(1));
    refuses(of(&history), "no key was read twice");
    read("r2", Some(1));
    of(&history).expect("it converged");
    read("r3", Some(2));
    breaks(of(&history), "converged", "see different versions");
    let lost = store(&[("a", 'w', "x", 1)]);
    lost.quiet_from_now();
    lost.client("b")
        .invoke(KeyValueOp::Get("x"))
        .ok(KeyValueRet::Value(None));
    breaks(of(&lost), "converged", "nothing is left");
    let late = store(&[]);
    late.quiet_from_now();
    late.client("b")
        .invoke(KeyValueOp::Put("x", 1))
        .ok(KeyValueRet::Done);
    refuses(of(&late), "writes after that");
}

#[test]
fn effects_are_counted() {
    let history = History::new();
    let client = history.client("orders");
    client.invoke(1).ok("accepted");
    client.invoke(2).failed();
    client.invoke(3).unknown();
    client.invoke(4).ok("accepted");
    let effects = Effects::of(&history, |id| Some(*id));
    for right in [vec![1, 4], vec![4, 3, 1]] {
        effects.exactly_once(right.clone()).expect("right");
        effects.at_most_once(right.clone()).expect("right");
        effects.at_least_once(right).expect("right");
    }
    breaks(effects.exactly_once([1]), "exactly once", "4 is lost");
    breaks(effects.at_least_once([1, 1]), "at least once", "4 is lost");
    effects.at_most_once([1]).expect("may be lost");
    breaks(
        effects.exactly_once([1, 4, 4]),
        "exactly once",
        "4 is there 2 times",
    );
    breaks(
        effects.at_most_once([3, 3]),
        "at most once",
        "3 is there 2 times",
    );
    effects
        .at_least_once([1, 4, 4, 3, 3])
        .expect("may be there more often");
    for seen in [[1, 4, 2], [1, 2, 4]] {
        breaks(
            effects.exactly_once(seen),
            "exactly once",
            "though asking for it failed",
        );
        breaks(
            effects.at_most_once(seen),
            "at most once",
            "though asking for it failed",
        );
        breaks(
            effects.at_least_once(seen),
            "at least once",
            "though asking for it failed",
        );
    }
    let text = effects
        .exactly_once([1, 4, 9])
        .expect_err("unasked")
        .to_string();
    assert!(
        text.contains("9 is there, and nobody asked for it"),
        "{text}"
    );
}

#[test]
fn messages_keep_their_order_or_not() {
    let history = History::new();
    let (a, b) = (history.client("a"), history.client("b"));
    for n in 0..3 {
        a.invoke(("a", n)).ok(());
        b.invoke(("b", n)).ok(());
    }
    let sent = Effects::of(&history, |message| Some(*message));
    sent.in_order([("b", 0), ("a", 0), ("a", 1), ("a", 0), ("b", 2), ("a", 2)])
        .expect("each sender's own order");
    breaks(
        sent.in_order([("a", 1), ("b", 0), ("a", 0)]),
        "in order",
        "(\"a\", 1) comes before (\"a\", 0)",
    );
}

#[test]
fn sums_are_conserved_or_not() {
    #[derive(Clone, Debug)]
    enum Op {
        Deposit(i128),
        Transfer,
        Sum,
    }
    let flow = |op: &Op, ret: Option<&i128>| match (op, ret) {
        (Op::Deposit(n), _) => Flow::Change(*n),
        (Op::Sum, Some(sum)) => Flow::Saw(*sum),
        _ => Flow::Nothing,
    };
    let bank = Conservation::of(100);
    let history: History<Op, i128> = History::new();
    refuses(bank.check(&history, flow), "no operation saw one");
    let (a, b) = (history.client("a"), history.client("b"));
    a.invoke(Op::Transfer).ok(0);
    a.invoke(Op::Deposit(20)).ok(0);
    b.invoke(Op::Sum).ok(120);
    let under_way = a.invoke(Op::Deposit(5));
    b.invoke(Op::Sum).ok(125);
    b.invoke(Op::Sum).ok(120);
    drop(under_way);
    b.invoke(Op::Sum).ok(125);
    a.invoke(Op::Deposit(1)).failed();
    b.invoke(Op::Sum).ok(120);
    bank.check(&history, flow).expect("each of these may be");
    b.invoke(Op::Sum).ok(121);
    breaks(
        bank.check(&history, flow),
        "conserved",
        "saw 121, which must be 120 or 125",
    );
}

#[test]
fn a_matrix_asks_of_each_operation_what_was_promised() {
    let check = |matrix: &Matrix, history: &Store| {
        // What is read from the cache is another operation.
        let name = |op: &KeyValueOp<&str, u32>| match op {
            KeyValueOp::Get(key) if key.starts_with("feed") => "list",
            op => op.name(),
        };
        matrix.check(history, &KeyValue::new(), name, KeyValueOp::accesses)
    };
    let matrix = Matrix::new().strong(["get", "put"]).eventual(["list"]);
    let history = store(&[
        ("a", 'w', "x", 1),
        ("b", 'r', "x", 1),
        ("a", 'w', "feed", 1),
        ("b", 'r', "feed", 0),
    ]);
    history.quiet_from_now();
    for (client, value) in [("b", 1), ("c", 1)] {
        history
            .client(client)
            .invoke(KeyValueOp::Get("feed"))
            .ok(KeyValueRet::Value(Some(value)));
    }
    check(&matrix, &history).expect("the list was late, which is allowed");
    let strict = Matrix::new().strong(["get", "put", "list"]);
    breaks(check(&strict, &history), "linearizable", "declared strong");
    history
        .client("d")
        .invoke(KeyValueOp::Get("feed"))
        .ok(KeyValueRet::Value(None));
    breaks(check(&matrix, &history), "converged", "declared eventual");

    let causal = Matrix::new().causal(["get", "put"]);
    let late = store(&[("a", 'w', "x", 1), ("b", 'r', "x", 0)]);
    check(&causal, &late).expect("nobody told b");
    let own = store(&[("a", 'w', "x", 1), ("a", 'r', "x", 0)]);
    breaks(check(&causal, &own), "causal", "declared causal");
    // A strong read sees what a weaker write wrote, whenever that came.
    let mixed = Matrix::new().strong(["get"]).causal(["put"]);
    check(
        &mixed,
        &store(&[("a", 'w', "x", 1), ("b", 'r', "x", 0), ("b", 'r', "x", 1)]),
    )
    .expect("it came late");
    let back = store(&[("a", 'w', "x", 1), ("b", 'r', "x", 1), ("c", 'r', "x", 0)]);
    breaks(check(&mixed, &back), "linearizable", "declared strong");

    refuses(
        check(&Matrix::new().strong(["get", "putt"]), &late),
        "did you mean `putt`?",
    );
    refuses(
        matrix.knows_only(&["get", "put", "lists"]),
        "no operation `list`; did you mean `lists`?",
    );
    matrix
        .knows_only(&["get", "put", "list"])
        .expect("all known");
}
