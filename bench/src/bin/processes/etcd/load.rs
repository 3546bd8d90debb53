//! Clients of etcd in a closed loop. Each puts values of 16 bytes under its own few keys, one at a time.

use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::task::JoinSet;
use tokio::time::timeout_at;

use super::wire::Connection;
use crate::load_result::{LoadResult, WARM_UP};

/// Number of keys of each client.
const KEYS: usize = 4;

/// The value that is put: 16 bytes.
const VALUE: &[u8; 16] = b"16 bytes of text";

/// Time limit for replies after the end of the load. It ends the measurement of a cluster that does not reply.
const REPLY_TIMEOUT: Duration = Duration::from_secs(60);

/// Lets `clients` clients put for `measured`, after a warm-up, each over one of the connections.
///
/// # Errors
///
/// The first failure of a client.
pub(super) async fn put(clients: usize, connections: &[Connection], measured: Duration) -> Result<LoadResult, String> {
    let begin = Instant::now() + WARM_UP;
    let end = begin + measured;
    let client = |number: usize| client(number, connections[number % connections.len()].clone(), begin, end);
    let mut clients: JoinSet<_> = (0..clients).map(client).collect();
    let deadline = tokio::time::Instant::from_std(end + REPLY_TIMEOUT);
    let silent = |_| format!("etcd has not replied to a Put for {} s", REPLY_TIMEOUT.as_secs());
    let mut latencies = Vec::new();
    while let Some(done) = timeout_at(deadline, clients.join_next()).await.map_err(silent)? {
        latencies.extend(done.map_err(|error| format!("a client of etcd: {error}"))??);
    }
    LoadResult::of_latencies(latencies, measured)
}

/// Runs one client. Returns the latencies of the Puts that ended after `begin` and before `end`.
async fn client(
    number: usize,
    mut connection: Connection,
    begin: Instant,
    end: Instant,
) -> Result<Vec<Duration>, String> {
    let keys: Vec<Bytes> = (0..KEYS).map(|k| Bytes::from(format!("bench-{number}-{k}"))).collect();
    let mut latencies = Vec::new();
    let mut now = Instant::now();
    for key in keys.iter().cycle() {
        connection.put(key.clone(), Bytes::from_static(VALUE)).await.map_err(|error| format!("etcd: {error}"))?;
        let before = std::mem::replace(&mut now, Instant::now());
        if now > end {
            break;
        }
        if now > begin {
            latencies.push(now - before);
        }
    }
    Ok(latencies)
}
