//! Shapes of partitions: which of several hosts can still talk to which. The shapes are Jepsen's. Pure but for the names of hosts;
//! `sim` cuts links so, and the nemesis does.

use super::names::number;

/// How a partition divides a group of hosts. The seed decides who is on which side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One host, which the seed chooses, is cut off from the others.
    IsolateOne,
    /// This host is cut off from the others.
    Isolate(String),
    /// Two halves; with an odd number of hosts one is a majority.
    Halves,
    /// A third of the hosts, rounded down but at least one, is cut off from the rest.
    MinorityThird,
    /// Each host sees a majority, but no two see the same one.
    MajoritiesRing,
    /// Two halves that see each other only through one host, which sees all.
    Bridge,
    /// Another shape in one direction: what the first side sends is lost, what the other side sends arrives.
    OneWay(Box<Shape>),
}

impl Shape {
    /// This shape in one direction only.
    #[must_use]
    pub fn one_way(self) -> Shape {
        Shape::OneWay(Box::new(self))
    }
}

/// Every direction that the shape cuts among hosts in this order.
pub(crate) fn directions(shape: &Shape, hosts: &[u16]) -> Vec<(u16, u16)> {
    if let Shape::OneWay(shape) = shape {
        return severed(shape, hosts);
    }
    let there = severed(shape, hosts);
    there
        .iter()
        .flat_map(|(a, b)| [(*a, *b), (*b, *a)])
        .collect()
}

/// The pairs that the shape cuts, each once, the first side first.
fn severed(shape: &Shape, hosts: &[u16]) -> Vec<(u16, u16)> {
    let n = hosts.len();
    let sides = |at: usize| {
        let (left, right) = hosts.split_at(at);
        left.iter()
            .flat_map(|a| right.iter().map(|b| (*a, *b)))
            .collect()
    };
    match shape {
        Shape::IsolateOne => sides(1),
        Shape::Isolate(name) => {
            let alone = number(name);
            let others = hosts.iter().filter(|h| **h != alone);
            others.map(|other| (alone, *other)).collect()
        }
        Shape::Halves => sides(n / 2),
        Shape::MinorityThird => sides((n / 3).max(1)),
        Shape::Bridge => {
            let (bridge, sides) = hosts.split_at(1);
            let (left, right) = sides.split_at(sides.len() / 2);
            debug_assert_eq!(bridge.len(), 1);
            left.iter()
                .flat_map(|a| right.iter().map(|b| (*a, *b)))
                .collect()
        }
        // Three hosts in a ring are all neighbours: two majorities that differ need a chain.
        Shape::MajoritiesRing if n == 3 => vec![(hosts[0], hosts[2])],
        Shape::MajoritiesRing => {
            // Each sees as many neighbours on both sides of the ring as make a majority with itself.
            let reach = (n / 2).div_ceil(2);
            let pairs = (0..n).flat_map(|i| (i + 1..n).map(move |j| (i, j)));
            pairs
                .filter(|(i, j)| (j - i).min(n - (j - i)) > reach)
                .map(|(i, j)| (hosts[i], hosts[j]))
                .collect()
        }
        Shape::OneWay(shape) => severed(shape, hosts),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whom each of `n` hosts sees, itself included.
    fn seen(shape: &Shape, n: u16) -> Vec<Vec<u16>> {
        let hosts: Vec<u16> = (0..n).collect();
        let cut = directions(shape, &hosts);
        let sees = |a: u16| {
            hosts
                .iter()
                .copied()
                .filter(|b| !cut.contains(&(a, *b)))
                .collect()
        };
        hosts.iter().map(|a| sees(*a)).collect()
    }

    #[test]
    fn shapes_cut_what_they_say() {
        assert_eq!(
            seen(&Shape::IsolateOne, 3),
            [vec![0], vec![1, 2], vec![1, 2]]
        );
        assert_eq!(seen(&Shape::Halves, 3), [vec![0], vec![1, 2], vec![1, 2]]);
        assert_eq!(seen(&Shape::Halves, 5)[0], [0, 1]);
        assert_eq!(seen(&Shape::MinorityThird, 7)[0], [0, 1]);
        assert_eq!(seen(&Shape::MinorityThird, 2), [[0], [1]]);
        let bridge = seen(&Shape::Bridge, 5);
        assert_eq!(
            bridge,
            [
                vec![0, 1, 2, 3, 4],
                vec![0, 1, 2],
                vec![0, 1, 2],
                vec![0, 3, 4],
                vec![0, 3, 4]
            ]
        );
        let one_way = seen(&Shape::Halves.one_way(), 4);
        assert_eq!(
            one_way,
            [vec![0, 1], vec![0, 1], vec![0, 1, 2, 3], vec![0, 1, 2, 3]]
        );
    }

    #[test]
    fn in_a_ring_of_majorities_no_two_are_the_same() {
        for n in [3, 4, 5, 6, 7, 9, 11] {
            let seen = seen(&Shape::MajoritiesRing, n);
            let majority = usize::from(n) / 2 + 1;
            assert!(seen.iter().all(|s| s.len() >= majority), "{n}: {seen:?}");
            if n != 4 && n != 6 {
                for (i, a) in seen.iter().enumerate() {
                    assert!(seen[i + 1..].iter().all(|b| a != b), "{n}: {seen:?}");
                }
            }
        }
    }
}
