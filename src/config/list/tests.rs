//! Lists against the same names written under `domains`.
