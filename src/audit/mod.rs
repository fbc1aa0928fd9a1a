//! Audits: what a service that has no test yet does when something is wrong, one call each, one table each.
//!
//! | audit | what is done | what is looked for |
//! |---|---|---|
//! | [`dependencies`] | every dependency fails in every way it can | calls that hang, answers that are wrong, no recovery |
//! | [`timeouts`] | every link becomes a black hole, in each round at another moment | operations that never return, and where they wait |
//! | [`cancellation`] | every operation is dropped at every await | descriptors and gauges that grow, checks that fail, what blocks afterwards |
//! | [`overload`] | the rate is raised until a threshold breaks | where it saturates, and whether the service comes back |
//!
//! Each is a test of its own: it stands on `run`'s [`Builder`](crate::Builder), whose bodies set the service up anew for each run. A first run lists the cells of the table;
//! then each cell has runs of its own, and which cell a run is for follows from its seed, so that the seed replays the cell. What runs find travels to
//! the table as tallies.

mod calls;
mod cancel;
mod depend;
mod overload;
mod runner;
mod service;
mod table;
mod timeout;

pub use runner::Audit;
pub use service::Service;
pub use table::{Row, Table};

use crate::sim::Sim;

/// The kind of the tallies that carry what runs find.
pub(crate) const FOUND: &str = "audit";

macro_rules! audits {
    ($($(#[$doc:meta])* $name:ident: $kind:ty = $new:expr;)*) => { $(
        $(#[$doc])*
        pub fn $name<F, Fut>(service: F) -> Audit
        where
            F: Fn(Sim) -> Fut + Send + Sync + 'static,
            Fut: Future<Output = Service> + 'static,
        {
            Audit::new(stringify!($name), service, || Box::new($new))
        }
    )* };
}

audits! {
    /// Breaks every dependency of the service in every way it can fail, in turn, while each operation is called once.
    ///
    /// `service` sets the service up and says what its operations are. Dependencies are those that it made with [`Sim`]'s methods, and what it named
    /// with [`Service::dependency`].
    ///
    /// ```no_run
    /// use squall::audit::Service;
    /// use squall::{Behaviour, Sim};
    ///
    /// async fn service(sim: Sim) -> Service {
    ///     sim.line_dependency("bank", 80, Behaviour::healthy(), |line| async move { line });
    ///     // sim.host("shop", shop) ..
    ///     Service::new().operation("buy", || async { tokio::net::TcpStream::connect("shop:80").await.map(drop) })
    /// }
    ///
    /// #[test]
    /// fn dependencies() {
    ///     squall::audit::dependencies(service).check();
    /// }
    /// # fn main() {}
    /// ```
    dependencies: depend::Dependencies = depend::Dependencies;
    /// Makes every link between two hosts a black hole, in turn, while an operation is under way, and sees which never return.
    timeouts: timeout::Timeouts = timeout::Timeouts;
    /// Drops every operation at each of its awaits, in turn, and sees what is left behind.
    cancellation: cancel::Cancellation = cancel::Cancellation;
    /// Raises the rate of every operation until a threshold breaks, and sees whether the service comes back.
    overload: overload::Overload = overload::Overload;
}
