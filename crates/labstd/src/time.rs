//! The run's clock: `std::time` with virtual time in a simulation.

use std::fmt;
use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::sync::LazyLock;
use std::time::Instant as OsInstant;

pub use std::time::Duration;

use crate::{current_thread, sim};

/// The instant from which [`Instant`]s on threads are counted.
static EPOCH: LazyLock<OsInstant> = LazyLock::new(OsInstant::now);

/// A moment on the run's clock. Mirrors [`std::time::Instant`].
///
/// In a simulation time stands still while threads run and moves when all of them wait.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// Returns the present moment.
    #[track_caller]
    pub fn now() -> Instant {
        match sim::current() {
            Some(sim) => Instant(sim.read_clock()),
            None => Instant(EPOCH.elapsed().as_nanos() as u64),
        }
    }

    /// Returns the time since this moment; zero if the moment lies in the future.
    #[track_caller]
    pub fn elapsed(&self) -> Duration {
        Instant::now().duration_since(*self)
    }

    /// Returns the time from `earlier` to this moment; zero if `earlier` is later.
    pub fn duration_since(&self, earlier: Instant) -> Duration {
        self.saturating_duration_since(earlier)
    }

    /// Returns the time from `earlier` to this moment; zero if `earlier` is later.
    pub fn saturating_duration_since(&self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// Returns the time from `earlier` to this moment; `None` if `earlier` is later.
    pub fn checked_duration_since(&self, earlier: Instant) -> Option<Duration> {
        self.0.checked_sub(earlier.0).map(Duration::from_nanos)
    }

    /// Returns the moment `duration` later; `None` if it lies beyond the end of the clock (five hundred years).
    pub fn checked_add(&self, duration: Duration) -> Option<Instant> {
        self.0.checked_add(duration.as_nanos().try_into().ok()?).map(Instant)
    }

    /// Returns the moment `duration` earlier; `None` if it lies before the beginning of the clock.
    pub fn checked_sub(&self, duration: Duration) -> Option<Instant> {
        self.0.checked_sub(duration.as_nanos().try_into().ok()?).map(Instant)
    }

    /// Returns the same moment on the OS's clock. Only for real time.
    pub(crate) fn to_os(self) -> OsInstant {
        *EPOCH + Duration::from_nanos(self.0)
    }

    pub(crate) fn as_nanos(self) -> u64 {
        self.0
    }
}

/// Returns the time since the calling thread's run began, on the run's clock; zero outside of any run.
pub fn run_elapsed() -> Duration {
    Duration::from_nanos(run_elapsed_nanos())
}

/// Returns [`run_elapsed`] in nanoseconds, the unit of records. The range is five hundred years.
#[inline]
pub fn run_elapsed_nanos() -> u64 {
    current_thread::with_current_thread(|me| me.map_or(0, |me| me.run.now()))
}

impl Add<Duration> for Instant {
    type Output = Instant;

    fn add(self, duration: Duration) -> Instant {
        self.checked_add(duration).expect("a moment beyond the end of the clock")
    }
}

impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub<Duration> for Instant {
    type Output = Instant;

    fn sub(self, duration: Duration) -> Instant {
        self.checked_sub(duration).expect("a moment before the beginning of the clock")
    }
}

impl SubAssign<Duration> for Instant {
    fn sub_assign(&mut self, duration: Duration) {
        *self = *self - duration;
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Instant) -> Duration {
        self.duration_since(earlier)
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Instant({:.6} s)", Duration::from_nanos(self.0).as_secs_f64())
    }
}
