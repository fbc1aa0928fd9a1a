//! What stands for tokio in the code that the attribute writes, in a build for madsim: a runtime whose `block_on` is the engine's, and
//! which refuses, by name, what madsim has not.

/// As `tokio::runtime`, as far as the attribute uses it.
pub mod runtime {
    use crate::kernel;
    use std::io;

    /// Builds what drives the body of a test.
    #[derive(Debug)]
    pub struct Builder(());

    /// Drives the body of a test.
    #[derive(Debug)]
    pub struct Runtime(());

    /// What an unhandled panic comes to.
    #[derive(Clone, Copy, Debug)]
    pub enum UnhandledPanic {
        /// It is in the task's result.
        Ignore,
        /// The runtime ends.
        ShutdownRuntime,
    }

    /// Options of a local runtime.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct LocalOptions;

    impl Builder {
        /// The one runtime that there is.
        pub fn new_current_thread() -> Builder {
            Builder(())
        }

        /// # Panics
        /// To end the run: there are no workers.
        pub fn new_multi_thread() -> Builder {
            kernel::refuse("flavor = \"multi_thread\"", super::THREADS)
        }

        /// # Panics
        /// To end the run: there are no workers.
        pub fn worker_threads(&mut self, _: usize) -> &mut Builder {
            kernel::refuse("worker_threads", super::THREADS)
        }

        /// Every driver is.
        pub fn enable_all(&mut self) -> &mut Builder {
            self
        }

        /// # Panics
        /// To end the run, if the clock is to stand still.
        pub fn start_paused(&mut self, paused: bool) -> &mut Builder {
            if paused {
                kernel::refuse(
                    "start_paused",
                    "its clock always jumps to the next event when nobody can go on; leave the argument out",
                );
            }
            self
        }

        /// # Panics
        /// To end the run, if panics of tasks are to be ignored.
        pub fn unhandled_panic(&mut self, what: UnhandledPanic) -> &mut Builder {
            if let UnhandledPanic::Ignore = what {
                kernel::refuse(
                    "unhandled_panic = \"ignore\"",
                    "a panic of any task ends the run; leave the argument out, and have tasks return errors",
                );
            }
            self
        }

        /// It is told nowhere.
        pub fn name(&mut self, _: impl Into<String>) -> &mut Builder {
            self
        }

        /// The runtime.
        ///
        /// # Errors
        /// None.
        pub fn build(&mut self) -> io::Result<Runtime> {
            Ok(Runtime(()))
        }

        /// The runtime: all tasks are on one thread.
        ///
        /// # Errors
        /// None.
        pub fn build_local(&mut self, _: LocalOptions) -> io::Result<Runtime> {
            self.build()
        }
    }

    impl Runtime {
        /// Drives the future to its end.
        pub fn block_on<F: Future>(&self, work: F) -> F::Output {
            kernel::block_on(work)
        }
    }

    // The attribute's code drops it, as it drops tokio's, and a lint would have something to say about dropping what has nothing to do then.
    impl Drop for Runtime {
        fn drop(&mut self) {}
    }
}

/// Why there are no workers, and what to do.
pub(super) const THREADS: &str =
    "all tasks run on one thread; leave the argument out there: cfg_attr(not(madsim), ..)";
