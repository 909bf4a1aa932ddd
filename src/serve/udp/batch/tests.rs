use super::*;
use std::net::UdpSocket;

fn socket() -> (Socket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let address = socket.local_addr().expect("bound");
    (socket.into(), address)
}

#[test]
#[cfg_attr(miri, ignore = "Miri has none of the system calls")]
fn an_error_of_one_reply_loses_no_other() {
    let (socket, address) = socket();
    let client = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let mut batch = Batch::new();
    for unreachable in [&[0][..], &[1], &[2], &[0, 1, 2], &[]] {
        for number in 0..3_u8 {
            client.send_to(&[number], address).expect("room");
        }
        assert_eq!(batch.receive(&socket, Wait::Not).expect("there"), 3);
        for at in 0..3 {
            let received = batch.query(at).expect("a client");
            received.reply[0] = received.query[0];
            if unreachable.contains(&at) {
                // Port 0 is no destination: EINVAL.
                batch.slots[at].get_mut().name.0[2..4].fill(0);
                assert!(batch.query(at).is_none());
            }
            batch.reply(at, 1);
        }
        assert_eq!(batch.send(&socket), unreachable.len(), "{unreachable:?}");
        client.set_nonblocking(true).expect("a socket");
        for number in (0..3_u8).filter(|at| !unreachable.contains(&usize::from(*at))) {
            let mut reply = [0xff; 2];
            assert_eq!(client.recv(&mut reply).expect("over loopback, at once"), 1);
            assert_eq!(reply[0], number, "{unreachable:?}");
        }
        client.recv(&mut [0; 2]).expect_err("no more");
    }
}

/// A client over a Unix socket whose queue is full stands for an interface that takes nothing:
/// a worker that waited for it would not come back.
#[test]
#[cfg_attr(miri, ignore = "Miri has none of the system calls")]
fn a_reply_that_finds_no_room_is_lost_at_once() {
    use std::os::{
        linux::net::SocketAddrExt as _,
        unix::net::{SocketAddr as UnixAddr, UnixDatagram},
    };
    let bound = |role: &str| {
        // Short, for a name has room for an IPv6 address and no more.
        let name = format!("dg-{role}-{}", std::process::id());
        let address = UnixAddr::from_abstract_name(name).expect("a name");
        UnixDatagram::bind_addr(&address).expect("nobody else has it")
    };
    let (server, client) = (bound("s"), bound("c"));
    let to_server = server.local_addr().expect("bound");
    let to_client = client.local_addr().expect("bound");
    for query in [&b"1"[..], b"2"] {
        client.send_to_addr(query, &to_server).expect("room");
    }
    let filler = UnixDatagram::unbound().expect("a socket");
    filler.set_nonblocking(true).expect("a socket");
    while filler.send_to_addr(b"full", &to_client).is_ok() {}
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let socket = Socket::from(std::os::fd::OwnedFd::from(server));
        let mut batch = Batch::new();
        let received = batch.receive(&socket, Wait::Not).expect("there");
        (0..received).for_each(|at| batch.reply(at, 1));
        let _ = tell.send((received, batch.send(&socket)));
    });
    let lost = told.recv_timeout(std::time::Duration::from_secs(20));
    assert_eq!(lost, Ok((2, 2)), "it waits for room");
    drop(client);
}

#[test]
#[cfg_attr(miri, ignore = "Miri has none of the system calls")]
fn gives_out_only_received_datagrams() {
    let (socket, address) = socket();
    let client = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let mut batch = Batch::new();
    for _ in 0..BATCH + 1 {
        client.send_to(b"hello", address).expect("room");
    }
    assert_eq!(batch.receive(&socket, Wait::Not).expect("there"), BATCH);
    assert_eq!(batch.receive(&socket, Wait::Not).expect("there"), 1);
    assert!(batch.query(0).is_some() && batch.query(1).is_none());
    let error = batch.receive(&socket, Wait::Not).expect_err("nothing");
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    assert!(batch.query(0).is_none());
}

#[test]
#[cfg_attr(miri, ignore = "Miri has none of the system calls")]
fn addresses_are_read_as_the_kernel_writes_them() {
    for any in ["127.0.0.1:0", "[::1]:0"] {
        let Ok(server) = UdpSocket::bind(any) else {
            eprintln!("skipped: no {any} on this machine");
            continue;
        };
        let client = UdpSocket::bind(any).expect("a free port");
        let to = server.local_addr().expect("bound");
        client.send_to(b"hello", to).expect("room");
        let mut batch = Batch::new();
        assert_eq!(batch.receive(&server.into(), Wait::ForOne).expect("one"), 1);
        let received = batch.query(0).expect("a client");
        assert_eq!(received.source, client.local_addr().expect("bound"));
    }
    assert_eq!(RawAddress([0; _]).address(), None);
}

/// Does to the headers and slots what `recvmmsg` and `sendmmsg` do, so that Miri, which has neither,
/// follows every pointer of a batch.
#[test]
fn headers_point_to_the_buffers_of_their_slots() {
    let mut batch = Batch::new();
    for round in 0..3 {
        batch.discard();
        batch.received = BATCH;
        for (at, header) in (round..).zip(&mut batch.incoming) {
            let port = 1000 + u16::from(at);
            let [family, port] = [(libc::AF_INET as u16).to_ne_bytes(), port.to_be_bytes()];
            let name = [&family[..], &port, &[192, 0, 2, at]].concat();
            let message = &mut header.msg_hdr;
            assert!(message.msg_namelen as usize >= name.len());
            // SAFETY: the header points to the buffers of a slot and states their lengths; nothing
            // else refers to them now.
            unsafe {
                let part = message.msg_iov.read();
                part.iov_base.cast::<u8>().write_bytes(at, part.iov_len);
                let control = message.msg_control.cast::<u8>();
                control.write_bytes(at, message.msg_controllen);
                ptr::copy_nonoverlapping(name.as_ptr(), message.msg_name.cast(), name.len());
            }
            message.msg_namelen = name.len() as libc::socklen_t;
            (message.msg_flags, header.msg_len) = (0, 5);
        }
        for (at, expected) in (0..BATCH).zip(round..) {
            let received = batch.query(at).expect("a client");
            assert_eq!(received.query, [expected; 5]);
            let client = SocketAddr::from(([192, 0, 2, expected], 1000 + u16::from(expected)));
            assert_eq!(received.source, client);
            assert_eq!(received.return_address.to_owned().control.0, [expected; _]);
            received.reply[..3].fill(expected);
            batch.reply(at, 3);
        }
        assert_eq!(batch.replies, BATCH);
        for (header, expected) in batch.outgoing.iter().zip(round..) {
            let message = &header.msg_hdr;
            // SAFETY: as above.
            let (reply, name) = unsafe {
                let part = message.msg_iov.read();
                let name = message.msg_name.cast::<u8>();
                (
                    std::slice::from_raw_parts(part.iov_base.cast::<u8>(), part.iov_len),
                    std::slice::from_raw_parts(name, message.msg_namelen as usize),
                )
            };
            assert_eq!(reply, [expected; 3]);
            assert_eq!(name.last(), Some(&expected));
        }
    }
}
