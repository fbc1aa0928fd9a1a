//! Each kind of fault as stock tokio and std clients see it: in Squall, and beside it on real Linux, between two network namespaces that
//! the test makes (a pair of virtual cards, `iptables` for silence and loss) or on one of them alone. Both must show what the table says.
//!
//! Namespaces need root, `ip` and `iptables`. Where they cannot be made, the test says so and compares with the recorded column
//! only. `cargo test --test effects -- --nocapture` prints the table.
#![cfg(squall_kernel)]

mod cases;
mod real;
mod server;

use cases::{Act, CASES, World};
use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::rc::Rc;

/// Squall's world: the client is the test's own host.
struct Simulated {
    sim: squall::Sim,
    server: squall::Host,
}

impl World for Simulated {
    fn act(&self, act: Act) {
        let (here, link) = (self.sim.get("test"), self.sim.link("test", &self.server));
        match act {
            Act::Cut => _ = link.partition(),
            Act::Repair => _ = link.repair(),
            Act::Lose(share) => _ = link.loss(share),
            Act::Kill => self.server.kill(),
            Act::Crash => self.server.crash(),
            Act::Restart => self.server.restart(),
            Act::Ports(most) => here.limit_ports(most),
            Act::NoDescriptors => here.limit_descriptors(0),
            Act::Descriptors => here.limit_descriptors(1024),
        }
    }
}

/// Where the runs leave what they saw, for the process that started them.
fn seen_in(case: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("effect-{case}"))
}

/// What each case shows in Squall, under some seeds, each twice.
fn simulated() -> Vec<String> {
    squall::Builder::new()
        .seeds(5)
        .audit(100)
        // Clients of std's wait in the body itself.
        .allow(squall::Detector::BlockingCall.into())
        .check(|sim| async move {
            for case in CASES {
                let server = sim.host(case.name, server::serve);
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                let std::net::IpAddr::V4(address) = server.ip() else {
                    unreachable!("a host has an IPv4 address");
                };
                let sim = sim.clone();
                let world = Rc::new(Simulated { sim, server });
                let seen = (case.client)(world.clone(), address).await;
                world.act(Act::Ports(u16::MAX));
                std::fs::write(seen_in(case.name), &seen).unwrap();
                assert_eq!(seen, case.expected, "{}: {}", case.name, case.fault);
            }
        });
    CASES
        .iter()
        .map(|case| std::fs::read_to_string(seen_in(case.name)).unwrap())
        .collect()
}

#[test]
fn faults_look_as_on_linux() {
    let simulated = simulated();
    let real: Vec<Result<String, String>> = real::all();
    let mut table = String::new();
    let _ = writeln!(table, "{:<44} | {:<58} | Linux", "fault", "Squall");
    let mut different = Vec::new();
    for ((case, simulated), real) in CASES.iter().zip(&simulated).zip(&real) {
        let shown = match real {
            Ok(seen) if seen == simulated => "the same".to_owned(),
            Ok(seen) => {
                different.push(case.name);
                seen.clone()
            }
            Err(why) => format!("recorded only: {why}"),
        };
        let _ = writeln!(table, "{:<44} | {simulated:<58} | {shown}", case.fault);
    }
    println!("{table}");
    if let Some(Err(why)) = real.iter().find(|r| r.is_err()) {
        println!("some rows were compared with recorded expectations only: {why}");
    }
    assert!(
        different.is_empty(),
        "{different:?} differ from Linux:\n{table}"
    );
}

/// The address of nobody, on no network that there is.
pub const NOWHERE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 1);
