//! Objects in the words of a story: what a socket is connected to rather than which descriptor it has. Called by `trace`,
//! for recorded runs only.

use super::Kernel;
use super::descriptor::{Kind, ObjectId};
use super::net::address::Address;
use super::net::flow::CLIENT;
use std::net::SocketAddr;

impl Kernel {
    /// An object as a story names it.
    pub(super) fn object_words(&mut self, id: ObjectId) -> String {
        let side = match self.objects.get(id) {
            None => return "a closed descriptor".to_owned(),
            Some(Kind::EventFd(_)) => return "an eventfd".to_owned(),
            Some(Kind::TimerFd(_)) => return "a timerfd".to_owned(),
            Some(Kind::PipeReader(_) | Kind::PipeWriter(_)) => return "a pipe".to_owned(),
            Some(Kind::Epoll(_)) => return "epoll".to_owned(),
            Some(Kind::Random) => return "/dev/urandom".to_owned(),
            Some(Kind::Unix(_)) => return "a Unix socket".to_owned(),
            Some(Kind::Tcp(tcp)) => tcp.end().map(|(_, side)| side),
            Some(Kind::Listener(_)) => return format!("port {}", self.port(id)),
            Some(Kind::Udp(_)) => return format!("UDP port {}", self.port(id)),
        };
        let host = self.objects.host(id).unwrap_or(0);
        match (side, self.tcp_came_from(id)) {
            (None, _) => "a TCP socket".to_owned(),
            (Some(CLIENT), Ok(server)) => {
                format!("{}:{}", self.host_words(host, server), server.port())
            }
            // The client's port means nothing to anybody.
            (Some(_), Ok(client)) => self.host_words(host, client),
            (Some(_), Err(_)) => "a TCP connection".to_owned(),
        }
    }

    fn port(&mut self, id: ObjectId) -> u16 {
        match self.socket_name(id) {
            Ok(Address::Inet(local)) => local.port(),
            _ => 0,
        }
    }

    fn host_words(&self, from: u16, at: SocketAddr) -> String {
        self.name_of(from, at.ip())
            .unwrap_or_else(|| at.ip().to_string())
    }
}
