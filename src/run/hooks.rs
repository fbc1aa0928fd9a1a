//! The hooks of a tokio that is built with `--cfg tokio_unstable`: through them the kernel hears who the tasks are, and polls
//! become scheduling points, without a copy of tokio. Set on every runtime that a test of squall's gets.
//!
//! tokio got these hooks one by one, and may change them. A hook that the user's version has not is left out: methods of its
//! own go before those of the traits here, which do nothing.

/// Sets the hooks.
#[cfg(not(all(tokio_unstable, squall_kernel)))]
pub fn set(_: &mut tokio::runtime::Builder) {}

#[cfg(all(tokio_unstable, squall_kernel))]
pub use hooked::set;

#[cfg(all(tokio_unstable, squall_kernel))]
mod hooked {
    use std::hash::{Hash, Hasher};
    use std::panic::Location;

    use tokio::runtime::Builder;

    use crate::kernel::{hook_ended, hook_polled, hook_polls, hook_spawned};

    /// Sets the hooks.
    pub fn set(builder: &mut Builder) {
        #[allow(unused_imports, reason = "the newer tokio is, the less of them")]
        use fallback::{Hooks as _, Place as _};
        builder.on_task_spawn(|task| hook_spawned(number(&task.id()), task.spawned_at()));
        builder.on_before_task_poll(|task| hook_polls(number(&task.id())));
        builder.on_after_task_poll(|task| hook_polled(number(&task.id())));
        builder.on_task_terminate(|task| hook_ended(number(&task.id())));
    }

    /// tokio's number of a task, which it shows in no other way than by its hash.
    fn number(id: &impl Hash) -> u64 {
        struct Seen(u64);
        impl Hasher for Seen {
            fn finish(&self) -> u64 {
                self.0
            }
            fn write(&mut self, bytes: &[u8]) {
                for byte in bytes {
                    self.0 = self.0 << 8 | u64::from(*byte);
                }
            }
            fn write_u64(&mut self, number: u64) {
                self.0 = number;
            }
        }
        let mut seen = Seen(0);
        id.hash(&mut seen);
        seen.finish()
    }

    /// What some version of tokio has not.
    #[allow(dead_code, reason = "the newer tokio is, the less of it is used")]
    mod fallback {
        use super::{Builder, Location};

        /// Stands for what tokio tells a hook.
        pub struct Nobody;

        impl Nobody {
            pub fn id(&self) -> u64 {
                0
            }
        }

        pub trait Hooks {
            fn on_task_spawn(&mut self, _: impl Fn(&Nobody)) {}
            fn on_before_task_poll(&mut self, _: impl Fn(&Nobody)) {}
            fn on_after_task_poll(&mut self, _: impl Fn(&Nobody)) {}
            fn on_task_terminate(&mut self, _: impl Fn(&Nobody)) {}
        }

        impl Hooks for Builder {}

        pub trait Place {
            /// A place in squall itself: that of the task is not known.
            fn spawned_at(&self) -> &'static Location<'static> {
                Location::caller()
            }
        }

        impl<T> Place for T {}
    }
}
