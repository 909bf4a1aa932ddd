//! A stub resolver that queries the servers of resolv.conf.
//!
//! A name that must resolve is asked of one server after another, as glibc does. A name that must be
//! denied is asked of every server: a program may use the answer of any of them, because of `options
//! rotate`, after a lost packet, or with musl, which always asks all at once.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use futures_util::future::join_all;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::answer::Answer;
use crate::transport::connect;
use crate::transport::{self, ProbeFault, fault_of};
use dnsgate_core::dns::{Name, RecordType, upstream_query};

/// How often a datagram is sent, because one may be lost.
const SENDINGS: u32 = 2;
/// The buffer for one datagram, in bytes. We advertise 1232; some servers send more.
const LARGEST_REPLY: usize = 4096;

/// The servers to query, and the time limit.
#[derive(Clone, Debug)]
pub struct Resolver {
    /// The servers, in the order in which they are asked.
    pub servers: Vec<SocketAddr>,
    /// The time limit for one query to one server.
    pub patience: Duration,
}

impl Resolver {
    /// Asks each server until one gives an answer that a stub resolver would accept; otherwise returns
    /// the first reply that any server gave.
    pub(super) async fn ask(&self, name: &Name, rtype: RecordType) -> Result<Answer, ProbeFault> {
        let mut first: Option<Result<Answer, ProbeFault>> = None;
        for &server in &self.servers {
            let asked = self.ask_one(server, name, rtype).await;
            if asked.as_ref().is_ok_and(|answer| !answer.is_trouble()) {
                return asked;
            }
            match &first {
                Some(Ok(_)) => {}
                Some(Err(_)) if asked.is_err() => {}
                _ => first = Some(asked),
            }
        }
        first.unwrap_or_else(|| Err(ProbeFault::Local("there is no name server".to_owned())))
    }

    /// Asks for A and AAAA, and returns them in that order.
    pub(super) async fn both(&self, name: &Name) -> [Result<Answer, ProbeFault>; 2] {
        let (a, aaaa) = tokio::join!(
            self.ask(name, RecordType::A),
            self.ask(name, RecordType::AAAA)
        );
        [a, aaaa]
    }

    /// All addresses of a name; the fault only if there is no address.
    pub(super) async fn addresses(&self, name: &Name) -> Result<Vec<IpAddr>, ProbeFault> {
        let both = self.both(name).await;
        let found: Vec<IpAddr> = both.iter().flatten().flat_map(Answer::all).collect();
        let [a, _] = both;
        match a {
            Err(fault) if found.is_empty() => Err(fault),
            _ => Ok(found),
        }
    }

    /// The reply of every server, in the order of the servers.
    pub(super) async fn each(&self, name: &Name, rtype: RecordType) -> Vec<ServerAnswer> {
        let asked = self
            .servers
            .iter()
            .map(|&server| async move { (server, self.ask_one(server, name, rtype).await) });
        join_all(asked).await
    }

    /// The reply of every server over TCP, which programs use with `options use-vc` and after truncation.
    pub(super) async fn each_over_tcp(&self, name: &Name, rtype: RecordType) -> Vec<ServerAnswer> {
        let asked = self.servers.iter().map(|&server| async move {
            let query = upstream_query::encode(rand::random(), name.as_ref(), rtype, false, false);
            let reply = timeout(self.patience, over_tcp(server, &query, self.patience)).await;
            let reply = reply.unwrap_or(Err(ProbeFault::TimedOut("DNS over TCP")));
            let answer = reply.and_then(|reply| read(server, &reply, name, rtype));
            (server, answer)
        });
        join_all(asked).await
    }

    pub(super) async fn ask_one(
        &self,
        server: SocketAddr,
        name: &Name,
        rtype: RecordType,
    ) -> Result<Answer, ProbeFault> {
        let query = upstream_query::encode(rand::random(), name.as_ref(), rtype, false, false);
        let mut reply = exchange(server, &query, self.patience).await?;
        if upstream_query::is_truncated(&reply) {
            let stream = over_tcp(server, &query, self.patience);
            reply = timeout(self.patience, stream)
                .await
                .unwrap_or(Err(ProbeFault::TimedOut("DNS over TCP")))?;
        }
        read(server, &reply, name, rtype)
    }
}

/// A server and its reply.
pub(super) type ServerAnswer = (SocketAddr, Result<Answer, ProbeFault>);

fn read(
    server: SocketAddr,
    reply: &[u8],
    name: &Name,
    rtype: RecordType,
) -> Result<Answer, ProbeFault> {
    Answer::read(reply, name, rtype).ok_or_else(|| {
        ProbeFault::Garbled(format!("{server} sent something that is not a DNS message"))
    })
}

/// Sends a query over UDP and waits for the reply.
async fn exchange(
    server: SocketAddr,
    query: &[u8],
    patience: Duration,
) -> Result<Vec<u8>, ProbeFault> {
    let socket = transport::socket(server).await?;
    let mut reply = vec![0; LARGEST_REPLY];
    for _ in 0..SENDINGS {
        let refused = |error| fault_of("DNS", &error);
        socket.send(query).await.map_err(refused)?;
        let answered = async {
            loop {
                let len = socket.recv(&mut reply).await.map_err(refused)?;
                if reply
                    .get(..len)
                    .is_some_and(|reply| upstream_query::is_reply_to(reply, query))
                {
                    return Ok::<_, ProbeFault>(len);
                }
            }
        };
        if let Ok(len) = timeout(patience / SENDINGS, answered).await {
            reply.truncate(len?);
            return Ok(reply);
        }
    }
    Err(ProbeFault::TimedOut("DNS"))
}

/// Sends a query over TCP (RFC 7766) and waits for the reply.
async fn over_tcp(
    server: SocketAddr,
    query: &[u8],
    patience: Duration,
) -> Result<Vec<u8>, ProbeFault> {
    let broken = |error| fault_of("DNS over TCP", &error);
    let mut stream: TcpStream = connect(server, patience).await?;
    let len = u16::try_from(query.len()).unwrap_or_default();
    let framed = [&len.to_be_bytes(), query].concat();
    stream.write_all(&framed).await.map_err(broken)?;
    let len = stream.read_u16().await.map_err(broken)?;
    let mut reply = vec![0; usize::from(len)];
    stream.read_exact(&mut reply).await.map_err(broken)?;
    if upstream_query::is_reply_to(&reply, query) {
        Ok(reply)
    } else {
        Err(ProbeFault::Garbled(format!(
            "{server} answered another question"
        )))
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, UdpSocket};

    use super::*;

    const TRUNCATED: u8 = 0x02;

    /// The reply to a query, without records, with these flags and this code.
    fn reply(query: &[u8], flags: u8, rcode: u8) -> Vec<u8> {
        let mut reply = query.to_vec();
        reply[2] |= 0x80 | flags;
        reply[3] = rcode;
        reply
    }

    /// A server with one response code over UDP and another over TCP.
    async fn server(flags: u8, over_udp: u8, over_tcp: u8) -> SocketAddr {
        let tcp = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = tcp.local_addr().expect("bound");
        let udp = UdpSocket::bind(address).await.expect("a port");
        tokio::spawn(async move {
            let mut query = [0; 512];
            while let Ok((len, from)) = udp.recv_from(&mut query).await {
                let reply = reply(&query[..len], flags, over_udp);
                let _ = udp.send_to(&reply, from).await;
            }
        });
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = tcp.accept().await {
                let len = stream.read_u16().await.expect("a length");
                let mut query = vec![0; usize::from(len)];
                stream.read_exact(&mut query).await.expect("a query");
                let reply = [&len.to_be_bytes(), &*reply(&query, 0, over_tcp)].concat();
                let _ = stream.write_all(&reply).await;
            }
        });
        address
    }

    async fn rcode(servers: Vec<SocketAddr>) -> Result<u16, ProbeFault> {
        let patience = Duration::from_secs(5);
        let name: Name = "www.example".parse().expect("a name");
        let resolver = Resolver { servers, patience };
        let asked = resolver.ask(&name, RecordType::A).await;
        asked.map(|answer| answer.rcode)
    }

    #[tokio::test]
    async fn asks_the_next_server_as_a_stub_resolver_does() {
        let of = |rcode| server(0, rcode, rcode);
        let (fine, no_name) = (of(0).await, of(3).await);
        let (failing, refusing) = (of(2).await, of(5).await);
        // The port was bound and then released, so it rejects datagrams.
        let dead = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        let dead_at = dead.local_addr().expect("bound");
        drop(dead);
        for (servers, want) in [
            (vec![refusing, fine], Ok(0)),
            (vec![failing, refusing, fine], Ok(0)),
            (vec![no_name, fine], Ok(3)),
            (vec![refusing, failing], Ok(5)),
            (vec![dead_at, fine], Ok(0)),
            (vec![dead_at, refusing], Ok(5)),
            (vec![dead_at], Err(ProbeFault::Refused("DNS"))),
        ] {
            assert_eq!(rcode(servers.clone()).await, want, "{servers:?}");
        }
    }

    #[tokio::test]
    async fn asks_over_tcp_after_truncation() {
        assert_eq!(rcode(vec![server(TRUNCATED, 0, 3).await]).await, Ok(3));
        assert_eq!(rcode(vec![server(0, 0, 3).await]).await, Ok(0));
    }
}
