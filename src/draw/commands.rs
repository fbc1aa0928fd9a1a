//! Sequences of commands for a system that has a model: drawn, run, compared. One after the other against the model's states, or by
//! several clients at once and then held to be linearizable.

use super::{Draws, labelled, next_label};
use crate::check::history::{History, Model};
use crate::check::site;
use crate::kernel::{self, Violation};
use std::fmt::{Debug, Write};
use std::panic::Location;
use std::sync::Arc;

/// A [`Model`] that also says which commands there are. How the model behaves is in [`Model::step`], the same for commands one after the
/// other and for histories of several clients.
///
/// ```
/// # fn main() {
/// use squall::draw::{Draws, Machine};
/// use squall::history::Model;
/// use std::sync::Mutex;
///
/// /// A stack: `Some(n)` pushes, `None` pops.
/// struct Stack;
///
/// impl Model for Stack {
///     type State = Vec<u64>;
///     type Op = Option<u64>;
///     type Ret = Option<u64>;
///
///     fn init(&self) -> Vec<u64> {
///         Vec::new()
///     }
///     fn step(&self, state: &Vec<u64>, op: &Option<u64>, ret: &Option<u64>) -> Option<Vec<u64>> {
///         let mut state = state.clone();
///         let expected = match op {
///             Some(n) => { state.push(*n); None }
///             None => state.pop(),
///         };
///         (expected == *ret).then_some(state)
///     }
///     fn unknown(&self, state: &Vec<u64>, op: &Option<u64>) -> Vec<Vec<u64>> {
///         let mut state = state.clone();
///         match op {
///             Some(n) => state.push(*n),
///             None => _ = state.pop(),
///         }
///         vec![state]
///     }
/// }
///
/// impl Machine for Stack {
///     fn command(&self, _: &Vec<u64>, draws: &mut Draws<'_>) -> Option<u64> {
///         draws.flip().then(|| draws.number(0..100))
///     }
/// }
///
/// let failure = squall::Builder::new().keep_failures(false).run(|sim: squall::Sim| async move {
///     let mut system = std::collections::VecDeque::new();
///     sim.commands(Stack).run(async |command| {
///         tokio::task::yield_now().await;
///         match command {
///             Some(n) => { system.push_back(n); Ok(None) }
///             None => Ok::<_, ()>(system.pop_front()), // first in, first out
///         }
///     }).await;
/// }).unwrap_err();
/// // 1. Some(0) -> None
/// // 2. Some(1) -> None
/// // 3. None -> Some(0)
/// assert!(failure.text.contains("  1. Some("), "{failure}");
/// # }
/// ```
pub trait Machine: Model {
    /// A command, for a system that holds `state`. Where several clients run commands at once nobody knows what it holds, and `state` is what it
    /// held at first.
    fn command(&self, state: &Self::State, draws: &mut Draws<'_>) -> Self::Op;

    /// Whether the command may come in this state; one that may not is drawn anew, and left out if that does not help. Default: always.
    fn possible(&self, state: &Self::State, command: &Self::Op) -> bool {
        let _ = (state, command);
        true
    }
}

/// A sequence of commands that is yet to be run: see [`Sim::commands`](crate::Sim::commands).
#[must_use = "no command runs before `run` or `run_clients` is awaited"]
pub struct Commands<M> {
    machine: M,
    at: &'static Location<'static>,
    up_to: u32,
    name: String,
}

/// What commands came to that did as their model says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ran {
    commands: usize,
}

impl Ran {
    /// How many commands ran.
    pub fn commands(&self) -> usize {
        self.commands
    }
}

/// How often a command is drawn anew that may not come.
const AGAIN: u32 = 16;
/// One command of so many is left out from the first.
const LEFT_OUT: u64 = 8;

impl<M: Machine> Commands<M> {
    pub(crate) fn new(machine: M, at: &'static Location<'static>) -> Self {
        Commands {
            machine,
            at,
            up_to: 20,
            name: "the system does as its model".to_owned(),
        }
    }

    /// How many commands there are at most, for each client. Default 20. Each of them is left out in one run of eight; shrinking leaves out
    /// any, and the others stay what they were.
    pub fn up_to(mut self, commands: u32) -> Self {
        self.up_to = commands;
        self
    }

    /// The name of the property, by which failures are known. Default: `the system does as its model`.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Runs commands one after the other: `call` hands one to the system and returns what that returned. An `Err` says that nobody knows
    /// whether it took effect. The first answer that the model does not allow ends the run, whose failure lists the commands.
    pub async fn run<E: Debug>(self, mut call: impl AsyncFnMut(M::Op) -> Result<M::Ret, E>) -> Ran {
        let first = next_label(self.at, self.up_to);
        let mut states = vec![self.machine.init()];
        let mut list = Vec::new();
        for number in 0..self.up_to {
            let Some(op) = self.drawn(first + number, &states) else {
                continue;
            };
            let before = states;
            states = Vec::new();
            let answer = call(op.clone()).await;
            let shown = match &answer {
                Ok(ret) => {
                    let next = |state| self.machine.step(state, &op, ret);
                    states.extend(before.iter().filter_map(next));
                    self.machine.show_ret(ret)
                }
                Err(error) => {
                    for state in &before {
                        states.extend(self.machine.unknown(state, &op));
                    }
                    // It may also have had no effect.
                    states.extend(before.iter().cloned());
                    format!("{error:?} (unknown)")
                }
            };
            dedup(&mut states);
            list.push(format!("{} -> {shown}", self.machine.show_op(&op)));
            if states.is_empty() {
                self.broken(&list, self.expected(&before, &op));
            }
        }
        Ran {
            commands: list.len(),
        }
    }

    /// Runs commands of several clients at once, each client's one after the other, and checks that the history of them all is
    /// [linearizable](History::check). `call` is told which client it is, from 0 on; an `Err` says that nobody knows whether the command took
    /// effect.
    ///
    /// # Panics
    /// As `call` does, and if the history cannot be decided within the bounds of the check.
    pub async fn run_clients<F, Fut, E>(self, clients: u32, call: F) -> Ran
    where
        F: Fn(u32, M::Op) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<M::Ret, E>> + Send + 'static,
        E: Debug,
        M::Op: Send + 'static,
        M::Ret: Send + 'static,
    {
        let first = next_label(self.at, self.up_to * clients);
        let history = History::new();
        let call = Arc::new(call);
        let states = [self.machine.init()];
        let mut tasks = Vec::new();
        for client in 0..clients {
            let draw = |number| self.drawn(first + client * self.up_to + number, &states);
            let ops: Vec<M::Op> = (0..self.up_to).filter_map(draw).collect();
            let (recorder, call) = (history.client(client), call.clone());
            tasks.push(tokio::spawn(async move {
                for op in ops {
                    let _ = recorder.call(op.clone(), call(client, op)).await;
                }
            }));
        }
        for task in tasks {
            if let Err(failed) = task.await
                && failed.is_panic()
            {
                #[cfg(not(squall_madsim))]
                std::panic::resume_unwind(failed.into_panic());
                // There a panic of a task ends the run, so this is not come to.
                #[cfg(squall_madsim)]
                panic!("{failed}");
            }
        }
        match history.check(&self.machine) {
            Ok(_) => Ran {
                commands: history.len(),
            },
            Err(error) if error.counterexample().is_some() => self.violated(error.to_string()),
            Err(error) => panic!("{error}"),
        }
    }

    /// The command with this label, unless it is left out.
    fn drawn(&self, label: u32, states: &[M::State]) -> Option<M::Op> {
        let below = &mut |n| labelled(label, n);
        if below(LEFT_OUT) == 0 {
            return None;
        }
        for _ in 0..AGAIN {
            let op = self.machine.command(&states[0], &mut Draws::from_fn(below));
            if states.iter().all(|state| self.machine.possible(state, &op)) {
                return Some(op);
            }
        }
        None
    }

    fn expected(&self, states: &[M::State], op: &M::Op) -> String {
        let mut text = String::new();
        for state in states {
            let _ = write!(
                text,
                "\nthe model holds {} before the last",
                self.machine.show_state(state)
            );
            if let Some(ret) = self.machine.expected(state, op) {
                let _ = write!(text, ", which would return {}", self.machine.show_ret(&ret));
            }
        }
        text
    }

    fn broken(&self, list: &[String], expected: String) -> ! {
        let mut text = format!("the last of {} commands does not", list.len());
        for (at, command) in list.iter().enumerate() {
            let _ = write!(text, "\n  {}. {command}", at + 1);
        }
        self.violated(text + &expected)
    }

    fn violated(&self, detail: String) -> ! {
        kernel::violate(Violation {
            property: self.name.clone(),
            detail,
            site: site(self.at),
            ..Violation::default()
        })
    }
}

fn dedup<T: PartialEq>(states: &mut Vec<T>) {
    let mut at = 0;
    while at < states.len() {
        match states[..at].contains(&states[at]) {
            true => _ = states.swap_remove(at),
            false => at += 1,
        }
    }
}

impl<M> Debug for Commands<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Commands");
        shown.field("up_to", &self.up_to).finish_non_exhaustive()
    }
}
