//! The compared matchers: each finds the longest prefix of whole path elements.

use ingress_filter::table::{Backend, Forward, PathMatch, Route, VirtualHost};
use ingress_filter::{RouteTable, Router};

pub(crate) trait Peer {
    /// The name in reports.
    fn name(&self) -> &'static str;
    /// The name in file names.
    fn key(&self) -> &'static str;
    /// The longest path in the table that is a prefix of this one.
    fn find(&self, path: &str) -> Option<&str>;
}

/// The filter's router, which also looks up the host and removes a query.
pub(crate) struct Ours(Router);

impl Ours {
    pub(crate) fn new(paths: &[String]) -> Self {
        let route = |path: &String| Route {
            path: PathMatch::Prefix(path.clone()),
            backend: "web".into(),
            source: path.clone(),
            count_as: String::new(),
            port: None,
            plaintext: None,
        };
        let table = RouteTable {
            backends: vec![Backend {
                name: "web".into(),
                ports: Vec::new(),
                rules: Vec::new(),
                default: Forward::to("web".to_owned()).into(),
            }],
            virtual_hosts: vec![VirtualHost {
                hosts: vec!["shop.example.com".into()],
                routes: paths.iter().map(route).collect(),
                no_default_backend: false,
            }],
            ..RouteTable::empty()
        };
        Self(Router::new(&table).expect("a valid table"))
    }
}

impl Peer for Ours {
    fn name(&self) -> &'static str {
        "this filter's router"
    }

    fn key(&self) -> &'static str {
        "router"
    }

    fn find(&self, path: &str) -> Option<&str> {
        let found = self.0.find(b"shop.example.com", path.as_bytes()).ok()?;
        found.map(|found| found.source)
    }
}

/// The matcher of axum.
pub(crate) struct Matchit(matchit::Router<String>);

impl Matchit {
    pub(crate) fn new(paths: &[String]) -> Self {
        let mut router = matchit::Router::new();
        for path in paths {
            router.insert(path.as_str(), path.clone()).expect("a new path");
            router.insert(format!("{path}/{{*rest}}"), path.clone()).expect("a new path");
        }
        Self(router)
    }
}

impl Peer for Matchit {
    fn name(&self) -> &'static str {
        "matchit"
    }

    fn key(&self) -> &'static str {
        "matchit"
    }

    fn find(&self, path: &str) -> Option<&str> {
        self.0.at(path).ok().map(|found| found.value.as_str())
    }
}

/// A binary search for the path, then for each of its prefixes.
pub(crate) struct SortedList(Vec<String>);

impl SortedList {
    pub(crate) fn new(paths: &[String]) -> Self {
        let mut paths = paths.to_vec();
        paths.sort_unstable();
        Self(paths)
    }
}

impl Peer for SortedList {
    fn name(&self) -> &'static str {
        "a sorted list, binary search"
    }

    fn key(&self) -> &'static str {
        "sorted"
    }

    fn find(&self, path: &str) -> Option<&str> {
        let mut prefix = path;
        loop {
            if let Ok(index) = self.0.binary_search_by(|known| known.as_str().cmp(prefix)) {
                return Some(&self.0[index]);
            }
            prefix = &prefix[..prefix.rfind('/')?];
        }
    }
}
