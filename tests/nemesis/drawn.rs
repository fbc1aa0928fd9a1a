//! Faults that the seed draws.

use super::{MS, body, echo, found, seeds, sleep, three};
use squall::{FaultKind, HostState, Nemesis, NemesisOptions, Sim};
use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write;
use std::time::Duration;

/// Without the runs that have no faults, and with more of them.
fn busy() -> NemesisOptions {
    NemesisOptions {
        calm: 0.0,
        enabled: Some(0.5),
        period: 200 * MS..=400 * MS,
        ..NemesisOptions::default()
    }
}

#[squall::test(seeds = 60, audit = 100, flavor = "current_thread")]
async fn limits_are_kept(sim: Sim) {
    let names = ["a", "b", "c", "d", "e"];
    for name in names {
        sim.host(name, echo);
    }
    sim.nemesis(Nemesis::all().options(busy()).keeping_quorum(names));
    for _ in 0..100 {
        sleep(150 * MS).await;
        let hosts = sim.hosts().into_iter();
        let down = hosts.filter(|host| host.state() != HostState::Running);
        assert!(down.count() <= 2);
        assert!(sim.faults().len() <= 3);
    }
}

#[squall::test(seeds = 60, audit = 100, flavor = "current_thread")]
async fn only_what_is_named_is_hit(sim: Sim) {
    three(&sim);
    sim.nemesis(
        Nemesis::all()
            .without([FaultKind::Pause, FaultKind::Crash])
            .between("a", "b")
            .crashing("c")
            .options(busy()),
    );
    for _ in 0..100 {
        sleep(50 * MS).await;
        for fault in sim.faults() {
            let on_links = ["a", "b"];
            let links = fault.hosts.iter().all(|host| on_links.contains(&&**host));
            assert!(links || fault.hosts == ["c"], "{fault:?}");
            assert!(!matches!(fault.kind, FaultKind::Pause | FaultKind::Crash));
        }
    }
}

/// In how many of so many runs something happens, as the body says.
fn count<F, Fut>(name: &str, runs: u64, of: F) -> usize
where
    F: Fn(Sim) -> Fut + Send + Sync + Copy + 'static,
    Fut: Future<Output = bool>,
{
    // Runs are in processes of their own; what they find goes through a file, a line for each seed.
    let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let to = file.clone();
    seeds(runs).audit(0).check(body(move |sim: Sim| {
        let to = to.clone();
        async move {
            let line = format!("{}\n", sim.seed());
            if of(sim).await {
                let file = OpenOptions::new().append(true).create(true).open(to);
                file.unwrap().write_all(line.as_bytes()).unwrap();
            }
        }
    }));
    let found = std::fs::read_to_string(&file).unwrap_or_default();
    let _ = std::fs::remove_file(&file);
    found.lines().collect::<BTreeSet<_>>().len()
}

/// Whether a nemesis breaks something within ten seconds.
async fn breaks(sim: &Sim, nemesis: Nemesis) -> bool {
    three(sim);
    sim.nemesis(nemesis);
    for _ in 0..100 {
        sleep(100 * MS).await;
        if !sim.faults().is_empty() {
            return true;
        }
    }
    false
}

#[test]
fn a_fifth_of_the_runs_is_calm_and_most_others_are_not() {
    let broken = count("calm", 200, |sim| async move {
        breaks(&sim, Nemesis::all()).await
    });
    // Of the four fifths, some have no kind of fault, or none that strikes in time.
    assert!((120..=165).contains(&broken), "{broken} of 200");
}

#[test]
fn a_single_kind_is_there_in_each_run_that_is_not_calm() {
    let broken = count("single", 100, |sim| async move {
        breaks(&sim, Nemesis::all().only([FaultKind::Partition])).await
    });
    assert!((60..=90).contains(&broken), "{broken} of 100");
}

#[test]
fn without_chaos_nothing_breaks() {
    let broken = count("none", 50, |sim| async move {
        let options = NemesisOptions {
            calm: 1.0,
            ..NemesisOptions::default()
        };
        breaks(&sim, Nemesis::all().options(options)).await
    });
    assert_eq!(broken, 0);
}

/// Whether two faults are in force at once between two moments. One more may be every five seconds.
async fn combined(sim: Sim, from: Duration, to: Duration) -> bool {
    three(&sim);
    let options = NemesisOptions {
        escalation: 5000 * MS..=5000 * MS,
        firing: 0.9,
        ..busy()
    };
    sim.nemesis(Nemesis::all().options(options));
    sleep(from).await;
    while sim.elapsed() < to {
        sleep(20 * MS).await;
        if sim.faults().len() > 1 {
            return true;
        }
    }
    false
}

#[test]
fn faults_begin_alone() {
    let early = count("early", 50, |sim| combined(sim, Duration::ZERO, 4900 * MS));
    assert_eq!(early, 0);
}

#[test]
fn faults_are_combined_later() {
    let late = count("late", 50, |sim| combined(sim, 5000 * MS, 20_000 * MS));
    assert!(late > 35, "{late} of 50");
}

#[test]
fn the_page_of_a_failure_shows_the_options_and_the_faults_in_force() {
    let failing = body(|sim: Sim| async move {
        three(&sim);
        sim.nemesis(Nemesis::all().only([FaultKind::Pause]).options(busy()));
        for _ in 0..1000 {
            sleep(20 * MS).await;
            let paused = sim
                .hosts()
                .into_iter()
                .any(|h| h.state() == HostState::Paused);
            assert!(!paused, "somebody is paused");
        }
    });
    let page = found(
        seeds(20).run(failing),
        &[
            "somebody is paused",
            "\n  nemesis, every ",
            "one more at once after ",
            ": pause up to ",
            "; in force in the end:\n    pause a for ",
            "world: a is paused",
            "fault begins: pause a for ",
        ],
    );
    assert!(page.contains("shrunk from"), "{page}");
    assert!(page.contains("  1 fault; "), "{page}");
}
