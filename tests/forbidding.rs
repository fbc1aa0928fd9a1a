//! A crate that forbids unsafe code may have tests: what the attribute adds to the catalogue is none of its business.
#![forbid(unsafe_code)]
#![deny(missing_docs, warnings)]

#[squall::test(seeds = 2)]
async fn it_compiles_and_holds() {}
