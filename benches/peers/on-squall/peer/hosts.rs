//! What is run on squall beyond the programs that all peers share: those with sockets of their own, and those with hosts.

use std::time::Duration;

use squall::Sim;
use tokio::net::TcpListener;

use crate::programs::{clients, serve};

pub async fn echo() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(serve(listener));
    clients(address).await;
}

pub async fn echo_hosts(sim: Sim) {
    sim.host("server", || async {
        serve(TcpListener::bind("0.0.0.0:7").await.expect("bind")).await;
    });
    clients("server:7").await;
}

pub async fn idle_hosts(sim: Sim) {
    for i in 0..common::IDLE_HOSTS {
        sim.host(&format!("host{i}"), || async {
            let mut beat = tokio::time::interval(Duration::from_secs(common::IDLE_BEAT));
            loop {
                beat.tick().await;
            }
        });
    }
    tokio::time::sleep(Duration::from_secs(common::IDLE_SECONDS)).await;
}
