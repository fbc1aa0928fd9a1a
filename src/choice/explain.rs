//! Two questions about a failure: from which decision on was it inevitable, and how many clean runs say that it is mended.
//!
//! Pure logic; `run` counts how often runs fail that keep the first decisions of a failing one and draw the rest anew.

/// So many runs are drawn anew behind each beginning.
pub const SUFFIXES: u64 = 32;
/// Beginnings that are looked at before the search between two of them.
const GRID: u64 = 20;

/// The first decision, counted from 1, with which a run of `total` decisions fails more often than not whatever follows; 0 if
/// it does so from the start. `fails` says how many of [`SUFFIXES`] runs fail that keep so many decisions; `None` from it ends
/// the search without an answer.
pub fn inevitable<E>(
    total: u64,
    mut fails: impl FnMut(u64) -> Result<Option<u64>, E>,
) -> Result<Option<u64>, E> {
    let mut likely = |keep: u64| Ok(fails(keep)?.map(|failed| 2 * failed > SUFFIXES));
    let mut below = None;
    let mut above = total;
    for step in 0..GRID {
        let keep = total * step / GRID;
        match likely(keep)? {
            None => return Ok(None),
            Some(true) => {
                above = keep;
                break;
            }
            Some(false) => below = Some(keep),
        }
    }
    let Some(mut below) = below else {
        return Ok(Some(0));
    };
    while above - below > 1 {
        let keep = below + (above - below) / 2;
        match likely(keep)? {
            None => return Ok(None),
            Some(true) => above = keep,
            Some(false) => below = keep,
        }
    }
    Ok(Some(above))
}

/// How likely a run fails of which `failed` in `runs` did, by the rule of succession.
pub fn findability(failed: u64, runs: u64) -> f64 {
    (failed + 1) as f64 / (runs + 2) as f64
}

/// How many clean runs in a row say with 95 % confidence that a failure of this findability is gone.
pub fn clean_runs(findability: f64) -> u64 {
    (0.05_f64.ln() / (1.0 - findability).ln()).ceil() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(total: u64, at: u64) -> (u64, u64) {
        let mut asked = 0;
        let found = inevitable(total, |keep| {
            asked += 1;
            Ok::<_, ()>(Some(if keep >= at { 30 } else { 3 }))
        });
        (found.unwrap().unwrap(), asked)
    }

    #[test]
    fn the_decision_is_found_exactly_and_with_few_looks() {
        for (total, at) in [
            (1, 1),
            (7, 3),
            (100, 41),
            (5000, 4999),
            (5000, 5000),
            (5000, 1),
            (262_144, 77_777),
        ] {
            let (found, asked) = from(total, at);
            assert_eq!(found, at, "of {total}");
            assert!(asked <= 40, "{asked}");
        }
        assert_eq!(from(5000, 0), (0, 1));
    }

    #[test]
    fn without_time_there_is_no_answer() {
        let mut looks = 3;
        let found = inevitable(100, |_| {
            looks -= 1;
            Ok::<_, ()>((looks > 0).then_some(0))
        });
        assert_eq!(found, Ok(None));
    }

    #[test]
    fn rare_failures_want_many_clean_runs() {
        assert_eq!(findability(1, 38), 0.05);
        assert_eq!(clean_runs(0.05), 59);
        assert_eq!(clean_runs(findability(1, 9_998)), 14_978);
        assert_eq!(clean_runs(findability(1, 1)), 3);
    }
}
