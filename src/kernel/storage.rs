//! What a host keeps beyond the life of its program: named values, as a disk keeps them. What was written is safe from a
//! crash of the machine only once it was synced.

use std::collections::BTreeMap;

/// The storage of one host.
#[derive(Debug, Default)]
pub(crate) struct Storage {
    durable: BTreeMap<String, Vec<u8>>,
    /// Written since the last sync; `None` for what was removed.
    fresh: BTreeMap<String, Option<Vec<u8>>>,
}

impl Storage {
    /// The value of a name, synced or not.
    pub(crate) fn get(&self, name: &str) -> Option<&[u8]> {
        match self.fresh.get(name) {
            Some(fresh) => fresh.as_deref(),
            None => self.durable.get(name).map(Vec::as_slice),
        }
    }

    /// Writes a value, or removes it.
    pub(crate) fn set(&mut self, name: &str, value: Option<&[u8]>) {
        self.fresh
            .insert(name.to_owned(), value.map(<[u8]>::to_vec));
    }

    /// What was written so far will outlive a crash.
    pub(crate) fn sync(&mut self) {
        for (name, value) in std::mem::take(&mut self.fresh) {
            match value {
                Some(value) => self.durable.insert(name, value),
                None => self.durable.remove(&name),
            };
        }
    }

    /// A crash: what was not synced is gone.
    pub(crate) fn lose(&mut self) {
        self.fresh.clear();
    }

    /// Every name that has a value, in order.
    pub(crate) fn names(&self) -> Vec<String> {
        let all = self.durable.keys().chain(self.fresh.keys());
        let mut names: Vec<String> = all.filter(|n| self.get(n).is_some()).cloned().collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_takes_what_was_not_synced() {
        let mut s = Storage::default();
        s.set("a", Some(b"1"));
        s.set("b", Some(b"1"));
        s.sync();
        s.set("a", Some(b"2"));
        s.set("b", None);
        s.set("c", Some(b"3"));
        assert_eq!(
            (s.get("a"), s.get("b"), s.get("c")),
            (Some(&b"2"[..]), None, Some(&b"3"[..]))
        );
        assert_eq!(s.names(), ["a", "c"]);
        s.lose();
        assert_eq!(
            (s.get("a"), s.get("b"), s.get("c")),
            (Some(&b"1"[..]), Some(&b"1"[..]), None)
        );
        assert_eq!(s.names(), ["a", "b"]);
    }
}
