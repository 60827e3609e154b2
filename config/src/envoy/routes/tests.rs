use serde_json::{Value, json};

use super::*;

/// The virtual host in JSON for a table with copies to these clusters.
fn virtual_host(mirrors: &[String]) -> Value {
    let backend = |cluster: &String| {
        let forward = json!({"forward": {"cluster": "web", "mirror": cluster}});
        json!({"name": cluster, "default": forward, "rules": [{"action": forward}]})
    };
    let backends: Vec<_> = mirrors.iter().map(backend).collect();
    let table = json!({"version": 1, "backends": backends});
    let table = serde_json::from_value(table).expect("a table");
    let routes = RouteConfiguration::new(&table, limit("5m"));
    serde_json::to_value(routes).expect("JSON")["virtual_hosts"][0].clone()
}

fn limit(text: &str) -> TimeLimit {
    text.parse().expect("a duration")
}

/// The idle timeouts of the routes for a rule with this timeout.
fn idle_timeouts(timeout: &Value) -> Vec<String> {
    let forward = json!({"forward": {"cluster": "web", "timeout": timeout}});
    let backends = json!([{"name": "web", "default": forward}]);
    let table = json!({"version": 1, "backends": backends});
    let table = serde_json::from_value(table).expect("a table");
    let routes = RouteConfiguration::new(&table, limit("5m"));
    let routes = serde_json::to_value(routes).expect("JSON");
    let routes = routes["virtual_hosts"][0]["routes"].as_array().expect("routes").iter();
    let timeouts = routes.filter_map(|route| route["route"]["idle_timeout"].as_str());
    timeouts.map(str::to_owned).collect()
}

#[test]
fn a_longer_timeout_has_routes_whose_idle_timeout_does_not_end_it() {
    assert_eq!(idle_timeouts(&json!({"ms": 60_000})), [""; 0]);
    assert_eq!(idle_timeouts(&json!({"ms": 600_500})), ["601.500000000s"; 2]);
    assert_eq!(idle_timeouts(&json!({"ms": u32::MAX})), ["4294967.295000000s"; 2]);
    let by_client = json!({"ms": 1, "override_header": "x", "override_limit_ms": 900_000});
    assert_eq!(idle_timeouts(&by_client), ["901s"; 2]);
}

/// The routes of a match, and the clusters that they send copies to.
fn routes_and_copies(on_match: &Value) -> (usize, Vec<Value>) {
    let routes = on_match["action"]["typed_config"]["routes"].as_array().expect("a list");
    let copies = routes.iter().filter_map(|route| {
        route["route"].get("request_mirror_policies").map(|policies| policies[0].clone())
    });
    (routes.len(), copies.collect())
}

/// The cost of a list would grow with the number of clusters that get copies.
#[test]
fn each_mirror_is_one_entry_of_a_map() {
    let mirrors: Vec<_> = (0..100).map(|number| format!("copy-{number}")).collect();
    let host = virtual_host(&mirrors);
    assert_eq!(host.get("routes"), None, "a list beside the map");
    let tree = &host["matcher"]["matcher_tree"];
    assert_eq!(tree["input"]["typed_config"]["header_name"], MIRROR_HEADER);
    let map = tree["exact_match_map"]["map"].as_object().expect("a map");
    assert_eq!(map.len(), mirrors.len());
    for mirror in &mirrors {
        let copies = vec![json!({"cluster": mirror}); 2];
        assert_eq!(routes_and_copies(&map[mirror]), (5, copies), "{mirror}");
    }
    assert_eq!(routes_and_copies(&host["matcher"]["on_no_match"]), (5, Vec::new()));
}

#[test]
fn without_mirrors_there_is_no_map() {
    let host = virtual_host(&[]);
    assert_eq!(host.get("matcher"), None);
    assert_eq!(host["routes"].as_array().map(Vec::len), Some(5));
}
