//! A client that looks for the leader, and asks again until it is answered.

use super::machine::{Answer, Command, Op};
use super::{PATIENCE, Refusal};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Asks the cluster, one request at a time.
#[derive(Debug)]
pub struct Client {
    name: String,
    hosts: Vec<String>,
    http: reqwest::Client,
    /// Whom it asks first.
    leader: usize,
    number: u64,
}

impl Client {
    /// A client of the hosts with these addresses. No other has its name.
    pub fn new(name: impl Into<String>, hosts: &[String]) -> Client {
        Client {
            name: name.into(),
            hosts: hosts.to_vec(),
            http: reqwest::Client::new(),
            leader: 0,
            number: 0,
        }
    }

    /// A key's value. `None` if nobody answered within the time.
    pub async fn get(&mut self, key: &str, within: Duration) -> Option<Option<String>> {
        let path = format!("values/{key}");
        match self.ask(&path, None, within).await? {
            Answer::Value(value) => Some(value),
            _ => None,
        }
    }

    /// Writes. `None` if nobody answered within the time: then it may have taken effect, or may still.
    pub async fn write(&mut self, op: Op, within: Duration) -> Option<Answer> {
        self.number += 1;
        let (client, number) = (self.name.clone(), self.number);
        let command = Command { client, number, op };
        self.ask("commands", Some(&command), within).await
    }

    async fn ask(
        &mut self,
        path: &str,
        command: Option<&Command>,
        within: Duration,
    ) -> Option<Answer> {
        let start = Instant::now();
        while start.elapsed() < within {
            let url = format!("http://{}/{path}", self.hosts[self.leader]);
            let request = match command {
                Some(command) => self.http.post(url).json(command),
                None => self.http.get(url),
            };
            let mut other = (self.leader + 1) % self.hosts.len();
            match request.timeout(PATIENCE * 3 / 2).send().await {
                Ok(response) if response.status().is_success() => {
                    if let Ok(answer) = response.json().await {
                        return Some(answer);
                    }
                }
                Ok(response) => {
                    if let Ok(Refusal {
                        leader: Some(leader),
                    }) = response.json().await
                        && leader != self.leader
                    {
                        other = leader;
                    }
                }
                Err(_) => {}
            }
            self.leader = other;
            sleep(Duration::from_millis(20)).await;
        }
        None
    }
}
