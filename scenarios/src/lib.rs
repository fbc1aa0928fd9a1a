//! Systems under test: small services as people write them, one module each, some with a bug planted. The tests beside
//! them in `tests/` run them under squall.

pub mod kv;
pub mod pitfalls;
pub mod reports;
pub mod sale;
pub mod stock;
