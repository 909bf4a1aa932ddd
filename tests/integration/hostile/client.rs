//! A client that reports what dig would show.

use std::net::UdpSocket;

use hickory_proto::{op::Message, rr::rdata::opt::EdnsOption};

use crate::running::SOON;

/// A question on its way.
pub(crate) struct Client(UdpSocket);

impl Client {
    /// Asks, with EDNS.
    pub(crate) fn ask(port: u16, name: &str, qtype: u16) -> Self {
        let mut query = vec![7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1];
        for label in name.split('.') {
            query.push(label.len() as u8);
            query.extend(label.bytes());
        }
        query.push(0);
        query.extend(qtype.to_be_bytes());
        query.extend([0, 1, 0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.set_read_timeout(Some(SOON)).expect("set");
        socket.connect(("127.0.0.1", port)).expect("connected");
        socket.send(&query).expect("sent");
        Self(socket)
    }

    /// Waits for the reply: code, then the extended error, TC and the number of answers where there are any.
    pub(crate) fn reply(&self) -> String {
        let mut reply = [0; 4096];
        let Ok(len) = self.0.recv(&mut reply) else {
            return "no reply".to_owned();
        };
        let message = match Message::from_vec(&reply[..len]) {
            Ok(message) => message,
            Err(error) => return error.to_string(),
        };
        let mut seen = match u16::from(message.response_code) {
            0 => "NOERROR".to_owned(),
            2 => "SERVFAIL".to_owned(),
            5 => "REFUSED".to_owned(),
            code => format!("code {code}"),
        };
        let edns = message.edns.as_ref();
        for (_, option) in edns.into_iter().flat_map(|edns| edns.options().as_ref()) {
            if let EdnsOption::Unknown(15, data) = option {
                let (code, text) = data.split_at(2);
                let text = String::from_utf8_lossy(text);
                seen.push_str(&format!(", {}: {text}", code[1]));
            }
        }
        if message.truncation {
            seen.push_str(", TC");
        }
        if !message.answers.is_empty() {
            seen.push_str(&format!(", {} answers", message.answers.len()));
        }
        seen
    }
}
