//! The frequency with which a simulation holds runnable threads.

/// The frequency with which a simulation holds a runnable thread of a [lagging
/// group](crate::thread::Group::lagging), for 0.1 to 20 ms of virtual time. On a real machine a ready thread may run
/// later than a message that arrives after it; without holds it would always run first.
///
/// A held thread is held for at most 5 % of its time, however often it could be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ThreadLag {
    /// No thread is held. For runs with limits that leave no time for it.
    Never,
    /// The seed draws how often: from never to about as often as the 5 % permit.
    #[default]
    Drawn,
    /// About as often as the 5 % permit. For runs that wait for such a schedule.
    Often,
}
