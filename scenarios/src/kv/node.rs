//! A host: its tasks and its routes.

use super::machine::{Answer, Command};
use super::raft::{Append, Appended, Ballot, Raft, Voted};
use super::{CALL, Config, Disk, GROUP_COMMIT, HEARTBEAT, PATIENCE, Refusal};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Serialize, de::DeserializeOwned};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

struct Node {
    raft: Mutex<Raft>,
    /// Told of every change.
    changed: watch::Sender<()>,
    http: reqwest::Client,
    config: Config,
}

type Reply<T> = Result<Json<T>, (StatusCode, Json<Refusal>)>;

/// Serves until it is asked to end (`SIGTERM`). Requests under way are answered and what they wrote is on disk when it returns.
///
/// # Errors
/// If the port cannot be bound.
pub async fn serve(config: Config, disk: impl Disk) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let (_, port) = config.hosts[config.me].rsplit_once(':').expect("host:port");
    let listener = TcpListener::bind(format!("0.0.0.0:{port}")).await?;
    let node = Arc::new(Node {
        raft: Mutex::new(Raft::new(config.clone(), Box::new(disk))),
        changed: watch::channel(()).0,
        http: reqwest::Client::new(),
        config,
    });
    tokio::spawn(flusher(node.clone()));
    tokio::spawn(elections(node.clone()));
    for peer in (0..node.config.hosts.len()).filter(|peer| *peer != node.config.me) {
        tokio::spawn(replicator(node.clone(), peer));
    }
    let routes = Router::new()
        .route("/values/{key}", get(read))
        .route("/commands", post(write))
        .route("/ballots", post(ballot))
        .route("/appends", post(append))
        .with_state(node.clone());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = axum::serve(listener, routes)
        .with_graceful_shutdown(async move { drop(stopped.await) })
        .into_future();
    let ending = {
        let node = node.clone();
        async move {
            terminate.recv().await;
            node.change(|raft| raft.stopping = true);
            let _ = stop.send(());
            // Nothing takes longer but a connection whose other end is silent.
            sleep(PATIENCE * 2).await;
        }
    };
    tokio::select! {
        served = serving => served?,
        () = ending => {}
    }
    node.change(Raft::flush);
    Ok(())
}

impl Node {
    fn look<T>(&self, look: impl FnOnce(&Raft) -> T) -> T {
        look(&self.raft.lock().expect("nobody panics with it"))
    }

    fn change<T>(&self, change: impl FnOnce(&mut Raft) -> T) -> T {
        let done = change(&mut self.raft.lock().expect("nobody panics with it"));
        self.changed.send_replace(());
        done
    }

    /// Waits until `look` sees something.
    async fn until<T>(&self, mut look: impl FnMut(&Raft) -> Option<T>) -> T {
        let mut changed = self.changed.subscribe();
        loop {
            if let Some(seen) = self.look(&mut look) {
                return seen;
            }
            // The sender is as alive as this.
            let _ = changed.changed().await;
        }
    }

    async fn call<T: DeserializeOwned>(
        &self,
        peer: usize,
        route: &str,
        body: &impl Serialize,
    ) -> reqwest::Result<T> {
        let url = format!("http://{}/{route}", self.config.hosts[peer]);
        let request = self.http.post(url).timeout(CALL).json(body);
        request.send().await?.error_for_status()?.json().await
    }

    fn refusal(&self) -> (StatusCode, Json<Refusal>) {
        let leader = self.look(|raft| raft.leader);
        (StatusCode::SERVICE_UNAVAILABLE, Json(Refusal { leader }))
    }
}

/// Writes what was appended, several entries at once.
async fn flusher(node: Arc<Node>) {
    loop {
        node.until(|raft| raft.to_flush().then_some(())).await;
        sleep(GROUP_COMMIT).await;
        node.change(Raft::flush);
    }
}

/// Becomes a candidate when no leader is heard of.
async fn elections(node: Arc<Node>) {
    loop {
        let wait = node.look(Raft::until_election);
        if !wait.is_zero() {
            sleep(wait.clamp(Duration::from_millis(1), HEARTBEAT)).await;
            continue;
        }
        let ballot = node.change(Raft::campaign);
        for peer in (0..node.config.hosts.len()).filter(|peer| *peer != node.config.me) {
            let (node, ballot) = (node.clone(), ballot.clone());
            tokio::spawn(async move {
                if let Ok(voted) = node.call::<Voted>(peer, "ballots", &ballot).await {
                    node.change(|raft| raft.on_voted(peer, ballot.term, &voted));
                }
            });
        }
    }
}

/// Keeps a peer's log like the leader's, while this is the leader.
async fn replicator(node: Arc<Node>, peer: usize) {
    loop {
        node.until(|raft| raft.leads().then_some(())).await;
        while let Some((sent, append)) = node.look(|raft| raft.append_for(peer)) {
            match node.call::<Appended>(peer, "appends", &append).await {
                Ok(reply) => node.change(|raft| raft.on_appended(peer, sent, &append, &reply)),
                Err(_) => sleep(HEARTBEAT / 4).await,
            }
            let news = node.until(|raft| (!raft.leads() || raft.has_news_for(peer)).then_some(()));
            let _ = timeout(HEARTBEAT, news).await;
        }
    }
}

async fn ballot(State(node): State<Arc<Node>>, Json(ballot): Json<Ballot>) -> Json<Voted> {
    Json(node.change(|raft| raft.on_ballot(&ballot)))
}

async fn append(State(node): State<Arc<Node>>, Json(append): Json<Append>) -> Reply<Appended> {
    let reply = node.change(|raft| raft.on_append(&append));
    if reply.matched {
        // The leader takes this for a promise.
        let place = (reply.len, append.term);
        let safe = node.until(|raft| match raft.follows(append.term) {
            true => (raft.durable() >= place.0).then_some(true),
            false => Some(false),
        });
        if timeout(CALL, safe).await != Ok(true) {
            return Err(node.refusal());
        }
    }
    Ok(Json(reply))
}

async fn write(State(node): State<Arc<Node>>, Json(command): Json<Command>) -> Reply<Answer> {
    let Some(place) = node.change(|raft| raft.propose(&command)) else {
        return Err(node.refusal());
    };
    let answer = node.until(|raft| match raft.keeps(place) {
        true if raft.applied < place.0 => None,
        true => Some(raft.machine.answer(&command.client, command.number)),
        false => Some(None),
    });
    match timeout(PATIENCE, answer).await {
        Ok(Some(answer)) => Ok(Json(answer)),
        _ => Err(node.refusal()),
    }
}

async fn read(State(node): State<Arc<Node>>, Path(key): Path<String>) -> Reply<Answer> {
    let value = node.until(|raft| match raft.leads() {
        true => raft.may_read().then(|| Some(raft.machine.get(&key))),
        false => Some(None),
    });
    // A lease that has run out may be renewed.
    match timeout(PATIENCE, value).await {
        Ok(Some(value)) => Ok(Json(Answer::Value(value))),
        _ => Err(node.refusal()),
    }
}
