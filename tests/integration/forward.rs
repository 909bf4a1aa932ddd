//! Forwarding: dnsgate in front of real name servers, asked by real clients. The test starts each server on free ports of
//! 127.0.0.1 and ends it by its process id.

mod answers;
mod budgets;
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
