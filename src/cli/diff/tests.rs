//! Reports as they are printed.
