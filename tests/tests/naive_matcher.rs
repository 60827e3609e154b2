//! The indexed matcher agrees with one that checks every route, written directly
//! from the specification of hosts and paths of an Ingress.

use std::borrow::Cow;

use ingress_filter::table::{
    Backend, Forward, PathMatch, Plaintext, Route, Target, TlsHost, VirtualHost,
};
use ingress_filter::{FlatTable, Request, RouteTable, Router, Verdict};
use ingress_tests::naive;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

/// The loaded table, after it was converted to flat form, JSON and flat form again.
fn there_and_back(table: &RouteTable) -> Router {
    let flat = FlatTable::encode(table).unwrap();
    assert_eq!(FlatTable::encode(&flat.decode().unwrap()).unwrap(), flat);
    Router::from_flat(flat).unwrap()
}

/// The status of the filter's response; `None` if the request is forwarded.
fn naive_status(table: &RouteTable, asked: &Asked) -> Option<u16> {
    let chain = asked.chain.unwrap_or_default();
    let claims = !chain.is_empty() && (chain != "default" || asked.sni.is_some());
    if naive::certificate(table, &asked.host).is_some_and(|own| claims && own != chain) {
        return Some(421);
    }
    let plaintext = naive::route(table, &asked.host, asked.path.as_bytes())
        .map(|served| served.plaintext.filter(|_| asked.proto != Some("https")));
    match plaintext {
        Some(None) => None,
        Some(Some(Plaintext::Redirect)) if !asked.host.is_empty() => Some(308),
        _ => Some(404),
    }
}

const HOSTS: [&str; 8] = [
    "*",
    "a.example",
    "b.example",
    "*.example",
    "x.a.example",
    "*.a.example",
    "*.b.example",
    "[::1]",
];

const CERTIFICATES: [&str; 3] = ["default", "ns/a", "ns/b"];

fn plaintext() -> impl Strategy<Value = Option<Plaintext>> {
    select(vec![None, Some(Plaintext::Redirect), Some(Plaintext::Refuse)])
}

fn tls_hosts() -> impl Strategy<Value = Vec<TlsHost>> {
    // All except `*`.
    let hosts = subsequence(&HOSTS[1..], 0..HOSTS.len());
    let certificates = prop::collection::vec(select(&CERTIFICATES[..]), HOSTS.len());
    (hosts, certificates).prop_map(|(hosts, certificates)| {
        let tls_host = |(host, certificate): (&str, &str)| TlsHost {
            hosts: vec![host.into()],
            certificate: certificate.into(),
        };
        hosts.into_iter().zip(certificates).map(tls_host).collect()
    })
}

fn route() -> impl Strategy<Value = Route> {
    let pattern = select(vec!["/a+", "/.*b", "/(a|b/)*", "/[^a]*", "/b?a?c?", "/.*"]);
    (0..4, "/([ab/]|%(c3|C3)){0,5}", pattern, plaintext()).prop_map(
        |(kind, text, pattern, plaintext)| Route {
            path: match kind {
                0 => PathMatch::Exact(text),
                1 => PathMatch::Prefix(text),
                2 => PathMatch::StringPrefix(text),
                _ => PathMatch::Regex(pattern.into()),
            },
            backend: "web".into(),
            port: None,
            source: String::new(),
            count_as: String::new(),
            plaintext,
        },
    )
}

fn table() -> impl Strategy<Value = RouteTable> {
    let hosts = subsequence(&HOSTS, 0..HOSTS.len());
    (
        hosts,
        prop::collection::vec((prop::collection::vec(route(), 0..12), any::<bool>()), HOSTS.len()),
        prop::option::of(plaintext()),
        tls_hosts(),
    )
        .prop_map(|(hosts, routes, default, tls_hosts)| {
            let mut table = RouteTable::empty();
            table.backends.push(Backend {
                name: "web".into(),
                ports: Vec::new(),
                rules: Vec::new(),
                default: Forward::to("web".to_owned()).into(),
            });
            table.virtual_hosts = hosts
                .into_iter()
                .zip(routes)
                .map(|(host, (routes, no_default_backend))| VirtualHost {
                    hosts: vec![host.into()],
                    routes,
                    no_default_backend,
                })
                .collect();
            for (v, virtual_host) in table.virtual_hosts.iter_mut().enumerate() {
                for (r, route) in virtual_host.routes.iter_mut().enumerate() {
                    route.source = format!("{v}.{r}");
                }
            }
            table.default_backend = default.map(|plaintext| Target {
                backend: "web".into(),
                port: None,
                source: "default".into(),
                count_as: String::new(),
                plaintext,
            });
            table.tls_hosts = tls_hosts;
            table
        })
}

const REQUEST_HOSTS: [&str; 9] = [
    "",
    "a.example",
    "b.example",
    "c.example",
    "x.a.example",
    "y.a.example",
    "z.y.a.example",
    "example",
    "[::1]",
];

fn request_host() -> impl Strategy<Value = String> {
    select(&REQUEST_HOSTS[..]).prop_map(str::to_owned)
}

/// A request on a connection.
#[derive(Clone, Debug)]
struct Asked {
    host: String,
    path: String,
    proto: Option<&'static str>,
    chain: Option<&'static str>,
    sni: Option<&'static str>,
}

impl Request for Asked {
    fn header(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        let value = match name {
            ":authority" => &self.host,
            ":path" => &self.path,
            "x-forwarded-proto" => self.proto?,
            _ => return None,
        };
        Some(value.as_bytes().into())
    }

    fn first_value(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        self.header(name)
    }

    fn client(&self) -> Option<Cow<'_, [u8]>> {
        None
    }

    fn filter_chain(&self) -> Option<Cow<'_, [u8]>> {
        self.chain.map(|chain| chain.as_bytes().into())
    }

    fn server_name(&self) -> Option<Cow<'_, [u8]>> {
        self.sni.map(|host| host.as_bytes().into())
    }

    fn random(&self) -> u64 {
        0
    }
}

fn asked() -> impl Strategy<Value = Asked> {
    let proto = select(vec![None, Some("http"), Some("https"), Some("")]);
    let chain = select(vec![None, Some(""), Some("default"), Some("ns/a"), Some("ns/b")]);
    let sni = select(vec![None, Some("a.example"), Some("other.example")]);
    (request_host(), "/([abc/]|%(c3|C3)){0,7}", proto, chain, sni)
        .prop_map(|(host, path, proto, chain, sni)| Asked { host, path, proto, chain, sni })
}

fn query() -> impl Strategy<Value = &'static str> {
    select(vec!["", "?", "?/a", "?a=/b#c", "#/a"])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_index_agrees_with_the_list(
        table in table(),
        requests in prop::collection::vec((request_host(), "/([abc/]|%(c3|C3)){0,7}", query()), 20),
    ) {
        let router = there_and_back(&table);
        for (host, path, query) in requests {
            let target = format!("{path}{query}");
            let found = router.find(host.as_bytes(), target.as_bytes()).unwrap().map(|matched| matched.source);
            let expected = naive::route(&table, &host, path.as_bytes()).map(|served| served.source);
            prop_assert_eq!(found, expected, "{} {}", host, path);
        }
    }

    /// Any bytes from a client lead to a decision, never to a panic.
    #[test]
    fn any_bytes_are_decided(
        table in table(),
        headers in prop::collection::vec((select(vec![":method", ":path", ":authority", "x"]), prop::collection::vec(any::<u8>(), 0..20)), 0..6),
    ) {
        let headers: Vec<_> = headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let router = there_and_back(&table);
        router.decide(&headers[..]);
    }

    /// Any bytes as a table are loaded or rejected, and never lead to a panic.
    #[test]
    fn any_table_is_loaded_or_refused(table in table(), cut in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut json = serde_json::to_vec(&table).unwrap();
        let at = cut.index(json.len());
        let _ = Router::load(&json[..at]).unwrap_err();
        json[at] = byte;
        let _ = Router::load(&json);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn certificates_and_tls_are_seen_to_as_the_list_says(
        table in table(),
        requests in prop::collection::vec(asked(), 20),
    ) {
        let router = there_and_back(&table);
        for asked in requests {
            let own = naive::certificate(&table, &asked.host);
            prop_assert_eq!(router.certificate(asked.host.as_bytes()), own, "{}", asked.host);
            let status = match router.decide(&asked).verdict {
                Verdict::Forward(_) => None,
                Verdict::Respond(status) => Some(status),
            };
            prop_assert_eq!(status, naive_status(&table, &asked), "{:?}", asked);
        }
    }
}
