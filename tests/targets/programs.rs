//! Six small programs with a known bug each, after those of SCTBench (Thomson, Donaldson, Betts, PPoPP 2014), which most papers on
//! schedulers measure themselves on. They are written anew here from what they do.
//!
//! The published figures were taken with a scheduling point at every memory operand of the unoptimized program, those of
//! local variables included. So these have as many points in as many places: `private` stands for the locals, of
//! which the loop that starts the threads has by far the most. Without them a random walk would find in a dozen runs what it
//! did not find in ten thousand.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread::{JoinHandle, spawn};

use super::program::{Found, Program};
use super::shared::{Lock, Shared, private};

pub const PROGRAMS: [Program; 6] = [
    Program {
        name: "reorder_3",
        bad: |found| reorder(2, false, found),
        good: |found| reorder(2, true, found),
    },
    Program {
        name: "reorder_5",
        bad: |found| reorder(4, false, found),
        good: |found| reorder(4, true, found),
    },
    Program {
        name: "twostage",
        bad: |found| twostage(false, found),
        good: |found| twostage(true, found),
    },
    Program {
        name: "account",
        bad: |found| account(false, found),
        good: |found| account(true, found),
    },
    Program {
        name: "stack",
        bad: |found| stack(false, found),
        good: |found| stack(true, found),
    },
    Program {
        name: "deadlock01",
        bad: |found| deadlock01(false, found),
        good: |found| deadlock01(true, found),
    },
];

/// Starts a thread as a loop over an array of threads does.
fn start_in_loop(threads: &mut Vec<JoinHandle<()>>, body: impl FnOnce() + Send + 'static) {
    private(3);
    threads.push(spawn(body));
    private(5);
}

fn join(threads: Vec<JoinHandle<()>>) {
    for thread in threads {
        private(4);
        thread.join().expect("a thread of the program panicked");
        private(4);
    }
}

/// Several threads write one variable and then another; one thread must never see the first write without the second.
fn reorder(setters: usize, repaired: bool, found: Found) {
    let shared = Arc::new((Shared::default(), Shared::default(), Lock::default()));
    let mut threads = Vec::new();
    let locked = move |lock: &Lock, body: &dyn Fn()| match repaired {
        true => lock.with(body),
        false => body(),
    };
    for _ in 0..setters {
        let shared = shared.clone();
        start_in_loop(&mut threads, move || {
            let (a, b, lock) = &*shared;
            private(1);
            locked(lock, &|| {
                a.set(1);
                b.set(-1);
            });
        });
    }
    private(3);
    start_in_loop(&mut threads, move || {
        let (a, b, lock) = &*shared;
        private(1);
        locked(lock, &|| {
            let before = a.get() == 0 && b.get() == 0;
            let after = || a.get() == 1 && b.get() == -1;
            if !before && !after() {
                found.store(true, Relaxed);
            }
        });
    });
    join(threads);
}

/// One thread updates two values, each under a lock of its own; another must not see the first update without the second.
fn twostage(repaired: bool, found: Found) {
    #[derive(Default)]
    struct Data {
        first: Shared,
        second: Shared,
        locks: [Lock; 2],
        whole: Lock,
    }
    let data = Arc::new(Data::default());
    let mut threads = Vec::new();
    let other = data.clone();
    start_in_loop(&mut threads, move || {
        let work = || {
            private(2);
            other.locks[0].with(|| {
                other.first.set(1);
                private(1);
            });
            private(1);
            other.locks[1].with(|| {
                let value = other.first.get() + 1;
                other.second.set(value);
                private(1);
            });
        };
        match repaired {
            true => other.whole.with(work),
            false => work(),
        }
    });
    private(3);
    start_in_loop(&mut threads, move || {
        let work = || {
            private(4);
            let first = data.locks[0].with(|| {
                let value = match data.first.get() {
                    0 => 0,
                    _ => data.first.get(),
                };
                private(2);
                value
            });
            if first == 0 {
                return;
            }
            private(1);
            let second = data.locks[1].with(|| {
                let value = data.second.get();
                private(2);
                value
            });
            private(2);
            if second != first + 1 {
                found.store(true, Relaxed);
            }
        };
        match repaired {
            true => data.whole.with(work),
            false => work(),
        }
    });
    join(threads);
}

/// The check of an account, which is wrong and shows it only if it comes after both bookings.
fn account(repaired: bool, found: Found) {
    struct Account {
        lock: Lock,
        balance: Shared,
        x: Shared,
        y: Shared,
        z: Shared,
        deposited: Shared,
        withdrawn: Shared,
    }
    let account = Arc::new(Account {
        lock: Lock::default(),
        balance: Shared::new(1),
        x: Shared::new(1),
        y: Shared::new(2),
        z: Shared::new(4),
        deposited: Shared::default(),
        withdrawn: Shared::default(),
    });
    let [checked, deposited, withdrawn] = std::array::from_fn(|_| account.clone());
    let mut threads = Vec::new();
    private(1);
    threads.push(spawn(move || {
        private(1);
        checked.lock.with(|| {
            if checked.deposited.get() != 0 && checked.withdrawn.get() != 0 {
                let (x, y) = (checked.x.get(), checked.y.get());
                let right = if repaired { x + y } else { x - y } - checked.z.get();
                if checked.balance.get() != right {
                    found.store(true, Relaxed);
                }
            }
        });
    }));
    private(1);
    threads.push(spawn(move || {
        private(1);
        deposited.lock.with(|| {
            let after = deposited.balance.get() + deposited.y.get();
            deposited.balance.set(after);
            deposited.deposited.set(1);
        });
    }));
    private(1);
    threads.push(spawn(move || {
        private(1);
        withdrawn.lock.with(|| {
            let after = withdrawn.balance.get() - withdrawn.z.get();
            withdrawn.balance.set(after);
            withdrawn.withdrawn.set(1);
        });
    }));
    for thread in threads {
        thread.join().expect("a thread of the program panicked");
    }
}

/// Ten pushes and ten pops inside functions of their own, whose arguments, results and operands live in memory; the pops
/// begin once there was a push but do not look whether there is anything left.
fn stack(repaired: bool, found: Found) {
    const SIZE: i64 = 10;
    #[derive(Default)]
    struct Stack {
        lock: Lock,
        top: Shared,
        flag: Shared,
    }
    let stack = Arc::new(Stack::default());
    let other = stack.clone();
    private(1);
    let pushes = spawn(move || {
        private(2);
        for _ in 0..SIZE {
            private(1);
            other.lock.with(|| {
                private(4);
                if other.top.get() != SIZE {
                    let _slot = other.top.get();
                    private(6);
                    let top = other.top.get();
                    other.top.set(top + 1);
                }
                other.flag.set(1);
            });
            private(2);
        }
    });
    private(1);
    let pops = spawn(move || {
        private(2);
        for _ in 0..SIZE {
            private(1);
            stack.lock.with(|| {
                if stack.flag.get() == 0 {
                    return;
                }
                private(3);
                if stack.top.get() == 0 {
                    if !repaired {
                        found.store(true, Relaxed);
                    }
                    return;
                }
                let top = stack.top.get();
                stack.top.set(top - 1);
                let _slot = stack.top.get();
                private(6);
            });
            private(2);
        }
    });
    pushes.join().expect("the pushing thread panicked");
    pops.join().expect("the popping thread panicked");
}

/// Two locks, taken in opposite orders.
fn deadlock01(repaired: bool, _: Found) {
    let shared = Arc::new((Lock::default(), Lock::default(), Shared::new(1)));
    let other = shared.clone();
    private(1);
    let up = spawn(move || {
        let (a, b, counter) = &*other;
        private(1);
        a.with(|| {
            b.with(|| {
                let value = counter.get();
                counter.set(value + 1);
            });
        });
    });
    private(1);
    let down = spawn(move || {
        let (a, b, counter) = &*shared;
        let (first, second) = if repaired { (a, b) } else { (b, a) };
        private(1);
        first.with(|| {
            second.with(|| {
                let value = counter.get();
                counter.set(value - 1);
            });
        });
    });
    up.join().expect("a thread of the program panicked");
    down.join().expect("a thread of the program panicked");
}
