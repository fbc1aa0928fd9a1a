//! Cells. Under `--cfg loom` they are loom's, which ends the model where two accesses race.

#[cfg(loom)]
pub use loom::cell::{Cell, UnsafeCell};

#[cfg(not(loom))]
pub use self::plain::UnsafeCell;
#[cfg(not(loom))]
pub use std::cell::Cell;

#[cfg(not(loom))]
mod plain {
    /// `std::cell::UnsafeCell` with loom's face: an access is a closure, so that loom can see where it begins and ends. It costs nothing.
    ///
    /// ```
    /// use squall_points::cell::UnsafeCell;
    ///
    /// let cell = UnsafeCell::new(1);
    /// // SAFETY: nobody else knows of the cell.
    /// cell.with_mut(|value| unsafe { *value += 1 });
    /// // SAFETY: as above.
    /// assert_eq!(cell.with(|value| unsafe { *value }), 2);
    /// ```
    #[derive(Debug, Default)]
    #[repr(transparent)]
    pub struct UnsafeCell<T: ?Sized>(std::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        /// A cell with this value.
        pub const fn new(value: T) -> Self {
            UnsafeCell(std::cell::UnsafeCell::new(value))
        }

        /// The value.
        pub fn into_inner(self) -> T {
            self.0.into_inner()
        }
    }

    impl<T: ?Sized> UnsafeCell<T> {
        /// An access that reads. Under loom nobody may write meanwhile.
        #[inline(always)]
        pub fn with<R>(&self, read: impl FnOnce(*const T) -> R) -> R {
            read(self.0.get())
        }

        /// An access that may write. Under loom it is the only one meanwhile.
        #[inline(always)]
        pub fn with_mut<R>(&self, write: impl FnOnce(*mut T) -> R) -> R {
            write(self.0.get())
        }
    }

    impl<T> From<T> for UnsafeCell<T> {
        fn from(value: T) -> Self {
            UnsafeCell::new(value)
        }
    }
}
