//! When a dependency is up: pure functions of its behaviour, the time and the time of its start, all in virtual nanoseconds. Used
//! by `control.rs`.

use super::behaviour::{Behaviour, BrownOut};

impl Behaviour {
    /// Whether an outage or flapping has it down.
    pub(super) fn down(&self, started: u64, now: u64) -> bool {
        let within = |(from, to): (u64, u64)| (from..to).contains(&now);
        let out = self.outages.iter().any(|w| within(w.span(started)));
        out || self.flapping.is_some_and(|flapping| {
            let (period, up) = flapping.span();
            now.saturating_sub(started) % period >= up
        })
    }

    /// The brown-out that it is in.
    pub(super) fn browned_out(&self, started: u64, now: u64) -> Option<&BrownOut> {
        self.brown_outs.iter().find(|brown_out| {
            let (from, to) = brown_out.window.span(started);
            (from..to).contains(&now)
        })
    }

    /// Its outages and brown-outs: what, from when, until when.
    pub(super) fn windows(&self, started: u64) -> impl Iterator<Item = (&'static str, u64, u64)> {
        let outages = self.outages.iter().map(|w| ("outage", w));
        let brown_outs = self.brown_outs.iter().map(|b| ("brown-out", &b.window));
        outages.chain(brown_outs).map(move |(what, window)| {
            let (from, to) = window.span(started);
            (what, from, to)
        })
    }

    /// The next time after `now` at which one of its windows may begin or end.
    pub(super) fn next_change(&self, started: u64, now: u64) -> Option<u64> {
        let edges = self.windows(started).flat_map(|(_, from, to)| [from, to]);
        let flaps = self.flapping.iter().flat_map(|flapping| {
            let (period, up) = flapping.span();
            let begun = now - now.saturating_sub(started) % period;
            [begun.saturating_add(up), begun.saturating_add(period)]
        });
        edges
            .chain(flaps)
            .filter(|at| *at > now && *at < u64::MAX)
            .min()
    }

    /// When it last came back from being down, if it did.
    pub(super) fn returned(&self, started: u64, now: u64) -> Option<u64> {
        let outages = self.outages.iter().map(|w| w.span(started));
        // What ended before it started has nothing to do with it.
        let outages = outages.filter_map(|(_, to)| (to > started && to <= now).then_some(to));
        let flaps = self.flapping.iter().filter_map(|flapping| {
            let (period, _) = flapping.span();
            let rounds = now.saturating_sub(started) / period;
            (rounds > 0).then(|| started + rounds * period)
        });
        outages.chain(flaps).max()
    }
}

#[cfg(test)]
mod tests {
    use super::super::behaviour::Window;
    use super::*;
    use std::time::Duration;

    const S: u64 = 1_000_000_000;

    fn s(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn windows_include_their_start_and_not_their_end() {
        let outage = Behaviour::healthy().outage(Window::at(s(10)).lasting(s(5)));
        assert!(!outage.down(0, 10 * S - 1) && outage.down(0, 10 * S));
        assert!(outage.down(0, 15 * S - 1) && !outage.down(0, 15 * S));
        assert_eq!(outage.next_change(0, 0), Some(10 * S));
        assert_eq!(outage.next_change(0, 10 * S), Some(15 * S));
        assert_eq!(outage.next_change(0, 15 * S), None);
        assert_eq!(outage.returned(0, 15 * S - 1), None);
        assert_eq!(outage.returned(0, 16 * S), Some(15 * S));
        let late = Behaviour::healthy().outage(Window::at(s(10)).lasting(s(5)).since_start());
        assert!(!late.down(3 * S, 12 * S) && late.down(3 * S, 13 * S));
        let endless = Behaviour::healthy().outage(Window::at(s(1)));
        assert!(endless.down(0, u64::MAX - 1));
        assert_eq!(endless.next_change(0, S), None);
    }

    #[test]
    fn flapping_begins_up() {
        let flapping = Behaviour::healthy().flapping(s(10), 0.7);
        let start = 2 * S;
        assert!(!flapping.down(start, start) && !flapping.down(start, start + 7 * S - 1));
        assert!(flapping.down(start, start + 7 * S) && flapping.down(start, start + 10 * S - 1));
        assert!(!flapping.down(start, start + 10 * S));
        assert_eq!(flapping.next_change(start, start), Some(start + 7 * S));
        assert_eq!(
            flapping.next_change(start, start + 7 * S),
            Some(start + 10 * S)
        );
        assert_eq!(flapping.returned(start, start + 9 * S), None);
        assert_eq!(
            flapping.returned(start, start + 12 * S),
            Some(start + 10 * S)
        );
    }
}
