//! The allocator: memory comes from the server, so that `maxmemory`, `INFO memory` and defragmentation see it.

use std::alloc::{GlobalAlloc, Layout};
use std::mem::size_of;
use std::ptr;

use redis_module::raw;

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

// SAFETY: blocks come from the server's allocator with the size asked for, and with the alignment, either
// because it guarantees it or by `align_within`; a block is freed by the same allocator, at its own address,
// since both paths are chosen by the layout, which is the same for alloc and dealloc.
unsafe impl GlobalAlloc for ServerAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the pointer is written once, while loading, before any other thread of ours exists.
        let Some(alloc) = (unsafe { raw::RedisModule_Alloc }) else {
            return ptr::null_mut();
        };
        if !is_over_aligned(&layout) {
            // SAFETY: the server's malloc.
            return unsafe { alloc(layout.size()) }.cast();
        }
        let Some(size) = padded_size(&layout) else {
            return ptr::null_mut();
        };
        // SAFETY: the block has the padded size.
        unsafe { align_within(alloc(size).cast(), &layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as in `alloc`.
        let Some(calloc) = (unsafe { raw::RedisModule_Calloc }) else {
            return ptr::null_mut();
        };
        if !is_over_aligned(&layout) {
            // SAFETY: the server's calloc.
            return unsafe { calloc(1, layout.size()) }.cast();
        }
        let Some(size) = padded_size(&layout) else {
            return ptr::null_mut();
        };
        // SAFETY: the block has the padded size; only the header in front of the result is written.
        unsafe { align_within(calloc(1, size).cast(), &layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as in `alloc`.
        let Some(free) = (unsafe { raw::RedisModule_Free }) else {
            return;
        };
        let start = match is_over_aligned(&layout) {
            // SAFETY: `align_within` left the block's address there.
            true => unsafe { block.cast::<*mut u8>().sub(1).read() },
            false => block,
        };
        // SAFETY: an address that the server's allocator returned.
        unsafe { free(start.cast()) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if !is_over_aligned(&layout) {
            // SAFETY: as in `alloc`; the block is at its own address.
            return match unsafe { raw::RedisModule_Realloc } {
                // SAFETY: the server's realloc, on a block of its own.
                Some(realloc) => unsafe { realloc(block.cast(), new_size) }.cast(),
                None => ptr::null_mut(),
            };
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
