//! The admin port: health, metrics, reload and explanations over HTTP.

pub(crate) mod connection_limits;
pub(crate) mod listener;
pub mod pages;
mod request_checks;
mod requests;

#[cfg(test)]
mod tests;

pub use pages::{
    AdminRequest, EXPLAIN_HEADER, ExplainQuestion, ExplainRequest, MAX_CONNECTIONS, RELOAD_HEADER,
    ReloadAnswer, ReloadRequest, ReloadResult, serve, serve_metrics,
};
