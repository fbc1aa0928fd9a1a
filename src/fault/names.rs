//! How a test names hosts.

use crate::kernel;

/// One host or several, as arguments name them: `"orders"`, a [`Host`](crate::Host), or an array, slice or vector of either.
pub trait Hosts {
    /// Their names.
    fn names(&self) -> Vec<String>;
}

macro_rules! texts {
    ($($t:ty),*) => { $(impl Hosts for $t {
        fn names(&self) -> Vec<String> {
            vec![self.to_string()]
        }
    })* };
}
texts!(str, String);

impl<H: Hosts + ?Sized> Hosts for &H {
    fn names(&self) -> Vec<String> {
        (**self).names()
    }
}

impl<H: Hosts> Hosts for [H] {
    fn names(&self) -> Vec<String> {
        self.iter().flat_map(Hosts::names).collect()
    }
}

impl<H: Hosts, const N: usize> Hosts for [H; N] {
    fn names(&self) -> Vec<String> {
        self.as_slice().names()
    }
}

impl<H: Hosts> Hosts for Vec<H> {
    fn names(&self) -> Vec<String> {
        self.as_slice().names()
    }
}

/// The number of the host with this name.
///
/// # Panics
/// If there is none.
pub(crate) fn number(name: &str) -> u16 {
    let hosts = kernel::hosts();
    match hosts.iter().find(|h| h.name == name) {
        Some(host) => host.id,
        None => {
            let known: Vec<String> = hosts.into_iter().map(|h| format!("{:?}", h.name)).collect();
            panic!(
                "there is no host {name:?}; the hosts are {}",
                known.join(", ")
            )
        }
    }
}

/// The numbers of hosts.
///
/// # Panics
/// If there is none of one of the names.
pub(crate) fn numbers(hosts: impl Hosts) -> Vec<u16> {
    hosts.names().iter().map(|name| number(name)).collect()
}
