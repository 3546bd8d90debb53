//! Blocking sockets with deadlines, and functions to open them.
//!
//! The operating system can only limit the time of one read or write, and a sender of single bytes would never exceed
//! that limit. So reads and writes here have a deadline for all the awaited data.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::WireError;

/// The most by which a read may miss its deadline. This slack avoids setting a new limit in the operating system before
/// every read.
const SLACK: Duration = Duration::from_millis(500);

/// Most bytes that are written under one time limit.
const PIECE_BYTES: usize = 256 << 10;

/// Source of bytes with a deadline.
pub trait DeadlineRead: Read {
    /// Sets the time after which a read without data fails with [`ErrorKind::TimedOut`].
    fn set_deadline(&mut self, at: Instant);
}

/// The reading half of a socket, with a deadline.
#[derive(Debug)]
pub struct TimedReader {
    stream: Arc<TcpStream>,
    deadline: Instant,
    /// The operating system's time limit for one read.
    limit: Duration,
}

impl TimedReader {
    /// Creates a reader of `stream`, with `deadline` at first.
    pub fn new(stream: Arc<TcpStream>, deadline: Instant) -> TimedReader {
        TimedReader { stream, deadline, limit: Duration::MAX }
    }

    fn set_limit(&mut self, limit: Duration) -> io::Result<()> {
        self.limit = limit;
        self.stream.set_read_timeout(Some(limit))
    }
}

impl DeadlineRead for TimedReader {
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
                    // The limit came from an earlier, shorter wait.
                    let left = self.deadline.saturating_duration_since(Instant::now());
                    self.set_limit(left.max(Duration::from_millis(1)))?;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }
}

/// Returns whether a read or write reached its time limit. The kind of the error depends on the operating system.
fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// Sets the options that every socket has: written data is sent at once, and no write blocks for longer than `frame`.
pub(crate) fn prepare(stream: &TcpStream, frame: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(frame))
}

/// Writes all of `bytes`. Each piece of at most 256 KiB may take as long as `timeout`.
///
/// # Errors
///
/// [`ErrorKind::TimedOut`] if the other side does not read. Part of the bytes may have been written.
pub fn write_with_timeout(stream: &TcpStream, bytes: &[u8], timeout: Duration) -> io::Result<()> {
    for mut piece in bytes.chunks(PIECE_BYTES) {
        let started = Instant::now();
        while !piece.is_empty() {
            let mut stream = stream;
            match stream.write(piece) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => piece = &piece[written..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_timeout(&error) => return Err(ErrorKind::TimedOut.into()),
                Err(error) => return Err(error),
            }
            if !piece.is_empty() && started.elapsed() > timeout {
                return Err(ErrorKind::TimedOut.into());
            }
        }
    }
    Ok(())
}

/// Closes a connection after a last message. Closing a socket with unread input would destroy data on its way to the
/// other side, so the function first reads the remaining input for a short time.
pub(crate) fn close_gracefully(stream: &TcpStream) {
    const AT_MOST: Duration = Duration::from_millis(500);
    const BYTES_AT_MOST: usize = 2 << 20;
    let _ = stream.shutdown(Shutdown::Write);
    let started = Instant::now();
    let mut read = 0;
    let mut buffer = [0; 4096];
    let _ = stream.set_read_timeout(Some(Duration::from_millis(100)));
    while started.elapsed() < AT_MOST && read < BYTES_AT_MOST {
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

/// Returns the addresses that `address` (`HOST:PORT`) resolves to.
///
/// # Errors
///
/// One line that says what is wrong with the address.
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

/// Connects to the first address of `address` that accepts, each within `timeout`.
pub(crate) fn connect(address: &str, timeout: Duration, frame: Duration) -> Result<Arc<TcpStream>, WireError> {
    let mut last = None;
    for candidate in resolve(address)? {
        match TcpStream::connect_timeout(&candidate, timeout) {
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

/// Returns whether a socket is connected to itself. A process that repeatedly connects to a free port of the same
/// machine may draw that very port as its own, if the port is in the range for outgoing connections. TCP then connects
/// the socket to itself, although no process listens there.
fn is_connected_to_itself(stream: &TcpStream) -> bool {
    matches!((stream.local_addr(), stream.peer_addr()), (Ok(local), Ok(peer)) if local == peer)
}
