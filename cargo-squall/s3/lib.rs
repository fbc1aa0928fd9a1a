//! Everything is in the test.
