//! Tests of imports as a whole.

use super::*;
