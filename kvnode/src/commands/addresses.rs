//! Where servers are.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

/// The port of the first server of a cluster, unless something else is said.
pub(crate) const FIRST_PORT: u16 = 7101;

/// How many servers a cluster has at most.
pub(crate) const SERVERS_MAX: usize = 9;

/// Where `servers` servers of one machine are that have ports one after the other.
pub(crate) fn on_loopback(first_port: u16, servers: u16) -> Result<Vec<String>, String> {
    if first_port == 0 || first_port.checked_add(servers - 1).is_none() {
        return Err(format!(
            "there are no {servers} ports from {first_port} on; --port takes 1 to {}",
            u16::MAX - servers + 1
        ));
    }
    Ok((first_port..first_port + servers).map(|port| format!("127.0.0.1:{port}")).collect())
}

/// Where the servers are that a client is to talk to, unless something else is said: those of a cluster of three.
pub(crate) const DEFAULT_PEERS: &str = "127.0.0.1:7101,127.0.0.1:7102,127.0.0.1:7103";

/// The addresses in `list`, in the order of the servers' ids.
pub(crate) fn parse(list: &[String]) -> Result<Vec<SocketAddr>, String> {
    let addresses: Vec<SocketAddr> = list.iter().map(|text| resolve(text)).collect::<Result<_, String>>()?;
    if addresses.len() > SERVERS_MAX {
        return Err(format!(
            "{} servers are more than {SERVERS_MAX}; a majority of them would take long to answer",
            addresses.len()
        ));
    }
    for (place, address) in addresses.iter().enumerate() {
        if addresses[..place].contains(address) {
            return Err(format!("two servers have the address {address}; each needs one of its own"));
        }
    }
    Ok(addresses)
}

/// The address that `text` means.
pub(crate) fn resolve(text: &str) -> Result<SocketAddr, String> {
    let advice = "write host:port, such as 127.0.0.1:7101";
    let mut found = text.to_socket_addrs().map_err(|error| format!("'{text}' is no address: {error}; {advice}"))?;
    let address = found.next().ok_or_else(|| format!("'{text}' is no address; {advice}"))?;
    if address.port() == 0 { Err(format!("'{text}' has no port; {advice}")) } else { Ok(address) }
}

/// Whether only this machine can reach `address`.
pub(crate) fn is_local(address: &SocketAddr) -> bool {
    match address.ip() {
        IpAddr::V4(ip) => ip.is_loopback(),
        IpAddr::V6(ip) => ip.is_loopback(),
    }
}
