//! Small blocks that were given back, kept for who asks next.
//!
//! A publish makes and drops some thirty small vectors and texts. The server counts every block, and asks its allocator
//! how large it has become: from its making to its end one costs 200 instructions there, and 80 here. What is kept is
//! bounded, and remains counted as the server's memory.

use std::cell::UnsafeCell;
use std::ptr;

/// Blocks come in sizes one step apart.
const STEP: usize = 16;

/// The largest block that is kept: the journal of a symbol's log and most messages are smaller.
const LARGEST: usize = 1024;

/// Blocks that are kept of one size. None for a tool that looks for blocks which are used behind their end.
const KEPT: u32 = if cfg!(tradebus_memcheck) { 0 } else { 32 };

/// Blocks of one size, the first of which holds the address of the second, and so on.
#[derive(Clone, Copy)]
struct Shelf {
    first: *mut u8,
    count: u32,
}

thread_local! {
    /// Each thread has its own, so that nothing has to be locked; all but one stay empty.
    static SHELVES: UnsafeCell<[Shelf; LARGEST / STEP]> =
        const { UnsafeCell::new([Shelf { first: ptr::null_mut(), count: 0 }; LARGEST / STEP]) };
}

/// The size in which a block of `size` bytes is asked of the server, so that the next one of about this size fits; `None`
/// for a block that is not kept.
pub fn size_on_shelf(size: usize) -> Option<usize> {
    (1..=LARGEST).contains(&size).then(|| size.next_multiple_of(STEP))
}

fn with_shelf<T>(size: usize, run: impl FnOnce(&mut Shelf) -> T) -> T {
    SHELVES.with(|shelves| {
        // SAFETY: this thread's own, and nothing that runs here comes back for another one.
        let shelves = unsafe { &mut *shelves.get() };
        run(&mut shelves[size / STEP - 1])
    })
}

/// A block that is kept, of a size that [`size_on_shelf`] has given.
pub fn take(size: usize) -> Option<*mut u8> {
    with_shelf(size, |shelf| {
        if shelf.first.is_null() {
            return None;
        }
        let block = shelf.first;
        // SAFETY: `put` has left the address of the next one there; the block is ours alone.
        shelf.first = unsafe { block.cast::<*mut u8>().read() };
        shelf.count -= 1;
        Some(block)
    })
}

/// Keeps a block; `false` when there are enough of its size.
///
/// # Safety
/// The block is of a size that [`size_on_shelf`] has given, from the server, aligned for a pointer, and used by nobody
/// any more.
pub unsafe fn put(block: *mut u8, size: usize) -> bool {
    with_shelf(size, |shelf| {
        if shelf.count >= KEPT {
            return false;
        }
        // SAFETY: by the caller's promise; every size has room for an address.
        unsafe { block.cast::<*mut u8>().write(shelf.first) };
        shelf.first = block;
        shelf.count += 1;
        true
    })
}

/// Gives every block of this thread to `free`.
pub fn clear(free: impl Fn(*mut u8)) {
    for size in (1..=LARGEST / STEP).map(|steps| steps * STEP) {
        while let Some(block) = take(size) {
            free(block);
        }
    }
}
