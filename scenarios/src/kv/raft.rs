//! The consensus of one host: what it makes of votes, entries and the passing of time. No task and no socket; the disk is written before
//! anything is promised.

use super::machine::{Command, Machine};
use super::{Bug, Clock, Config, Disk, ELECTION, LEASE};
use serde::{Deserialize, Serialize};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// An entry of the log. A new leader begins with one that has no command.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) term: u64,
    pub(super) command: Option<Command>,
}

/// A candidate asks for a vote.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Ballot {
    pub(super) term: u64,
    candidate: usize,
    last_term: u64,
    len: usize,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Voted {
    term: u64,
    granted: bool,
}

/// A leader sends the entries behind the first `prev` ones, maybe none.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Append {
    pub(super) term: u64,
    leader: usize,
    prev: usize,
    prev_term: u64,
    entries: Vec<Entry>,
    commit: usize,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Appended {
    pub(super) term: u64,
    /// Whether the log is now the leader's for `len` entries; if not, it can differ beyond `len`.
    pub(super) matched: bool,
    pub(super) len: usize,
}

#[derive(Clone, PartialEq, Debug)]
enum Role {
    Follower,
    Candidate(Vec<usize>),
    Leader,
}

/// What a leader knows of another host.
#[derive(Clone, Debug, Default)]
struct Peer {
    next: usize,
    matched: usize,
    /// When that was sent which it acknowledged last.
    heard: Option<Duration>,
}

/// A host's part in the cluster.
pub(super) struct Raft {
    config: Config,
    disk: Box<dyn Disk>,
    clock: Clock,
    term: u64,
    voted: Option<usize>,
    log: Vec<Entry>,
    /// So many entries are on disk, known to be on a majority's disks, applied.
    synced: usize,
    commit: usize,
    pub(super) applied: usize,
    pub(super) machine: Machine,
    role: Role,
    pub(super) leader: Option<usize>,
    /// When it last heard from a leader, or started.
    heard: Duration,
    /// When it becomes a candidate.
    alarm: Duration,
    peers: Vec<Peer>,
    pub(super) stopping: bool,
}

impl Raft {
    /// As the disk remembers it.
    pub(super) fn new(config: Config, disk: Box<dyn Disk>) -> Raft {
        let clock = Clock::new(config.bug);
        let read = |name: &str| disk.read(name);
        let (term, voted) = read("vote").map_or((0, None), |bytes| parse(&bytes));
        let len: usize = read("len").map_or(0, |bytes| parse(&bytes));
        let log: Vec<Entry> = (0..len)
            .map(|i| parse(&read(&format!("entry/{i}")).expect("the log has no holes")))
            .collect();
        Raft {
            clock,
            term,
            voted,
            log,
            synced: len,
            commit: 0,
            applied: 0,
            machine: Machine::default(),
            role: Role::Follower,
            leader: None,
            // It may have heard from a leader just before it went down.
            heard: clock.now(),
            alarm: clock.now() + patience(),
            peers: Vec::new(),
            stopping: false,
            config,
            disk,
        }
    }

    fn has(&self, bug: Bug) -> bool {
        self.config.bug == Some(bug)
    }

    pub(super) fn leads(&self) -> bool {
        self.role == Role::Leader
    }

    fn last_term(&self) -> u64 {
        self.log.last().map_or(0, |entry| entry.term)
    }

    /// So many entries outlive a crash of this host.
    pub(super) fn durable(&self) -> usize {
        match self.has(Bug::HastyShutdown) && self.stopping {
            true => self.log.len(),
            false => self.synced,
        }
    }

    pub(super) fn to_flush(&self) -> bool {
        self.synced < self.log.len()
    }

    /// Writes what was appended, and syncs.
    pub(super) fn flush(&mut self) {
        if self.has(Bug::HastyShutdown) && self.stopping {
            return;
        }
        for (i, entry) in self.log.iter().enumerate().skip(self.synced) {
            self.disk.write(&format!("entry/{i}"), &bytes(entry));
        }
        self.disk.write("len", &bytes(&self.log.len()));
        if !self.has(Bug::AckBeforeSync) {
            self.disk.sync();
        }
        self.synced = self.log.len();
        self.advance();
    }

    /// A term begins, with a vote or without. What it votes must be on disk before anybody hears of it.
    fn enter(&mut self, term: u64, voted: Option<usize>) {
        if (term, voted) != (self.term, self.voted) {
            (self.term, self.voted) = (term, voted);
            self.disk.write("vote", &bytes(&(term, voted)));
            self.disk.sync();
        }
    }

    fn follow(&mut self, term: u64) {
        let voted = if term == self.term { self.voted } else { None };
        self.enter(term, voted);
        self.role = Role::Follower;
        self.leader = None;
    }

    /// How long until it becomes a candidate.
    pub(super) fn until_election(&self) -> Duration {
        match self.leads() {
            true => ELECTION,
            false => self.alarm.saturating_sub(self.clock.now()),
        }
    }

    /// Becomes a candidate.
    pub(super) fn campaign(&mut self) -> Ballot {
        let me = self.config.me;
        self.enter(self.term + 1, Some(me));
        self.role = Role::Candidate(vec![me]);
        self.leader = None;
        self.alarm = self.clock.now() + patience();
        Ballot {
            term: self.term,
            candidate: me,
            last_term: self.last_term(),
            len: self.log.len(),
        }
    }

    pub(super) fn on_ballot(&mut self, ballot: &Ballot) -> Voted {
        let promised = match self.role {
            Role::Leader => self.holds_lease(),
            Role::Follower => self.clock.now() < self.heard + ELECTION,
            Role::Candidate(_) => false,
        };
        // Whoever is promised to a leader does not even look at the term.
        if ballot.term >= self.term && !promised {
            if ballot.term > self.term {
                self.follow(ballot.term);
            }
            let current = (ballot.last_term, ballot.len) >= (self.last_term(), self.log.len());
            if current && self.voted.is_none_or(|voted| voted == ballot.candidate) {
                self.enter(self.term, Some(ballot.candidate));
                self.alarm = self.clock.now() + patience();
                return Voted {
                    term: self.term,
                    granted: true,
                };
            }
        }
        Voted {
            term: self.term,
            granted: false,
        }
    }

    pub(super) fn on_voted(&mut self, from: usize, term: u64, voted: &Voted) {
        if voted.term > self.term {
            self.follow(voted.term);
        }
        let majority = self.config.hosts.len() / 2 + 1;
        let Role::Candidate(votes) = &mut self.role else {
            return;
        };
        if term != self.term || !voted.granted {
            return;
        }
        if !votes.contains(&from) {
            votes.push(from);
        }
        if votes.len() >= majority {
            self.role = Role::Leader;
            self.leader = Some(self.config.me);
            let next = Peer {
                next: self.log.len(),
                ..Peer::default()
            };
            self.peers = vec![next; self.config.hosts.len()];
            self.log.push(Entry {
                term: self.term,
                command: None,
            });
        }
    }

    pub(super) fn on_append(&mut self, append: &Append) -> Appended {
        let term = self.term;
        if append.term < term {
            return Appended {
                term,
                matched: false,
                len: append.prev,
            };
        }
        if append.term > term || self.leader != Some(append.leader) {
            self.follow(append.term);
            self.leader = Some(append.leader);
        }
        self.heard = self.clock.now();
        self.alarm = self.heard + patience();
        let term = self.term;
        if self.log.len() < append.prev {
            return Appended {
                term,
                matched: false,
                len: self.log.len(),
            };
        }
        if append.prev > 0 && self.log[append.prev - 1].term != append.prev_term {
            // The whole term may differ.
            let other = self.log[append.prev - 1].term;
            let len = self
                .log
                .iter()
                .position(|entry| entry.term == other)
                .unwrap_or(0);
            return Appended {
                term,
                matched: false,
                len,
            };
        }
        for (i, entry) in (append.prev..).zip(&append.entries) {
            if self.log.get(i).is_some_and(|mine| mine.term != entry.term) {
                self.log.truncate(i);
                self.synced = self.synced.min(i);
            }
            if self.log.len() == i {
                self.log.push(entry.clone());
            }
        }
        let len = append.prev + append.entries.len();
        self.commit = self.commit.max(append.commit.min(len));
        self.apply();
        Appended {
            term,
            matched: true,
            len,
        }
    }

    /// What a peer should be sent; `None` if this is no leader.
    pub(super) fn append_for(&self, peer: usize) -> Option<(Duration, Append)> {
        let prev = self.peers.get(peer).filter(|_| self.leads())?.next;
        let append = Append {
            term: self.term,
            leader: self.config.me,
            prev,
            prev_term: if prev == 0 {
                0
            } else {
                self.log[prev - 1].term
            },
            entries: self.log[prev..].iter().take(64).cloned().collect(),
            commit: self.commit,
        };
        Some((self.clock.now(), append))
    }

    /// Whether there is something that a peer should hear before the next heartbeat.
    pub(super) fn has_news_for(&self, peer: usize) -> bool {
        self.leads() && self.peers[peer].next < self.log.len()
    }

    pub(super) fn on_appended(
        &mut self,
        peer: usize,
        sent: Duration,
        append: &Append,
        reply: &Appended,
    ) {
        if reply.term > self.term {
            self.follow(reply.term);
        }
        if !self.leads() || append.term != self.term {
            return;
        }
        let peer = &mut self.peers[peer];
        peer.heard = peer.heard.max(Some(sent));
        if reply.matched {
            peer.matched = peer.matched.max(reply.len);
            peer.next = peer.next.max(reply.len);
        } else {
            peer.next = reply.len.min(append.prev.saturating_sub(1));
        }
        self.advance();
    }

    /// A majority has so much on disk; entries of earlier terms count once one of this term does.
    fn advance(&mut self) {
        if !self.leads() {
            return;
        }
        let me = self.config.me;
        let on_disk = |(i, peer): (usize, &Peer)| {
            if i == me {
                self.durable()
            } else {
                peer.matched
            }
        };
        let mut lens: Vec<usize> = self.peers.iter().enumerate().map(on_disk).collect();
        lens.sort_unstable();
        let len = lens[(lens.len() - 1) / 2];
        if len > self.commit && self.log[len - 1].term == self.term {
            self.commit = len;
            self.apply();
        }
    }

    fn apply(&mut self) {
        let dedup = !self.has(Bug::NoDedup);
        for entry in &self.log[self.applied..self.commit] {
            if let Some(command) = &entry.command {
                self.machine.apply(command, dedup);
            }
        }
        self.applied = self.commit;
    }

    /// Appends a command: its place in the log and its term. `None` if this is no leader.
    pub(super) fn propose(&mut self, command: &Command) -> Option<(usize, u64)> {
        let command = Some(command.clone());
        let term = self.leads().then_some(self.term)?;
        self.log.push(Entry { term, command });
        Some((self.log.len(), term))
    }

    /// Whether the log still has, or never had, this term's entry at that place.
    pub(super) fn keeps(&self, (len, term): (usize, u64)) -> bool {
        self.log
            .get(len - 1)
            .is_some_and(|entry| entry.term == term)
    }

    /// Whether nobody else can be leader now, and everything acknowledged before is applied here.
    pub(super) fn may_read(&self) -> bool {
        let own_term = self.applied > 0 && self.log[self.applied - 1].term == self.term;
        self.leads() && own_term && (self.has(Bug::StaleRead) || self.holds_lease())
    }

    fn holds_lease(&self) -> bool {
        let others = self
            .peers
            .iter()
            .enumerate()
            .filter(|(i, _)| *i != self.config.me);
        let mut heard: Vec<_> = others.map(|(_, peer)| peer.heard).collect();
        heard.sort_unstable();
        // As many as a majority needs beside this one.
        let nth = self.config.hosts.len() / 2;
        let since = heard.len().checked_sub(nth).and_then(|i| heard[i]);
        since.is_some_and(|since| self.clock.now() < since + LEASE)
    }

    /// Whether nothing has happened since it heard from the leader of this term.
    pub(super) fn follows(&self, term: u64) -> bool {
        self.term == term && self.role == Role::Follower
    }
}

fn patience() -> Duration {
    let drawn = RandomState::new().build_hasher().finish() % 1000;
    ELECTION + ELECTION * drawn as u32 / 1000
}

fn bytes(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("it is plain data")
}

fn parse<T: for<'a> Deserialize<'a>>(bytes: &[u8]) -> T {
    serde_json::from_slice(bytes).expect("the disk has what was written")
}
