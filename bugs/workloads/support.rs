//! What the workloads share: draws that follow from the seed, and the door through which a test runs one.

use std::future::Future;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// A number from 0 up to `n`, without it. Workloads have no generator of their own: whatever they vary follows from the keys
/// that std draws for its maps, and these from the seed.
pub fn draw(n: u64) -> u64 {
    RandomState::new().build_hasher().finish() % n.max(1)
}

/// Up to so many milliseconds, in steps of 10 us: short and long ones are equally common in kind.
pub fn up_to(milliseconds: u64) -> Duration {
    let power = draw(4) as u32;
    Duration::from_micros(10 * (1 + draw(milliseconds * 100 / 6u64.pow(power) + 1)))
}

/// Runs a workload and hands its verdict to the test. Where `BUGS_MARKS` names a file, a run that shows the bug leaves its seed
/// there instead of failing, so that the seeds which show it can be counted.
pub async fn observe(
    sim: &squall::Sim,
    workload: impl Future<Output = Result<(), String>>,
) -> Result<(), String> {
    let verdict = workload.await;
    let Some(path) = std::env::var_os("BUGS_MARKS") else {
        return verdict;
    };
    if verdict.is_err() {
        use std::io::Write;
        let file = std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .open(&path);
        let written = file.and_then(|mut file| writeln!(file, "{}", sim.seed()));
        written.map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    Ok(())
}
