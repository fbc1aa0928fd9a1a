//! What is done to the service: hosts, clients, operators, a nemesis, and what must hold. The benchmark of its cost includes this too.

use squall::history::{Effects, History, KeyValue, KeyValueOp, KeyValueRet};
use squall::{FaultKind, HostState, Nemesis, NemesisOptions, Sim, Storage};
use squall_scenarios::kv::{self, Answer, Bug, Client, Config, Disk, Op};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::panic::catch_unwind;
use std::time::Duration;
use tokio::time::sleep;

pub const HOSTS: [&str; 3] = ["n0", "n1", "n2"];
const MS: Duration = Duration::from_millis(1);

type Ops = History<KeyValueOp<String, String>, KeyValueRet<String>>;

/// What a run does.
#[derive(Clone, Copy)]
pub struct Load {
    pub bug: Option<Bug>,
    /// Every other one only reads.
    pub clients: u64,
    /// Requests of each client, at most.
    pub requests: u64,
    /// No request begins later.
    pub lasting: Duration,
    /// The most that a client waits between two requests.
    pub pause: Duration,
    /// Whether operators restart hosts.
    pub deploys: bool,
    /// The kinds of faults.
    pub faults: &'static [FaultKind],
    /// The share of runs without a fault.
    pub calm: f64,
    /// The chance of each kind to be in a run.
    pub enabled: Option<f64>,
    /// Whether the history is checked in the end.
    pub checked: bool,
}

pub const LOAD: Load = Load {
    bug: None,
    clients: 4,
    requests: 1000,
    lasting: Duration::from_secs(12),
    pause: Duration::from_millis(250),
    deploys: true,
    faults: &FaultKind::ALL,
    calm: 0.1,
    enabled: Some(0.5),
    checked: true,
};

struct Simulated(Storage);

impl Disk for Simulated {
    fn read(&self, name: &str) -> Option<Vec<u8>> {
        self.0.get(name)
    }
    fn write(&self, name: &str, value: &[u8]) {
        self.0.set(name, value);
    }
    fn sync(&self) {
        self.0.sync();
    }
}

/// A number below `n`, of the seed's.
fn below(n: u64) -> u64 {
    RandomState::new().build_hasher().finish() % n
}

fn up_to(most: Duration) -> Duration {
    most * below(1000) as u32 / 1000
}

pub fn addresses() -> Vec<String> {
    HOSTS.map(|name| format!("{name}:7000")).to_vec()
}

pub fn start(sim: &Sim, bug: Option<Bug>) {
    for (me, name) in HOSTS.into_iter().enumerate() {
        // As under a service manager: where it cannot start, for want of descriptors, it is started again.
        sim.host_main(name, move || {
            while !catch_unwind(|| run(me, bug)).is_ok_and(|end| end.is_ok()) {
                std::thread::sleep(100 * MS);
            }
        });
    }
}

fn run(me: usize, bug: Option<Bug>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let hosts = addresses();
    let config = Config { hosts, me, bug };
    runtime.block_on(kv::serve(config, Simulated(Storage::here())))
}

/// A client's requests: reads of three keys alone, or also writes, and a line in the journal now and then. Readers have nothing to
/// wait for at a leader that has lost its majority.
async fn requests(name: String, reads: bool, history: Ops, load: Load) {
    const WITHIN: Duration = Duration::from_secs(3);
    let recorder = history.client(&name);
    let mut client = Client::new(&name, &addresses());
    let mut seen = [None, None, None];
    let start = tokio::time::Instant::now();
    for n in 0..load.requests {
        if start.elapsed() > load.lasting {
            break;
        }
        let place = below(3) as usize;
        let key = ["x", "y", "z"][place].to_owned();
        let value = format!("{name}{n};");
        let op = match below(10) {
            _ if reads => KeyValueOp::Get(key),
            0..=1 => KeyValueOp::Get(key),
            2..=4 => KeyValueOp::Put(key, value),
            5..=7 => KeyValueOp::Append("journal".to_owned(), value),
            _ => KeyValueOp::Cas {
                key,
                from: seen[place].clone(),
                to: value,
            },
        };
        let pending = recorder.invoke(op.clone());
        let ret = match op {
            KeyValueOp::Get(key) => client.get(&key, WITHIN).await.map(|value| {
                seen[place] = value.clone();
                KeyValueRet::Value(value)
            }),
            KeyValueOp::Put(key, value) => write(&mut client, Op::Put(key, value), WITHIN).await,
            KeyValueOp::Append(key, value) => {
                write(&mut client, Op::Append(key, value), WITHIN).await
            }
            KeyValueOp::Cas { key, from, to } => {
                write(&mut client, Op::Cas { key, from, to }, WITHIN).await
            }
            KeyValueOp::Delete(_) => unreachable!("not asked for"),
        };
        match ret {
            Some(ret) => pending.ok(ret),
            None => pending.unknown(),
        }
        sleep(up_to(load.pause)).await;
    }
}

async fn write(client: &mut Client, op: Op, within: Duration) -> Option<KeyValueRet<String>> {
    Some(match client.write(op, within).await? {
        Answer::Done => KeyValueRet::Done,
        Answer::Swapped(done) => KeyValueRet::Swapped(done),
        Answer::Value(value) => KeyValueRet::Value(value),
    })
}

/// Asks one host after the other to end, and starts it again.
async fn deploys(sim: Sim) {
    loop {
        sleep(1000 * MS + up_to(3000 * MS)).await;
        let host = sim.get(HOSTS[below(3) as usize]);
        host.shutdown();
        for _ in 0..50 {
            sleep(100 * MS).await;
            if host.state() == HostState::Stopped {
                sleep(up_to(1500 * MS)).await;
                break;
            }
        }
        if host.state() == HostState::Stopped {
            host.restart();
        }
    }
}

/// Every kind of fault, as bad as they get, and as often as a run of some seconds needs.
fn often(load: Load) -> NemesisOptions {
    NemesisOptions {
        after: 1000 * MS,
        calm: load.calm,
        enabled: load.enabled,
        combined: 2..=4,
        period: 200 * MS..=1000 * MS,
        escalation: 500 * MS..=3000 * MS,
        ..NemesisOptions::default()
    }
}

/// Clients, faults and operators; then the world is healed, and looked at.
pub async fn scenario(sim: Sim, load: Load) -> squall::Result {
    start(&sim, load.bug);
    if !load.faults.is_empty() {
        let nemesis = Nemesis::all().only(load.faults.iter().copied());
        sim.nemesis(nemesis.options(often(load)));
    }
    let history = Ops::new();
    let operator = load.deploys.then(|| tokio::spawn(deploys(sim.clone())));
    let clients: Vec<_> = (0..load.clients)
        .map(|n| tokio::spawn(requests(format!("c{n}"), n % 2 == 1, history.clone(), load)))
        .collect();
    for client in clients {
        client.await?;
    }
    if let Some(operator) = operator {
        operator.abort();
    }
    sim.heal().await;
    for name in HOSTS {
        let host = sim.get(name);
        if host.state() == HostState::Stopped {
            host.restart();
        }
    }
    // It must go on now, ..
    let within = Duration::from_secs(10);
    let recorder = history.client("after");
    let mut client = Client::new("after", &addresses());
    let pending = recorder.invoke(KeyValueOp::Put("x".to_owned(), "after".to_owned()));
    let op = Op::Put("x".to_owned(), "after".to_owned());
    let ret = write(&mut client, op, within).await;
    pending.ok(ret.ok_or_else(|| io::Error::other("no progress within 10 s of the heal"))?);
    // .. have everything that it acknowledged, once, ..
    let pending = recorder.invoke(KeyValueOp::Get("journal".to_owned()));
    let journal = client
        .get("journal", within)
        .await
        .ok_or_else(|| io::Error::other("no answer after the heal"))?;
    pending.ok(KeyValueRet::Value(journal.clone()));
    if !load.checked {
        return Ok(());
    }
    let lines = journal
        .iter()
        .flat_map(|lines| lines.split_inclusive(';').map(str::to_owned));
    Effects::of(&history, |op| match op {
        KeyValueOp::Append(_, line) => Some(line.clone()),
        _ => None,
    })
    .exactly_once(lines.collect::<Vec<_>>())?;
    // .. and never have answered what one correct map could not. Of the journal, whose lines may come in any order, enough is said.
    let records = history.records().into_iter();
    let values: Ops = records.filter(|r| r.op.key() != "journal").collect();
    values.check(&KeyValue::new())?;
    Ok(())
}
