//! Keeps freed memory in the process for the next simulation, where the allocator is glibc's.
//!
//! A simulation frees and allocates the memory of its messages all the time. By default glibc returns memory to the OS
//! whenever 128 KiB at the end of a heap are free, and the OS clears each page that it gives back: a twentieth of the
//! time of the key/value scenarios.

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(super) fn keep() {}

/// Tells the allocator, once per process, how much freed memory to keep.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(super) fn keep() {
    use std::sync::Once;

    use libc::c_int;

    /// The free memory at the end of a heap above which glibc returns it, in bytes: more than a run frees and allocates
    /// again, and as much as the heap of a thread can hold.
    const KEPT_BYTES: c_int = 64 << 20;
    /// The additional memory that glibc takes whenever a heap grows, in bytes.
    const GROWTH_BYTES: c_int = 1 << 20;
    /// The size from which on a block has pages of its own, in bytes. Those always go back when the block is freed.
    const OWN_PAGES_BYTES: c_int = 16 << 20;

    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let settings = [
            (libc::M_TRIM_THRESHOLD, KEPT_BYTES),
            (libc::M_TOP_PAD, GROWTH_BYTES),
            (libc::M_MMAP_THRESHOLD, OWN_PAGES_BYTES),
        ];
        for (setting, bytes) in settings {
            // SAFETY: `mallopt` takes the allocator's locks and changes when memory is taken and returned, but no
            // block. If it refuses a setting, the default stays.
            unsafe { libc::mallopt(setting, bytes) };
        }
    });
}
