//! The same cases on real Linux: client and server are threads of this process, each in a network namespace of its own, joined by a
//! pair of virtual network cards. Nothing leaves these namespaces, and they end with their threads.

use crate::cases::{Act, CASES, Case, World};
use crate::server;
use std::cell::RefCell;
use std::net::Ipv4Addr;
use std::process::Command;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::Duration;
use tokio::sync::oneshot;

const CLIENT: &str = "10.77.0.1/24";
const SERVER: &str = "10.77.0.2/24";
const SERVER_IP: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);

/// Runs a command in the calling thread's namespaces.
fn run(words: &str) -> Result<(), String> {
    let mut words_of = words.split(' ');
    let program = words_of.next().unwrap_or_default();
    let out = Command::new(program)
        .args(words_of)
        .output()
        .map_err(|e| format!("{program}: {e}"))?;
    match out.status.success() {
        true => Ok(()),
        false => Err(format!(
            "{words}: {}",
            String::from_utf8_lossy(&out.stderr).trim()
        )),
    }
}

fn enter_new_network() -> Result<(), String> {
    // SAFETY: unshare changes the calling thread alone.
    match unsafe { libc::unshare(libc::CLONE_NEWNET) } {
        0 => run("ip link set lo up"),
        _ => Err(format!(
            "unshare(CLONE_NEWNET): {}",
            std::io::Error::last_os_error()
        )),
    }
}

/// What the client's thread asks of the server's.
enum Order {
    Start,
    Kill,
    /// A command in its namespace.
    Run(&'static str),
}

/// The server's thread: it obeys until nobody gives orders any more.
fn serve(orders: &mpsc::Receiver<Order>, done: &mpsc::Sender<Result<(), String>>) {
    let mut program: Option<(oneshot::Sender<()>, std::thread::JoinHandle<()>)> = None;
    while let Ok(order) = orders.recv() {
        let result = match order {
            Order::Run(words) => run(words),
            Order::Kill => {
                if let Some((stop, thread)) = program.take() {
                    drop(stop);
                    let _ = thread.join();
                }
                Ok(())
            }
            Order::Start => {
                let (stop, stopped) = oneshot::channel();
                // A new thread is in the namespaces of the one that starts it.
                let thread = std::thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread()
                        .enable_all()
                        .build()
                        .unwrap();
                    runtime.block_on(async {
                        tokio::select! {
                            r = server::serve() => panic!("the server ended: {r:?}"),
                            _ = stopped => {}
                        }
                    });
                });
                program = Some((stop, thread));
                std::thread::sleep(Duration::from_millis(50));
                Ok(())
            }
        };
        let _ = done.send(result);
    }
    if let Some((stop, thread)) = program {
        drop(stop);
        let _ = thread.join();
    }
}

struct Real {
    orders: mpsc::Sender<Order>,
    done: mpsc::Receiver<Result<(), String>>,
    limit: RefCell<Option<libc::rlimit>>,
}

impl Real {
    fn order(&self, order: Order) -> Result<(), String> {
        self.orders.send(order).map_err(|e| e.to_string())?;
        self.done.recv().map_err(|e| e.to_string())?
    }

    /// A rule on what arrives, at both ends: what leaves meets no rule, which would tell the sender.
    fn rule(&self, words: &'static str) {
        run(words).expect("a rule here");
        self.order(Order::Run(words)).expect("a rule there");
    }
}

fn limit_of_descriptors() -> libc::rlimit {
    // SAFETY: an all-zero record is valid, and writable.
    unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit);
        limit
    }
}

impl World for Real {
    fn act(&self, act: Act) {
        match act {
            Act::Cut => self.rule("iptables -I INPUT -j DROP"),
            Act::Repair => self.rule("iptables -F INPUT"),
            Act::Lose(share) => {
                assert!((share - 0.3).abs() < 1e-9, "the rule below says so");
                self.rule("iptables -I INPUT -m statistic --mode random --probability 0.3 -j DROP");
            }
            Act::Kill => self.order(Order::Kill).unwrap(),
            Act::Crash => {
                self.act(Act::Cut);
                self.order(Order::Kill).unwrap();
            }
            Act::Restart => {
                self.order(Order::Start).unwrap();
                self.act(Act::Repair);
            }
            Act::Ports(most) => {
                let range = format!("32768 {}", 32_767 + u32::from(most));
                std::fs::write("/proc/sys/net/ipv4/ip_local_port_range", range).unwrap();
            }
            Act::NoDescriptors => {
                let before = limit_of_descriptors();
                let next = std::fs::File::open("/dev/null").unwrap();
                let lowest = std::os::fd::AsRawFd::as_raw_fd(&next) as u64;
                let limit = libc::rlimit {
                    rlim_cur: lowest,
                    ..before
                };
                *self.limit.borrow_mut() = Some(before);
                // SAFETY: a readable record.
                unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
            }
            Act::Descriptors => {
                if let Some(limit) = self.limit.borrow_mut().take() {
                    // SAFETY: a readable record.
                    unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
                }
            }
        }
    }
}

/// Whether rules that lose packets at random can be made here.
fn can_lose() -> Result<(), String> {
    let rule = "INPUT -m statistic --mode random --probability 0.3 -j DROP";
    run(&format!("iptables -I {rule}"))?;
    run(&format!("iptables -D {rule}"))
}

/// What a case shows, between two new namespaces.
fn one(case: &'static Case) -> Result<String, String> {
    enter_new_network()?;
    let (orders, ordered) = mpsc::channel();
    let (tell, done) = mpsc::channel();
    let (born, at) = mpsc::channel();
    let server = std::thread::spawn(move || {
        let made = enter_new_network();
        // SAFETY: gettid has no precondition.
        let thread = unsafe { libc::syscall(libc::SYS_gettid) };
        let _ = born.send(made.map(|()| thread));
        serve(&ordered, &tell);
    });
    let there = at.recv().map_err(|e| e.to_string())??;
    run(&format!(
        "ip link add here type veth peer name there netns {there}"
    ))?;
    run(&format!("ip addr add {CLIENT} dev here"))?;
    run("ip link set here up")?;
    if case.name == "loss" {
        can_lose()?;
    } else {
        run("iptables -L -n")?;
    }
    let world = Rc::new(Real {
        orders,
        done,
        limit: RefCell::new(None),
    });
    const ADDRESS: &str = "ip addr add 10.77.0.2/24 dev there";
    assert!(ADDRESS.contains(SERVER));
    world.order(Order::Run(ADDRESS))?;
    world.order(Order::Run("ip link set there up"))?;
    world.order(Order::Start)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| e.to_string())?;
    let case_of = world.clone();
    let seen = runtime.block_on(async move {
        // No case takes as long as this.
        let limit = Duration::from_secs(60);
        tokio::time::timeout(limit, (case.client)(case_of, SERVER_IP)).await
    });
    drop(world);
    let _ = server.join();
    seen.map_err(|_| "the client did not come to an end in a minute".to_owned())
}

/// What each case shows, or why it could not be tried.
pub fn all() -> Vec<Result<String, String>> {
    let start = |case: &'static Case| std::thread::spawn(move || one(case));
    let end = |case: &Case, thread: std::thread::JoinHandle<_>| {
        thread
            .join()
            .unwrap_or_else(|_| panic!("{} panicked on the real system", case.name))
    };
    let alone: Vec<_> = CASES
        .iter()
        .map(|case| case.alone.then(|| end(case, start(case))))
        .collect();
    let beside: Vec<_> = CASES
        .iter()
        .map(|case| (!case.alone).then(|| start(case)))
        .collect();
    let all = CASES.iter().zip(alone).zip(beside);
    all.map(|((case, alone), beside)| match (alone, beside) {
        (Some(seen), _) => seen,
        (None, Some(thread)) => end(case, thread),
        (None, None) => unreachable!("a case runs alone or beside others"),
    })
    .collect()
}
