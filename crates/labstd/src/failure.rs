//! The reason why a run failed, as text: the first thing that went wrong, and the activity of each thread at that
//! moment.

use std::any::Any;
use std::fmt;
use std::time::Duration;

/// The first thing that went wrong in a run.
pub enum Failure {
    /// A thread panicked.
    Panic(PanicReport),
    /// No thread can run and no timer is set, or some threads wait for each other's locks in a cycle.
    Deadlock {
        /// One line per step of the cycle; empty if there is no cycle and no thread can run.
        cycle: Vec<String>,
        /// The activity of each thread.
        threads: Vec<ThreadStatus>,
    },
    /// A thread waited for a lock for longer than the lock limit.
    LockHeldTooLong {
        /// The waiting thread, the lock and its holder, in one sentence.
        description: String,
        /// The activity of each thread.
        threads: Vec<ThreadStatus>,
    },
    /// A thread of a simulation keeps making calls without ever blocking, so that the clock cannot move.
    Spin {
        /// The thread, and the line of its last call.
        description: String,
    },
    /// A thread from outside of a simulation takes part in it.
    ForeignThread {
        /// The thread, its call, and the line of the call.
        description: String,
    },
    /// The run took longer than its time limit, on its own clock.
    TimeLimit {
        /// The limit.
        limit: Duration,
        /// The activity of each thread.
        threads: Vec<ThreadStatus>,
    },
    /// The run took more scheduler steps than the step limit.
    StepLimit {
        /// The limit.
        limit: u64,
        /// The activity of each thread.
        threads: Vec<ThreadStatus>,
    },
    /// The virtual clock of a simulation stood still for a long real time: a thread computes, or waits outside of this
    /// crate. This says nothing about the code under test.
    Aborted {
        /// The real time for which the clock stood still.
        after: Duration,
        /// The thread that took the time, and the line of one of its calls if one is known, in one sentence.
        description: String,
    },
}

/// A panic, as recorded in the thread that panicked.
pub struct PanicReport {
    /// The thread's name.
    pub thread: String,
    /// The panic message, or a placeholder if the payload is not text.
    pub message: String,
    /// File, line and column, if known.
    pub location: Option<String>,
    /// A backtrace, if `RUST_BACKTRACE` asks for one.
    pub backtrace: Option<String>,
    /// The time of the panic, on the run's own clock.
    pub at: Duration,
    /// The panic payload.
    pub payload: Box<dyn Any + Send>,
}

/// The activity of a thread at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadStatus {
    /// The thread's name.
    pub name: String,
    /// The name of its group.
    pub group: String,
    /// The call or wait of the thread, its line, its duration, and the holder of the lock that it waits for.
    pub activity: String,
}

impl Failure {
    /// Returns whether this is a time limit, which a slow machine can exceed without a fault in the code.
    pub fn is_time_limit(&self) -> bool {
        matches!(self, Failure::TimeLimit { .. } | Failure::LockHeldTooLong { .. })
    }
}

impl fmt::Display for ThreadStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.activity)
    }
}

impl fmt::Display for PanicReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "thread '{}' panicked at {:.6} s: {}", self.thread, self.at.as_secs_f64(), self.message)?;
        if let Some(location) = &self.location {
            write!(f, "\n  at {location}")?;
        }
        if let Some(backtrace) = &self.backtrace {
            write!(f, "\n{backtrace}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Panic(panicked) => panicked.fmt(f),
            Failure::Deadlock { cycle, threads } => {
                if cycle.is_empty() {
                    write!(f, "deadlock: no thread can run and no timer is set")?;
                } else {
                    write!(f, "deadlock: these threads wait for each other's locks")?;
                    for step in cycle {
                        write!(f, "\n  {step}")?;
                    }
                }
                write_threads(f, threads)
            }
            Failure::LockHeldTooLong { description, threads } => {
                write!(f, "a lock is held too long: {description}")?;
                write_threads(f, threads)
            }
            Failure::Spin { description } => write!(f, "spin: {description}"),
            Failure::ForeignThread { description } => {
                write!(
                    f,
                    "{description}: start threads with labstd::thread::spawn, so that the seed decides when they run"
                )
            }
            Failure::TimeLimit { limit, threads } => {
                write!(f, "not finished after {} s", limit.as_secs_f64())?;
                write_threads(f, threads)
            }
            Failure::StepLimit { limit, threads } => {
                write!(f, "livelock: not finished after {limit} scheduler steps")?;
                write_threads(f, threads)
            }
            Failure::Aborted { after, description } => write!(
                f,
                "aborted: the virtual clock stood still for {} s of real time: {description}: sleep and wait only with \
                 labstd::thread, labstd::sync and labstd::channel (LAB_STALL=0 switches this limit off)",
                after.as_secs_f64()
            ),
        }
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Writes the activity of each thread, one line per thread. Four or more threads that differ only in numbers share one
/// line.
fn write_threads(f: &mut fmt::Formatter<'_>, threads: &[ThreadStatus]) -> fmt::Result {
    const MANY: usize = 4;
    if !threads.is_empty() {
        write!(f, "\n  threads:")?;
    }
    let forms: Vec<String> = threads.iter().map(ThreadStatus::common_form).collect();
    for (place, (thread, form)) in threads.iter().zip(&forms).enumerate() {
        let alike = forms.iter().filter(|other| *other == form).count();
        if alike < MANY {
            write!(f, "\n    {thread}")?;
        } else if !forms[..place].contains(form) {
            write!(f, "\n    {thread}, and {} more like it", alike - 1)?;
        }
    }
    Ok(())
}

impl ThreadStatus {
    /// Returns the text that threads with the same activity at the same line share: the name without numbers, and the
    /// activity without its duration.
    fn common_form(&self) -> String {
        let name: String = self.name.chars().filter(|c| !c.is_ascii_digit()).collect();
        let activity = self.activity.rsplit_once(" for ").map_or(self.activity.as_str(), |(activity, _)| activity);
        format!("{name}: {activity}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_threads_with_the_same_activity_share_a_line() {
        let status = |name: &str, activity: &str| ThreadStatus {
            name: name.to_string(),
            group: String::new(),
            activity: activity.to_string(),
        };
        let mut threads = vec![status("ticker-S0", "in Mutex::lock at a.rs:1:2 for 5.000 s")];
        threads.extend((0..90).map(|n| status(&format!("caller-S0-S{n}"), &format!("in sleep at b.rs:3:4 for {n} s"))));
        threads.push(status("caller-S0-S7", "in Mutex::lock at a.rs:1:2 for 1.000 s"));
        let text = Failure::LockHeldTooLong { description: "it".to_string(), threads }.to_string();
        let lines = [
            "a lock is held too long: it",
            "  threads:",
            "    ticker-S0: in Mutex::lock at a.rs:1:2 for 5.000 s",
            "    caller-S0-S0: in sleep at b.rs:3:4 for 0 s, and 89 more like it",
            "    caller-S0-S7: in Mutex::lock at a.rs:1:2 for 1.000 s",
        ];
        assert_eq!(text, lines.join("\n"));
    }
}
