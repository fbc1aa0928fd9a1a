//! How much waits in the world: connections to be accepted, bytes to be read, tasks that live. For whoever samples it.

/// The state of the world at an instant. Hosts at which nothing waits are left out; the others stand in the order of their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vitals {
    /// Connections that wait to be accepted, by the host's name.
    pub backlog: Vec<(String, u64)>,
    /// Bytes that arrived in sockets and were not read yet, by the host's name.
    pub unread: Vec<(String, u64)>,
    /// Tasks that live, where the program's tokio tells of them.
    pub tasks: Option<u64>,
}

#[cfg(squall_kernel)]
impl super::Kernel {
    /// Looks at everything that is open.
    pub(crate) fn vitals(&self) -> Vitals {
        let mut backlog = vec![0u64; self.hosts.len()];
        let mut unread = vec![0u64; self.hosts.len()];
        for (host, kind) in self.objects.all() {
            let host = usize::from(host);
            backlog[host] += kind.waiting_connections();
            unread[host] += kind.waiting_bytes();
        }
        for (host, bytes) in self.net.flows.unread() {
            unread[usize::from(host)] += bytes;
        }
        let by_host = |counts: Vec<u64>| {
            let named = self.hosts.iter().map(|host| host.name.clone()).zip(counts);
            named.filter(|(_, count)| *count > 0).collect()
        };
        Vitals {
            backlog: by_host(backlog),
            unread: by_host(unread),
            tasks: self.living_tasks(),
        }
    }
}
