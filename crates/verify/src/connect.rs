//! TCP connections with a time limit.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use tokio::{net::TcpStream, time::timeout};

use super::fault::{ProbeFault, fault_of};

/// Connects to the first address that accepts; if none does, returns the fault of the first one.
pub(super) async fn connect_any(
    addresses: &[IpAddr],
    port: u16,
    patience: Duration,
) -> Result<TcpStream, ProbeFault> {
    let mut first = None;
    for &address in addresses {
        match connect((address, port).into(), patience).await {
            Ok(stream) => return Ok(stream),
            Err(fault) => first = first.or(Some(fault)),
        }
    }
    Err(first.unwrap_or_else(|| ProbeFault::Local("there is no address".to_owned())))
}

/// Connects to one address.
pub(super) async fn connect(
    address: SocketAddr,
    patience: Duration,
) -> Result<TcpStream, ProbeFault> {
    match timeout(patience, TcpStream::connect(address)).await {
        Ok(connected) => connected.map_err(|error| fault_of("connection", &error)),
        Err(_) => Err(ProbeFault::TimedOut("connection")),
    }
}
