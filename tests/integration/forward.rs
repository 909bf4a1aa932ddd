//! Forwarding as its users meet it: dnsgate in front of real name servers, asked by real clients. Every server is
//! started by the test on ports of 127.0.0.1 that were free, and ended by its process id.

mod answers;
mod direct;
mod encrypted;
mod failover;
mod held;
mod learn;
mod life;
mod loops;
mod naive;
mod signed;
mod stale;
mod time;
mod unbound;
