//! A temporary cluster of a command: server processes on free ports, with a directory that is removed with them.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin};
use std::time::{SystemTime, UNIX_EPOCH};
use std::{env, fs, process};

use super::{secret, serve};
use crate::storage::private;

/// A temporary cluster. Dropping it ends the servers.
pub(super) struct TemporaryCluster {
    servers: Vec<(Child, Option<ChildStdin>)>,
    addresses: Vec<String>,
    dir: PathBuf,
}

impl TemporaryCluster {
    /// Starts `servers` servers, in a new directory within `parent`.
    pub(super) fn start(servers: usize, parent: Option<&Path>, no_sync: bool) -> Result<TemporaryCluster, String> {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let name = format!("raftlab-{}-{}", process::id(), since_1970.as_nanos());
        let dir = parent.map_or_else(env::temp_dir, Path::to_path_buf).join(name);
        private::create_dir_all(&dir)
            .map_err(|error| format!("cannot create the directory {}: {error}", dir.display()))?;
        let mut cluster = TemporaryCluster { servers: Vec::new(), addresses: free_addresses(servers)?, dir };
        secret::create_if_missing(&secret::path_in(&cluster.dir))?;
        for id in 0..servers {
            let tuning = no_sync.then(|| "--no-sync".to_string());
            // Only errors of these servers matter, so they log nothing else.
            let child = serve::child_command(id, &cluster.addresses, &cluster.dir, tuning)
                .and_then(|mut command| command.env("LAB_LOG", "error").spawn());
            let mut child = child.map_err(|error| format!("cannot start a server: {error}"))?;
            let input = child.stdin.take();
            cluster.servers.push((child, input));
        }
        Ok(cluster)
    }

    /// Returns the addresses of the servers.
    pub(super) fn addresses(&self) -> Vec<String> {
        self.addresses.clone()
    }
}

impl Drop for TemporaryCluster {
    fn drop(&mut self) {
        // A server ends when its standard input is closed.
        self.servers.iter_mut().for_each(|(_, input)| *input = None);
        for (server, _) in &mut self.servers {
            let _ = server.wait();
        }
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Returns addresses on loopback that are free at the moment.
fn free_addresses(count: usize) -> Result<Vec<String>, String> {
    let bound: Result<Vec<TcpListener>, _> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0")).collect();
    let bound = bound.and_then(|bound| bound.iter().map(TcpListener::local_addr).collect::<Result<Vec<_>, _>>());
    let addresses = bound.map_err(|error| format!("there is no free port: {error}"))?;
    Ok(addresses.iter().map(ToString::to_string).collect())
}
