//! Faults on a timeline.

use super::{MS, answers, body, echo, secs, seeds, sleep, three};
use squall::{Breakable, Fault, FaultKind, HostState, Nemesis, Plan, Shape, Sim};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::TcpStream;

/// What is in force, by kind.
fn kinds(sim: &Sim) -> Vec<FaultKind> {
    sim.faults().into_iter().map(|fault| fault.kind).collect()
}

#[squall::test(seeds = 20, audit = 100)]
async fn faults_begin_and_end_when_the_plan_says(sim: Sim) {
    three(&sim);
    sleep(100 * MS).await;
    let start = sim.elapsed();
    sim.nemesis(
        Plan::new()
            .at(secs(5), Fault::partition("test", "a"))
            .lasting(secs(10))
            .at(secs(8), Fault::crash("b"))
            .lasting(secs(2))
            .at(secs(9), Fault::pause("c"))
            .lasting(secs(3)),
    );
    sleep(4900 * MS).await;
    assert!(sim.faults().is_empty() && answers("a", 50 * MS).await);
    sleep(150 * MS).await;
    assert!(!answers("a", secs(1)).await);
    let faults = sim.faults();
    assert_eq!(faults.len(), 1);
    assert_eq!(faults[0].kind, FaultKind::Partition);
    assert_eq!(faults[0].hosts, ["test", "a"]);
    let after = faults[0].began - start;
    assert!(after >= secs(5) && after < secs(5) + MS, "{after:?}");
    sleep(start + 9500 * MS - sim.elapsed()).await;
    assert_eq!(
        kinds(&sim),
        [FaultKind::Partition, FaultKind::Crash, FaultKind::Pause]
    );
    assert_eq!(sim.get("b").state(), HostState::Crashed);
    assert_eq!(sim.get("c").state(), HostState::Paused);
    sleep(start + 12_500 * MS - sim.elapsed()).await;
    assert_eq!(kinds(&sim), [FaultKind::Partition]);
    assert!(answers("b", secs(1)).await && answers("c", secs(1)).await);
    sleep(start + 15_500 * MS - sim.elapsed()).await;
    assert!(sim.faults().is_empty() && answers("a", secs(5)).await);
}

#[squall::test(seeds = 20, audit = 100)]
async fn overlapping_faults_of_a_link_end_with_the_last(sim: Sim) {
    sim.host("a", echo);
    sim.latency("test", "a", 5 * MS);
    let slow = |time: u64| Fault::latency("test", "a", time as u32 * MS).one_way();
    sim.nemesis(
        Plan::new()
            .at(secs(1), Fault::partition("test", "a"))
            .lasting(secs(4))
            .at(secs(2), Fault::partition("test", "a").one_way())
            .lasting(secs(8))
            .at(secs(20), slow(100))
            .lasting(secs(4))
            .at(secs(22), slow(300))
            .lasting(secs(4)),
    );
    sleep(secs(7)).await;
    assert!(!answers("a", secs(1)).await, "the second one lasts");
    sleep(secs(10) - sim.elapsed() + 100 * MS).await;
    assert!(answers("a", secs(1)).await);
    let mut trip = Vec::new();
    for at in [21, 23, 25, 27] {
        sleep(secs(at) - sim.elapsed()).await;
        let start = sim.elapsed();
        TcpStream::connect("a:80").await.unwrap();
        trip.push((sim.elapsed() - start).as_millis() as u64);
    }
    let near = |at: usize, ms: u64| trip[at] >= ms && trip[at] <= ms + 2;
    assert!(
        near(0, 100) && near(1, 300) && near(2, 300) && near(3, 5),
        "{trip:?}"
    );
}

#[squall::test(seeds = 20, audit = 100)]
async fn every_kind_can_be_planned(sim: Sim) {
    three(&sim);
    let broken = Arc::new(AtomicBool::new(false));
    struct Switch(Arc<AtomicBool>);
    impl Breakable for Switch {
        fn name(&self) -> String {
            "switch".to_owned()
        }
        fn break_down(&self, _: &mut dyn FnMut(u64) -> u64) -> String {
            self.0.store(true, Ordering::SeqCst);
            "it is off".to_owned()
        }
        fn heal(&self) {
            self.0.store(false, Ordering::SeqCst);
        }
    }
    let all = [
        Fault::crash("a"),
        Fault::kill("a"),
        Fault::bounce("a"),
        Fault::pause("a"),
        Fault::stall("a"),
        Fault::jump_clock_back("a", secs(30)),
        Fault::drift_clock("a", 1000),
        Fault::descriptors("a", 1),
        Fault::split(Shape::MajoritiesRing, ["a", "b", "c"]),
        Fault::loss("a", "b", 0.5),
        Fault::latency("a", "b", MS..=5 * MS),
        Fault::bandwidth("a", "b", 1000),
        Fault::duplication("a", "b", 0.5),
        Fault::reordering("a", "b", 0.5, 10 * MS),
        Fault::corruption("a", "b", 0.5),
        Fault::slow_close("a", "b", secs(1)),
        Fault::reset("a", "b"),
        Fault::hold("a", "b").one_way(),
        Fault::swizzle(["a", "b", "c"]),
        Fault::broken(Switch(broken.clone())),
    ];
    let kinds_planned: Vec<FaultKind> = all.iter().map(Fault::kind).collect();
    assert_eq!(kinds_planned, FaultKind::ALL);
    for fault in all {
        let kind = fault.kind();
        sim.nemesis(Plan::new().at(Duration::ZERO, fault).lasting(secs(2)));
        sleep(secs(1)).await;
        let lasts = !matches!(kind, FaultKind::Bounce | FaultKind::Reset);
        assert_eq!(kinds(&sim).len(), usize::from(lasts), "{kind}");
        assert_eq!(broken.load(Ordering::SeqCst), kind == FaultKind::Dependency);
        sleep(secs(2)).await;
        assert!(sim.faults().is_empty(), "{kind}");
        assert!(answers("a", secs(1)).await, "{kind}");
    }
    assert!(!broken.load(Ordering::SeqCst));
}

#[test]
fn a_plan_that_cannot_be_is_refused_with_the_mend() {
    let refused = |plan: fn() -> Nemesis| {
        let body = body(move |sim: Sim| async move {
            three(&sim);
            sim.nemesis(plan());
        });
        seeds(1).run(body).unwrap_err().to_string()
    };
    let text = refused(|| Plan::new().at(secs(1), Fault::crash("d")).into());
    assert!(
        text.contains(r#"there is no host "d"; the hosts are "test", "a""#),
        "{text}"
    );
    let text = refused(|| Plan::new().at(secs(1), Fault::stall("a")).into());
    assert!(
        text.contains("the stall at 1s needs a length: say .lasting(..) after it"),
        "{text}"
    );
    let text = refused(|| {
        let mut options = squall::NemesisOptions::default();
        options.links.loss = 0.5..=1.5;
        Nemesis::all().options(options)
    });
    assert!(
        text.contains("nemesis: loss is a share from 0 to 1, not 1.5"),
        "{text}"
    );
}
