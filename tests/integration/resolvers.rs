//! Other people's software against the real program: resolvers in front of it, the clients that people look names up with, and
//! the resolvers of C libraries and languages with a search list. What each of them makes of a denial is what a denial is worth.

mod clients;
mod front;
mod search;
mod space;
