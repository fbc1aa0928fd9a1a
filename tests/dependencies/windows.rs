//! Outages, brown-outs and flapping: when they begin and end, as clients see it.

use crate::clients::line;
use crate::{MS, S, elapsed, sleep};
use squall::dependency::{BrownOut, CallError, Outcome, Stub, Window};
use squall::{Behaviour, FailureMode, Sim};
use std::time::Duration;

fn start(sim: &Sim, behaviour: Behaviour) -> Stub {
    sim.line_dependency("dep", 80, behaviour, |line| async { line })
}

/// Calls at these times after the start of the run, and what is expected of them.
async fn at(sim: &Sim, table: &[(Duration, &str)]) {
    for (time, what) in table {
        sleep(time.saturating_sub(elapsed(sim))).await;
        let seen = line("dep:80", "up").await;
        assert_eq!(&seen.0, what, "at {:?}", elapsed(sim));
    }
}

#[squall::test(seeds = 20, audit = 100)]
async fn an_outage_refuses_for_as_long_as_it_lasts(sim: Sim) {
    let outages = Behaviour::healthy()
        .outage(Window::at(10 * S).lasting(5 * S))
        .outage(Window::at(20 * S).lasting(S));
    let dep = start(&sim, outages);
    at(
        &sim,
        &[
            (S, "up"),
            (10 * S - 20 * MS, "up"),
            (10 * S + 20 * MS, "refused"),
            (15 * S - 20 * MS, "refused"),
            (15 * S + 20 * MS, "up"),
            (20 * S + 500 * MS, "refused"),
            (21 * S + 20 * MS, "up"),
        ],
    )
    .await;
    assert_eq!(dep.counts()[&Outcome::Answered], 4);
}

/// Counted from its start, an outage comes back with each start; counted from the run's, it does not.
#[squall::test(seeds = 20, audit = 100)]
async fn windows_may_count_from_the_start(sim: Sim) {
    sleep(S).await;
    start(
        &sim,
        Behaviour::healthy().outage(Window::at(2 * S).lasting(S).since_start()),
    );
    at(
        &sim,
        &[
            (2 * S + 900 * MS, "up"),
            (3 * S + 500 * MS, "refused"),
            (5 * S, "up"),
        ],
    )
    .await;
    sim.bounce("dep");
    at(
        &sim,
        &[
            (6 * S, "up"),
            (7 * S + 500 * MS, "refused"),
            (8 * S + 100 * MS, "up"),
        ],
    )
    .await;
}

#[squall::test(seeds = 20, audit = 100)]
async fn it_flaps(sim: Sim) {
    start(&sim, Behaviour::healthy().flapping(10 * S, 0.8));
    for round in 0..3 {
        let base = round * 10 * S;
        at(
            &sim,
            &[
                (base + S, "up"),
                (base + 7 * S, "up"),
                (base + 8 * S + 500 * MS, "refused"),
                (base + 9 * S + 500 * MS, "refused"),
            ],
        )
        .await;
    }
}

#[squall::test(seeds = 20, audit = 100)]
async fn a_brown_out_is_slow_and_fails_more(sim: Sim) {
    let window = Window::at(10 * S).lasting(10 * S);
    let brown_out = BrownOut::new(window)
        .slower(20.0)
        .error(FailureMode::Status(503), 1.0);
    let dep = start(
        &sim,
        Behaviour::healthy().latency(10 * MS).brown_out(brown_out),
    );
    for (time, what, least, most) in [
        (S, "up", 10 * MS, 20 * MS),
        (11 * S, "ERR 503 Service Unavailable", 200 * MS, 220 * MS),
        (19 * S, "ERR 503 Service Unavailable", 200 * MS, 220 * MS),
        (21 * S, "up", 10 * MS, 20 * MS),
    ] {
        sleep(time.saturating_sub(elapsed(&sim))).await;
        let seen = line("dep:80", "up").await;
        seen.is(what);
        assert!((least..most).contains(&seen.1), "{time:?}: {seen:?}");
    }
    assert_eq!(dep.counts()[&Outcome::Failed(FailureMode::Status(503))], 2);
}

/// A typed double keeps to the same windows.
#[squall::test(seeds = 20, audit = 100)]
async fn a_typed_double_has_outages_too(sim: Sim) {
    let outage = Behaviour::healthy()
        .latency(S)
        .outage(Window::at(10 * S).lasting(5 * S));
    let typed = sim.dependency("typed", outage, |n: u8| async move { n });
    assert_eq!(typed.call(1).await, Ok(1));
    sleep(9 * S + 500 * MS - elapsed(&sim)).await;
    assert_eq!(
        typed.call(1).await,
        Err(CallError::Reset),
        "cut by the outage"
    );
    assert!(elapsed(&sim) < 10 * S + 10 * MS);
    assert_eq!(typed.call(1).await, Err(CallError::Refused));
    sleep(5 * S).await;
    assert_eq!(typed.call(1).await, Ok(1));
}
