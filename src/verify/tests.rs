//! The pure parts by tables.
