//! etcd: three processes of the installed program, and clients that use the protocol of etcd's own clients.
//!
//! Each measurement starts a new cluster with an empty log.
//!
//! etcd runs in its fastest setup, as found with 32 and 256 clients on two cores. The clients talk to the leader,
//! because followers only forward Puts. They share one connection, as the users of one etcd client do: with 32
//! connections a Put takes a third to a half more CPU time. The clients take about a sixth of all CPU time.

mod cluster;
mod load;
mod wire;

use std::path::Path;
use std::time::Duration;

use self::cluster::Cluster;
pub(crate) use self::cluster::version;
use self::wire::Connection;
use crate::args::Members;
use crate::load_result::{Load, LoadResult};

/// Measures a new cluster under this load.
///
/// # Errors
///
/// If the cluster does not start, if a Put fails, or if another leader was elected meanwhile.
pub(crate) async fn measure(load: Load, members: Members, folder: &Path) -> Result<LoadResult, String> {
    let folder = tempfile::tempdir_in(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut cluster = Cluster::start(folder.path(), load.sync).await?;
    let connections = connect(&cluster, members).await?;
    let before = cluster.leader();
    let figures = load::put(load.clients, &connections, Duration::from_secs(load.seconds)).await?;
    cluster.find_leader().await?;
    if cluster.leader() != before {
        return Err("etcd has elected another leader under the load, so this measurement does not count".into());
    }
    // The processes have to end before their data can be removed.
    drop(cluster);
    folder.close().map_err(|error| format!("the data of etcd: {error}"))?;
    Ok(figures)
}

/// Opens one connection to each member that the clients talk to. The clients of a member share it.
async fn connect(cluster: &Cluster, members: Members) -> Result<Vec<Connection>, String> {
    let urls = match members {
        Members::Leader => vec![cluster.leader_url()],
        Members::All => cluster.urls(),
    };
    let mut connections = Vec::new();
    for url in urls {
        connections.push(Connection::open(url).await?);
    }
    Ok(connections)
}
