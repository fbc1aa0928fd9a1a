//! Sums that stay what they must be, such as all the money in all accounts.

use super::History;
use super::error::{CheckError, Counterexample};
use super::record::{Outcome, Record};
use super::timeline::{Entry, draw};
use std::collections::BTreeSet;
use std::fmt::Debug;

/// Sums of operations that may or may not have counted are told apart up to so many; beyond, only their range is known.
const SUMS: usize = 1 << 14;
/// At most so many operations are drawn.
const DRAWN: usize = 12;

/// What an operation is to a sum.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flow {
    /// It changes the sum by so much, if it takes effect: a deposit, or less than 0. A transfer changes it by 0.
    Change(i128),
    /// It saw the sum.
    Saw(i128),
    /// Nothing.
    Nothing,
}

/// A sum that changes only by what goes in and comes out, whatever is moved around inside it.
///
/// Each sum that was seen must be the initial one, and all changes that had ended before it was read, and any of those under way or of
/// unknown outcome.
///
/// ```
/// use squall::history::{Conservation, Flow, History};
///
/// let history = History::new();
/// let client = history.client("auditor");
/// client.invoke("deposit 20").ok(0);
/// client.invoke("sum").ok(119);
/// let flow = |op: &&str, ret: Option<&i128>| match (*op, ret) {
///     ("deposit 20", _) => Flow::Change(20),
///     (_, Some(sum)) => Flow::Saw(*sum),
///     _ => Flow::Nothing,
/// };
/// let error = Conservation::of(100).check(&history, flow).unwrap_err();
/// assert!(error.to_string().contains("saw 119, which must be 120"), "{error}");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Conservation {
    initial: i128,
}

impl Conservation {
    /// Of a sum that is `initial` at first.
    pub fn of(initial: i128) -> Self {
        Conservation { initial }
    }

    /// Whether every sum that was seen is one that it may have been. `flow` says what an operation is, from what it was
    /// and what it returned, if that is known.
    ///
    /// # Errors
    /// With the first sum that cannot be, and if nobody saw any: then nothing was checked.
    pub fn check<Op, Ret>(
        &self,
        history: &History<Op, Ret>,
        mut flow: impl FnMut(&Op, Option<&Ret>) -> Flow,
    ) -> Result<(), CheckError>
    where
        Op: Clone + Debug,
        Ret: Clone + Debug,
    {
        let records = history.records();
        let flows: Vec<Flow> = records
            .iter()
            .map(|r| flow(&r.op, r.outcome.ok()))
            .collect();
        let mut seen = 0;
        for (at, (record, flow)) in records.iter().zip(&flows).enumerate() {
            let (Flow::Saw(sum), Some(_)) = (flow, record.outcome.ok()) else {
                continue;
            };
            seen += 1;
            let mut sure = self.initial;
            let mut perhaps = Vec::new();
            let mut around = Vec::new();
            for (place, (other, flow)) in records.iter().zip(&flows).enumerate() {
                let Flow::Change(by) = flow else { continue };
                let failed = matches!(other.outcome, Outcome::Failed);
                if *by == 0 || failed || record.precedes(other) {
                    continue;
                }
                around.push(place);
                match other.outcome.ok().is_some() && other.precedes(record) {
                    true => sure += by,
                    false => perhaps.push(*by),
                }
            }
            if let Err(must) = possible(sure, &perhaps, *sum) {
                around.push(at);
                return Err(not_conserved(&records, *sum, &must, &around));
            }
        }
        match seen {
            0 => Err(CheckError::unfit(
                "whether a sum is conserved",
                "no operation saw one; let one return the sum, and `flow` say `Flow::Saw`",
            )),
            _ => Ok(()),
        }
    }
}

/// Whether a sum is `sure` and any of `perhaps`; what it must be, if not.
fn possible(sure: i128, perhaps: &[i128], sum: i128) -> Result<(), String> {
    let mut sums = BTreeSet::from([sure]);
    for by in perhaps {
        let more: Vec<i128> = sums.iter().map(|s| s + by).collect();
        sums.extend(more);
        if sums.len() > SUMS {
            let least = sure + perhaps.iter().filter(|b| **b < 0).sum::<i128>();
            let most = sure + perhaps.iter().filter(|b| **b > 0).sum::<i128>();
            let right = (least..=most).contains(&sum);
            return right.then_some(()).ok_or(format!("from {least} to {most}"));
        }
    }
    if sums.contains(&sum) {
        return Ok(());
    }
    let some: Vec<String> = sums.iter().take(8).map(i128::to_string).collect();
    let more = if sums.len() > 8 { " or other" } else { "" };
    Err(format!("{}{more}", some.join(" or ")))
}

fn not_conserved<Op: Debug, Ret: Debug>(
    records: &[Record<Op, Ret>],
    sum: i128,
    must: &str,
    around: &[usize],
) -> CheckError {
    let drawn = &around[around.len().saturating_sub(DRAWN)..];
    let entries: Vec<Entry> = drawn
        .iter()
        .map(|i| {
            Entry::of(&records[*i], format!("{:?}", records[*i].op), |r| {
                format!("{r:?}")
            })
        })
        .collect();
    CheckError::Violated(Counterexample {
        rule: "conserved".to_owned(),
        part: None,
        operations: around.to_vec(),
        text: format!("saw {sum}, which must be {must}\n{}", draw(&entries)),
    })
}
