//! What is left when the body has returned: tasks, and descriptors. Threads are `judge`'s own.

use super::super::descriptor::Kind;
use super::super::identity::{Place, TaskFacts};
use super::super::{Detector, Kernel};
use std::fmt::Write as _;

impl Kernel {
    /// The future of the body is done, and its runtime still there.
    pub(crate) fn body_done(&mut self) {
        if !self.detect.wants(Detector::LeakedTasks) {
            return;
        }
        let left = |task: &&TaskFacts| task.host == 0 && !task.done && !task.blocking;
        let places: Vec<Place> = (self.known_tasks().filter(left))
            .map(|task| task.spawned_at)
            .filter(|place| !(self.detect).allows(Detector::LeakedTasks, &place.to_string()))
            .collect();
        if places.is_empty() {
            return;
        }
        let mut detail = format!(
            "the body returned while {} of the tasks that it spawned were there",
            places.len()
        );
        for place in places.iter().take(16) {
            let _ = write!(detail, "\nspawned at {place}");
        }
        self.find(Detector::LeakedTasks, detail);
    }

    /// Descriptors of the test's own host that nobody can be using.
    pub(super) fn leaked_descriptors(&mut self) {
        let mut lines = Vec::new();
        for (fd, object) in self.open_on(0) {
            let what = match self.objects.get(object) {
                // What registries of signal handlers keep for the life of the program is a pair of these.
                None | Some(Kind::Unix(_) | Kind::Random) => continue,
                Some(_) => self.object_text(object),
            };
            if !self.detect.allows(Detector::LeakedDescriptors, &what) {
                let born = self.birth_of(fd);
                let born = born.map(|place| format!(", opened at {place}"));
                lines.push(format!("{fd}: {what}{}", born.unwrap_or_default()));
            }
        }
        if !lines.is_empty() {
            let detail = format!(
                "the body returned, nothing of it runs any more, and these descriptors are open\n{}",
                lines.join("\n")
            );
            self.find(Detector::LeakedDescriptors, detail);
        }
    }
}
