//! The edits that decide nothing: they let the story of a failing run say where tasks wait, and who wakes whom. `rewrite`
//! makes all of them or none; without them the copy works, and stories say less.

use super::rewrite::{COOP, ROOT, SOME, Seam};

const TASK_WAKER: &[&str] = &["src/runtime/task/waker.rs"];
const TASK_RAW: &[&str] = &["src/runtime/task/raw.rs"];
const WAKE: &[&str] = &["src/util/wake.rs"];
const BUILDER: &[&str] = &["src/task/builder.rs"];
const SEMAPHORE: &[&str] = &["src/sync/batch_semaphore.rs"];

/// Each expression that says something of a poll.
pub(super) const SEAMS: [Seam; 10] = [
    Seam {
        what: "what a task may have to wait for",
        files: ROOT,
        // The body of `trace_leaf`, which every future of tokio's own calls first.
        from: "            std::task::Poll::Ready(())\n",
        to: "            crate::squall::leaf();\n            std::task::Poll::Ready(())\n",
        times: 1,
        or: None,
    },
    Seam {
        what: "where a poll is cut short",
        files: COOP,
        from: "if decrement.success {",
        to: "if crate::squall::proceeds(decrement.success) {",
        times: 1,
        or: None,
    },
    Seam {
        what: "who keeps a task's waker",
        files: TASK_WAKER,
        from: "    raw_waker(header)\n",
        to: "    crate::squall::kept(); raw_waker(header)\n",
        times: 1,
        or: None,
    },
    Seam {
        what: "who keeps a runtime's waker",
        files: WAKE,
        from: "    RawWaker::new(data, waker_vtable::<T>())\n",
        to: "    crate::squall::kept(); RawWaker::new(data, waker_vtable::<T>())\n",
        times: 1,
        or: None,
    },
    Seam {
        what: "who wakes a task and gives its waker up",
        files: TASK_WAKER,
        from: "    raw.wake_by_val();\n",
        to: "    crate::squall::wakes(raw.squall()); raw.wake_by_val();\n",
        times: 1,
        or: None,
    },
    Seam {
        what: "who wakes a task",
        files: TASK_WAKER,
        from: "    raw.wake_by_ref();\n",
        to: "    crate::squall::wakes(raw.squall()); raw.wake_by_ref();\n",
        times: 1,
        or: None,
    },
    Seam {
        what: "the number of a task that is woken",
        files: TASK_RAW,
        from: "    pub(super) fn header(&self) -> &Header {\n",
        to: "    pub(super) fn squall(&self) -> u32 { self.header().squall }\n\n    \
             pub(super) fn header(&self) -> &Header {\n",
        times: 1,
        or: None,
    },
    Seam {
        what: "the name that a task is given",
        files: BUILDER,
        from: "self.name",
        to: "crate::squall::naming(self.name)",
        times: SOME,
        or: None,
    },
    Seam {
        what: "which lock a task waits for",
        files: SEMAPHORE,
        from: "let (node, semaphore, needed, queued) = self.project();",
        to: "let (node, semaphore, needed, queued) = self.project(); \
             crate::squall::acquires((semaphore as *const Semaphore).cast());",
        times: 1,
        or: None,
    },
    Seam {
        what: "which lock a task gives back",
        files: SEMAPHORE,
        from: "    pub(crate) fn release(&self, added: usize) {\n",
        to: "    pub(crate) fn release(&self, added: usize) {\n        \
             crate::squall::releases((self as *const Semaphore).cast());\n",
        times: 1,
        or: None,
    },
];
