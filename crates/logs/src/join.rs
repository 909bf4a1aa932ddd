//! Finds who asked, by the log of the server in between.
