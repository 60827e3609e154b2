//! The metrics of the controller, for `/metrics`.
//!
//! Names and units follow <https://prometheus.io/docs/practices/naming/>.
//! Manifests cannot add label values, except for the few namespaces that are
//! closest to their budgets.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime};

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Metric, Registry, Unit};

use crate::budget::Amounts;
use crate::compile::Usage;
use crate::finding::Severity;
use crate::model::Https;
use crate::rollout::Change;
use crate::settings::ObjectName;

use super::reports::Report;

/// The values of the label `kind`; other kinds count as `other`, so the number of series is
/// bounded.
const KINDS: [&str; 12] = [
    "ConfigMap",
    "CustomResourceDefinition",
    "EndpointSlice",
    "Endpoints",
    "Ingress",
    "IngressClass",
    "Lease",
    "Namespace",
    "Pod",
    "RouteRule",
    "Secret",
    "Service",
];

fn known(kind: &str) -> &'static str {
    KINDS.iter().copied().find(|known| *known == kind).unwrap_or("other")
}

/// A report that is written to the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Written {
    /// The status of an Ingress.
    Status,
    /// An Event.
    Event,
}

/// The result of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Ending {
    Success,
    Failure,
}

macro_rules! label_values {
    ($type:ty { $($variant:ident => $value:literal),+ $(,)? }) => {
        impl EncodeLabelValue for $type {
            fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
                let value = match self { $(Self::$variant => $value),+ };
                EncodeLabelValue::encode(&value, encoder)
            }
        }
    };
}

impl EncodeLabelValue for Change {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        EncodeLabelValue::encode(&self.name(), encoder)
    }
}

label_values!(Written { Status => "status", Event => "event" });
label_values!(Ending { Success => "success", Failure => "failure" });

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BudgetLabels {
    namespace: String,
    resource: &'static str,
}

/// The number of namespaces whose budgets are published, so the number of series is bounded.
const TOLD_NAMESPACES: usize = 20;

/// Prometheus has a label `namespace` of its own, which is that of the pod.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SecretLabels {
    secret_namespace: String,
    secret: String,
}

/// The number of certificates whose end is published.
const TOLD_CERTIFICATES: usize = 20;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FindingLabels {
    severity: &'static str,
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ChangeLabel {
    change: Change,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WriteLabels {
    report: Written,
    result: Ending,
}

/// All metrics of the controller.
#[derive(Debug)]
pub(super) struct Metrics {
    objects: Family<KindLabel, Gauge>,
    findings: Family<FindingLabels, Gauge>,
    budgets: Family<BudgetLabels, Gauge<f64, AtomicU64>>,
    expiries: Family<SecretLabels, Gauge>,
    compile: Histogram,
    apply: Histogram,
    event_to_traffic: Histogram,
    applied: Family<ChangeLabel, Counter>,
    rejected: Counter,
    watch_restarts: Family<KindLabel, Counter>,
    watch_up: Family<KindLabel, Gauge>,
    leader: Gauge,
    last_applied: Gauge<f64, AtomicU64>,
    writes: Family<WriteLabels, Counter>,
}

impl Metrics {
    /// Registers them.
    pub(super) fn new(registry: &mut Registry) -> Self {
        let r = registry.sub_registry_with_prefix("ingressctl");
        let seconds = |r: &mut Registry, name, help, buckets: &[f64]| {
            let histogram = Histogram::new(buckets.iter().copied());
            r.register_with_unit(name, help, Unit::Seconds, histogram.clone());
            histogram
        };
        let compile = seconds(r, "compile", "Time to compile the configuration", &COMPILE);
        let apply = seconds(r, "apply", "Time to apply a changed configuration to Envoy", &APPLY);
        let event_to_traffic = seconds(
            r,
            "event_to_traffic",
            "Time from the first watch event of a change until Envoy serves it",
            &EVENT_TO_TRAFFIC,
        );
        let last_applied = Gauge::default();
        r.register_with_unit(
            "last_applied_timestamp",
            "Unix time when Envoy last accepted a changed configuration",
            Unit::Seconds,
            last_applied.clone(),
        );
        let metrics = Self {
            objects: register(r, "objects", "Objects in the last configuration, by kind"),
            findings: register(
                r,
                "findings",
                "Findings in the last configuration, by severity and kind",
            ),
            budgets: register(
                r,
                "budget_usage_ratio",
                "Ratio of usage to limit of the budgets of a namespace, for the 20 closest to their limits",
            ),
            expiries: register(
                r,
                "certificate_expiry_timestamp_seconds",
                "Unix time at which the certificate in a Secret expires, for the 20 that expire first",
            ),
            applied: register(
                r,
                "configurations_applied",
                "Configurations that Envoy accepted, by kind of change",
            ),
            rejected: register(r, "configurations_rejected", "Configurations that Envoy rejected"),
            watch_restarts: register(
                r,
                "watch_restarts",
                "Restarts of watches of the Kubernetes API, by kind",
            ),
            watch_up: register(
                r,
                "watch_up",
                "Whether the watch of the Kubernetes API works (1) or not (0), by kind",
            ),
            leader: register(
                r,
                "leader",
                "Whether this replica is the leader, which writes status and Events (1)",
            ),
            writes: register(
                r,
                "report_writes",
                "Writes of status and Events to the Kubernetes API, by kind and result",
            ),
            compile,
            apply,
            event_to_traffic,
            last_applied,
        };
        metrics.begin();
        metrics
    }

    /// Series with known labels exist from the start, with 0, so that the first increase
    /// is visible.
    fn begin(&self) {
        for change in [Change::Upstreams, Change::Certificates, Change::RouteTable] {
            let _ = self.applied.get_or_create(&ChangeLabel { change });
        }
        for report in [Written::Status, Written::Event] {
            for result in [Ending::Success, Ending::Failure] {
                let _ = self.writes.get_or_create(&WriteLabels { report, result });
            }
        }
    }

    /// All objects were compiled.
    pub(super) fn compiled(&self, took: Duration) {
        self.compile.observe(took.as_secs_f64());
    }

    /// Sets the fractions of their budgets that namespaces use.
    pub(super) fn set_usage(&self, usage: &Usage, limits: &Amounts) {
        self.budgets.clear();
        for (namespace, shares) in usage.closest(limits, TOLD_NAMESPACES) {
            for (resource, share) in shares {
                let labels =
                    BudgetLabels { namespace: namespace.to_owned(), resource: resource.name() };
                self.budgets.get_or_create(&labels).set(share);
            }
        }
    }

    /// Sets when the certificates that are served expire.
    pub(super) fn set_expiries(&self, https: Option<&Https>, default: &ObjectName) {
        let certificates = https.iter().flat_map(|https| &https.certificates);
        let mut expiries: Vec<_> = certificates
            .map(|(name, certificate)| (certificate.validity().1, name.as_str()))
            .collect();
        expiries.sort_unstable();
        self.expiries.clear();
        for (time, name) in expiries.into_iter().take(TOLD_CERTIFICATES) {
            let (namespace, secret) =
                name.split_once('/').unwrap_or((default.namespace(), default.name()));
            let labels =
                SecretLabels { secret_namespace: namespace.to_owned(), secret: secret.to_owned() };
            let seconds = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            let seconds = i64::try_from(seconds.as_secs()).unwrap_or(i64::MAX);
            self.expiries.get_or_create(&labels).set(seconds);
        }
    }

    /// Envoy serves a changed configuration.
    pub(super) fn applied(&self, change: Change, took: Duration) {
        self.apply.observe(took.as_secs_f64());
        self.applied.get_or_create(&ChangeLabel { change }).inc();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        self.last_applied.set(now.unwrap_or_default().as_secs_f64());
    }

    /// Envoy serves a change that the API reported this long ago.
    pub(super) fn served_after(&self, since_event: Duration) {
        self.event_to_traffic.observe(since_event.as_secs_f64());
    }

    /// Envoy rejected a configuration.
    pub(super) fn rejected(&self) {
        self.rejected.inc();
    }

    /// Sets the number of objects of `kind`.
    pub(super) fn set_objects(&self, kind: &str, number: usize) {
        let kind = KindLabel { kind: known(kind) };
        self.objects.get_or_create(&kind).set(gauge(number));
    }

    /// Sets the current findings.
    pub(super) fn set_findings(&self, reports: &[Report]) {
        let mut numbers = BTreeMap::<_, usize>::new();
        for report in reports {
            let severity = match report.finding.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
                Severity::Note => "note",
            };
            *numbers.entry((severity, known(&report.subject.kind))).or_default() += 1;
        }
        // A resolved one is 0, not missing.
        for kind in KINDS.into_iter().chain(["other"]) {
            for severity in ["error", "warning", "note"] {
                let number = numbers.get(&(severity, kind)).copied().unwrap_or(0);
                self.findings.get_or_create(&FindingLabels { severity, kind }).set(gauge(number));
            }
        }
    }

    /// The watch of `kind` had to start again.
    pub(super) fn watch_restarted(&self, kind: &str) {
        self.watch_restarts.get_or_create(&KindLabel { kind: known(kind) }).inc();
    }

    /// Sets whether the watch of `kind` works.
    pub(super) fn set_watch_up(&self, kind: &str, is_up: bool) {
        self.watch_up.get_or_create(&KindLabel { kind: known(kind) }).set(is_up.into());
    }

    /// Sets whether this replica is the leader.
    pub(super) fn set_leader(&self, is_leader: bool) {
        self.leader.set(is_leader.into());
    }

    /// A report was written.
    pub(super) fn report_written(&self, report: Written) {
        self.writes.get_or_create(&WriteLabels { report, result: Ending::Success }).inc();
    }

    /// A report could not be written.
    pub(super) fn report_failed(&self, report: Written) {
        self.writes.get_or_create(&WriteLabels { report, result: Ending::Failure }).inc();
    }
}

const COMPILE: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0];
const APPLY: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];
const EVENT_TO_TRAFFIC: [f64; 10] = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

fn register<M: Metric + Clone + Default>(registry: &mut Registry, name: &str, help: &str) -> M {
    let metric = M::default();
    registry.register(name, help, metric.clone());
    metric
}

fn gauge(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use prometheus_client::encoding::{prometheus_text, text};
    use rcgen::{CertificateParams, KeyPair};

    use crate::certificates::{Certificate, read};
    use crate::finding::{Code, Finding};
    use crate::rollout::tests::certificates_of;

    use super::super::reports::Subject;
    use super::*;

    fn report(kind: &str, finding: Finding) -> Report {
        let subject = Subject {
            api_version: "v1".to_owned(),
            kind: kind.to_owned(),
            namespace: "n".to_owned(),
            name: "x".to_owned(),
            uid: "u".to_owned(),
        };
        Report { subject, finding }
    }

    fn filled() -> (Metrics, Registry) {
        let mut registry = Registry::default();
        let metrics = Metrics::new(&mut registry);
        metrics.set_objects("Ingress", 7);
        metrics.set_objects("made-up", 1);
        metrics.set_findings(&[report("Ingress", Finding::new(Code::NoTests, "e"))]);
        metrics.compiled(Duration::from_millis(30));
        metrics.applied(Change::RouteTable, Duration::from_millis(80));
        metrics.served_after(Duration::from_millis(200));
        metrics.rejected();
        metrics.watch_restarted("Service");
        metrics.set_watch_up("Service", true);
        metrics.set_leader(true);
        metrics.report_written(Written::Status);
        metrics.report_failed(Written::Event);
        (metrics, registry)
    }

    /// A certificate that expires after this time.
    fn ends_in(time: Duration) -> Arc<Certificate> {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        params.not_after = (SystemTime::now() + time).into();
        let chain = params.self_signed(&key).unwrap().pem();
        let key = key.serialize_pem();
        read(chain.as_bytes(), key.as_bytes(), SystemTime::now()).certificate.unwrap()
    }

    fn openmetrics(registry: &Registry) -> String {
        let mut text = String::new();
        text::encode(&mut text, registry).unwrap();
        text
    }

    fn prometheus(registry: &Registry) -> String {
        let mut text = String::new();
        prometheus_text::encode(&mut text, registry).unwrap();
        text
    }

    /// Series and their values, parsed from the text.
    fn parse(text: &str) -> BTreeMap<&str, f64> {
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        samples
            .map(|line| {
                let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
                (series, value.parse().unwrap_or_else(|_| panic!("{line}")))
            })
            .collect()
    }

    #[test]
    fn tells_each_in_both_formats() {
        let (_, registry) = filled();
        let texts = [openmetrics(&registry), prometheus(&registry)];
        for text in texts {
            let samples = parse(&text);
            let want = [
                ("ingressctl_objects{kind=\"Ingress\"}", 7.0),
                ("ingressctl_objects{kind=\"other\"}", 1.0),
                ("ingressctl_findings{severity=\"error\",kind=\"Ingress\"}", 1.0),
                ("ingressctl_compile_seconds_count", 1.0),
                ("ingressctl_compile_seconds_bucket{le=\"0.025\"}", 0.0),
                ("ingressctl_compile_seconds_bucket{le=\"0.05\"}", 1.0),
                ("ingressctl_apply_seconds_count", 1.0),
                ("ingressctl_event_to_traffic_seconds_bucket{le=\"0.25\"}", 1.0),
                ("ingressctl_event_to_traffic_seconds_bucket{le=\"0.01\"}", 0.0),
                ("ingressctl_event_to_traffic_seconds_bucket{le=\"0.1\"}", 0.0),
                ("ingressctl_configurations_applied_total{change=\"route_table\"}", 1.0),
                ("ingressctl_configurations_applied_total{change=\"upstreams\"}", 0.0),
                ("ingressctl_configurations_rejected_total", 1.0),
                ("ingressctl_watch_restarts_total{kind=\"Service\"}", 1.0),
                ("ingressctl_watch_up{kind=\"Service\"}", 1.0),
                ("ingressctl_leader", 1.0),
                ("ingressctl_report_writes_total{report=\"status\",result=\"success\"}", 1.0),
                ("ingressctl_report_writes_total{report=\"event\",result=\"failure\"}", 1.0),
                ("ingressctl_report_writes_total{report=\"event\",result=\"success\"}", 0.0),
            ];
            for (series, value) in want {
                assert_eq!(samples.get(series), Some(&value), "{series} in\n{text}");
            }
            assert!(samples["ingressctl_last_applied_timestamp_seconds"] > 1.0e9, "{text}");
        }
        assert!(openmetrics(&registry).ends_with("# EOF\n"));
    }

    #[test]
    fn the_certificates_that_expire_first_are_told_by_secret() {
        let (metrics, registry) = filled();
        let default = ObjectName::new("edge", "fallback").unwrap();
        let hosts: Vec<_> = (0..25).map(|number| format!("{number}.example")).collect();
        let hosts: Vec<_> = hosts.iter().map(String::as_str).collect();
        let (mut certificates, _) = certificates_of(&hosts);
        // The last one by name.
        certificates.insert("default".to_owned(), ends_in(Duration::from_mins(30)));
        certificates.insert("z/late".to_owned(), ends_in(Duration::from_hours(2)));
        let (hosts, alternatives) = (BTreeMap::new(), BTreeMap::new());
        let https = Https { certificates, hosts, alternatives };
        metrics.set_expiries(Some(&https), &default);
        let text = openmetrics(&registry);
        let series = "ingressctl_certificate_expiry_timestamp_seconds{";
        assert_eq!(text.matches(series).count(), 20, "{text}");
        assert!(!text.contains("late"), "{text}");
        let first = format!("{series}secret_namespace=\"edge\",secret=\"fallback\"}}");
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let left = parse(&text)[&*first] - now.as_secs_f64();
        assert!((1_700.0..=1_801.0).contains(&left), "{left}");
        metrics.set_expiries(None, &default);
        assert!(!openmetrics(&registry).contains(series));
    }

    #[test]
    fn a_finding_that_is_gone_counts_0() {
        let (metrics, registry) = filled();
        metrics.set_findings(&[report("Service", Finding::new(Code::NoPaths, "w"))]);
        let text = openmetrics(&registry);
        let samples = parse(&text);
        for (series, want) in [
            ("ingressctl_findings{severity=\"error\",kind=\"Ingress\"}", 0.0),
            ("ingressctl_findings{severity=\"warning\",kind=\"Service\"}", 1.0),
        ] {
            assert_eq!(samples.get(series), Some(&want), "{series}");
        }
    }

    #[test]
    fn every_metric_has_help_and_a_conventional_name() {
        let text = openmetrics(&filled().1);
        let of = |word: &str| {
            let prefix = format!("# {word} ");
            let lines = text.lines().filter_map(|line| line.strip_prefix(&prefix));
            lines.map(|line| line.split(' ').next().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let (help, types) = (of("HELP"), of("TYPE"));
        assert_eq!(help, types);
        assert_eq!(help.len(), 12, "{help:?}");
        assert!(help.iter().all(|name| name.starts_with("ingressctl_")), "{help:?}");
    }
}
