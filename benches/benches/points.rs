//! What the macros of `squall-points` cost outside a simulation: `cargo bench -p squall-benches --bench points`. Each row runs a loop with
//! one of them, and the loop without it; the figure is the difference for one pass, the least of many rounds.

use std::hint::black_box;
use std::time::Instant;

const PASSES: u64 = 20_000_000;
const ROUNDS: usize = 7;

/// Nanoseconds for one pass.
fn pass(mut body: impl FnMut(u64)) -> f64 {
    let round = |body: &mut dyn FnMut(u64)| {
        let since = Instant::now();
        body(PASSES);
        since.elapsed().as_nanos() as f64 / PASSES as f64
    };
    (0..ROUNDS)
        .map(|_| round(&mut body))
        .fold(f64::INFINITY, f64::min)
}

macro_rules! row {
    ($name:literal, $i:ident, $($body:tt)*) => {{
        let empty = pass(|n| {
            for i in 0..n {
                black_box(i);
            }
        });
        let with = pass(|n| {
            for $i in 0..n {
                black_box($i);
                $($body)*
            }
        });
        println!("{:<42} {:>6.2} ns  (loop {empty:.2} ns)", $name, (with - empty).max(0.0));
    }};
}

fn fails(i: u64) -> Result<(), String> {
    squall_points::fault_point!("bench: fails", |text| Err(format!("{i}: {text}")));
    Ok(())
}

fn main() {
    println!("outside a simulation, for one pass:");
    row!(
        "buggify!()",
        i,
        if squall_points::buggify!() {
            black_box(i + 1);
        }
    );
    row!(
        "buggify!(0.05)",
        i,
        if squall_points::buggify!(0.05) {
            black_box(i + 1);
        }
    );
    row!("fault_point!(\"name\")", i, squall_points::fault_point!("bench: point"););
    row!("fault_point!(\"name\", |text| ..)", i, let _ = black_box(fails(i)););
    row!("always!(i < n, \"name\", i)", i, squall_points::always!(i < PASSES, "bench: always", i););
    row!("sometimes!(i == 7, \"name\")", i, squall_points::sometimes!(i == 7, "bench: sometimes"););
    row!("gauge!(\"name\", i)", i, squall_points::gauge!("bench: gauge", i););
}
