//! State that outlives a command and is used by one thread at a time.

use std::cell::{RefCell, RefMut};

/// A global for what the server's lock protects.
///
/// A second borrow panics instead of aliasing (and the panic ends at the command's edge), so borrows are kept
/// short: never across a call that may run another module's code, such as a keyspace event.
pub struct LockedCell<T>(RefCell<T>);

// SAFETY: the value is reached from the server's callbacks only, and they run one at a time, under its lock.
unsafe impl<T> Sync for LockedCell<T> {}

impl<T> LockedCell<T> {
    pub const fn new(value: T) -> Self {
        LockedCell(RefCell::new(value))
    }

    pub fn borrow(&self) -> RefMut<'_, T> {
        self.0.borrow_mut()
    }
}
