//! Other people's software against the real program: resolvers in front of it, the clients that people look names up with, and
//! the resolvers of C libraries and languages with a search list. What each of them makes of a denial is what a denial is worth.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on says so; one that is skipped says why"
)]

#[expect(dead_code, reason = "other tests use more of it")]
mod running;

#[path = "resolvers/clients.rs"]
mod clients;
#[path = "resolvers/front.rs"]
mod front;
#[path = "resolvers/search.rs"]
mod search;
#[path = "resolvers/space.rs"]
mod space;
