//! Reads the RDATA of a WKS record after its address (RFC 1035 section 3.4.2): a protocol and the
//! ports of its services.

use super::{
    Fault,
    field::{U16, number, shown},
    scan::Word,
    types::bits,
};

/// Protocols by name.
const PROTOCOLS: [(&str, u8); 3] = [("ICMP", 1), ("TCP", 6), ("UDP", 17)];
/// Service names in old files and their ports (RFC 1010). Other services are written as numbers.
const SERVICES: [(&str, u16); 16] = [
    ("ECHO", 7),
    ("DISCARD", 9),
    ("DAYTIME", 13),
    ("FTP-DATA", 20),
    ("FTP", 21),
    ("SSH", 22),
    ("TELNET", 23),
    ("SMTP", 25),
    ("TIME", 37),
    ("DOMAIN", 53),
    ("TFTP", 69),
    ("FINGER", 79),
    ("HTTP", 80),
    ("POP3", 110),
    ("NNTP", 119),
    ("NTP", 123),
];

/// Syntax: `protocol service ...`
pub(super) fn read(words: &[Word<'_>], out: &mut Vec<u8>) -> Result<(), Fault> {
    let Some((protocol, services)) = words.split_first() else {
        return Ok(());
    };
    out.push(match PROTOCOLS.iter().find(|(name, _)| protocol.is(name)) {
        Some(&(_, protocol)) => protocol,
        None => number(protocol, "a protocol: TCP, UDP or its number")?,
    });
    let mut ports = Vec::with_capacity(services.len());
    for word in services {
        ports.push(match SERVICES.iter().find(|(name, _)| word.is(name)) {
            Some(&(_, port)) => usize::from(port),
            None => usize::from(number::<u16>(word, U16).map_err(|_| {
                word.fault(format!(
                    "{:?} is not the name of a service known here; write its port",
                    shown(word)
                ))
            })?),
        });
    }
    out.extend(bits(ports));
    Ok(())
}
