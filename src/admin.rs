//! The admin port: health, metrics, reload and explanations over HTTP.

pub(crate) mod connection_limits;
pub(crate) mod explain_page;
mod host_check;
pub(crate) mod listener;
mod local_only;
pub mod pages;
pub(crate) mod reload_page;
mod requests;

#[cfg(test)]
mod tests;

pub use pages::{
    AdminRequest, EXPLAIN_HEADER, ExplainQuestion, ExplainRequest, MAX_CONNECTIONS, RELOAD_HEADER,
    ReloadAnswer, ReloadRequest, ReloadResult, serve, serve_metrics,
};
