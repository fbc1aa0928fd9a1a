//! The edits that decide nothing: they let the story of a failing run say where tasks wait, and who wakes whom, and detectors see
//! what becomes of tasks. `rewrite`
//! makes all of them or none; without them the copy works, stories say less and those detectors see nothing.

use super::decisions::{COOP, ROOT, TASK_CORE, TASK_HARNESS, TASK_STATE};
use super::rewrite::{SOME, Seam};

const TASK_WAKER: &[&str] = &["src/runtime/task/waker.rs"];
const TASK_RAW: &[&str] = &["src/runtime/task/raw.rs"];
const WAKE: &[&str] = &["src/util/wake.rs"];
const BUILDER: &[&str] = &["src/task/builder.rs"];
const SEMAPHORE: &[&str] = &["src/sync/batch_semaphore.rs"];

/// Each expression that says something of a poll.
pub(super) const SEAMS: [Seam; 18] = [
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
             crate::squall::acquires((semaphore as *const Semaphore).cast(), &*node as *const Waiter as usize, *queued);",
        times: 1,
        or: None,
    },
    Seam {
        what: "who is handed a lock",
        files: SEMAPHORE,
        from: "waiter.assign_permits(&mut rem)",
        to: "crate::squall::granted(waiter as *const Waiter as usize, waiter.assign_permits(&mut rem))",
        times: 1,
        or: None,
    },
    Seam {
        what: "who no longer waits for a lock",
        files: SEMAPHORE,
        from: "        // This is where we ensure safety. The future is being dropped,\n",
        to: "        crate::squall::gives_up(&self.node as *const Waiter as usize);\n        \
             // This is where we ensure safety. The future is being dropped,\n",
        times: 1,
        or: None,
    },
    Seam {
        what: "which task nothing can wake",
        files: TASK_STATE,
        from: "pub(super) enum TransitionToIdle {\n",
        to: "pub(super) enum TransitionToIdle {\n    Orphaned,\n",
        times: 1,
        or: None,
    },
    Seam {
        what: "which task nothing can wake",
        files: TASK_STATE,
        from: "action = TransitionToIdle::Ok;",
        // The reference that is left is that of the list of its runtime's tasks.
        to: "action = match next.ref_count() == 1 && !next.is_join_interested() {\n                        \
             true => TransitionToIdle::Orphaned,\n                        false => TransitionToIdle::Ok,\n                    };",
        times: 1,
        or: None,
    },
    Seam {
        what: "which task nothing can wake",
        files: TASK_HARNESS,
        from: "TransitionToIdle::Ok => PollFuture::Done,",
        to: "TransitionToIdle::Ok | TransitionToIdle::Orphaned => PollFuture::Done,",
        times: 1,
        or: None,
    },
    Seam {
        what: "which task nothing can wake",
        files: TASK_HARNESS,
        from: "let transition_res = self.state().transition_to_idle();\n",
        to: "let transition_res = self.state().transition_to_idle();\n                \
             if let TransitionToIdle::Orphaned = transition_res {\n                    \
             crate::squall::orphaned(self.header().squall);\n                }\n",
        times: 1,
        or: None,
    },
    Seam {
        what: "what is dropped of a task",
        files: TASK_CORE,
        from: "    pub(super) fn drop_future_or_output(&self) {\n",
        to: "    pub(super) fn forgotten(&self, task: u32) {\n        self.stage.with_mut(|stage| {\n            \
             // SAFETY: whoever may drop the output may look at it.\n            \
             if let Stage::Finished(output) = unsafe { &*stage } {\n                \
             crate::squall::forgotten(task, output);\n            }\n        });\n    }\n\n    \
             pub(super) fn drop_future_or_output(&self) {\n",
        times: 1,
        or: None,
    },
    Seam {
        what: "whose output nobody takes",
        files: TASK_HARNESS,
        from: "self.core().drop_future_or_output();",
        to: "self.core().forgotten(self.header().squall); self.core().drop_future_or_output();",
        times: 2,
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
