//! What Linux tells about the threads of this process: their names, which new threads inherit, and the time that they
//! spent. On other systems nothing is known.

#[cfg(target_os = "linux")]
pub(crate) use linux::{current, current_name, other_has_name};

#[cfg(target_os = "linux")]
mod linux {
    /// Returns the calling thread's number.
    #[expect(unsafe_code, reason = "asks the OS for the thread's number")]
    pub(crate) fn current() -> u64 {
        // SAFETY: takes no argument and cannot fail.
        unsafe { libc::gettid() as u64 }
    }

    /// Returns the calling thread's name as the OS knows it.
    #[expect(unsafe_code, reason = "asks the OS for the thread's name")]
    pub(crate) fn current_name() -> Option<String> {
        let mut name = [0_u8; 16];
        // SAFETY: PR_GET_NAME writes at most 16 bytes, with a zero at the end.
        if unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr()) } != 0 {
            return None;
        }
        let length = name.iter().position(|&byte| byte == 0)?;
        String::from_utf8(name[..length].to_vec()).ok()
    }

    /// Returns whether a thread of this process other than `task` has this name.
    pub(crate) fn other_has_name(task: u64, name: &str) -> bool {
        let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return false };
        // A thread that was joined may still be listed.
        tasks
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy() != task.to_string())
            .any(|entry| std::fs::read_to_string(entry.path().join("comm")).is_ok_and(|comm| comm.trim_end() == name))
    }
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn current() -> u64 {
    0
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn current_name() -> Option<String> {
    None
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn other_has_name(_: u64, _: &str) -> bool {
    false
}
