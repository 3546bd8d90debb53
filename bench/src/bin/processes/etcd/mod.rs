//! etcd: three processes of the program that the system has, and clients that talk to it as its own do.
//!
//! Each measurement has a cluster of its own, which begins with an empty log.
//!
//! It gets what is fastest for it, as tried out with 32 and 256 clients on two cores: clients that talk to the leader, because
//! followers only pass Puts on, and that share one connection, as the users of one client of etcd do (with 32 connections a
//! Put takes a third to a half more CPU time). The clients take about a sixth of all CPU time.

mod cluster;
mod load;
mod wire;

use std::path::Path;
use std::time::Duration;

use self::cluster::Cluster;
pub(crate) use self::cluster::version;
use self::wire::Connection;
use crate::args::Members;
use crate::figures::{Figures, Load};

/// Starts a cluster, puts it under this load, and ends it.
///
/// # Errors
///
/// If the cluster does not start, if a Put fails, or if another leader was elected meanwhile.
pub(crate) async fn measure(load: Load, members: Members, folder: &Path) -> Result<Figures, String> {
    let folder = tempfile::tempdir_in(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut cluster = Cluster::start(folder.path(), load.sync).await?;
    let connections = connect(&cluster, members).await?;
    let before = cluster.leader();
    let figures = load::put(load.clients, &connections, Duration::from_secs(load.seconds)).await?;
    cluster.find_leader().await?;
    if cluster.leader() != before {
        return Err("etcd has elected another leader under the load, which is no figure of its speed".into());
    }
    // The processes have to end before their data can go.
    drop(cluster);
    folder.close().map_err(|error| format!("the data of etcd: {error}"))?;
    Ok(figures)
}

/// A connection to each member that the clients talk to, for all of its clients.
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
