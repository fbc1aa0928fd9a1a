//! Every way to fail, over every protocol, as its clients see it; and the calls as the dependency recorded them.

use crate::clients::{PATIENCE, Seen, frame, get, line};
use crate::{MS, S, sleep};
use axum::extract::Path;
use axum::routing::get as on_get;
use squall::dependency::{FailureTarget, Outcome, Stub, http_fn};
use squall::{Behaviour, FailureMode, Fault, Plan, Sim};
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Lines,
    Frames,
    Function,
    Axum,
}

const KINDS: [Kind; 4] = [Kind::Lines, Kind::Frames, Kind::Function, Kind::Axum];

fn start(sim: &Sim, kind: Kind, behaviour: Behaviour) -> Stub {
    match kind {
        Kind::Lines => sim.line_dependency("dep", 7000, behaviour, |line| async move {
            format!("hello {line}")
        }),
        Kind::Frames => sim.framed_dependency("dep", 7000, behaviour, |frame| async move {
            [b"hello ", &frame[..]].concat()
        }),
        Kind::Function => {
            let reply =
                http_fn(|request| async move { format!("hello {}", &request.uri().path()[1..]) });
            sim.http_dependency("dep", 7000, behaviour, reply)
        }
        Kind::Axum => {
            let hello = |Path(name): Path<String>| async move { format!("hello {name}") };
            let router = axum::Router::new().route("/{name}", on_get(hello));
            sim.http_dependency("dep", 7000, behaviour, router)
        }
    }
}

async fn call(kind: Kind) -> Seen {
    match kind {
        Kind::Lines => line("dep:7000", "you").await,
        Kind::Frames => frame("dep:7000", b"you").await,
        Kind::Function | Kind::Axum => get("http://dep:7000/you").await,
    }
}

/// What a client of the kind sees, and the least and the most time that it takes.
fn expected(kind: Kind, mode: FailureMode) -> (String, Duration, Duration) {
    let at_once = |what: &str| (what.to_owned(), Duration::ZERO, 10 * MS);
    let http = matches!(kind, Kind::Function | Kind::Axum);
    match mode {
        FailureMode::Status(status) if http => at_once(&format!("status {status}")),
        FailureMode::Status(500) => at_once("ERR 500 Internal Server Error"),
        FailureMode::Status(503) => at_once("ERR 503 Service Unavailable"),
        FailureMode::Status(429) => at_once("ERR 429 Too Many Requests"),
        FailureMode::Timeout => ("timeout".to_owned(), PATIENCE, PATIENCE + 10 * MS),
        FailureMode::Drip { .. } if http => ("hello you".to_owned(), S, 5 * S),
        // A line has 10 bytes, a frame 13.
        FailureMode::Drip { .. } => ("hello you".to_owned(), 190 * MS, 300 * MS),
        FailureMode::Slow(by) => ("hello you".to_owned(), by, by + 10 * MS),
        other => at_once(other.name()),
    }
}

/// The modes of an audit, with times that fit the clients' patience.
fn modes() -> Vec<FailureMode> {
    let mut modes = FailureMode::ALL.to_vec();
    for mode in &mut modes {
        match mode {
            FailureMode::Drip { every, .. } => *every = 20 * MS,
            FailureMode::Slow(by) => *by = 5 * S,
            _ => {}
        }
    }
    modes
}

async fn every_mode(sim: Sim, kind: Kind) {
    let dep = start(&sim, kind, Behaviour::healthy());
    sleep(10 * MS).await;
    let mut calls = 0;
    for mode in modes() {
        // The twin: nothing is broken, nothing is seen.
        let healthy = call(kind).await;
        healthy.is("hello you");
        assert!(healthy.1 < 10 * MS, "{kind:?}: {healthy:?}");
        calls += 1;

        dep.break_with(mode);
        let before = sim.elapsed();
        let seen = call(kind).await;
        let (what, least, most) = expected(kind, mode);
        assert_eq!(seen.0, what, "{kind:?}, {mode}: {seen:?}");
        assert!(
            (least..=most).contains(&seen.1),
            "{kind:?}, {mode}: {seen:?}"
        );
        // The other end of a client's giving up arrives later.
        sleep(5 * MS).await;
        let recorded = dep.calls();
        if mode == FailureMode::Refused {
            assert_eq!(recorded.len(), calls, "a refused connection is no call");
            assert!(!dep.is_up());
        } else {
            calls += 1;
            assert_eq!(recorded.len(), calls);
            let last = &recorded[calls - 1];
            assert_eq!(
                last.outcome(),
                Some(Outcome::Failed(mode)),
                "{kind:?}, {mode}"
            );
            assert_eq!(last.client(), "test");
            assert!(last.start() > before && last.end().unwrap() <= sim.elapsed());
            let took = last.took().unwrap();
            assert!(
                took <= seen.1 + 5 * MS && took + 10 * MS >= least,
                "{mode}: {took:?} {seen:?}"
            );
        }
        dep.heal();
        sleep(5 * MS).await;
        assert!(dep.is_up());
    }
    let counts = dep.counts();
    assert_eq!(counts[&Outcome::Answered], modes().len() as u64);
    assert_eq!(counts.len(), modes().len(), "{counts:?}");
}

#[squall::test(seeds = 12, audit = 100)]
async fn lines(sim: Sim) {
    every_mode(sim, Kind::Lines).await;
}

#[squall::test(seeds = 12, audit = 100)]
async fn frames(sim: Sim) {
    every_mode(sim, Kind::Frames).await;
}

#[squall::test(seeds = 12, audit = 100)]
async fn http_by_a_function(sim: Sim) {
    every_mode(sim, Kind::Function).await;
}

#[squall::test(seeds = 12, audit = 100)]
async fn http_by_axum(sim: Sim) {
    every_mode(sim, Kind::Axum).await;
}

/// What is under way when a dependency goes down is reset; what has been answered is not.
#[squall::test(seeds = 20, audit = 100)]
async fn going_down_resets_what_is_open(sim: Sim) {
    let slow = Behaviour::healthy().latency(S);
    for kind in [Kind::Lines, Kind::Axum] {
        let name = format!("{kind:?}");
        let dep = match kind {
            Kind::Lines => sim.line_dependency(&name, 7000, slow.clone(), |l| async move { l }),
            _ => sim.http_dependency(&name, 7000, slow.clone(), http_fn(|_| async { "late" })),
        };
        sleep(10 * MS).await;
        let address = format!("{name}:7000");
        let client = tokio::spawn(async move {
            match kind {
                Kind::Lines => line(&address, "x").await,
                _ => get(&format!("http://{address}/")).await,
            }
        });
        sleep(500 * MS).await;
        dep.break_with(FailureMode::Refused);
        let seen = client.await.unwrap();
        seen.is("reset");
        assert!(seen.1 < 600 * MS, "{seen:?}");
        assert_eq!(dep.calls()[0].outcome(), Some(Outcome::Cut));
        dep.heal();
    }
}

/// The shares of an error mix are what is seen, over many calls; and the twin without one never fails.
#[squall::test(seeds = 4, audit = 100)]
async fn an_error_mix_comes_in_its_shares(sim: Sim) {
    let mix = Behaviour::healthy()
        .error(FailureMode::Status(503), 0.2)
        .error(FailureMode::Reset, 0.1);
    let mixed = sim.http_dependency("mixed", 80, mix, http_fn(|_| async { "fine" }));
    let clean = sim.http_dependency(
        "clean",
        80,
        Behaviour::healthy(),
        http_fn(|_| async { "fine" }),
    );
    sleep(10 * MS).await;
    let (mut fine, mut unavailable, mut reset) = (0, 0, 0);
    for _ in 0..120 {
        match get("http://mixed/").await.0.as_str() {
            "fine" => fine += 1,
            "status 503" => unavailable += 1,
            "reset" => reset += 1,
            other => panic!("{other}"),
        }
    }
    for _ in 0..20 {
        get("http://clean/").await.is("fine");
    }
    // More than five standard deviations off is no accident.
    assert!((4..=46).contains(&unavailable), "{unavailable}");
    assert!((1..=30).contains(&reset), "{reset}");
    let counts = mixed.counts();
    assert_eq!(counts[&Outcome::Answered], fine);
    assert_eq!(counts[&Outcome::Failed(FailureMode::Reset)], reset);
    assert_eq!(clean.counts().len(), 1);
}

#[squall::test(seeds = 8, audit = 100)]
async fn a_part_of_the_calls_can_be_broken(sim: Sim) {
    let dep = start(&sim, Kind::Lines, Behaviour::healthy());
    sleep(10 * MS).await;
    dep.break_some_with(FailureMode::Empty, 0.5);
    let mut empty = 0;
    for _ in 0..60 {
        empty += u32::from(call(Kind::Lines).await.0 == "empty");
    }
    assert!((9..=51).contains(&empty), "{empty}");
    assert_eq!(dep.broken(), Some((FailureMode::Empty, 0.5)));
}

/// Requests that come one after another on one connection are answered in turn, and a drip arrives in pieces.
#[squall::test(seeds = 12, audit = 100)]
async fn a_drip_really_drips(sim: Sim) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let dep = start(&sim, Kind::Lines, Behaviour::healthy());
    sleep(10 * MS).await;
    let mut stream = tokio::net::TcpStream::connect("dep:7000").await.unwrap();
    let drip = FailureMode::Drip {
        bytes: 4,
        every: 50 * MS,
    };
    for (mode, least) in [(None, 1), (Some(drip), 3), (None, 1)] {
        match mode {
            Some(mode) => dep.break_with(mode),
            None => dep.heal(),
        }
        stream.write_all(b"drop\r\n").await.unwrap();
        let mut pieces = Vec::new();
        let mut all = Vec::new();
        while all.last() != Some(&b'\n') {
            let mut buffer = [0; 100];
            let n = stream.read(&mut buffer).await.unwrap();
            pieces.push(sim.elapsed());
            all.extend_from_slice(&buffer[..n]);
        }
        assert_eq!(all, b"hello drop\n");
        assert!(pieces.len() >= least, "{mode:?}: {pieces:?}");
        if mode.is_some() {
            let span = pieces[pieces.len() - 1] - pieces[0];
            assert!(span > 90 * MS && span < 110 * MS, "{pieces:?}");
        }
    }
}

/// An error reply in a protocol's own words.
#[squall::test(seeds = 4, audit = 100)]
async fn a_refusal_can_be_in_the_protocols_words(sim: Sim) {
    let dep = start(&sim, Kind::Lines, Behaviour::healthy());
    sleep(10 * MS).await;
    dep.refuse_with(|status| format!("-LOADING {status}"));
    dep.break_with(FailureMode::Status(503));
    call(Kind::Lines).await.is("-LOADING 503");
}

/// A crash of the host: silence, then what had been under way counts as cut, and the restarted dependency answers.
#[squall::test(seeds = 20, audit = 100)]
async fn a_host_that_crashes_and_comes_back(sim: Sim) {
    let dep = start(
        &sim,
        Kind::Axum,
        Behaviour::healthy().latency(S).capacity(1, 0),
    );
    sleep(10 * MS).await;
    let client = tokio::spawn(call(Kind::Axum));
    sleep(500 * MS).await;
    sim.crash("dep");
    assert!(!dep.is_up());
    sleep(S).await;
    sim.restart("dep");
    sleep(10 * MS).await;
    // Its only slot went with the crash.
    call(Kind::Axum).await.is("hello you");
    assert_eq!(dep.calls()[0].outcome(), Some(Outcome::Cut));
    assert_eq!(dep.calls()[1].outcome(), Some(Outcome::Answered));
    client.await.unwrap().is("timeout");
}

/// Whatever there is can be broken by name.
#[squall::test(seeds = 4, audit = 100)]
async fn every_dependency_is_known_and_breakable(sim: Sim) {
    for (i, kind) in KINDS.into_iter().enumerate() {
        let name = format!("{i}");
        let rest = |_| async { String::new() };
        match kind {
            Kind::Lines => _ = sim.line_dependency(&name, 1, Behaviour::healthy(), rest),
            Kind::Frames => {
                _ = sim.framed_dependency(&name, 1, Behaviour::healthy(), |f| async { f });
            }
            _ => _ = sim.http_dependency(&name, 1, Behaviour::healthy(), http_fn(|_| async { "" })),
        }
    }
    sim.dependency("typed", Behaviour::healthy(), |(): ()| async {});
    let names: Vec<String> = sim
        .dependencies()
        .iter()
        .map(|d| d.name().to_owned())
        .collect();
    assert_eq!(names, ["0", "1", "2", "3", "typed"]);
    for dependency in sim.dependencies() {
        let dependency: &dyn FailureTarget = &dependency;
        for mode in dependency.modes() {
            dependency.break_with(mode);
            dependency.heal();
        }
    }
}

/// A nemesis breaks it for a while, in a way that the seed draws, and heals it.
#[squall::test(seeds = 40, audit = 100)]
async fn a_nemesis_breaks_and_heals_it(sim: Sim) {
    let dep = sim.dependency("dep", Behaviour::healthy(), |n: u8| async move { n });
    let plan = Plan::new()
        .at(S, Fault::broken(dep.clone()))
        .lasting(10 * S);
    sim.nemesis(plan);
    sleep(2 * S).await;
    let (mode, _) = dep.broken().expect("it is broken");
    assert!(FailureMode::ALL.contains(&mode));
    let seen = tokio::time::timeout(S, dep.call(1)).await;
    assert!(!matches!(seen, Ok(Ok(_))), "{mode}: {seen:?}");
    sleep(10 * S).await;
    assert_eq!(dep.broken(), None);
    assert_eq!(dep.call(2).await, Ok(2));
    assert_eq!(dep.counts()[&Outcome::Answered], 1);
}
