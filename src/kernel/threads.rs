//! One simulated thread as the kernel keeps it: its state, its name. `sched` has all of them and hands these words on; plain data.

use super::identity::Link;
use super::waiting::{Resume, Wait};

/// A thread's name as Linux keeps it: at most fifteen bytes and a zero.
pub(crate) type ThreadName = [u8; 16];

#[derive(Clone, Debug)]
pub(crate) enum State {
    Runnable,
    Blocked { call: &'static str, wait: Wait },
    Done,
}

/// One simulated thread.
#[derive(Debug)]
pub(crate) struct Thread {
    pub(crate) host: u16,
    pub(crate) name: ThreadName,
    /// Its own number among the entities.
    pub(crate) entity: u32,
    /// Where its tokio says which task it polls; `None` until an instrumented one has asked for it.
    pub(crate) link: Option<&'static Link>,
    /// The task that it is about to poll, from the choice of it until it goes on; 0 for none.
    pub(crate) next_task: u32,
    /// The task that it polled last.
    pub(crate) last_task: u32,
    /// It was one of several, and which has been asked.
    pub(crate) picked: bool,
    /// It polls the future of the test's body, or of a host.
    pub(crate) polls_root: bool,
    pub(crate) state: State,
    pub(crate) resume: Resume,
    /// Counts the times it blocked; a deadline event that carries an older count is outdated.
    pub(crate) generation: u32,
    /// Which of the machine's slots carries it.
    pub(crate) slot: usize,
    pub(crate) detached: bool,
    /// It belongs to the harness and not to the program: what it waits for keeps nothing alive, and its turns are no progress.
    pub(crate) background: bool,
    /// It gets no turn, whatever its state is: it or its host is stalled, or that is paused.
    pub(crate) frozen: bool,
    /// Until then it is stalled by itself (virtual nanoseconds); 0 if it is not.
    pub(crate) stalled: u64,
    /// The watcher, or a thread that the watcher started, started it.
    pub(crate) watches: bool,
    /// Who is blocked in `pthread_join` on it.
    pub(crate) joiner: Option<u32>,
    /// What its start routine returned, once it is done.
    pub(crate) result: usize,
}

/// Copies a name, cut to fifteen bytes at a character boundary.
pub(crate) fn thread_name(name: &str) -> ThreadName {
    let mut out = [0; 16];
    let mut end = name.len().min(15);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    out[..end].copy_from_slice(&name.as_bytes()[..end]);
    out
}

/// A name as text.
pub(crate) fn name_text(name: &ThreadName) -> String {
    let end = name.iter().position(|b| *b == 0).unwrap_or(name.len());
    String::from_utf8_lossy(&name[..end]).into_owned()
}
