//! Other people's software with the real program: resolvers in front of it, the lookup tools that people use, and the resolvers
//! of C libraries and languages with a search list. Each must understand a denial as it is meant.

mod clients;
mod front;
mod search;
mod space;
