//! The datagram batch of dnsgate as a crate of its own; see `Cargo.toml`.
#![allow(dead_code, unreachable_pub, reason = "only its tests run here")]

#[cfg(target_os = "linux")]
#[path = "../../src/serve"]
mod serve {
    mod udp {
        mod batch;
        mod kernel_layout;

        // As in `src/serve/udp.rs`.
        const QUERY: usize = 4096;
        const REPLY: usize = dnsgate_core::dns::query::UDP_PAYLOAD as usize;
    }
}
