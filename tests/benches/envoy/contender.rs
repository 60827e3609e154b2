//! What our filter is compared with.

use std::env;
use std::net::SocketAddr;

use ingress_tests::bench::{Processes, Shape, grouped};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contender {
    /// A module that does nothing: what any filter in Wasm costs.
    Idle,
    /// Envoy's routes one after the other.
    List,
    /// Envoy's routes in a matcher tree.
    Matcher,
    /// Another build of our module.
    OtherModule,
    Nginx,
    Haproxy,
}

/// Where a contender serves.
pub(crate) struct Place {
    /// HTTP/1.1 and HTTP/2.
    pub(crate) addresses: [SocketAddr; 2],
    pub(crate) processes: Processes,
}

impl Place {
    /// That of the process `pid` and its children.
    pub(crate) fn of(addresses: [SocketAddr; 2], pid: u32) -> Self {
        Self { addresses, processes: Processes::of(pid) }
    }
}

impl Contender {
    pub(crate) const ALL: [Self; 6] =
        [Self::Idle, Self::List, Self::Matcher, Self::OtherModule, Self::Nginx, Self::Haproxy];

    /// On the command line, and as the name of a listener.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::List => "list",
            Self::Matcher => "matcher",
            Self::OtherModule => "other",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
        }
    }

    /// For people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Idle => "a module that does nothing",
            Self::List => "Envoy's route list",
            Self::Matcher => "Envoy's matcher tree",
            Self::OtherModule => "the module of module=",
            Self::Nginx => "nginx with a map",
            Self::Haproxy => "haproxy with a map",
        }
    }

    /// Why it cannot be measured here.
    pub(crate) fn obstacle(self, shape: Shape, size: usize) -> Option<String> {
        match self {
            Self::List if shape == Shape::Paths && size > 10_000 => Some(format!(
                "Envoy's route list is left out at {} paths: it compares a request with every one of them",
                grouped(size)
            )),
            Self::Nginx | Self::Haproxy if !is_installed(self.key()) => {
                Some(format!("{} is left out: it is not installed", self.key()))
            }
            _ => None,
        }
    }

    /// The budget of the CPU ratio.
    pub(crate) fn target(self, shape: Shape, size: usize) -> Option<&'static str> {
        match (self, shape, size) {
            (Self::Idle, ..) => Some("≤ 1.10"),
            (Self::List, Shape::Paths, 10) => Some("≤ 1.25"),
            (Self::List, Shape::Paths, 1_000) => Some("≤ 0.80"),
            (Self::List, Shape::Paths, 10_000) => Some("≤ 0.10"),
            _ => None,
        }
    }
}

fn is_installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    // Debian's own place for servers is on the PATH of root only.
    let folders = env::split_paths(&path).chain(["/usr/sbin".into()]);
    folders.map(|folder| folder.join(program)).any(|file| file.is_file())
}
