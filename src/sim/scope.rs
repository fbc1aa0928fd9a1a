//! One value of a type for each run: where the library keeps what it needs while a run goes on, such as the properties that a test
//! has stated. Made at first use, gone with the run; it is never dropped, since the program that it belongs to is over by then.

use crate::kernel;
use std::any::TypeId;
use std::sync::Arc;

/// The run's value of the type `T`.
///
/// Locks in it are shared by all hosts: take them in [`kernel::keep_turn`], or a host that crashes there keeps them.
///
/// # Panics
/// Outside a simulation.
pub(crate) fn of_run<T: Default + Send + Sync + 'static>() -> Arc<T> {
    let value = kernel::run_value(TypeId::of::<T>(), || Arc::new(T::default()));
    let value = value.downcast();
    value.unwrap_or_else(|_| unreachable!("squall bug: a value of another type"))
}

/// The run's value of the type `T`, if there is one. `None` outside a simulation.
pub(crate) fn if_any<T: Send + Sync + 'static>() -> Option<Arc<T>> {
    let value = kernel::known_run_value(TypeId::of::<T>())?;
    value.downcast().ok()
}
