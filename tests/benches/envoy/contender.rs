//! The programs and configurations that the filter is compared with.

use std::env;
use std::net::SocketAddr;

use ingress_tests::bench::{Processes, Shape, grouped};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contender {
    /// A module that does nothing: the minimum cost of a Wasm filter.
    Idle,
    /// Envoy's routes as a list.
    List,
    /// Envoy's routes as a matcher tree.
    Matcher,
    /// Another build of the module.
    OtherModule,
    Nginx,
    Haproxy,
}

/// The addresses and processes of a contender.
pub(crate) struct Place {
    /// HTTP/1.1 and HTTP/2.
    pub(crate) addresses: [SocketAddr; 2],
    pub(crate) processes: Processes,
}

impl Place {
    /// The addresses, with the process `pid` and its children.
    pub(crate) fn of(addresses: [SocketAddr; 2], pid: u32) -> Self {
        Self { addresses, processes: Processes::of(pid) }
    }
}

impl Contender {
    pub(crate) const ALL: [Self; 6] =
        [Self::Idle, Self::List, Self::Matcher, Self::OtherModule, Self::Nginx, Self::Haproxy];

    /// The name on the command line, and of a listener.
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

    /// The name in reports.
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

    /// The reason why it cannot be measured here, if there is one.
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
    // Debian installs servers in a folder that is on the PATH of root only.
    let folders = env::split_paths(&path).chain(["/usr/sbin".into()]);
    folders.map(|folder| folder.join(program)).any(|file| file.is_file())
}
