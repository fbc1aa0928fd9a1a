//! What a host keeps while its program comes and goes.

use crate::kernel;

/// The storage of a host: named values of bytes, in memory, as a small disk. It outlives the host's program; a crash of the
/// machine takes what was written after the last [`sync`](Storage::sync), a kill does not.
///
/// ```no_run
/// # async fn example(sim: squall::Sim) {
/// sim.host("counter", || async {
///     let disk = squall::Storage::here();
///     let starts = disk.get("starts").map_or(0, |n| n[0]) + 1;
///     disk.set("starts", [starts]);
///     disk.sync();
///     std::future::pending::<()>().await;
/// });
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Storage {
    host: u16,
}

impl Storage {
    /// That of the host that the caller runs on.
    ///
    /// # Panics
    /// Outside a simulation.
    pub fn here() -> Storage {
        Storage::of(kernel::my_host())
    }

    pub(super) fn of(host: u16) -> Storage {
        Storage { host }
    }

    /// The value of a name, as it was last written.
    pub fn get(&self, name: &str) -> Option<Vec<u8>> {
        kernel::storage_get(self.host, name)
    }

    /// Writes a value.
    pub fn set(&self, name: &str, value: impl AsRef<[u8]>) {
        kernel::storage_set(self.host, name, Some(value.as_ref()));
    }

    /// Removes a name and its value. Like a value, this outlives a crash only after [`sync`](Storage::sync).
    pub fn remove(&self, name: &str) {
        kernel::storage_set(self.host, name, None);
    }

    /// What was written so far is safe from a crash.
    pub fn sync(&self) {
        kernel::storage_sync(self.host);
    }

    /// Every name that has a value, in order.
    pub fn names(&self) -> Vec<String> {
        kernel::storage_names(self.host)
    }
}
