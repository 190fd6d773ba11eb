//! The allocator: memory comes from the server, so that `maxmemory`, `INFO memory` and defragmentation see it.

use std::alloc::{GlobalAlloc, Layout};
use std::mem::size_of;
use std::ptr;

use redis_module::raw;

use super::blocks;

#[global_allocator]
static ALLOCATOR: ServerAllocator = ServerAllocator;

/// Memory of the server.
///
/// Nothing may be allocated before the API is initialised. The pointers are null until then, an allocation
/// fails cleanly and nothing is ever freed by an allocator other than the one it came from.
struct ServerAllocator;

/// What every `malloc` the server can be built with guarantees, its size prefix (used where the C library
/// cannot tell a block's size) included.
const SERVER_ALIGN: usize = size_of::<usize>();

const fn is_over_aligned(layout: &Layout) -> bool {
    layout.align() > SERVER_ALIGN
}

/// Space for the alignment itself and for the block's address, which is kept in front of the aligned part.
const fn padded_size(layout: &Layout) -> Option<usize> {
    layout.size().checked_add(layout.align() + size_of::<*mut u8>())
}

/// Aligns within `block`, and remembers `block` in front of the result.
///
/// # Safety
/// `block` is null or at least [`padded_size`] bytes, aligned to [`SERVER_ALIGN`].
unsafe fn align_within(block: *mut u8, layout: &Layout) -> *mut u8 {
    if block.is_null() {
        return block;
    }
    // SAFETY: header, at most `align` bytes of padding and `size` fit into the block by `padded_size`; the
    // result is aligned to more than a pointer, so the slot in front of it is aligned for one.
    unsafe {
        let payload = block.add(size_of::<*mut u8>());
        let aligned = payload.add(payload.align_offset(layout.align()));
        aligned.cast::<*mut u8>().sub(1).write(block);
        aligned
    }
}

/// Asks the server for a block.
///
/// # Safety
/// `size` is not 0.
unsafe fn ask(size: usize) -> *mut u8 {
    // SAFETY: the pointer is written once, while loading, before any other thread of ours exists.
    match unsafe { raw::RedisModule_Alloc } {
        // SAFETY: the server's malloc.
        Some(alloc) => unsafe { alloc(size) }.cast(),
        None => ptr::null_mut(),
    }
}

/// Gives a block back to the server.
///
/// # Safety
/// The server's, at its own address, and used by nobody any more.
unsafe fn give(block: *mut u8) {
    // SAFETY: as in `ask`.
    if let Some(free) = unsafe { raw::RedisModule_Free } {
        // SAFETY: by the caller's promise.
        unsafe { free(block.cast()) };
    }
}

/// Gives the blocks that are kept back to the server.
pub fn clear() {
    // SAFETY: they are the server's, and nobody's any more.
    blocks::clear(|block| unsafe { give(block) });
}

// SAFETY: blocks come from the server's allocator with at least the size asked for, and with the alignment, either
// because it guarantees it or by `align_within`; a block goes back the way it came, since all ways are chosen by the
// layout, which is the same for alloc and dealloc.
unsafe impl GlobalAlloc for ServerAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_over_aligned(&layout) {
            let Some(size) = padded_size(&layout) else {
                return ptr::null_mut();
            };
            // SAFETY: the block has the padded size.
            return unsafe { align_within(ask(size), &layout) };
        }
        let kept = blocks::size_on_shelf(layout.size());
        match kept.and_then(blocks::take) {
            Some(block) => block,
            // SAFETY: the caller vouches that the size is not 0.
            None => unsafe { ask(kept.unwrap_or(layout.size())) },
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as in `ask`.
        let Some(calloc) = (unsafe { raw::RedisModule_Calloc }) else {
            return ptr::null_mut();
        };
        if is_over_aligned(&layout) {
            let Some(size) = padded_size(&layout) else {
                return ptr::null_mut();
            };
            // SAFETY: the block has the padded size; only the header in front of the result is written.
            return unsafe { align_within(calloc(1, size).cast(), &layout) };
        }
        // SAFETY: the server's calloc. A block that goes on a shelf later has the size of those there.
        unsafe { calloc(1, blocks::size_on_shelf(layout.size()).unwrap_or(layout.size())) }.cast()
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if is_over_aligned(&layout) {
            // SAFETY: `align_within` left the block's address there.
            return unsafe { give(block.cast::<*mut u8>().sub(1).read()) };
        }
        // SAFETY: it came from `alloc` with this very layout, so it has that size and is the server's.
        unsafe {
            let is_kept = blocks::size_on_shelf(layout.size()).is_some_and(|size| blocks::put(block, size));
            if !is_kept {
                give(block);
            }
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let (old, new) = (blocks::size_on_shelf(layout.size()), blocks::size_on_shelf(new_size));
        if !is_over_aligned(&layout) {
            match (old, new) {
                (Some(old), Some(new)) if old == new => return block,
                (None, None) => {
                    // SAFETY: as in `ask`; the block is at its own address.
                    return match unsafe { raw::RedisModule_Realloc } {
                        // SAFETY: the server's realloc, on a block of its own.
                        Some(realloc) => unsafe { realloc(block.cast(), new_size) }.cast(),
                        None => ptr::null_mut(),
                    };
                }
                _ => {}
            }
        }
        // SAFETY: the caller vouches that the new size, rounded up to the alignment, does not overflow.
        let grown = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        // SAFETY: old and new block are apart, and both at least as long as what is copied.
        unsafe {
            let moved = self.alloc(grown);
            if !moved.is_null() {
                ptr::copy_nonoverlapping(block, moved, layout.size().min(new_size));
                self.dealloc(block, layout);
            }
            moved
        }
    }
}
