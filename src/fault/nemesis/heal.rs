//! The end of all faults: what is broken is mended, what is down is started, and the world is as if nothing had been. Runs on a thread of the
//! harness's own, since it waits.

use super::board::Board;
use super::draw::label;
use super::script::{Pattern, Undo};
use crate::kernel::{self, HostChange, HostState, LinkChange};

/// Ends every nemesis and every fault, also those that the test made itself: links are as at the start, machines that are down are
/// started, those that are paused go on. Returns when stalls are over, too.
pub(crate) async fn heal(board: &Board) {
    board.stop().await;
    for window in board.windows() {
        board.end(window.id);
    }
    kernel::change_link(None, None, &LinkChange::Default);
    let hosts: Vec<u16> = kernel::hosts().iter().map(|host| host.id).collect();
    for host in &hosts {
        bring_up(*host);
    }
    outlast_stalls(&hosts).await;
}

/// Ends every nemesis, and the faults that hit a majority of these hosts, which the seed chooses, or links between its members and anybody
/// but the rest. That rest keeps its faults. Returns the majority.
pub(crate) async fn heal_quorum(board: &Board, mut hosts: Vec<u16>) -> Vec<u16> {
    board.stop().await;
    let pattern = kernel::draw_planned(label(0, 0, 1), Pattern::COUNT).unwrap_or(0);
    Pattern(pattern).shuffle(&mut hosts);
    let rest = hosts.split_off(hosts.len() / 2 + 1);
    let of_rest = |undo: &Undo| undo.hosts().iter().any(|host| rest.contains(host));
    for window in board.windows() {
        board.end_where(window.id, |undo| !of_rest(undo));
    }
    hosts.sort_unstable();
    for host in &hosts {
        bring_up(*host);
    }
    outlast_stalls(&hosts).await;
    hosts
}

/// A host that is down or paused runs again.
fn bring_up(host: u16) {
    match kernel::host_state(host) {
        HostState::Paused => kernel::change_host(host, HostChange::Resume),
        HostState::Crashed if kernel::had_program(host) => kernel::start_program(host, None),
        HostState::Crashed | HostState::Running | HostState::Stopped => {}
    }
}

/// Waits until threads of these hosts run again.
async fn outlast_stalls(hosts: &[u16]) {
    let now = || kernel::now().unwrap_or(u64::MAX);
    let last = || hosts.iter().map(|host| kernel::stalled_until(*host)).max();
    while let Some(until) = last().filter(|until| *until > now()) {
        kernel::rest(until - now()).await;
    }
}
