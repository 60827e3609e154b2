//! Envoy's statistics as metrics, with names and units of Prometheus.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::stats::{ENDPOINTS, Kind, METRICS, Metric, Scope, of_gateway, of_upstreams};
use crate::budget::fair_share;
use crate::envoy::request_stats::{COUNT_AS, DURATIONS, REQUESTS};
use crate::model::GRPC_WEB_PREFIX;
use crate::rollout::EnvoyHandle;

/// The number of upstreams whose metrics are served, so the number of series is bounded.
const MAX_UPSTREAMS: u64 = 1_000;

/// The beginning of the clusters of the controller and of the collector of traces, which no
/// name of a Service has.
const OWN_CLUSTERS: &str = "ingress_";

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
    /// `None` if Envoy did not tell its upstreams in time.
    left_out_upstreams: Option<usize>,
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

    /// Those of upstreams come last, because they can be so many that Envoy does not tell them
    /// in time.
    pub(super) async fn read(envoy: &EnvoyHandle) -> anyhow::Result<Self> {
        let of_gateway = of_gateway();
        let (stats, requests) = tokio::try_join!(
            envoy.statistics(&of_gateway),
            envoy.statistics(
                "/stats/prometheus?usedonly&filter=^(ingress_request|server.stats_overflow|http.ingress_http.downstream_rq_time)"
            ),
        )?;
        let mut metrics = Self::of_gateway(&stats);
        metrics.add_requests(&requests);
        let of_upstreams = of_upstreams();
        let upstreams =
            tokio::try_join!(envoy.statistics(ENDPOINTS), envoy.statistics(&of_upstreams));
        match upstreams {
            Ok((endpoints, used)) => metrics.add_upstreams(&endpoints, &used),
            Err(error) => tracing::debug!("no statistics of upstreams: {error:#}"),
        }
        Ok(metrics)
    }

    /// From lines of the form `name: value`. What Envoy has not used is 0.
    fn of_gateway(text: &str) -> Self {
        let unused = |metric: &Metric| {
            let labels = metric.stats.iter().map(|(_, label)| metric.labels(None, label));
            labels.map(|labels| (labels, 0.0)).collect()
        };
        let series = METRICS.iter().map(|metric| match metric.scope {
            Scope::Clients | Scope::Listeners => unused(metric),
            Scope::Process if metric.kind == Kind::Counter => unused(metric),
            Scope::Process | Scope::Clusters => BTreeMap::new(),
        });
        let mut metrics = Self { is_up: true, series: series.collect(), ..Self::default() };
        for Stat { index, label, value, .. } in stats(text) {
            let metric = &METRICS[index];
            if metric.none != Some(value) {
                metrics.add(index, metric.labels(None, label), value);
            }
        }
        metrics
    }

    /// Adds upstreams up to the limit, which namespaces share.
    fn add_upstreams(&mut self, endpoints: &str, used: &str) {
        let own = |stat: &Stat<'_>| stat.instance.starts_with(OWN_CLUSTERS);
        let mut upstreams = BTreeMap::<&str, Vec<Stat<'_>>>::new();
        for stat in stats(endpoints).filter(|stat| !own(stat)) {
            upstreams.entry(stat.instance).or_default().push(stat);
        }
        // Envoy creates all other statistics of an upstream when it uses the first.
        for stat in stats(used).filter(|stat| !own(stat)) {
            let of_upstream = upstreams.entry(stat.instance).or_default();
            if !of_upstream.iter().any(|known| METRICS[known.index].is_of_traffic()) {
                of_upstream.extend(unused_of_upstream(stat.instance));
            }
            of_upstream.push(stat);
        }
        let mut namespaces = BTreeMap::<_, u64>::new();
        for upstream in upstreams.keys() {
            *namespaces.entry(namespace_of(upstream)).or_default() += 1;
        }
        let share = fair_share(namespaces.into_values().collect(), MAX_UPSTREAMS);
        let (mut taken, mut left_out) = (BTreeMap::<_, u64>::new(), 0);
        for (upstream, stats) in upstreams {
            let taken = taken.entry(namespace_of(upstream)).or_default();
            if *taken >= share {
                left_out += 1;
                continue;
            }
            *taken += 1;
            for Stat { index, label, value, .. } in stats {
                self.add(index, METRICS[index].labels(Some(upstream), label), value);
            }
        }
        self.left_out_upstreams = Some(left_out);
    }

    fn add(&mut self, index: usize, labels: Labels, value: f64) {
        *self.series[index].entry(labels).or_default() += value * METRICS[index].factor;
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

/// A statistic of Envoy that is served.
struct Stat<'t> {
    /// Of its metric.
    index: usize,
    /// The upstream, or nothing.
    instance: &'t str,
    label: &'static str,
    value: f64,
}

/// The statistics in lines of the form `name: value`.
fn stats(text: &str) -> impl Iterator<Item = Stat<'_>> {
    let lines = text.lines().filter_map(|line| line.rsplit_once(": "));
    lines.filter_map(|(name, value)| {
        let value = value.parse().ok()?;
        METRICS.iter().enumerate().find_map(|(index, metric)| {
            let (instance, label) = metric.find(name)?;
            Some(Stat { index, instance, label, value })
        })
    })
}

/// The statistics of an upstream that Envoy has created but not used.
fn unused_of_upstream(instance: &str) -> impl Iterator<Item = Stat<'_>> {
    let metrics = METRICS.iter().enumerate().filter(|(_, metric)| metric.is_of_traffic());
    metrics.map(move |(index, _)| Stat { index, instance, label: "", value: 0.0 })
}

/// The namespace in the name of an upstream, `service.namespace.svc.domain|port`.
fn namespace_of(upstream: &str) -> &str {
    let name = upstream.strip_prefix(GRPC_WEB_PREFIX).unwrap_or(upstream);
    name.split('.').nth(1).unwrap_or_default()
}

impl Metric {
    /// The labels of a series.
    fn labels(&self, upstream: Option<&str>, label: &str) -> Labels {
        let upstream = upstream.map(|upstream| ("upstream", upstream.to_owned()));
        let label = (!self.label.is_empty()).then(|| (self.label, label.to_owned()));
        upstream.into_iter().chain(label).collect()
    }

    /// The instance to which the statistic `name` belongs, and the value of its label, if
    /// it is one of this metric.
    fn find<'n>(&self, name: &'n str) -> Option<(&'n str, &'static str)> {
        let rest = self.scope.strip(name)?;
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
        if let Some(left_out) = self.left_out_upstreams {
            let left_out = i64::try_from(left_out).unwrap_or(i64::MAX);
            let help = "Upstreams beyond the limit of 1000, whose metrics are not served";
            ConstGauge::new(left_out).encode(encoder.encode_descriptor(
                "ingress_upstreams_left_out",
                help,
                None,
                MetricType::Gauge,
            )?)?;
        }
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

#[cfg(test)]
mod tests {
    use tempfile::TempDir;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// An admin interface that responds with 500 to requests for paths with this text.
    async fn failing(text: &'static str) -> (EnvoyHandle, TempDir) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("admin-address");
        std::fs::write(&file, listener.local_addr().unwrap().to_string()).unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 4096];
                let len = stream.read(&mut request).await.unwrap();
                let request = String::from_utf8_lossy(&request[..len]);
                let status = if request.contains(text) { "500 Failure" } else { "200 OK" };
                let response = format!("HTTP/1.1 {status}\r\nconnection: close\r\n\r\n");
                stream.write_all(response.as_bytes()).await.unwrap();
            }
        });
        (EnvoyHandle::at(file), folder)
    }

    #[tokio::test]
    async fn envoy_is_up_without_its_upstreams() {
        let (envoy, _folder) = failing("cluster.").await;
        let metrics = EnvoyMetrics::read(&envoy).await.unwrap();
        assert!(metrics.is_up);
        assert_eq!(metrics.left_out_upstreams, None);
        for essential in ["http.ingress_http", "ingress_request"] {
            let (envoy, _folder) = failing(essential).await;
            let error = EnvoyMetrics::read(&envoy).await.unwrap_err().to_string();
            assert!(error.contains("500"), "{error}");
        }
    }

    fn endpoints(upstream: &str) -> String {
        format!("cluster.{upstream}.membership_total: 3\n")
    }

    fn value(metrics: &EnvoyMetrics, name: &str, labels: &Labels) -> Option<f64> {
        let index = METRICS.iter().position(|metric| metric.name == name).unwrap();
        metrics.series[index].get(labels).copied()
    }

    #[test]
    fn a_namespace_with_many_upstreams_leaves_room_for_others() {
        let mut text = String::new();
        for number in 0..2_000 {
            text += &endpoints(&format!("a-{number}.many.svc.cluster.local|80"));
        }
        text += &endpoints("z.few.svc.cluster.local|80");
        text += &endpoints("grpc-web|z.few.svc.cluster.local|80");
        text += &endpoints("ingress_controller");
        let mut metrics = EnvoyMetrics::of_gateway("");
        metrics.add_upstreams(&text, "");
        for upstream in ["z.few.svc.cluster.local|80", "grpc-web|z.few.svc.cluster.local|80"] {
            let labels = vec![("upstream", upstream.to_owned())];
            assert_eq!(value(&metrics, "upstream_endpoints", &labels), Some(3.0), "{upstream}");
        }
        assert_eq!(metrics.left_out_upstreams, Some(1_002));
    }

    #[test]
    fn restarts_that_failed_are_restarts() {
        let text = "wasm.ingress.vm_reload_success: 2\nwasm.ingress.vm_reload_failure: 3\n";
        let metrics = EnvoyMetrics::of_gateway(text);
        assert_eq!(value(&metrics, "filter_restarts", &Labels::new()), Some(5.0));
    }

    #[test]
    fn what_envoy_has_not_used_is_0() {
        let mut metrics = EnvoyMetrics::of_gateway("http.ingress_http.downstream_rq_5xx: 2\n");
        let status = |status: &str| vec![("status", status.to_owned())];
        assert_eq!(value(&metrics, "responses", &status("5xx")), Some(2.0));
        assert_eq!(value(&metrics, "responses", &status("2xx")), Some(0.0));
        assert_eq!(value(&metrics, "filter_restarts", &Labels::new()), Some(0.0));
        assert_eq!(value(&metrics, "envoy_memory_pressure_ratio", &Labels::new()), None);
        let [used, unused] = ["a.n.svc.cluster.local|80", "b.n.svc.cluster.local|80"];
        let text = endpoints(used) + &endpoints(unused);
        metrics.add_upstreams(&text, &format!("cluster.{used}.upstream_rq_retry: 4\n"));
        for (upstream, retries, failures) in [(used, Some(4.0), Some(0.0)), (unused, None, None)] {
            let labels = vec![("upstream", upstream.to_owned())];
            assert_eq!(value(&metrics, "upstream_endpoints", &labels), Some(3.0));
            assert_eq!(value(&metrics, "upstream_retries", &labels), retries);
            assert_eq!(value(&metrics, "upstream_connect_failures", &labels), failures);
        }
    }
}
