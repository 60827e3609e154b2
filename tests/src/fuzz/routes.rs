//! Hosts and paths, and a request for one of them or for another host or path.

use ingress_filter::table::{Backend, Forward, PathMatch, Route, TlsHost, VirtualHost};
use ingress_filter::{FlatTable, RouteTable, Router};

use super::input;
use crate::naive;

/// Compares the matcher with the naive one. Routes are lines such as `a.example
/// prefix /a`; a line `a.example tls NAME` has the certificate of a host.
///
/// # Panics
/// If they differ.
pub fn routes(input: &[u8]) -> bool {
    let Some((asked, lines)) = input::split(input) else { return false };
    let Ok(lines) = std::str::from_utf8(lines) else { return false };
    let table = table(lines);
    let Ok(flat) = FlatTable::encode(&table) else { return false };
    super::json_table::check(&table, flat.clone(), &asked);
    let router = Router::from_flat(flat).expect("the encoded table");
    let authority = asked.authority();
    let own = naive::host(&authority).and_then(|host| naive::certificate(&table, &host));
    assert_eq!(router.certificate(&authority), own);
    true
}

fn table(lines: &str) -> RouteTable {
    let mut table = RouteTable::empty();
    table.backends.push(Backend {
        name: "web".into(),
        ports: Vec::new(),
        rules: Vec::new(),
        default: Forward::to("web".to_owned()).into(),
    });
    for (index, line) in lines.lines().enumerate() {
        let mut words = line.splitn(3, ' ');
        let (Some(host), Some(kind), Some(text)) = (words.next(), words.next(), words.next())
        else {
            continue;
        };
        let text = text.to_owned();
        let path = match kind {
            "exact" => PathMatch::Exact(text),
            "prefix" => PathMatch::Prefix(text),
            "string_prefix" => PathMatch::StringPrefix(text),
            "regex" => PathMatch::Regex(text),
            "tls" => {
                table.tls_hosts.push(TlsHost { hosts: vec![host.into()], certificate: text });
                continue;
            }
            _ => continue,
        };
        let route = Route {
            path,
            backend: "web".into(),
            port: None,
            source: index.to_string(),
            count_as: String::new(),
            plaintext: None,
        };
        let known = table.virtual_hosts.iter_mut().find(|known| known.hosts == [host]);
        match known {
            Some(known) => known.routes.push(route),
            None => table.virtual_hosts.push(VirtualHost {
                hosts: vec![host.into()],
                routes: vec![route],
                no_default_backend: false,
            }),
        }
    }
    table
}
