//! The end of faults, and rest.

use super::{MS, answers, body, echo, secs, seeds, sleep, three};
use squall::{Fault, HostState, Nemesis, NemesisOptions, Plan, Sim};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const LONG: Duration = Duration::from_secs(1000);

#[squall::test(seeds = 40, audit = 100)]
async fn after_heal_everything_is_as_at_the_start(sim: Sim) {
    three(&sim);
    let more = sim.host("d", echo);
    let options = NemesisOptions {
        calm: 0.0,
        enabled: Some(1.0),
        period: 100 * MS..=300 * MS,
        ..NemesisOptions::default()
    };
    sim.nemesis(Nemesis::all().options(options));
    sleep(secs(8)).await;
    // What the test broke itself is healed, too.
    sim.crash("d");
    sim.partition("a", "test");
    sim.heal().await;
    assert!(sim.faults().is_empty());
    for host in sim.hosts() {
        assert_eq!(host.state(), HostState::Running, "{}", host.name());
    }
    sleep(10 * MS).await;
    for name in ["a", "b", "c"] {
        assert!(answers(name, secs(1)).await, "{name}");
    }
    assert!(answers(more.name(), secs(1)).await);
    // And nothing begins anew.
    for _ in 0..100 {
        sleep(50 * MS).await;
        assert!(sim.faults().is_empty());
    }
    sim.settle().await.unwrap();
}

#[squall::test(seeds = 20, audit = 100)]
async fn heal_waits_for_stalls_and_ends_plans(sim: Sim) {
    three(&sim);
    sim.nemesis(
        Plan::new()
            .at(secs(1), Fault::stall("a"))
            .lasting(secs(7))
            .at(secs(1), Fault::kill("b"))
            .at(secs(3), Fault::crash("c")),
    );
    sleep(secs(2)).await;
    assert_eq!(sim.get("b").state(), HostState::Stopped);
    sim.heal().await;
    let now = sim.elapsed();
    assert!(now >= secs(8) && now < secs(8) + 100 * MS, "{now:?}");
    assert_eq!(sim.get("b").state(), HostState::Running);
    sleep(secs(3)).await;
    assert_eq!(sim.get("c").state(), HostState::Running, "the plan is over");
}

#[squall::test(seeds = 20, audit = 100)]
async fn healed_programs_are_not_buggified(sim: Sim) {
    let fired = || (0..20).filter(|_| squall::buggify!(1.0)).count();
    let before = fired();
    squall::sometimes!(before == 20, "a place that is enabled fires");
    sim.heal().await;
    assert_eq!(fired(), 0);
    sim.buggify(true);
    assert_eq!(fired(), before);
}

#[squall::test(seeds = 40, audit = 100)]
async fn a_quorum_is_healed_and_the_rest_stays_broken(sim: Sim) {
    three(&sim);
    sim.nemesis(
        Plan::new()
            .at(secs(1), Fault::crash("a"))
            .at(secs(1), Fault::pause("b"))
            .at(secs(1), Fault::partition("a", ["b", "c"]))
            .at(secs(1), Fault::loss("test", "c", 1.0)),
    );
    sleep(secs(2)).await;
    let quorum = sim.heal_quorum(["a", "b", "c"]).await;
    let names: Vec<&str> = quorum.iter().map(|host| host.name()).collect();
    assert_eq!(names.len(), 2);
    sleep(100 * MS).await;
    for name in ["a", "b", "c"] {
        let up = answers(name, secs(1)).await;
        assert_eq!(up, names.contains(&name), "{name} of {names:?}");
    }
    assert!(!sim.faults().is_empty());
    sim.heal().await;
    assert!(sim.faults().is_empty() && answers("a", secs(1)).await);
}

#[squall::test(seeds = 40, audit = 100)]
async fn settle_waits_for_packets_and_near_timers_but_not_for_far_ones(sim: Sim) {
    sim.host("a", echo);
    sim.host("far", || async {
        loop {
            sleep(LONG).await;
        }
    });
    sim.settle().await.unwrap();
    assert!(sim.elapsed() < 10 * MS);
    // A packet that takes longer than the horizon.
    let mut s = TcpStream::connect("a:80").await.unwrap();
    sim.latency("test", "a", secs(3));
    let start = sim.elapsed();
    s.write_all(b"?").await.unwrap();
    sim.settle().await.unwrap();
    assert!(sim.elapsed() >= start + secs(3));
    let mut byte = [0];
    assert_eq!(s.try_read(&mut byte).unwrap(), 1);
    // A timer that is near, on another task of the same runtime.
    let start = sim.elapsed();
    let near = tokio::spawn(sleep(900 * MS));
    sim.settle().await.unwrap();
    assert!(near.is_finished() && sim.elapsed() >= start + 900 * MS);
    let far = tokio::spawn(sleep(secs(2)));
    sim.settle().await.unwrap();
    assert!(!far.is_finished());
    sim.settle().idle_for(secs(3)).await.unwrap();
    assert!(far.is_finished());
    drop(s.read(&mut byte));
}

#[squall::test(seeds = 10, audit = 100)]
async fn what_does_not_settle_is_named(sim: Sim) {
    sim.host("busy", || async {
        loop {
            sleep(100 * MS).await;
        }
    });
    let unsettled = sim.settle().at_most(secs(5)).await.unwrap_err();
    let text = unsettled.to_string();
    assert!(
        text.starts_with("the world did not settle in 5s: thread busy#"),
        "{text}"
    );
    assert!(text.contains("on busy has a timer at 5."), "{text}");
    sim.settle().idle_for(50 * MS).await.unwrap();
}

/// What is said of a test that gets stuck after five seconds of faults.
fn stuck(spins: bool) -> String {
    let body = body(move |sim: Sim| async move {
        three(&sim);
        let options = NemesisOptions {
            calm: 0.0,
            enabled: Some(1.0),
            ..NemesisOptions::default()
        };
        sim.nemesis(Nemesis::all().options(options));
        sleep(secs(5)).await;
        loop {
            if spins {
                std::hint::black_box(std::time::Instant::now());
            } else {
                std::future::pending::<()>().await;
            }
        }
        #[allow(unreachable_code, reason = "the type of the outcome")]
        ()
    });
    seeds(3).run(body).unwrap_err().to_string()
}

#[test]
fn a_nemesis_hides_no_deadlock() {
    let page = stuck(false);
    assert!(page.contains(": deadlock"), "{page}");
    assert!(!page.contains("nemesis on test"), "{page}");
}

/// A livelock is called after millions of calls, and what is shrunk is run again and again: cargo test --test nemesis -- --ignored livelock
#[test]
#[ignore = "takes a minute in a debug build"]
fn a_nemesis_hides_no_livelock() {
    let page = stuck(true);
    assert!(page.contains(": livelock"), "{page}");
}

#[squall::test(seeds = 10, audit = 100)]
async fn a_nemesis_keeps_no_run_alive(sim: Sim) {
    three(&sim);
    sim.nemesis(Nemesis::all());
    sim.nemesis(Plan::new().at(LONG, Fault::crash("a")));
    sleep(secs(1)).await;
    assert!(sim.elapsed() < secs(2));
}
