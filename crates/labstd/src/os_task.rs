//! The threads of this process as Linux tells them: their names, which new threads inherit, and the time that they
//! spent. On other systems nothing is known.

#[cfg(target_os = "linux")]
pub(crate) use linux::{current, current_name, is_traced, other_has_name, time_in_run_queue};

#[cfg(target_os = "linux")]
mod linux {
    use std::time::Duration;

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

    /// Returns whether a debugger traces this process.
    pub(crate) fn is_traced() -> bool {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:"));
        tracer.is_some_and(|tracer| tracer.trim() != "0")
    }

    /// Returns the time that a thread of this process has waited for a processor; zero if it is not known.
    pub(crate) fn time_in_run_queue(task: u64) -> Duration {
        let text = std::fs::read_to_string(format!("/proc/self/task/{task}/schedstat")).unwrap_or_default();
        let nanos = text.split_whitespace().nth(1).and_then(|nanos| nanos.parse().ok());
        Duration::from_nanos(nanos.unwrap_or(0))
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

#[cfg(not(target_os = "linux"))]
pub(crate) fn is_traced() -> bool {
    false
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn time_in_run_queue(_: u64) -> std::time::Duration {
    std::time::Duration::ZERO
}
