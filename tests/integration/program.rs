//! The program as its users run it: started from a command line, asked by real clients, ended by signals. Everything happens on
//! free ports of loopback.

mod answers;
mod audit;
mod digest;
mod explain;
mod import;
#[path = "program/ipv6.rs"]
mod ipv6;
mod learn;
mod life;
mod log;
mod logs;
mod notify;
mod quoting;
mod rate;
mod reload;
mod reload_report;
mod signals;
mod usage;
mod verbs;
