//! Stock crates from the registry, unpatched, inside `#[squall::test]`: one module per family, each test something that a
//! user of the crate would do. `docs/ecosystem.md` says what each one shows; `cargo run` compares the digests of two processes.
mod cache;
mod grpc;
mod http;
mod logging;
mod middleware;
mod nats;
mod pools;
mod quic;
mod redis_broken;
mod redis_mini;
mod runtime;
mod smol_io;
mod sqlite;
mod support;
mod threads;
mod tls;
mod websocket;
