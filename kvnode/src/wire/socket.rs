//! Blocking sockets that never block for longer than they should, and how one is made.
//!
//! The operating system limits how long one read or one write may take; who sends a byte now and then would never be
//! caught by that. So reads and writes here have a deadline for the whole of what is waited for.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::WireError;

/// How much later than its deadline a read may end. It saves telling the operating system a new limit before every read.
const SLACK: Duration = Duration::from_millis(500);

/// The most that is written with one limit on its time.
const PIECE_BYTES: usize = 256 << 10;

/// What bytes come from, with a deadline.
pub trait Source: Read {
    /// From now on a read that has got nothing fails at this time, with [`ErrorKind::TimedOut`].
    fn set_deadline(&mut self, at: Instant);
}

/// The reading half of a socket.
#[derive(Debug)]
pub struct TimedReader {
    stream: Arc<TcpStream>,
    deadline: Instant,
    /// The limit that the operating system has for one read.
    limit: Duration,
}

impl TimedReader {
    /// Reads from `stream`, until `deadline` at first.
    pub fn new(stream: Arc<TcpStream>, deadline: Instant) -> TimedReader {
        TimedReader { stream, deadline, limit: Duration::MAX }
    }

    fn set_limit(&mut self, limit: Duration) -> io::Result<()> {
        self.limit = limit;
        self.stream.set_read_timeout(Some(limit))
    }
}

impl Source for TimedReader {
    fn set_deadline(&mut self, at: Instant) {
        self.deadline = at;
    }
}

impl Read for TimedReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ErrorKind::TimedOut.into());
            }
            if self.limit > left.saturating_add(SLACK) {
                self.set_limit(left)?;
            }
            match (&*self.stream).read(buffer) {
                Err(error) if is_timeout(&error) => {
                    // The limit was that of an earlier, shorter wait.
                    let left = self.deadline.saturating_duration_since(Instant::now());
                    self.set_limit(left.max(Duration::from_millis(1)))?;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }
}

/// Whether a read or write ended because of its limit; which of the two errors it is depends on the operating system.
fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// Settings that every socket of ours has: what is written is sent at once, and no write blocks for longer than `frame`.
pub(crate) fn prepare(stream: &TcpStream, frame: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(frame))
}

/// Writes all of `bytes`. Each piece of them may take as long as `patience`.
///
/// # Errors
///
/// [`ErrorKind::TimedOut`] if the other side does not read. Some may have been written.
pub fn write_within(stream: &TcpStream, bytes: &[u8], patience: Duration) -> io::Result<()> {
    for mut piece in bytes.chunks(PIECE_BYTES) {
        let begun = Instant::now();
        while !piece.is_empty() {
            let mut stream = stream;
            match stream.write(piece) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => piece = &piece[written..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_timeout(&error) => return Err(ErrorKind::TimedOut.into()),
                Err(error) => return Err(error),
            }
            if !piece.is_empty() && begun.elapsed() > patience {
                return Err(ErrorKind::TimedOut.into());
            }
        }
    }
    Ok(())
}

/// Ends a connection after a last word. Closing a socket that has unread input would destroy what is on its way to the other
/// side, so what still comes is read for a moment, and not for long.
pub(crate) fn part(stream: &TcpStream) {
    const AT_MOST: Duration = Duration::from_millis(500);
    const BYTES_AT_MOST: usize = 2 << 20;
    let _ = stream.shutdown(Shutdown::Write);
    let begun = Instant::now();
    let mut read = 0;
    let mut buffer = [0; 4096];
    let _ = stream.set_read_timeout(Some(Duration::from_millis(100)));
    while begun.elapsed() < AT_MOST && read < BYTES_AT_MOST {
        let mut stream = stream;
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if is_timeout(&error) || error.kind() == ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    let _ = stream.shutdown(Shutdown::Both);
}

/// The addresses that `address` (`HOST:PORT`) stands for.
///
/// # Errors
///
/// One line that says what is wrong with it.
pub(crate) fn resolve(address: &str) -> io::Result<Vec<SocketAddr>> {
    let found: io::Result<Vec<_>> = address.to_socket_addrs().map(Iterator::collect);
    let why = match found {
        Ok(found) if !found.is_empty() => return Ok(found),
        Ok(_) => "the name has no address".to_string(),
        Err(error) => error.to_string(),
    };
    let text = format!("cannot resolve the address `{address}` ({why}): write HOST:PORT, such as 127.0.0.1:7000");
    Err(io::Error::new(ErrorKind::InvalidInput, text))
}

/// Connects to the first of the addresses behind `address` that answers, each within `patience`.
pub(crate) fn connect(address: &str, patience: Duration, frame: Duration) -> Result<Arc<TcpStream>, WireError> {
    let mut last = None;
    for candidate in resolve(address)? {
        match TcpStream::connect_timeout(&candidate, patience) {
            Ok(stream) if is_connected_to_itself(&stream) => {
                last = Some(io::Error::from(ErrorKind::ConnectionRefused));
            }
            Ok(stream) => {
                prepare(&stream, frame)?;
                return Ok(Arc::new(stream));
            }
            Err(error) => last = Some(error),
        }
    }
    let error = last.expect("resolve gives at least one address");
    Err(WireError::Io(error))
}

/// Who connects again and again to a free port of the same machine, in the range from which ports are drawn, sooner or later
/// draws that very port, and TCP then connects the socket to itself: nobody listens there.
fn is_connected_to_itself(stream: &TcpStream) -> bool {
    matches!((stream.local_addr(), stream.peer_addr()), (Ok(local), Ok(peer)) if local == peer)
}
