//! Which of the program's memory its threads share. Asked by `abi/sancov.rs` before each access of instrumented code; says
//! which accesses are scheduling points.
//!
//! Atomic operations always are. Of the other accesses most cannot matter: nobody else ever comes there, or nobody changes
//! what is there. A word of memory is *contended* once a second thread has come and somebody has written, and accesses to
//! contended words are points. That alone would come too late for the first ones, between which no other thread could then
//! arrive. So the run of a test's profile also takes down the *places in the program* that came to contended words, and in
//! all other runs these are points from the beginning.

use super::Kernel;
use super::oracle::Touch;
use super::record::What;
use super::sched::{On, Space, Word};
use super::world::Cost;
use std::collections::HashSet;
use std::sync::Arc;

/// One aligned word of eight bytes, told apart from all others of its run: an address, or a place on a thread's stack.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Place(pub(crate) u64);

/// The bytes of a word, as a shift.
const WORD: u32 = 3;
/// Marks a place on a stack. Addresses of programs do not reach this far.
const STACK: u64 = 1 << 63;

impl Place {
    /// The word of an address.
    #[inline]
    pub(crate) fn at(address: usize) -> Place {
        Place(address as u64 >> WORD)
    }

    /// A word of a thread's stack. Where stacks lie differs between ways of carrying threads, and one stack may serve
    /// several threads in turn.
    #[inline]
    pub(crate) fn on_stack(thread: u32, offset: usize) -> Place {
        Place(STACK | u64::from(thread) << 32 | (offset as u64 >> WORD))
    }

    /// The word behind this one.
    #[inline]
    pub(crate) fn next(self) -> Place {
        Place(self.0 + 1)
    }
}

#[derive(Clone, Copy)]
struct Entry {
    place: Place,
    /// The run that the entry belongs to; entries of other runs are empty.
    run: u32,
    /// Who came first.
    first: u32,
    /// Others came, too.
    shared: bool,
    written: bool,
    /// Who made the last access that was a point, and where; the place is 0 before there is one.
    last: u32,
    last_site: u32,
}

impl Entry {
    fn contended(&self) -> bool {
        self.shared && self.written
    }
}

const EMPTY: Entry = Entry {
    place: Place(0),
    run: 0,
    first: 0,
    shared: false,
    written: false,
    last: 0,
    last_site: 0,
};

/// The words that the threads of a run have touched.
pub(crate) struct Memory {
    /// Open addressing; the length is a power of two.
    table: Vec<Entry>,
    used: usize,
    run: u32,
    /// The last contended access, and how many times in a row it was made.
    last: (u32, Place, u64),
    repeated: u32,
    /// Places in the program that are known to come to contended words, ascending.
    sites: Arc<[u64]>,
    /// A bit for each site's remainder, since most are not among them.
    known: [u64; 64],
    /// Which words each place came to, where that is wanted.
    visits: Option<HashSet<(u64, Place)>>,
    /// Pairs of places that met in this process, a bit each.
    met: Vec<u64>,
    /// Those that met for the first time in this run.
    pairs: Vec<u16>,
}

/// A profile looks at no more visits than these.
const VISITS: usize = 1 << 16;
/// Entries of a new table.
const ROOM: usize = 1 << 10;
/// The same access so many times in a row, with no change made: the thread waits for another one.
const SPINNING: u32 = 16;
/// So many times: it will go on until something happens, and the clock may run faster. Locks look a hundred times before they
/// block.
const WAITING: u32 = 1_000;

impl Memory {
    pub(crate) fn new() -> Memory {
        Memory {
            table: Vec::new(),
            used: 0,
            run: 0,
            last: (0, Place(0), 0),
            repeated: 0,
            sites: Arc::default(),
            known: [0; 64],
            visits: None,
            met: Vec::new(),
            pairs: Vec::new(),
        }
    }

    /// Forgets everything for the next run. `sites` are the places in the program that come to contended words, ascending;
    /// `visits`: have them taken down.
    pub(crate) fn clear(&mut self, sites: Arc<[u64]>, visits: bool) {
        if self.sites != sites {
            self.known = [0; 64];
            for site in &*sites {
                self.known[(site >> 6) as usize % 64] |= 1 << (site % 64);
            }
            self.sites = sites;
        }
        self.visits = visits.then(HashSet::new);
        self.pairs.clear();
        self.used = 0;
        self.repeated = 0;
        self.run = self.run.wrapping_add(1);
        if self.run == 0 {
            // Entries of four thousand million runs ago would count again.
            self.table.fill(EMPTY);
            self.run = 1;
        }
    }

    /// `thread` is about to access a word; returns whether the word is contended.
    #[inline]
    fn arrive(&mut self, place: Place, thread: u32, write: bool) -> bool {
        let entry = self.entry(place, thread);
        entry.shared |= entry.first != thread;
        entry.written |= write;
        entry.contended()
    }

    /// `thread` makes an access that was a point: which place it comes after, on another thread, is worth knowing.
    #[inline]
    pub(crate) fn accessed(&mut self, place: Place, thread: u32, site: u64) {
        let entry = self.entry(place, thread);
        let before = (entry.last, entry.last_site);
        (entry.last, entry.last_site) = (thread, site as u32);
        if before.0 != thread && before.1 != 0 {
            self.meet(before.1, site as u32);
        }
    }

    fn meet(&mut self, one: u32, other: u32) {
        let mixed = (u64::from(one) << 32 | u64::from(other)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let pair = (mixed >> 48) as u16;
        let (word, bit) = (usize::from(pair / 64), 1 << (pair % 64));
        if self.met.is_empty() {
            self.met = vec![0; 1 << 10];
        }
        if self.met[word] & bit == 0 {
            self.met[word] |= bit;
            self.pairs.push(pair);
        }
    }

    /// The pairs that met for the first time in this process.
    pub(crate) fn take_pairs(&mut self) -> Vec<u16> {
        std::mem::take(&mut self.pairs)
    }

    #[inline]
    fn is_known(&self, site: u64) -> bool {
        self.known[(site >> 6) as usize % 64] & 1 << (site % 64) != 0
            && self.sites.binary_search(&site).is_ok()
    }

    #[cold]
    fn visit(&mut self, site: u64, place: Place) {
        if let Some(visits) = &mut self.visits
            && visits.len() < VISITS
        {
            visits.insert((site, place));
        }
    }

    /// The places in the program that came to words that are contended by now, ascending, if that was to be taken down.
    pub(crate) fn contended_sites(&mut self) -> Option<Vec<u64>> {
        let visits = self.visits.take()?;
        let mut sites: Vec<u64> = Vec::new();
        for (site, place) in visits {
            // Nobody new: it only looks the word up.
            let first = self.entry(place, 0).first;
            if self.arrive(place, first, false) && site != 0 {
                sites.push(site);
            }
        }
        sites.sort_unstable();
        sites.dedup();
        Some(sites)
    }

    #[inline]
    fn entry(&mut self, place: Place, thread: u32) -> &mut Entry {
        if self.used * 2 >= self.table.len() {
            self.grow();
        }
        let mask = self.table.len() - 1;
        let mut at = place.0.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(20) as usize & mask;
        loop {
            let found = self.table[at];
            if found.run != self.run {
                self.used += 1;
                self.table[at] = Entry {
                    place,
                    run: self.run,
                    first: thread,
                    ..EMPTY
                };
                break;
            }
            if found.place == place {
                break;
            }
            at = (at + 1) & mask;
        }
        &mut self.table[at]
    }

    #[cold]
    fn grow(&mut self) {
        let larger = vec![EMPTY; (self.table.len() * 2).max(ROOM)];
        let old = std::mem::replace(&mut self.table, larger);
        self.used = 0;
        let run = self.run;
        for entry in old.into_iter().filter(|entry| entry.run == run) {
            *self.entry(entry.place, entry.first) = entry;
        }
    }

    /// Whether the thread does nothing but look at one word again and again.
    #[inline]
    fn spins(&mut self, thread: u32, place: Place, site: u64) -> bool {
        let now = (thread, place, site);
        if self.last != now {
            self.last = now;
            self.repeated = 0;
            return false;
        }
        self.repeated += 1;
        self.repeated >= SPINNING
    }
}

impl Kernel {
    /// The running thread is about to access `words` words of memory from `place` on: who goes on, or `None` if that can
    /// matter to nobody. `site` is the place in the program, the same in every process.
    #[inline]
    pub(crate) fn access(
        &mut self,
        place: Place,
        words: usize,
        site: u64,
        write: bool,
    ) -> Option<u32> {
        let me = self.sched.current;
        let mut point = self.memory.arrive(place, me, write);
        if words > 1 {
            point |= self.memory.arrive(place.next(), me, write);
        }
        if self.memory.visits.is_some() {
            self.memory.visit(site, place);
        }
        if !point && !self.memory.is_known(site) {
            return None;
        }
        Some(self.access_point(place, site, write))
    }

    /// As [`access`](Kernel::access) for an atomic operation.
    #[inline]
    pub(crate) fn atomic(&mut self, place: Place, site: u64, write: bool) -> u32 {
        let me = self.sched.current;
        self.memory.arrive(place, me, write);
        self.access_point(place, site, write)
    }

    #[inline]
    fn access_point(&mut self, place: Place, site: u64, write: bool) -> u32 {
        let me = self.sched.current;
        self.begin(Cost::TOUCH);
        let touch = Touch {
            resource: place.0,
            site,
            write,
        };
        let spins = self.memory.spins(me, place, site);
        if self.memory.repeated > WAITING {
            self.wait_out();
        }
        self.before(touch, spins)
    }

    /// Records an access of the running thread, which it makes now.
    #[cold]
    pub(crate) fn tell_access(&mut self, place: Place, write: bool) {
        let about = self.about_wait(&On::Word(Word {
            space: Space::Memory,
            address: place.0 as usize,
        }));
        self.tell(What::Access { write, about }, true);
    }

    /// The running thread has looked at one word very often. If nobody else can go on, only an event can end that.
    #[cold]
    fn wait_out(&mut self) {
        let next = self.events.next_at();
        if next != u64::MAX && self.sched.alone() {
            let doublings = ((self.memory.repeated - WAITING) / 64).min(40);
            self.now = self
                .now
                .saturating_add(1 << doublings)
                .min(next.max(self.now));
        }
    }

    /// Memory that others see was changed: a program that spins does not do that.
    #[inline]
    pub(crate) fn changed(&mut self) {
        self.memory.repeated = 0;
        self.progress();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory() -> Memory {
        let mut memory = Memory::new();
        memory.clear(Arc::default(), false);
        memory
    }

    #[test]
    fn only_what_several_touch_and_one_changes_is_contended() {
        let mut memory = memory();
        let (read, written) = (Place::at(0x1000), Place::at(0x2000));
        for place in [read, written] {
            assert!(!memory.arrive(place, 1, false));
            assert!(!memory.arrive(place, 2, false), "nobody changes it");
        }
        assert!(memory.arrive(written, 1, true));
        assert!(memory.arrive(written, 2, false));
        assert!(!memory.arrive(read, 1, false));
        assert!(
            !memory.arrive(read.next(), 2, true),
            "the next word is its own"
        );
        assert!(
            memory.arrive(read.next(), 1, false),
            "what another one wrote"
        );
        memory.clear(Arc::default(), false);
        assert!(!memory.arrive(written, 2, true), "a new run knows nothing");
    }

    #[test]
    fn a_table_that_grows_keeps_what_it_knows() {
        let mut memory = memory();
        for run in 0..3 {
            memory.clear(Arc::default(), false);
            for i in 0..5_000 {
                assert!(!memory.arrive(Place::at(i * 8), 1, true), "run {run}");
            }
            for i in 0..5_000 {
                assert!(memory.arrive(Place::at(i * 8 + 5), 2, true), "run {run}");
            }
        }
    }

    #[test]
    fn places_that_come_to_contended_words_are_told() {
        let mut memory = memory();
        memory.clear(Arc::default(), true);
        for (site, place, thread, write) in [
            (9, 8, 1, true),
            (4, 8, 2, false),
            (5, 16, 1, true),
            (6, 16, 1, false),
        ] {
            let place = Place::at(place);
            memory.arrive(place, thread, write);
            memory.visit(site, place);
        }
        assert_eq!(memory.contended_sites(), Some(vec![4, 9]));
        assert_eq!(memory.contended_sites(), None, "once");
    }

    #[test]
    fn places_that_follow_each_other_on_two_threads_are_a_pair_once() {
        let mut memory = memory();
        let place = Place::at(8);
        for (thread, site) in [(1, 10), (1, 11), (2, 20)] {
            memory.accessed(place, thread, site);
        }
        assert_eq!(memory.take_pairs().len(), 1, "11 and 20");
        memory.accessed(place, 1, 11);
        memory.accessed(place, 2, 20);
        assert_eq!(memory.take_pairs().len(), 1, "20 and 11");
        memory.clear(Arc::default(), false);
        memory.accessed(place, 2, 20);
        memory.accessed(place.next(), 1, 11);
        assert_eq!(
            memory.take_pairs().len(),
            0,
            "nothing came before in this run"
        );
    }

    #[test]
    fn stacks_of_threads_are_places_of_their_own() {
        assert_ne!(Place::on_stack(1, 64), Place::on_stack(2, 64));
        assert_eq!(Place::on_stack(1, 64), Place::on_stack(1, 71));
        assert_ne!(Place::on_stack(0, 64), Place::at(64));
    }

    #[test]
    fn looking_at_one_word_for_ever_is_spinning() {
        let mut memory = memory();
        let place = Place::at(8);
        assert!((0..SPINNING).all(|_| !memory.spins(1, place, 7)));
        assert!(memory.spins(1, place, 7));
        assert!(!memory.spins(2, place, 7), "another thread");
        assert!(
            (0..SPINNING).all(|i| !memory.spins(1, place, 7 + u64::from(i % 2))),
            "two places in turn"
        );
    }
}
