//! Servers of other programs as servers of an upstream.

use std::net::{IpAddr, SocketAddr};

use dnsgate_config::ServerAddr;

/// A server that is asked over UDP: `ADDRESS` with a port, if it is not 53.
pub(crate) fn plain(address: &str, port: Option<u16>) -> Option<String> {
    server("udp", address, port, None)
}

/// A server as the configuration writes it; `None` if it cannot be one: no address, or one that nobody can ask.
pub(crate) fn server(
    transport: &str,
    address: &str,
    port: Option<u16>,
    name: Option<&str>,
) -> Option<String> {
    let address: IpAddr = address.parse().ok()?;
    let port = port.unwrap_or(if transport == "tls" { 853 } else { 53 });
    // dnsgate itself listens there, so a question would come back.
    if port == 53 && (address.is_loopback() || address.is_unspecified()) {
        return None;
    }
    let mut text = format!("{transport}://{}", SocketAddr::new(address, port));
    if let Some(name) = name.filter(|_| transport == "tls") {
        text.push('#');
        text.push_str(name.trim_end_matches('.'));
    }
    text.parse::<ServerAddr>()
        .ok()
        .map(|server| server.to_string())
}

/// Whether all servers have private addresses, so that they know names inside.
pub(crate) fn are_private(servers: &[String]) -> bool {
    let mut servers = servers.iter().map(|server| server.parse::<ServerAddr>());
    servers.all(|server| {
        server.is_ok_and(|server| match server.address().ip() {
            IpAddr::V4(v4) => v4.is_private() || v4.is_loopback(),
            IpAddr::V6(v6) => v6.is_unique_local() || v6.is_loopback(),
        })
    })
}
