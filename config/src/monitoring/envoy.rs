//! Envoy's statistics as metrics, with names and units of Prometheus.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::stats::{Kind, METRICS, Metric, Scope, filter};
use crate::envoy::request_stats::{COUNT_AS, DURATIONS, REQUESTS};
use crate::rollout::EnvoyHandle;

/// The number of upstreams whose metrics are served, so the number of series is bounded.
const MAX_UPSTREAMS: usize = 1_000;

/// The beginning of the clusters of the controller and of the collector of traces, which no
/// name of a Service has.
const OWN_CLUSTERS: &str = "ingress_";

/// Days until a certificate expires, if there is none.
const NEVER: f64 = 4_294_967_295.0;

/// The upper bounds of the buckets of durations, in Envoy's milliseconds.
const BUCKETS: [&str; 13] =
    ["5", "10", "25", "50", "100", "250", "500", "1000", "2500", "5000", "10000", "30000", "60000"];

/// The labels of a series, in their order.
type Labels = Vec<(&'static str, String)>;

/// The metrics of Envoy at one time.
#[derive(Debug, Default, PartialEq)]
pub(super) struct EnvoyMetrics {
    is_up: bool,
    /// The series of each of [`METRICS`].
    series: Vec<BTreeMap<Labels, f64>>,
    requests: BTreeMap<Labels, u64>,
    durations: BTreeMap<Labels, Durations>,
    /// Those of all requests.
    response_durations: Durations,
    left_out_upstreams: usize,
    /// Updates of statistics that exceeded Envoy's limit on their number.
    limited: u64,
}

#[derive(Debug, Default, PartialEq)]
struct Durations {
    seconds: f64,
    count: u64,
    /// The requests in each bucket and in those below, by its bound in milliseconds.
    up_to: Vec<(f64, u64)>,
}

impl EnvoyMetrics {
    pub(super) fn unavailable() -> Self {
        Self::default()
    }

    pub(super) async fn read(envoy: &EnvoyHandle) -> anyhow::Result<Self> {
        let of_process = format!("/stats?filter={}", filter());
        let (stats, requests) = tokio::try_join!(
            envoy.statistics(&of_process),
            envoy.statistics(
                "/stats/prometheus?usedonly&filter=^(ingress_request|server.stats_overflow|http.ingress_http.downstream_rq_time)"
            ),
        )?;
        let mut metrics = Self { is_up: true, ..Self::default() };
        metrics.add_stats(&stats);
        metrics.add_requests(&requests);
        Ok(metrics)
    }

    /// Adds lines of the form `name: value`.
    fn add_stats(&mut self, text: &str) {
        self.series = METRICS.iter().map(|_| BTreeMap::new()).collect();
        let mut upstreams = BTreeSet::new();
        let mut left_out = BTreeSet::new();
        for (name, value) in text.lines().filter_map(|line| line.rsplit_once(": ")) {
            let Ok(value) = value.parse::<f64>() else { continue };
            for (metric, series) in METRICS.iter().zip(&mut self.series) {
                let Some((instance, label)) = metric.find(name) else { continue };
                let mut labels = Labels::new();
                if metric.scope == Scope::Clusters {
                    if instance.starts_with(OWN_CLUSTERS) {
                        continue;
                    }
                    if upstreams.len() >= MAX_UPSTREAMS && !upstreams.contains(instance) {
                        left_out.insert(instance);
                        continue;
                    }
                    upstreams.insert(instance);
                    labels.push(("upstream", instance.to_owned()));
                }
                if !metric.label.is_empty() {
                    labels.push((metric.label, label.to_owned()));
                }
                if metric.name == "certificate_expiry_seconds" && value >= NEVER {
                    continue;
                }
                *series.entry(labels).or_default() += value * metric.factor;
            }
        }
        self.left_out_upstreams = left_out.len();
    }

    /// Adds the statistics of requests, in Prometheus' format, whose label values are
    /// names of objects, so none is escaped.
    fn add_requests(&mut self, text: &str) {
        for line in text.lines() {
            let Some(sample) = Sample::parse(line) else { continue };
            let Some(name) = sample.name.strip_prefix("envoy_") else { continue };
            if name == REQUESTS {
                if let Ok(count) = sample.value.parse() {
                    self.requests.insert(sample.labels(&["status", "outcome"]), count);
                }
            } else if name.starts_with("server_stats_overflow") {
                self.limited += sample.value.parse().unwrap_or(0);
            } else if let Some(part) = name.strip_prefix("http_downstream_rq_time") {
                self.response_durations.add(part, &sample);
            } else if let Some(part) = name.strip_prefix(DURATIONS) {
                let durations = self.durations.entry(sample.labels(&[])).or_default();
                durations.add(part, &sample);
            }
        }
    }
}

impl Metric {
    /// The instance to which the statistic `name` belongs, and the value of its label, if
    /// it is one of this metric.
    fn find<'n>(&self, name: &'n str) -> Option<(&'n str, &'static str)> {
        let (rest, _) = self.scope.strip(name)?;
        self.stats.iter().find_map(|(stat, label)| {
            let instance = match self.scope {
                Scope::Process | Scope::Clients => (rest == *stat).then_some("")?,
                Scope::Listeners | Scope::Clusters => rest.strip_suffix(stat)?.strip_suffix('.')?,
            };
            Some((instance, *label))
        })
    }
}

impl Durations {
    fn add(&mut self, part: &str, sample: &Sample<'_>) {
        match part {
            "_sum" => self.seconds = sample.value.parse().unwrap_or(0.0) / 1_000.0,
            "_count" => self.count = sample.value.parse().unwrap_or(0),
            "_bucket" => {
                if let Some(bound) = sample.label("le").filter(|le| BUCKETS.contains(le))
                    && let (Ok(bound), Ok(count)) = (bound.parse(), sample.value.parse())
                {
                    self.up_to.push((bound, count));
                }
            }
            _ => {}
        }
    }

    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let Self { seconds, count, .. } = self;
        encoder.encode_histogram::<NoLabelSet>(*seconds, *count, &self.buckets(), None)
    }

    /// The requests in each bucket alone, by its bound in seconds.
    fn buckets(&self) -> Vec<(f64, u64)> {
        let mut below = 0;
        let mut buckets: Vec<_> = self
            .up_to
            .iter()
            .map(|(bound, up_to)| {
                let own = up_to.saturating_sub(below);
                below = *up_to;
                (bound / 1_000.0, own)
            })
            .collect();
        buckets.push((f64::INFINITY, self.count.saturating_sub(below)));
        buckets
    }
}

/// A line of Prometheus' text format.
struct Sample<'l> {
    name: &'l str,
    labels: Vec<(&'l str, &'l str)>,
    value: &'l str,
}

impl<'l> Sample<'l> {
    fn parse(line: &'l str) -> Option<Self> {
        let (series, value) = line.rsplit_once(' ')?;
        let (name, labels) = series.strip_suffix('}')?.split_once('{')?;
        let labels = labels.split(',').filter_map(|label| {
            let (name, value) = label.split_once("=\"")?;
            Some((name, value.strip_suffix('"')?))
        });
        Some(Self { name, labels: labels.collect(), value })
    }

    fn label(&self, name: &str) -> Option<&'l str> {
        self.labels.iter().find(|(label, _)| *label == name).map(|(_, value)| *value)
    }

    /// The labels of the name under which the request was counted, and `others`.
    fn labels(&self, others: &[&'static str]) -> Labels {
        let counted = self.label(COUNT_AS).unwrap_or_default();
        let (ingress, rule) = counted.split_once(' ').unwrap_or((counted, ""));
        let (namespace, ingress) = ingress.split_once('/').unwrap_or(("", ingress));
        let mut labels = vec![
            ("ingress_namespace", namespace.to_owned()),
            ("ingress", ingress.to_owned()),
            ("route_rule", rule.to_owned()),
        ];
        let value = |name: &str| self.label(name).unwrap_or_default().to_owned();
        labels.extend(others.iter().map(|name| (*name, value(name))));
        labels
    }
}

/// The metrics that were read last.
#[derive(Debug)]
pub(super) struct Newest(pub(super) Arc<Mutex<EnvoyMetrics>>);

impl Collector for Newest {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).encode(encoder)
    }
}

impl EnvoyMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let up = ConstGauge::new(i64::from(self.is_up));
        let help = "Whether Envoy reported its statistics (1) or not (0)";
        up.encode(encoder.encode_descriptor("ingress_envoy_up", help, None, MetricType::Gauge)?)?;
        if !self.is_up {
            return Ok(());
        }
        let left_out = i64::try_from(self.left_out_upstreams).unwrap_or(i64::MAX);
        let help = "Upstreams beyond the limit of 1000, whose metrics are not served";
        ConstGauge::new(left_out).encode(encoder.encode_descriptor(
            "ingress_upstreams_left_out",
            help,
            None,
            MetricType::Gauge,
        )?)?;
        for (metric, series) in METRICS.iter().zip(&self.series) {
            metric.encode(series, &mut encoder)?;
        }
        let help = "Updates of request metrics that exceeded the limit on their number";
        ConstCounter::new(self.limited).encode(encoder.encode_descriptor(
            "ingress_metrics_limited",
            help,
            None,
            MetricType::Counter,
        )?)?;
        self.encode_requests(&mut encoder)?;
        self.encode_durations(&mut encoder)
    }

    fn encode_requests(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Requests by Ingress, RouteRule, status class and outcome";
        let mut family =
            encoder.encode_descriptor("ingress_requests", help, None, MetricType::Counter)?;
        for (labels, count) in &self.requests {
            ConstCounter::new(*count).encode(family.encode_family(labels)?)?;
        }
        Ok(())
    }

    fn encode_durations(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Time from the first byte of a request to the last byte of its response";
        let name = "ingress_response_duration_seconds";
        let family = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        self.response_durations.encode(family)?;
        let help = "The same by Ingress and RouteRule";
        let name = "ingress_request_duration_seconds";
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (labels, durations) in &self.durations {
            durations.encode(family.encode_family(labels)?)?;
        }
        Ok(())
    }
}

impl Metric {
    fn encode(
        &self,
        series: &BTreeMap<Labels, f64>,
        encoder: &mut DescriptorEncoder<'_>,
    ) -> fmt::Result {
        // Without series, for example without TLS, a metric is not described either.
        if series.is_empty() {
            return Ok(());
        }
        let name = format!("ingress_{}", self.name);
        let kind = match self.kind {
            Kind::Counter => MetricType::Counter,
            Kind::Gauge => MetricType::Gauge,
        };
        let mut family = encoder.encode_descriptor(&name, self.help, None, kind)?;
        for (labels, value) in series {
            let encoder = family.encode_family(labels)?;
            match self.kind {
                Kind::Counter => ConstCounter::new(*value).encode(encoder)?,
                Kind::Gauge => ConstGauge::new(*value).encode(encoder)?,
            }
        }
        Ok(())
    }
}
