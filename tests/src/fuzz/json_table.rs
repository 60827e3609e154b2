//! A table in JSON, and a request.

use ingress_filter::{FlatTable, Request, RouteTable, Router, Verdict};

use super::input::{self, Asked};
use crate::naive;

/// Loads a table: it is rejected, or the matcher decides the same as one that
/// checks every route and every rule.
///
/// # Panics
/// If it does neither.
pub fn json_table(input: &[u8]) -> bool {
    let Some((asked, json)) = input::split(input) else { return false };
    let Ok(table) = serde_json::from_slice::<RouteTable>(json) else {
        let is_flat = json.starts_with(b"INGRESS") || json.windows(6).any(|key| key == b"\"flat\"");
        assert!(is_flat || Router::load(json).is_err(), "loaded JSON that is not a table");
        return false;
    };
    let Ok(flat) = FlatTable::encode(&table) else {
        assert!(Router::load(json).is_err(), "loaded a table without a flat form");
        return false;
    };
    check(&table, flat, &asked);
    true
}

/// Checks a valid table and its flat form.
pub(super) fn check(table: &RouteTable, flat: FlatTable, asked: &Asked) {
    let decoded = flat.decode().expect("the encoded table");
    assert_eq!(FlatTable::encode(&decoded).expect("the decoded table"), flat);
    let router = Router::from_flat(flat).expect("the encoded table");
    let (authority, target) = (asked.authority(), asked.target());
    let (host, path) = (naive::host(&authority), naive::path(&target));
    let expected = host.as_deref().map(|host| naive::route(table, host, path)).ok_or(());
    let found = router.find(&authority, &target).map_err(drop);
    assert_eq!(
        found.map(|matched| matched.map(|matched| matched.source)),
        expected.map(|served| served.map(|served| served.source)),
    );
    check_rule(table, &router, asked, expected.ok().flatten());
}

/// The conditions of all rules up to the matching one are checked: a request was
/// forwarded by the first rule that matches.
fn check_rule(
    table: &RouteTable,
    router: &Router,
    asked: &Asked,
    served: Option<naive::Served<'_>>,
) {
    let decision = router.decide(asked);
    let Verdict::Forward(_) = decision.verdict else { return };
    let served = served.expect("a forwarded request has a route");
    let backend = table.backends.iter().find(|backend| backend.name == served.backend);
    // Conditions see the authority in the form in which hosts are compared.
    let rule = naive::rule(backend.expect("a backend in the table"), asked);
    assert_eq!(decision.rule, rule.map(|rule| &*rule.name), "{:?}", asked.header(":authority"));
}
