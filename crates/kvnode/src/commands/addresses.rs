//! Addresses of servers.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

/// The default port of the first server of a cluster.
pub(crate) const FIRST_PORT: u16 = 7101;

/// The most servers in a cluster.
pub(crate) const SERVERS_MAX: usize = 9;

/// Returns the addresses of `servers` servers on this machine, with consecutive ports.
pub(crate) fn on_loopback(first_port: u16, servers: u16) -> Result<Vec<String>, String> {
    if first_port == 0 || first_port.checked_add(servers - 1).is_none() {
        return Err(format!(
            "there are no {servers} ports from {first_port} on; --port accepts 1 to {}",
            u16::MAX - servers + 1
        ));
    }
    Ok((first_port..first_port + servers).map(|port| format!("127.0.0.1:{port}")).collect())
}

/// The default servers of a client: those of a cluster of three.
pub(crate) const DEFAULT_PEERS: &str = "127.0.0.1:7101,127.0.0.1:7102,127.0.0.1:7103";

/// Returns the addresses in `list`, in the order of the servers' ids.
pub(crate) fn parse(list: &[String]) -> Result<Vec<SocketAddr>, String> {
    let addresses: Vec<SocketAddr> = list.iter().map(|text| resolve(text)).collect::<Result<_, String>>()?;
    if addresses.len() > SERVERS_MAX {
        return Err(format!(
            "{} servers are too many; a cluster has at most {SERVERS_MAX}, because a larger majority takes long to reply",
            addresses.len()
        ));
    }
    for (position, address) in addresses.iter().enumerate() {
        if addresses[..position].contains(address) {
            return Err(format!("two servers have the address {address}; each server needs its own"));
        }
    }
    Ok(addresses)
}

/// Resolves an address.
pub(crate) fn resolve(text: &str) -> Result<SocketAddr, String> {
    let advice = "write host:port, such as 127.0.0.1:7101";
    let mut found = text.to_socket_addrs().map_err(|error| format!("'{text}' is not an address: {error}; {advice}"))?;
    let address = found.next().ok_or_else(|| format!("'{text}' is not an address; {advice}"))?;
    if address.port() == 0 { Err(format!("'{text}' has no port; {advice}")) } else { Ok(address) }
}

/// Returns whether only this machine can reach `address`.
pub(crate) fn is_local(address: &SocketAddr) -> bool {
    match address.ip() {
        IpAddr::V4(ip) => ip.is_loopback(),
        IpAddr::V6(ip) => ip.is_loopback(),
    }
}
