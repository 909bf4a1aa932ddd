//! The program as its users meet it: started as they start it, asked with their own clients, ended
//! with the signals that they send. Everything happens on loopback, on ports that were free.

mod answers;
#[path = "program/ipv6.rs"]
mod ipv6;
mod learn;
mod life;
mod log;
mod notify;
mod quoting;
mod rate;
mod reload;
mod signals;
mod verbs;
