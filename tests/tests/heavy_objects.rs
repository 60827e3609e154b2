//! The largest objects that users may create, while others are served: how long the
//! requests of others wait, and how soon their changes are served.

use std::fmt::Write as _;
use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ingress_tests::{KeepAlive, Serving, Upstream, meanwhile, raw};

/// The desired limit for requests of others, which a busy machine may exceed.
const TARGET: Duration = Duration::from_millis(30);

/// The limit for a request on a busy machine. An earlier version took 1.7 to 16 s.
const MOST: Duration = Duration::from_millis(700);

/// These tests measure time, so they run one at a time.
fn my_turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn ingress(name: &str, service: &str, path: &str, port: u16) -> String {
    format!(
        "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\n\
         metadata: {{name: {name}, annotations: {{kubernetes.io/ingress.class: istio}}}}\n\
         spec: {{rules: [{{host: {service}.example, http: {{paths: [{{path: {path}, pathType: Prefix, \
         backend: {{service: {{name: {service}, port: {{number: {port}}}}}}}}}]}}}}]}}\n"
    )
}

fn rule(name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: config.istio.io/v1alpha2\nkind: RouteRule\n\
         metadata: {{name: {name}}}\nspec:\n  destination: {{name: heavy}}\n  {spec}\n"
    )
}

/// Conditions of one rule, all on the same header or each on a different one.
fn conditions(header: impl Fn(usize) -> (String, String), count: usize) -> String {
    let mut spec = "match:\n    request:\n      headers:\n".to_owned();
    for (name, pattern) in (0..count).map(header) {
        let _ = writeln!(spec, "        {name}: {{regex: '{pattern}'}}");
    }
    spec
}

/// The delays of others while heavy objects were added, served and changed.
struct Seen {
    longest_wait: Duration,
    changes: Vec<Duration>,
}

impl Seen {
    fn check(&self, what: &str) {
        let mut changes = self.changes.clone();
        changes.sort();
        let median = changes[changes.len() / 2];
        println!(
            "{what}: the longest that a request of others waited is {} ms (target {}), their changes were served \
             after {} ms (median of {}; target 1,000)",
            self.longest_wait.as_millis(),
            TARGET.as_millis(),
            median.as_millis(),
            changes.len(),
        );
        assert!(self.longest_wait < MOST, "{:?}", self.longest_wait);
        assert!(median < Duration::from_secs(1), "{changes:?}");
    }
}

/// Serves `heavy` next to a victim, while `work` sends requests to it.
fn beside(heavy: &str, work: impl Fn(&Serving) + Sync) -> Seen {
    let upstream = Upstream::start("a");
    let victim =
        upstream.manifests("victim", "http", 80) + &ingress("victim", "victim", "/victim", 80);
    let serving = Serving::start(&victim);
    let longest = Mutex::new(Duration::ZERO);
    let ask = || {
        let mut client = KeepAlive::connect(serving.http);
        for _ in 0..200 {
            let start = Instant::now();
            assert_eq!(client.get("victim.example", "/victim").status, 200);
            let mut longest = longest.lock().unwrap();
            *longest = start.elapsed().max(*longest);
        }
    };
    let replace = |name: &str, text: &str| {
        // Written under a name that is not watched, then renamed: readers never see
        // a partial file.
        let file = serving.folder().join(name);
        fs::write(file.with_extension("new"), text).unwrap();
        fs::rename(file.with_extension("new"), file).unwrap();
    };
    let change = |round: usize| {
        let start = Instant::now();
        replace("other.yaml", &ingress("other", "victim", &format!("/other-{round}"), 80));
        serving.wait_for("victim.example", &format!("/other-{round}"), 200);
        start.elapsed()
    };
    let (changes, _) = meanwhile(2, ask, || {
        replace("heavy.yaml", heavy);
        serving.wait_for("heavy.example", "/", 200);
        let rounds = (0..5).map(|round| {
            replace(
                "heavy.yaml",
                &heavy.replace("precedence: 1", &format!("precedence: 1{round}")),
            );
            work(&serving);
            change(round)
        });
        rounds.collect()
    });
    Seen { longest_wait: longest.into_inner().unwrap(), changes }
}

/// The service `heavy` with this many ports, each at its own path.
fn heavy(upstream: &Upstream, ports: u16, rules: &str) -> String {
    let http = "{name: http, port: 80}";
    let listed = (1..ports).map(|port| format!(", {{name: p{port}, port: {}}}", 1_000 + port));
    let listed = listed.collect::<String>();
    let mut text =
        upstream.manifests("heavy", "http", 80).replace(http, &(http.to_owned() + &listed));
    for port in 1..ports {
        text.push_str(&ingress(&format!("p{port}"), "heavy", &format!("/p{port}"), 1_000 + port));
    }
    text + &ingress("heavy", "heavy", "/", 80) + rules
}

/// A request with the longest header that Envoy accepts.
fn long_header(serving: &Serving) {
    let value = "ab".repeat(29_000);
    let request = format!(
        "GET / HTTP/1.1\r\nhost: heavy.example\r\nx-long: {value}\r\nconnection: close\r\n\r\n"
    );
    for _ in 0..4 {
        let start = Instant::now();
        assert_eq!(raw(serving.http, request.as_bytes()).status, 200);
        assert!(start.elapsed() < MOST, "{:?}", start.elapsed());
    }
}

#[test]
fn six_thousand_expressions_in_one_object() {
    let _turn = my_turn();
    let upstream = Upstream::start("a");
    let condition = |index: usize| (format!("x-{index}"), format!("(a|b)*{index}[0-9]+"));
    let rules = rule("many", &format!("precedence: 1\n  {}", conditions(condition, 6_000)));
    beside(&heavy(&upstream, 1, &rules), |_| ()).check("6,000 expressions in one object");
}

#[test]
fn expressions_that_explode_and_a_header_of_58_kb() {
    let _turn = my_turn();
    let upstream = Upstream::start("a");
    let rules = (0..30).map(|index| {
        let pattern = format!("([ab]*a[ab]{{300}}|[ab]*b[ab]{{300}})c{index}");
        let condition = |_| ("x-long".to_owned(), pattern.clone());
        rule(&format!("r{index}"), &format!("precedence: 1\n  {}", conditions(condition, 1)))
    });
    let heavy = heavy(&upstream, 1, &rules.collect::<String>());
    beside(&heavy, long_header).check("30 expressions that explode, and headers of 58 KB");
}

/// The maximum number of expressions of a service, each of which reads the whole header.
#[test]
fn all_expressions_that_a_service_may_have_and_a_header_of_58_kb() {
    let _turn = my_turn();
    let upstream = Upstream::start("a");
    let rules = (0..64).map(|index| {
        let condition = |_| ("x-long".to_owned(), format!("[ab]*a[ab]{{5}}c{index}"));
        rule(&format!("r{index}"), &format!("precedence: 1\n  {}", conditions(condition, 1)))
    });
    let heavy = heavy(&upstream, 1, &rules.collect::<String>());
    beside(&heavy, long_header).check("64 expressions, and headers of 58 KB");
}

#[test]
fn a_rule_of_a_megabyte_and_150_ports() {
    let _turn = my_turn();
    let upstream = Upstream::start("a");
    let value = "v".repeat(1_000);
    let headers = (0..1_100).map(|index| format!("    x-{index}: {value}\n"));
    let never = "match: {request: {headers: {x-never: never}}}";
    let spec =
        format!("precedence: 1\n  {never}\n  appendHeaders:\n{}", headers.collect::<String>());
    beside(&heavy(&upstream, 150, &rule("large", &spec)), |_| ())
        .check("a rule of 1.1 MB, and 150 ports");
}
