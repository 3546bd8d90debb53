//! Channels with the names and semantics of `crossbeam-channel`. The implementation is `crossbeam-channel`'s; a
//! simulation uses its `try_` methods and does the waiting itself.
//!
//! There is no capacity 0 and no `select!`.

use std::fmt;
use std::panic::Location;
use std::sync::Arc;

pub use crossbeam_channel::{RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError};

use crate::current_thread::with_current_thread;
use crate::foreign::HomeRun;
use crate::os_threads::{Blocked, unwind_if_stopping};
use crate::sim::{self, Sim};
use crate::time::{Duration, Instant};
use crate::wait::WaitKind;

/// Creates a channel that holds at most `capacity` messages; a sender waits while it is full.
///
/// # Panics
///
/// If `capacity` is 0: a rendezvous cannot be simulated. Use 1.
pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    assert!(capacity > 0, "a channel of capacity 0 cannot be simulated: use bounded(1)");
    pair(crossbeam_channel::bounded(capacity))
}

/// Creates a channel that holds any number of messages; a sender never waits.
pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    pair(crossbeam_channel::unbounded())
}

fn pair<T>((tx, rx): (crossbeam_channel::Sender<T>, crossbeam_channel::Receiver<T>)) -> (Sender<T>, Receiver<T>) {
    let keys = Arc::new(WaitKeys { run: HomeRun::current(), ..WaitKeys::default() });
    (Sender { inner: Some(tx), keys: Arc::clone(&keys) }, Receiver { inner: Some(rx), keys })
}

/// The part that both halves share: one address under which senders wait, one under which receivers wait, and the
/// simulation that the channel belongs to.
#[derive(Default)]
struct WaitKeys {
    senders: u8,
    receivers: u8,
    run: HomeRun,
}

/// The sending half. Clones send into the same channel.
pub struct Sender<T> {
    /// `None` only while it is being dropped.
    inner: Option<crossbeam_channel::Sender<T>>,
    keys: Arc<WaitKeys>,
}

/// The receiving half. Clones share the messages: each is received once.
pub struct Receiver<T> {
    /// `None` only while it is being dropped.
    inner: Option<crossbeam_channel::Receiver<T>>,
    keys: Arc<WaitKeys>,
}

impl<T> Sender<T> {
    /// Sends `message`, waiting while the channel is full.
    ///
    /// # Errors
    ///
    /// Returns the message if all receivers are gone.
    #[track_caller]
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        let at = Location::caller();
        match self.send_inner(message, None, at) {
            Ok(()) => Ok(()),
            Err(SendTimeoutError::Timeout(message) | SendTimeoutError::Disconnected(message)) => {
                Err(SendError(message))
            }
        }
    }

    /// Sends `message`, waiting for at most `timeout` while the channel is full.
    ///
    /// # Errors
    ///
    /// Returns the message if the time is over or all receivers are gone.
    #[track_caller]
    pub fn send_timeout(&self, message: T, timeout: Duration) -> Result<(), SendTimeoutError<T>> {
        let at = Location::caller();
        self.send_inner(message, Instant::now().checked_add(timeout), at)
    }

    /// Sends `message` if the channel is not full.
    ///
    /// # Errors
    ///
    /// Returns the message if the channel is full or all receivers are gone.
    #[track_caller]
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        let at = Location::caller();
        let Some(sim) = sim::current() else {
            self.keys.fail_if_foreign_thread(at);
            return self.inner().try_send(message);
        };
        let sent = self.inner().try_send(message);
        if sent.is_ok() {
            sim.unpark_one(self.keys.receivers());
        }
        sim.preemption_point(at);
        sent
    }

    /// Returns the number of messages in the channel.
    pub fn len(&self) -> usize {
        self.inner().len()
    }

    /// Returns whether the channel has no message.
    pub fn is_empty(&self) -> bool {
        self.inner().is_empty()
    }

    fn send_inner(
        &self,
        message: T,
        deadline: Option<Instant>,
        at: &'static Location<'static>,
    ) -> Result<(), SendTimeoutError<T>> {
        let kind = if deadline.is_some() { WaitKind::SendTimed } else { WaitKind::Send };
        if let Some(sim) = sim::current() {
            return self.send_simulated(sim, message, deadline, kind, at);
        }
        self.keys.fail_if_foreign_thread(at);
        let message = match self.inner().try_send(message) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Disconnected(message)) => return Err(SendTimeoutError::Disconnected(message)),
            Err(TrySendError::Full(message)) => message,
        };
        with_current_thread(|me| {
            let blocked = me.map(|me| Blocked::new(me, kind, at));
            let sent = match deadline {
                None => {
                    self.inner().send(message).map_err(|SendError(message)| SendTimeoutError::Disconnected(message))
                }
                Some(deadline) => self.inner().send_deadline(message, deadline.to_os()),
            };
            drop(blocked);
            if let Some(me) = me {
                unwind_if_stopping(me);
            }
            sent
        })
    }

    fn send_simulated(
        &self,
        sim: &Sim,
        mut message: T,
        deadline: Option<Instant>,
        kind: WaitKind,
        at: &'static Location<'static>,
    ) -> Result<(), SendTimeoutError<T>> {
        sim.preemption_point(at);
        let mut timed_out = false;
        loop {
            message = match self.inner().try_send(message) {
                Ok(()) => {
                    sim.unpark_one(self.keys.receivers());
                    sim.preemption_point(at);
                    return Ok(());
                }
                Err(TrySendError::Disconnected(message)) => return Err(SendTimeoutError::Disconnected(message)),
                Err(TrySendError::Full(message)) if timed_out => return Err(SendTimeoutError::Timeout(message)),
                Err(TrySendError::Full(message)) => message,
            };
            let until = deadline.map_or(sim::NEVER, Instant::as_nanos);
            timed_out = !sim.park(self.keys.senders(), kind, at, until);
        }
    }

    fn inner(&self) -> &crossbeam_channel::Sender<T> {
        self.inner.as_ref().expect("present until it is dropped")
    }
}

impl<T> Receiver<T> {
    /// Receives a message, waiting while there is none.
    ///
    /// # Errors
    ///
    /// If the channel is empty and all senders are gone.
    #[track_caller]
    pub fn recv(&self) -> Result<T, RecvError> {
        self.recv_inner(None, Location::caller()).map_err(|_| RecvError)
    }

    /// Receives a message, waiting for at most `timeout` while there is none.
    ///
    /// # Errors
    ///
    /// If the time is over, or the channel is empty and all senders are gone.
    #[track_caller]
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        let at = Location::caller();
        self.recv_inner(Instant::now().checked_add(timeout), at)
    }

    /// Receives a message, waiting until `deadline` while there is none.
    ///
    /// # Errors
    ///
    /// If the time is over, or the channel is empty and all senders are gone.
    #[track_caller]
    pub fn recv_deadline(&self, deadline: Instant) -> Result<T, RecvTimeoutError> {
        self.recv_inner(Some(deadline), Location::caller())
    }

    /// Receives a message if there is one.
    ///
    /// # Errors
    ///
    /// If the channel is empty; `Disconnected` if all senders are gone too.
    #[track_caller]
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        let at = Location::caller();
        match sim::current() {
            Some(sim) => sim.preemption_point(at),
            None => self.keys.fail_if_foreign_thread(at),
        }
        let received = self.inner().try_recv();
        if let (Ok(_), Some(sim)) = (&received, sim::current()) {
            sim.unpark_one(self.keys.senders());
        }
        received
    }

    /// Returns an iterator that waits for messages until all senders are gone.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter(self)
    }

    /// Returns an iterator over the messages that are in the channel now.
    pub fn try_iter(&self) -> TryIter<'_, T> {
        TryIter(self)
    }

    /// Returns the number of messages in the channel.
    pub fn len(&self) -> usize {
        self.inner().len()
    }

    /// Returns whether the channel has no message.
    pub fn is_empty(&self) -> bool {
        self.inner().is_empty()
    }

    fn recv_inner(&self, deadline: Option<Instant>, at: &'static Location<'static>) -> Result<T, RecvTimeoutError> {
        let kind = if deadline.is_some() { WaitKind::RecvTimed } else { WaitKind::Recv };
        if let Some(sim) = sim::current() {
            return self.recv_simulated(sim, deadline, kind, at);
        }
        self.keys.fail_if_foreign_thread(at);
        match self.inner().try_recv() {
            Ok(message) => return Ok(message),
            Err(TryRecvError::Disconnected) => return Err(RecvTimeoutError::Disconnected),
            Err(TryRecvError::Empty) => {}
        }
        with_current_thread(|me| {
            let blocked = me.map(|me| Blocked::new(me, kind, at));
            let received = match deadline {
                None => self.inner().recv().map_err(|RecvError| RecvTimeoutError::Disconnected),
                Some(deadline) => self.inner().recv_deadline(deadline.to_os()),
            };
            drop(blocked);
            if let Some(me) = me {
                unwind_if_stopping(me);
            }
            received
        })
    }

    fn recv_simulated(
        &self,
        sim: &Sim,
        deadline: Option<Instant>,
        kind: WaitKind,
        at: &'static Location<'static>,
    ) -> Result<T, RecvTimeoutError> {
        sim.preemption_point(at);
        let mut timed_out = false;
        loop {
            match self.inner().try_recv() {
                Ok(message) => {
                    sim.unpark_one(self.keys.senders());
                    return Ok(message);
                }
                Err(TryRecvError::Disconnected) => return Err(RecvTimeoutError::Disconnected),
                Err(TryRecvError::Empty) if timed_out => return Err(RecvTimeoutError::Timeout),
                Err(TryRecvError::Empty) => {}
            }
            let until = deadline.map_or(sim::NEVER, Instant::as_nanos);
            timed_out = !sim.park(self.keys.receivers(), kind, at, until);
        }
    }

    fn inner(&self) -> &crossbeam_channel::Receiver<T> {
        self.inner.as_ref().expect("present until it is dropped")
    }
}

impl WaitKeys {
    /// Fails the simulation that the channel belongs to, if that has not ended. The calling thread is not part of the
    /// simulation, and cannot wake its threads.
    fn fail_if_foreign_thread(&self, at: &'static Location<'static>) {
        self.run.check(|| "uses a channel".to_string(), at);
    }

    fn senders(&self) -> usize {
        sim::key(&self.senders)
    }

    fn receivers(&self) -> usize {
        sim::key(&self.receivers)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Sender<T> {
        Sender { inner: self.inner.clone(), keys: Arc::clone(&self.keys) }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Receiver<T> {
        Receiver { inner: self.inner.clone(), keys: Arc::clone(&self.keys) }
    }
}

// Dropping the last half of one side disconnects the other side; waiting threads there check again.
impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.inner = None;
        if let Some(sim) = sim::current() {
            sim.unpark_all(self.keys.receivers());
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.inner = None;
        if let Some(sim) = sim::current() {
            sim.unpark_all(self.keys.senders());
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sender { .. }")
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Receiver { .. }")
    }
}

/// An iterator that waits for messages; see [`Receiver::iter`].
#[derive(Debug)]
pub struct Iter<'a, T>(&'a Receiver<T>);

/// An iterator over the messages in the channel; see [`Receiver::try_iter`].
#[derive(Debug)]
pub struct TryIter<'a, T>(&'a Receiver<T>);

/// An iterator that owns the receiver and waits for messages.
#[derive(Debug)]
pub struct IntoIter<T>(Receiver<T>);

impl<T> Iterator for Iter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.0.recv().ok()
    }
}

impl<T> Iterator for TryIter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.0.try_recv().ok()
    }
}

impl<T> Iterator for IntoIter<T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.0.recv().ok()
    }
}

impl<'a, T> IntoIterator for &'a Receiver<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T> IntoIterator for Receiver<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        IntoIter(self)
    }
}
