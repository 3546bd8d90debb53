//! Why a run failed, in words: the first thing that went wrong, and who was doing what at that moment.

use std::any::Any;
use std::fmt;
use std::time::Duration;

/// The first thing that went wrong in a run.
pub enum Failure {
    /// A thread panicked.
    Panic(Panicked),
    /// Nobody can run and nothing is due, or some threads hold locks in a circle.
    Deadlock {
        /// One line a step of the circle; empty if there is none and simply nobody can run.
        cycle: Vec<String>,
        /// What each thread was doing.
        threads: Vec<ThreadStatus>,
    },
    /// A thread waited too long for a lock.
    LockHeldTooLong {
        /// Who waited for what, and who holds it, in one sentence.
        what: String,
        /// What each thread was doing.
        threads: Vec<ThreadStatus>,
    },
    /// A thread of a simulation keeps calling in without ever blocking, so that the clock cannot move.
    Spin {
        /// The thread, and the line of its last call.
        what: String,
    },
    /// A thread that does not belong to a simulation takes part in it.
    Outsider {
        /// What it does, and where.
        what: String,
    },
    /// The run took longer than its time limit, on its own clock.
    TimeLimit {
        /// The limit.
        limit: Duration,
        /// What each thread was doing.
        threads: Vec<ThreadStatus>,
    },
    /// The run took more scheduler steps than it may.
    StepLimit {
        /// The limit.
        limit: u64,
        /// What each thread was doing.
        threads: Vec<ThreadStatus>,
    },
    /// A simulation made no step for a long (real) time: a thread computes, or blocks outside of this crate. It had to
    /// be abandoned; this says nothing about the code under test.
    Aborted {
        /// How long there was no step, in real time.
        after: Duration,
        /// The thread that was running.
        thread: String,
    },
}

/// A panic, as its thread left it.
pub struct Panicked {
    /// The thread's name.
    pub thread: String,
    /// The panic message, or a placeholder if the payload is not text.
    pub message: String,
    /// File, line and column, if known.
    pub location: Option<String>,
    /// A backtrace, if `RUST_BACKTRACE` asks for one.
    pub backtrace: Option<String>,
    /// When, on the run's own clock.
    pub at: Duration,
    /// What was thrown.
    pub payload: Box<dyn Any + Send>,
}

/// What a thread was doing at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadStatus {
    /// The thread's name.
    pub name: String,
    /// The name of its group.
    pub group: String,
    /// What it does or waits for, where, since when, and who holds what it waits for.
    pub doing: String,
}

impl Failure {
    /// Whether this is a limit of time that a slow machine may break by itself, rather than a fault.
    pub fn is_time_limit(&self) -> bool {
        matches!(self, Failure::TimeLimit { .. } | Failure::LockHeldTooLong { .. })
    }
}

impl fmt::Display for ThreadStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.doing)
    }
}

impl fmt::Display for Panicked {
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
                table(f, threads)
            }
            Failure::LockHeldTooLong { what, threads } => {
                write!(f, "a lock is held too long: {what}")?;
                table(f, threads)
            }
            Failure::Spin { what } => write!(f, "spin: {what}"),
            Failure::Outsider { what } => {
                write!(f, "{what}: start threads with labstd::thread::spawn, so that the seed decides when they run")
            }
            Failure::TimeLimit { limit, threads } => {
                write!(f, "not finished after {} s", limit.as_secs_f64())?;
                table(f, threads)
            }
            Failure::StepLimit { limit, threads } => {
                write!(f, "livelock: not finished after {limit} scheduler steps")?;
                table(f, threads)
            }
            Failure::Aborted { after, thread } => write!(
                f,
                "aborted: no scheduler step for {} s of real time; thread '{thread}' computes without end, or blocks \
                 in something that the simulation does not know (an OS lock, a std channel)",
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

/// The table of who was doing what, a line a thread; threads that differ in numbers alone share one if they are many.
fn table(f: &mut fmt::Formatter<'_>, threads: &[ThreadStatus]) -> fmt::Result {
    const MANY: usize = 4;
    if !threads.is_empty() {
        write!(f, "\n  threads:")?;
    }
    let kinds: Vec<String> = threads.iter().map(ThreadStatus::kind).collect();
    for (place, (thread, kind)) in threads.iter().zip(&kinds).enumerate() {
        let alike = kinds.iter().filter(|other| *other == kind).count();
        if alike < MANY {
            write!(f, "\n    {thread}")?;
        } else if !kinds[..place].contains(kind) {
            write!(f, "\n    {thread}, and {} more like it", alike - 1)?;
        }
    }
    Ok(())
}

impl ThreadStatus {
    /// What threads have in common that do the same thing at the same place: their names without numbers, and what they do
    /// without for how long.
    fn kind(&self) -> String {
        let name: String = self.name.chars().filter(|c| !c.is_ascii_digit()).collect();
        let doing = self.doing.rsplit_once(" for ").map_or(self.doing.as_str(), |(doing, _)| doing);
        format!("{name}: {doing}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_that_do_the_same_share_a_line_if_they_are_many() {
        let status = |name: &str, doing: &str| ThreadStatus {
            name: name.to_string(),
            group: String::new(),
            doing: doing.to_string(),
        };
        let mut threads = vec![status("ticker-S0", "in Mutex::lock at a.rs:1:2 for 5.000 s")];
        threads.extend((0..90).map(|n| status(&format!("caller-S0-S{n}"), &format!("in sleep at b.rs:3:4 for {n} s"))));
        threads.push(status("caller-S0-S7", "in Mutex::lock at a.rs:1:2 for 1.000 s"));
        let text = Failure::LockHeldTooLong { what: "it".to_string(), threads }.to_string();
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
